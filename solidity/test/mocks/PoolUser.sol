// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

import {IERC20} from "../../src/interfaces/IERC20.sol";
import {IUniswapV2Pair} from "../../src/interfaces/IUniswapV2Pair.sol";
import {IUniswapV3Pool} from "../../src/interfaces/IUniswapV3Pool.sol";

interface IV3Liquidity {
    function token0() external view returns (address);
    function token1() external view returns (address);
    function mint(address recipient, int24 tickLower, int24 tickUpper, uint128 amount, bytes calldata data)
        external
        returns (uint256 amount0, uint256 amount1);
}

/// @title Gives liquidity to pools, trades in them and asks them for quotes, out of its own balance. For tests.
/// @dev Its fallback pays whatever a V3 pool asks for, under any name of the callback.
contract PoolUser {
    uint160 private constant LOWEST = 4295128740;
    uint160 private constant HIGHEST = 1461446703485210103287273052203988822378723970341;

    error Quoted(int256 amount0, int256 amount1);

    function send(address token, address to, uint256 amount) public {
        (bool done,) = token.call(abi.encodeCall(IERC20.transfer, (to, amount)));
        require(done, "send");
    }

    function mintV3(address pool, int24 lower, int24 upper, uint128 liquidity) external {
        IV3Liquidity(pool).mint(address(this), lower, upper, liquidity, abi.encode(false));
    }

    function swapV3(address pool, bool zeroForOne, int256 amount) external {
        IUniswapV3Pool(pool).swap(
            address(this), zeroForOne, amount, zeroForOne ? LOWEST : HIGHEST, abi.encode(false)
        );
    }

    function swapV2(address pool, address tokenIn, uint256 amountIn, uint256 out0, uint256 out1) external {
        send(tokenIn, pool, amountIn);
        IUniswapV2Pair(pool).swap(out0, out1, address(this), "");
    }

    /// @notice The amounts of a swap, positive = owed to the pool, without doing it.
    function quoteV3(address pool, bool zeroForOne, int256 amount) external returns (int256 amount0, int256 amount1) {
        try IUniswapV3Pool(pool).swap(
            address(this), zeroForOne, amount, zeroForOne ? LOWEST : HIGHEST, abi.encode(true)
        ) {
            revert("no callback");
        } catch (bytes memory reason) {
            require(bytes4(reason) == Quoted.selector, "no quote");
            assembly {
                amount0 := mload(add(reason, 0x24))
                amount1 := mload(add(reason, 0x44))
            }
        }
    }

    fallback() external {
        (int256 amount0, int256 amount1, bytes memory data) = abi.decode(msg.data[4:], (int256, int256, bytes));
        if (abi.decode(data, (bool))) revert Quoted(amount0, amount1);
        if (amount0 > 0) send(IV3Liquidity(msg.sender).token0(), msg.sender, uint256(amount0));
        if (amount1 > 0) send(IV3Liquidity(msg.sender).token1(), msg.sender, uint256(amount1));
    }
}

/// @title Creates V3 pools of any fork whose deployer contract npm does not ship.
contract V3Deployer {
    struct Parameters {
        address factory;
        address token0;
        address token1;
        uint24 fee;
        int24 tickSpacing;
    }

    /// @notice What a pool's constructor asks its creator for.
    Parameters public parameters;
    /// @notice The last pool created.
    address public pool;

    function deploy(bytes memory creationCode, address token0, address token1, uint24 fee, int24 spacing) external {
        parameters = Parameters(address(this), token0, token1, fee, spacing);
        address made;
        assembly {
            made := create(0, add(creationCode, 0x20), mload(creationCode))
        }
        require(made != address(0), "create");
        pool = made;
    }

    /// @notice Pools ask their factory for its owner.
    function owner() external view returns (address) {
        return address(this);
    }
}
