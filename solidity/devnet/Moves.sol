// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

import {IERC20} from "../src/interfaces/IERC20.sol";

/// @title Token transfers whose answer may be missing (USDT's is), but must not be a no.
library Moves {
    error TransferFailed(address token);

    function pull(address token, address from, address to, uint256 amount) internal {
        move(token, abi.encodeWithSignature("transferFrom(address,address,uint256)", from, to, amount));
    }

    function send(address token, address to, uint256 amount) internal {
        move(token, abi.encodeCall(IERC20.transfer, (to, amount)));
    }

    function move(address token, bytes memory call) private {
        (bool done, bytes memory answer) = token.call(call);
        if (!done || (answer.length > 0 && !abi.decode(answer, (bool)))) revert TransferFailed(token);
    }
}
