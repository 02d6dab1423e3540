// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

/// @title What we use of an ERC-20 token.
interface IERC20 {
    /// @notice Moves `amount` from the caller to `to`. Tokens differ in what they return: true, false or nothing.
    function transfer(address to, uint256 amount) external returns (bool);

    /// @notice The balance of `account`, in the token's smallest unit.
    function balanceOf(address account) external view returns (uint256);
}
