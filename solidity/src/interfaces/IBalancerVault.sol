// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

/// @title What we use of the Balancer V2 vault.
interface IBalancerVault {
    enum SwapKind {
        GIVEN_IN,
        GIVEN_OUT
    }

    struct SingleSwap {
        bytes32 poolId;
        SwapKind kind;
        address assetIn;
        address assetOut;
        uint256 amount;
        bytes userData;
    }

    struct BatchSwapStep {
        bytes32 poolId;
        uint256 assetInIndex;
        uint256 assetOutIndex;
        uint256 amount;
        bytes userData;
    }

    struct FundManagement {
        address sender;
        bool fromInternalBalance;
        address payable recipient;
        bool toInternalBalance;
    }

    /// @notice Pulls the input from `funds.sender` (the caller, or one who trusts it) and sends the output to
    /// `funds.recipient`. Not re-entrant, nor within a flash loan.
    function swap(SingleSwap memory singleSwap, FundManagement memory funds, uint256 limit, uint256 deadline)
        external
        payable
        returns (uint256 amountCalculated);

    /// @notice Several swaps, settled at the end; amount 0 takes what the step before gives. `limits`: most that goes
    /// in of each asset (negative: least that comes out).
    function batchSwap(
        SwapKind kind,
        BatchSwapStep[] memory swaps,
        address[] memory assets,
        FundManagement memory funds,
        int256[] memory limits,
        uint256 deadline
    ) external payable returns (int256[] memory assetDeltas);

    /// @notice Lends to `recipient`, calls `receiveFlashLoan(tokens, amounts, feeAmounts, userData)` on it, and
    /// requires that amounts and fees were transferred back. Not re-entrant.
    function flashLoan(
        address recipient,
        address[] calldata tokens,
        uint256[] calldata amounts,
        bytes calldata userData
    ) external;
}
