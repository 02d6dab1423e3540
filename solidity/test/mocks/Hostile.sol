// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

import {IERC20} from "../../src/interfaces/IERC20.sol";

/// @title Calls a target with a list of data, from inside whatever calls it, and counts what went through.
/// @dev Stands wherever a stranger can get control during an execution: token hook, pool, fee recipient.
contract Stranger {
    address public target;
    bytes[] public attempts;
    uint256 public tried;
    uint256 public succeeded;

    function prepare(address target_, bytes[] calldata attempts_) external {
        target = target_;
        delete attempts;
        for (uint256 i = 0; i < attempts_.length; ++i) attempts.push(attempts_[i]);
    }

    function attack() public {
        for (uint256 i = 0; i < attempts.length; ++i) {
            (bool done,) = target.call{gas: 1_000_000}(attempts[i]);
            tried += 1;
            if (done) succeeded += 1;
        }
    }

    receive() external payable {
        attack();
    }
}

/// @title A pool of the attacker's own: answers a swap with callbacks of its choice.
/// @dev It behaves like a V3 pool that gives `out` of `tokenOut` and is paid `owed`, but first tries its forged
/// callbacks on the caller. `twice` makes it call the genuine callback again.
contract HostilePool {
    address public tokenOut;
    uint256 public out;
    int256 public owed;
    bytes[] public forged;
    uint256 public succeeded;
    uint256 public genuineTwice;
    bool public silent;

    function prepare(address tokenOut_, uint256 out_, int256 owed_, bytes[] calldata forged_, bool silent_) external {
        tokenOut = tokenOut_;
        out = out_;
        owed = owed_;
        silent = silent_;
        delete forged;
        for (uint256 i = 0; i < forged_.length; ++i) forged.push(forged_[i]);
    }

    function swap(address recipient, bool, int256, uint160, bytes calldata data) external returns (int256, int256) {
        for (uint256 i = 0; i < forged.length; ++i) {
            (bool forgedDone,) = msg.sender.call{gas: 1_000_000}(forged[i]);
            if (forgedDone) succeeded += 1;
        }
        if (out != 0) IERC20(tokenOut).transfer(recipient, out);
        if (silent) return (0, 0);
        (bool done, bytes memory reason) =
            msg.sender.call(abi.encodeWithSignature("uniswapV3SwapCallback(int256,int256,bytes)", owed, -owed, data));
        if (!done) {
            assembly {
                revert(add(reason, 0x20), mload(reason))
            }
        }
        (bool again,) =
            msg.sender.call(abi.encodeWithSignature("uniswapV3SwapCallback(int256,int256,bytes)", owed, -owed, data));
        if (again) genuineTwice += 1;
        return (owed, -owed);
    }
}

/// @title A fee recipient that refuses ether.
contract RefusingCoinbase {
    receive() external payable {
        revert("no");
    }
}

/// @title A lender like Balancer's vault that charges 0.1 %, as its governance may at any time.
contract FeeVault {
    function flashLoan(address recipient, address[] calldata tokens, uint256[] calldata amounts, bytes calldata data)
        external
    {
        uint256[] memory fees = new uint256[](1);
        fees[0] = amounts[0] / 1_000;
        uint256 before = IERC20(tokens[0]).balanceOf(address(this));
        IERC20(tokens[0]).transfer(recipient, amounts[0]);
        (bool done, bytes memory reason) = recipient.call(
            abi.encodeWithSignature("receiveFlashLoan(address[],uint256[],uint256[],bytes)", tokens, amounts, fees, data)
        );
        if (!done) {
            assembly {
                revert(add(reason, 0x20), mload(reason))
            }
        }
        require(IERC20(tokens[0]).balanceOf(address(this)) >= before + fees[0], "not repaid");
    }
}

/// @title Sends ether to whom it is told to, and says whether it was taken.
contract Accomplice {
    function push(address to) external payable returns (bool done) {
        (done,) = to.call{value: msg.value}("");
    }
}

/// @title A pool of the attacker's that pulls its input: takes less of it than it may, or tries to take more, calls
/// whomever it likes in the middle, and comes back for the rest.
contract HostilePuller {
    address public tokenIn;
    address public tokenOut;
    uint256 public takes;
    uint256 public gives;
    bytes[] public forged;
    Accomplice public immutable accomplice = new Accomplice();
    uint256 public tried;
    uint256 public succeeded;
    bool public ownEtherTaken;

    function prepare(address tokenIn_, address tokenOut_, uint256 takes_, uint256 gives_, bytes[] calldata forged_)
        external
    {
        tokenIn = tokenIn_;
        tokenOut = tokenOut_;
        takes = takes_;
        gives = gives_;
        delete forged;
        for (uint256 i = 0; i < forged_.length; ++i) forged.push(forged_[i]);
    }

    /// @notice Whatever it is called for: it is approved for an input, and answers with an amount.
    fallback() external payable {
        (, bytes memory allowed) =
            tokenIn.call(abi.encodeWithSignature("allowance(address,address)", msg.sender, address(this)));
        uint256 dx = abi.decode(allowed, (uint256));
        if (takes != 0) require(pull(msg.sender, takes), "nothing approved");
        attempt(pull(msg.sender, dx - takes + 1));
        for (uint256 i = 0; i < forged.length; ++i) {
            (bool done,) = msg.sender.call{gas: 1_000_000}(forged[i]);
            attempt(done);
        }
        attempt(accomplice.push{value: 1}(msg.sender));
        (ownEtherTaken,) = msg.sender.call{value: 1}("");
        if (gives != 0) IERC20(tokenOut).transfer(msg.sender, gives);
    }

    /// @notice Tries to move one unit more of the victim's, long after.
    function drain(address victim) external {
        attempt(pull(victim, 1));
    }

    function pull(address from, uint256 amount) private returns (bool done) {
        (done,) =
            tokenIn.call(abi.encodeWithSignature("transferFrom(address,address,uint256)", from, address(this), amount));
    }

    function attempt(bool done) private {
        tried += 1;
        if (done) succeeded += 1;
    }

    receive() external payable {}
}
