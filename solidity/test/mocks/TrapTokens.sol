// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

import {Ledger} from "./WeirdTokens.sol";

/// @title Balances are shares of a moving total: what arrives may be a unit less than what was sent.
contract RebasingToken {
    uint256 public index = 1e18;
    mapping(address account => uint256) public shares;

    function mint(address to, uint256 amount) external {
        shares[to] += (amount * 1e18) / rate();
    }

    function rebase(uint256 index_) external {
        index = index_;
    }

    function rate() public view virtual returns (uint256) {
        return index;
    }

    function balanceOf(address account) external view returns (uint256) {
        return (shares[account] * rate()) / 1e18;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        uint256 part = (amount * 1e18) / rate();
        shares[msg.sender] -= part;
        shares[to] += part;
        return true;
    }
}

/// @title Balances grow by the second, as those of interest-bearing tokens do.
contract AccruingToken is RebasingToken {
    uint256 private immutable START = block.timestamp;

    function rate() public view override returns (uint256) {
        return index + (block.timestamp - START) * 1e9;
    }
}

/// @title Somebody may stop all transfers.
contract PausableToken is Ledger {
    bool public paused;

    error Paused();

    function pause(bool paused_) external {
        paused = paused_;
    }

    function _move(address from, address to, uint256 amount) internal override returns (bool) {
        if (paused) revert Paused();
        return super._move(from, to, amount);
    }
}

/// @title Only one account moves whole amounts; of everybody else's a tenth moves, and event and answer lie.
contract SalmonellaToken is Ledger {
    address public favoured;

    event Transfer(address indexed from, address indexed to, uint256 value);

    function favour(address account) external {
        favoured = account;
    }

    function _move(address from, address to, uint256 amount) internal override returns (bool) {
        uint256 moved = from == favoured || tx.origin == favoured ? amount : amount / 10;
        emit Transfer(from, to, amount);
        return super._move(from, to, moved);
    }
}

/// @title Refuses transfers of nothing.
contract NoZeroToken is Ledger {
    error NothingToMove();

    function _move(address from, address to, uint256 amount) internal override returns (bool) {
        if (amount == 0) revert NothingToMove();
        return super._move(from, to, amount);
    }
}

/// @title Answers a transfer with many more bytes than a bool: whoever copies the answer pays for it.
contract VerboseToken is Ledger {
    function transfer(address to, uint256 amount) external override returns (bool) {
        _move(msg.sender, to, amount);
        assembly {
            mstore(0, 1)
            return(0, 0x10000)
        }
    }
}

/// @title Burns gas in every transfer.
contract GreedyToken is Ledger {
    uint256 private sum;

    function _move(address from, address to, uint256 amount) internal override returns (bool) {
        for (uint256 i = 0; i < 1_500; ++i) sum = uint256(keccak256(abi.encode(sum, i)));
        return super._move(from, to, amount);
    }
}

/// @title Lets anybody receive, and nobody but one account send on (a honeypot).
contract HoneypotToken is Ledger {
    address public pool;

    error NotForYou();

    function only(address account) external {
        pool = account;
    }

    function _move(address from, address to, uint256 amount) internal override returns (bool) {
        if (from != pool) revert NotForYou();
        return super._move(from, to, amount);
    }
}
