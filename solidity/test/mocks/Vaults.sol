// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

import {ERC20, IERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ERC4626 as SoladyERC4626} from "solady/src/tokens/ERC4626.sol";

/// @title OpenZeppelin's vault with any decimals offset.
contract OpenZeppelinVault is ERC4626 {
    uint8 private immutable OFFSET;

    constructor(IERC20 asset_, uint8 offset) ERC20("Vault", "V") ERC4626(asset_) {
        OFFSET = offset;
    }

    function _decimalsOffset() internal view override returns (uint8) {
        return OFFSET;
    }
}

/// @title Solady's vault, whose ERC-20 keeps balances and supply in slots of its own choice.
contract SoladyVault is SoladyERC4626 {
    address private immutable ASSET;

    constructor(address asset_) {
        ASSET = asset_;
    }

    function asset() public view override returns (address) {
        return ASSET;
    }

    function name() public pure override returns (string memory) {
        return "Vault";
    }

    function symbol() public pure override returns (string memory) {
        return "V";
    }
}

/// @title Takes 0.1 % of what is redeemed.
contract ExitFeeVault is OpenZeppelinVault {
    constructor(IERC20 asset_) OpenZeppelinVault(asset_, 0) {}

    function previewRedeem(uint256 shares) public view override returns (uint256) {
        uint256 assets = super.previewRedeem(shares);
        return assets - assets / 1000;
    }
}

/// @title Previews without a fee, but keeps one when it pays.
contract LyingVault is OpenZeppelinVault {
    constructor(IERC20 asset_) OpenZeppelinVault(asset_, 0) {}

    function _withdraw(address caller, address receiver, address owner, uint256 assets, uint256 shares)
        internal
        override
    {
        super._withdraw(caller, receiver, owner, assets - assets / 1000, shares);
    }
}

/// @title Counts assets that come in by the second.
contract StreamingVault is OpenZeppelinVault {
    uint256 private immutable START = block.timestamp;

    constructor(IERC20 asset_) OpenZeppelinVault(asset_, 0) {}

    function totalAssets() public view override returns (uint256) {
        return super.totalAssets() + (block.timestamp - START);
    }
}

/// @title Takes deposits up to a total.
contract CappedVault is OpenZeppelinVault {
    uint256 private immutable CAP;

    constructor(IERC20 asset_, uint256 cap) OpenZeppelinVault(asset_, 0) {
        CAP = cap;
    }

    function maxDeposit(address) public view override returns (uint256) {
        uint256 assets = totalAssets();
        return assets < CAP ? CAP - assets : 0;
    }
}

/// @title Lets nobody out for more than a part of what it holds.
contract GatedVault is OpenZeppelinVault {
    constructor(IERC20 asset_) OpenZeppelinVault(asset_, 0) {}

    function maxRedeem(address owner) public view override returns (uint256) {
        return Math.min(balanceOf(owner), totalSupply() / 1000);
    }
}
