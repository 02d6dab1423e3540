// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

/// @title What we use of the Balancer V2 vault.
interface IBalancerVault {
    /// @notice Lends to `recipient`, calls `receiveFlashLoan(tokens, amounts, feeAmounts, userData)` on it, and
    /// requires that amounts and fees were transferred back. Not re-entrant.
    function flashLoan(
        address recipient,
        address[] calldata tokens,
        uint256[] calldata amounts,
        bytes calldata userData
    ) external;
}
