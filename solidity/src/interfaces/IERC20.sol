// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

/// @title What we use of an ERC-20 token.
interface IERC20 {
    /// @notice Moves `amount` from the caller to `to`. Tokens differ in what they return: true, false or nothing.
    function transfer(address to, uint256 amount) external returns (bool);

    /// @notice Lets `spender` move up to `amount` from the caller. Tokens differ in what they return here too.
    function approve(address spender, uint256 amount) external returns (bool);

    /// @notice How much of `owner`'s `spender` may still move.
    function allowance(address owner, address spender) external view returns (uint256);

    /// @notice The balance of `account`, in the token's smallest unit.
    function balanceOf(address account) external view returns (uint256);
}
