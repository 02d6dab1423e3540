// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

/// @title What we use of a Uniswap V2 pair and its forks.
interface IUniswapV2Pair {
    /// @notice Sends `amount0Out` and `amount1Out` to `to`, calls `to` back when `data` is not empty, and then requires
    /// that the pair's balances, less 0.3 % of what came in, hold the constant product.
    function swap(uint256 amount0Out, uint256 amount1Out, address to, bytes calldata data) external;
}
