// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

/// @dev The part that the weird tokens share; anybody may mint.
abstract contract Ledger {
    mapping(address account => uint256) public balanceOf;
    mapping(address owner => mapping(address spender => uint256)) public allowance;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        allowance[from][msg.sender] -= amount;
        return _move(from, to, amount);
    }

    function transfer(address to, uint256 amount) external virtual returns (bool) {
        return _move(msg.sender, to, amount);
    }

    function _move(address from, address to, uint256 amount) internal virtual returns (bool) {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        return true;
    }
}

/// @title Says false instead of reverting when one account sends, and moves nothing then.
contract ReturnsFalseToken is Ledger {
    address public refused;

    function refuse(address account) external {
        refused = account;
    }

    function _move(address from, address to, uint256 amount) internal override returns (bool) {
        if (from == refused) return false;
        return super._move(from, to, amount);
    }
}

/// @title Keeps 1 % of each transfer; the event and the return value say nothing of it.
contract FeeOnTransferToken is Ledger {
    function _move(address from, address to, uint256 amount) internal override returns (bool) {
        balanceOf[from] -= amount;
        balanceOf[to] += amount - amount / 100;
        return true;
    }
}

/// @title Refuses every transfer from one account by reverting (a block list).
contract RevertingToken is Ledger {
    address public blocked;

    error Blocked(address account);

    function blockAccount(address account) external {
        blocked = account;
    }

    function _move(address from, address to, uint256 amount) internal override returns (bool) {
        if (from == blocked) revert Blocked(blocked);
        return super._move(from, to, amount);
    }
}

/// @title Calls a hostile contract in the middle of every transfer (ERC-777's hooks, and worse).
contract HookToken is Ledger {
    uint8 public constant decimals = 18;
    address public hook;

    function setHook(address target) external {
        hook = target;
    }

    function _move(address from, address to, uint256 amount) internal override returns (bool) {
        super._move(from, to, amount);
        if (hook != address(0)) {
            (bool done,) = hook.call(abi.encodeWithSignature("attack()"));
            require(done, "hook");
        }
        return true;
    }
}
