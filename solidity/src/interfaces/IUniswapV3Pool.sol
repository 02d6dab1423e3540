// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

/// @title What we use of a Uniswap V3 pool and its forks.
interface IUniswapV3Pool {
    /// @notice Sends the output to `recipient` first, then calls its caller back with the signed amounts (positive =
    /// owed to the pool) and `data`, and requires that the input has arrived.
    /// @param amountSpecified Positive: exact input; negative: exact output.
    function swap(
        address recipient,
        bool zeroForOne,
        int256 amountSpecified,
        uint160 sqrtPriceLimitX96,
        bytes calldata data
    ) external returns (int256 amount0, int256 amount1);
}
