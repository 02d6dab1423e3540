// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

/// @title What we use of Uniswap V4's pool manager.
/// @dev A currency is a token's address, or zero for ether.
interface IPoolManager {
    struct PoolKey {
        address currency0;
        address currency1;
        uint24 fee;
        int24 tickSpacing;
        address hooks;
    }

    struct SwapParams {
        bool zeroForOne;
        int256 amountSpecified;
        uint160 sqrtPriceLimitX96;
    }

    /// @notice Calls `unlockCallback(data)` on the caller, which returns bytes, and requires that nobody owes or is
    /// owed anything afterwards. Not re-entrant.
    function unlock(bytes calldata data) external returns (bytes memory);

    /// @notice Swaps on account; negative `amountSpecified` is an exact input. Returns the caller's two new credits
    /// (positive) or debts (negative), currency 0's in the upper half.
    function swap(PoolKey calldata key, SwapParams calldata params, bytes calldata hookData)
        external
        returns (int256 delta);

    /// @notice Pays `amount` to `to` out of the caller's credit, or into its debt.
    function take(address currency, address to, uint256 amount) external;

    /// @notice Notes the manager's balance of a currency, before it is paid.
    function sync(address currency) external;

    /// @notice Credits the caller with what came in since `sync`, or with the ether that comes along.
    function settle() external payable returns (uint256 paid);
}
