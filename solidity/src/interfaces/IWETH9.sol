// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

import {IERC20} from "./IERC20.sol";

/// @title What we use of wrapped ether.
interface IWETH9 is IERC20 {
    /// @notice Mints WETH to the caller for the ether that comes along.
    function deposit() external payable;

    /// @notice Burns `amount` of the caller's WETH and sends as much ether to it, with 2,300 gas.
    function withdraw(uint256 amount) external;
}
