// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

import {IERC20} from "../../src/interfaces/IERC20.sol";

interface IManager {
    function unlock(bytes calldata data) external returns (bytes memory);
    function sync(address currency) external;
    function settle() external payable returns (uint256);
    function take(address currency, address to, uint256 amount) external;
}

/// @title Makes one call to a Uniswap V4 PoolManager inside its lock, and settles what it owes then. For tests.
/// @dev The call may be any whose first return value is a BalanceDelta: swap, modifyLiquidity, donate.
contract V4User {
    function execute(address manager, address currency0, address currency1, bytes calldata data)
        external
        returns (int256 delta)
    {
        return abi.decode(IManager(manager).unlock(abi.encode(currency0, currency1, data)), (int256));
    }

    function unlockCallback(bytes calldata program) external returns (bytes memory) {
        (address currency0, address currency1, bytes memory data) = abi.decode(program, (address, address, bytes));
        (bool done, bytes memory answer) = msg.sender.call(data);
        if (!done) {
            assembly {
                revert(add(answer, 0x20), mload(answer))
            }
        }
        int256 delta;
        assembly {
            delta := mload(add(answer, 0x20))
        }
        _settle(currency0, int128(delta >> 128));
        _settle(currency1, int128(delta));
        return abi.encode(delta);
    }

    function _settle(address currency, int128 delta) private {
        IManager manager = IManager(msg.sender);
        if (delta > 0) {
            manager.take(currency, address(this), uint128(delta));
        } else if (delta < 0) {
            uint256 owed = uint256(-int256(delta));
            manager.sync(currency);
            if (currency == address(0)) {
                manager.settle{value: owed}();
            } else {
                (bool done,) = currency.call(abi.encodeCall(IERC20.transfer, (msg.sender, owed)));
                require(done, "pay");
                manager.settle();
            }
        }
    }

    receive() external payable {}
}
