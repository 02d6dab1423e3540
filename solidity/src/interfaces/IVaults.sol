// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

/// @title What we use of an ERC-4626 vault.
interface IERC4626 {
    /// @notice Pulls `assets` from the caller and mints shares for them to `receiver`.
    function deposit(uint256 assets, address receiver) external returns (uint256 shares);

    /// @notice Burns `shares` of `owner` (the caller, or one who approved it) and sends their assets to `receiver`.
    function redeem(uint256 shares, address receiver, address owner) external returns (uint256 assets);
}

/// @title What we use of wstETH.
interface IWstETH {
    /// @notice Pulls stETH from the caller and mints wstETH to it.
    function wrap(uint256 amount) external returns (uint256);

    /// @notice Burns the caller's wstETH and sends stETH to it.
    function unwrap(uint256 amount) external returns (uint256);
}

/// @title What we use of Maker's lite PSM.
interface ILitePsm {
    /// @notice Pulls `gemAmt` of the stablecoin from the caller and sends DAI for it, less the fee, to `usr`.
    function sellGem(address usr, uint256 gemAmt) external returns (uint256 daiOutWad);

    /// @notice Pulls the DAI that `gemAmt` of the stablecoin cost, fee included, from the caller and sends that to `usr`.
    function buyGem(address usr, uint256 gemAmt) external returns (uint256 daiInWad);
}
