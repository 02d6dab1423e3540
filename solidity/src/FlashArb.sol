// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

import {IBalancerVault} from "./interfaces/IBalancerVault.sol";
import {IERC20} from "./interfaces/IERC20.sol";
import {IUniswapV2Pair} from "./interfaces/IUniswapV2Pair.sol";
import {IUniswapV3Pool} from "./interfaces/IUniswapV3Pool.sol";
import {IWETH9} from "./interfaces/IWETH9.sol";

/// @title FlashArb: runs an arbitrage cycle with borrowed money, or changes nothing.
///
/// @notice The call data is no ABI call but a short program (its bytes are the gas we pay for). Who calls decides what
/// it means:
///
/// - the owner: a header and commands to execute, or a sweep;
/// - anybody, without data but with ether: accepted from WETH only;
/// - anybody else: a callback, accepted only if it is exactly the one that is awaited.
///
/// An execution ends with a check of the base token's balance, measured by the token itself and never by events: it
/// must have grown by the minimum and the bid. There is no delegatecall, no call with a target or data of the caller's
/// choice, no approval and no way out for anybody but the owner.
///
/// @dev Execution, big-endian, nothing padded:
///
///     mode     1   bits 3-0: 1; bit 4: the base token follows (else WETH); bit 5: `minimum` is a floor
///     lengths  1   high nibble: bytes of `minimum`; low nibble: bytes of `bid`
///     deadline 4   last block number that may include it
///     minimum  0-15, bid 0-15, base token 0 or 20, commands to the end
///
/// Sweep: mode (bits 3-0: 2; bit 4: ether) 1, length of the amount 1, token 20 (absent for ether), amount 0-15 (no
/// bytes: all but one unit of the token, all of the ether).
///
/// Commands. `a` and `b` are big-endian numbers of the lengths that the two nibbles of the second byte tell; an empty
/// `a` means "what the caller of this callback is owed". The third field is always 20 bytes at the same place, so that
/// a command can name the pool of its neighbour as recipient instead of repeating it.
///
///     0x1 PAY        op [token]                            pays the callback's caller what it is owed
///     0x2 V2_SWAP    op ab pool  a=out b=in [token]        sends `in` (if any), then swaps without a callback
///     0x3 V2_FLASH   op ab pool  a=out b=length program    swaps to itself; runs the program in the callback
///     0x4 V3_SWAP    op ab pool  a=amount b=length program swaps; runs the program in the callback
///     0x5 BALANCER   op ab token a=amount b=length program borrows; runs the program in the callback
///
/// The op byte's high nibble is the command; bit 3: token given (else WETH), or exact input (V3_SWAP); bit 2:
/// zeroForOne; bits 1-0: recipient (0 this contract, 1 the callback's caller, 2 the pool of the command after this one,
/// 3 the pool of the first command inside this one).
///
/// Memory is used from 0x80 on without allocation: nothing here builds Solidity values in memory, and the assembly is
/// deliberately not marked memory-safe, so that the compiler does not move variables there.
contract FlashArb {
    address private immutable OWNER;
    address private immutable WETH;
    address private immutable VAULT;

    /// @dev The one transient slot. 0, or the callback that is awaited: the upper 240 bits of
    /// keccak256(program ‖ caller) and, in the lower 16, where the program lies in that callback's call data. The
    /// place alone tells the protocols' callbacks apart, so forks with callbacks of other names need nothing new.
    uint256 private constant AWAITED = 0;
    uint256 private constant PLACE = 0xffff;
    /// @dev uniswapV2Call(address sender, uint256 amount0, uint256 amount1, bytes data)
    uint256 private constant V2_PLACE = 0xa4;
    /// @dev uniswapV3SwapCallback(int256 amount0Delta, int256 amount1Delta, bytes data)
    uint256 private constant V3_PLACE = 0x84;
    /// @dev receiveFlashLoan(address[] tokens, uint256[] amounts, uint256[] feeAmounts, bytes userData), one token
    uint256 private constant BALANCER_PLACE = 0x164;

    uint256 private constant EXECUTE = 1;
    uint256 private constant SWEEP = 2;
    uint256 private constant MODE_TOKEN = 0x10;
    uint256 private constant MODE_FLOOR = 0x20;
    uint256 private constant MODE_ETHER = 0x10;

    uint256 private constant PAY = 1;
    uint256 private constant V2_SWAP = 2;
    uint256 private constant V2_FLASH = 3;
    uint256 private constant V3_SWAP = 4;
    uint256 private constant BALANCER = 5;
    uint256 private constant TOKEN_GIVEN = 8;
    uint256 private constant EXACT_INPUT = 8;
    uint256 private constant ZERO_FOR_ONE = 4;
    uint256 private constant RECIPIENT = 3;
    uint256 private constant TO_CALLER = 1;
    uint256 private constant TO_NEXT = 2;
    uint256 private constant TO_INNER = 3;

    /// @dev TickMath.MIN_SQRT_RATIO + 1 and MAX_SQRT_RATIO - 1: no price limit, the profit check is the limit.
    uint256 private constant LOWEST_PRICE = 4295128740;
    uint256 private constant HIGHEST_PRICE = 1461446703485210103287273052203988822378723970341;

    /// @notice Ether comes from WETH alone, so that none is ever left here by mistake.
    error EtherNotFromWeth(address sender);
    /// @notice Not the callback that is awaited: another caller, other data, or none at all.
    error UnexpectedCallback(address caller);
    /// @notice The pool or vault called did not call back.
    error CallbackMissing();
    /// @notice The block is later than the last one allowed.
    error DeadlinePassed(uint256 deadline);
    /// @notice The base token's balance did not reach what it was before plus minimum and bid.
    error ProfitTooLow(uint256 balance, uint256 required);
    /// @notice A bid is paid out of WETH; other base tokens bid by priority fee.
    error BidNeedsWeth();
    /// @notice The block's fee recipient refused the bid.
    error BidRefused(address coinbase);
    /// @notice The token said no, or is no contract.
    error TransferFailed(address token);
    /// @notice The token gave no balance.
    error NoBalance(address token);
    /// @notice The owner refused the ether.
    error EtherRefused();
    /// @notice A mode or command byte that this version does not know.
    error UnknownCommand(uint256 place);

    /// @param owner Who may execute and sweep, for ever. It also receives what is swept.
    /// @param weth Wrapped ether of this chain.
    /// @param vault Balancer V2 vault; zero where there is none.
    constructor(address owner, address weth, address vault) {
        OWNER = owner;
        WETH = weth;
        VAULT = vault;
    }

    /// @notice Takes the ether of an unwrapped bid.
    receive() external payable {
        if (msg.sender != WETH) revert EtherNotFromWeth(msg.sender);
    }

    /// @notice The owner's program, or a callback.
    fallback() external {
        if (msg.sender == OWNER) {
            uint256 head = _word(0);
            uint256 mode = (head >> 248) & 0xf;
            if (mode == EXECUTE) _execute(head);
            else if (mode == SWEEP) _sweep(head);
            else revert UnknownCommand(0);
        } else {
            _callback();
        }
    }

    /// @dev Runs the commands between two readings of the base token's balance. With a floor the first reading is left
    /// out (1,200 gas less): the sender then names the balance that must be reached, which protects as much as long as
    /// no other transaction of the owner comes between.
    function _execute(uint256 head) private {
        uint256 deadline = (head >> 208) & 0xffffffff;
        if (block.number > deadline) revert DeadlinePassed(deadline);

        uint256 place = 6;
        uint256 minimum;
        uint256 bid;
        address token = WETH;
        unchecked {
            // At most 6 + 15 + 15 + 20.
            uint256 length = (head >> 244) & 0xf;
            minimum = _number(place, length);
            place += length;
            length = (head >> 240) & 0xf;
            bid = _number(place, length);
            place += length;
            if (head & (MODE_TOKEN << 248) != 0) {
                token = address(uint160(_word(place) >> 96));
                if (bid != 0) revert BidNeedsWeth();
                place += 20;
            }
        }

        uint256 required = head & (MODE_FLOOR << 248) == 0 ? _balance(token) : 0;
        required += minimum + bid;

        _run(place, msg.data.length, 0);

        // A pool that did not call back could still do so later, after the check below.
        if (_awaited() != 0) revert CallbackMissing();
        uint256 balance = _balance(token);
        if (balance < required) revert ProfitTooLow(balance, required);

        // Last, because the fee recipient may be a contract: nothing is in flight any more that it could disturb.
        if (bid != 0) {
            IWETH9(WETH).withdraw(bid);
            if (!_send(block.coinbase, bid)) revert BidRefused(block.coinbase);
        }
    }

    /// @dev Sends a token or ether to the owner. One unit of the token may stay: a balance that never returns to zero
    /// makes each later execution 17,100 gas cheaper.
    function _sweep(uint256 head) private {
        uint256 length = (head >> 240) & 0xff;
        if (head & (MODE_ETHER << 248) != 0) {
            uint256 value = length == 0 ? address(this).balance : _number(2, length);
            if (!_send(OWNER, value)) revert EtherRefused();
        } else {
            address token = address(uint160(head >> 80));
            uint256 amount = length == 0 ? _balance(token) - 1 : _number(22, length);
            _transfer(token, OWNER, amount);
        }
    }

    /// @dev Runs the program of the awaited callback. It is used up before anything else happens: a second callback
    /// with the same data finds nothing awaited.
    function _callback() private {
        uint256 awaited = _awaited();
        uint256 place = awaited & PLACE;
        uint256 length;
        bool expected;
        assembly {
            // With nothing awaited the place is 0, and no hash can have 240 leading zeros.
            length := calldataload(sub(place, 0x20))
            calldatacopy(0x80, place, length)
            mstore(add(0x80, length), caller())
            let hash := keccak256(0x80, add(length, 0x20))
            expected := iszero(shr(16, xor(hash, awaited)))
            tstore(AWAITED, 0)
        }
        if (!expected) revert UnexpectedCallback(msg.sender);

        uint256 owed;
        if (place == V3_PLACE) {
            // Of the two signed amounts the positive one is owed.
            owed = _word(0x04);
            if (int256(owed) <= 0) owed = _word(0x24);
        } else if (place == BALANCER_PLACE) {
            // The one amount and its fee, which governance may raise from zero.
            owed = _word(0xe4) + _word(0x124);
        }
        unchecked {
            // The copy above already read that many bytes.
            _run(place, place + length, owed);
        }
    }

    /// @dev Runs the commands in call data from `place` to `end`. `owed` is what the caller of this callback is owed.
    /// The sums are of places in call data and of lengths below 2^120, so they cannot overflow.
    function _run(uint256 place, uint256 end, uint256 owed) private {
        unchecked {
            while (place < end) {
                uint256 head = _word(place);
                uint256 op = head >> 248;
                uint256 command = op >> 4;

                if (command == PAY) {
                    address token = WETH;
                    place += 1;
                    if (op & TOKEN_GIVEN != 0) {
                        token = address(uint160(head >> 88));
                        place += 20;
                    }
                    _transfer(token, msg.sender, owed);
                    continue;
                }

                address target = address(uint160(head >> 80));
                place += 22;
                uint256 length = (head >> 244) & 0xf;
                uint256 a = length == 0 ? owed : _number(place, length);
                place += length;
                length = (head >> 240) & 0xf;
                uint256 b = _number(place, length);
                place += length;

                if (command == V2_SWAP) {
                    if (b != 0) {
                        address token = WETH;
                        if (op & TOKEN_GIVEN != 0) {
                            token = address(uint160(_word(place) >> 96));
                            place += 20;
                        }
                        _transfer(token, target, b);
                    }
                    _swapV2(target, op, a, _recipient(op, place, place), 0, 0);
                } else {
                    uint256 program = place;
                    place += b;
                    if (command == V3_SWAP) {
                        _swapV3(target, op, a, _recipient(op, place, program), program, b);
                    } else if (command == V2_FLASH) {
                        _swapV2(target, op, a, address(this), program, b);
                    } else if (command == BALANCER) {
                        _borrow(target, a, program, b);
                    } else {
                        revert UnknownCommand(program);
                    }
                }
            }
        }
    }

    /// @dev Who receives a swap's output. `next` and `inner` are the places of the neighbouring commands.
    function _recipient(uint256 op, uint256 next, uint256 inner) private view returns (address) {
        uint256 to = op & RECIPIENT;
        if (to == TO_CALLER) return msg.sender;
        if (to == 0) return address(this);
        unchecked {
            return address(uint160(_word((to == TO_NEXT ? next : inner) + 2) >> 96));
        }
    }

    /// @dev A pair's swap; with a program it is a flash swap, whose output a pair sends to whom it calls back.
    function _swapV2(address pool, uint256 op, uint256 out, address to, uint256 program, uint256 length) private {
        bytes4 selector = IUniswapV2Pair.swap.selector;
        assembly {
            mstore(0x80, selector)
            let zeroForOne := and(op, ZERO_FOR_ONE)
            mstore(0x84, mul(out, iszero(zeroForOne)))
            mstore(0xa4, mul(out, iszero(iszero(zeroForOne))))
            mstore(0xc4, to)
            mstore(0xe4, 0x80)
            mstore(0x104, length)
        }
        if (length != 0) _await(0x124, pool, program, length, V2_PLACE);
        unchecked {
            _call(pool, 0xa4 + length);
        }
    }

    /// @dev A pool's swap. The amount is below 2^120 or what a callback's caller is owed, which a pool has as int256.
    function _swapV3(address pool, uint256 op, uint256 amount, address to, uint256 program, uint256 length) private {
        bytes4 selector = IUniswapV3Pool.swap.selector;
        assembly {
            mstore(0x80, selector)
            mstore(0x84, to)
            switch and(op, ZERO_FOR_ONE)
            case 0 {
                mstore(0xa4, 0)
                mstore(0xe4, HIGHEST_PRICE)
            }
            default {
                mstore(0xa4, 1)
                mstore(0xe4, LOWEST_PRICE)
            }
            if iszero(and(op, EXACT_INPUT)) { amount := sub(0, amount) }
            mstore(0xc4, amount)
            mstore(0x104, 0xa0)
            mstore(0x124, length)
        }
        _await(0x144, pool, program, length, V3_PLACE);
        unchecked {
            _call(pool, 0xc4 + length);
        }
    }

    /// @dev A flash loan of one token.
    function _borrow(address token, uint256 amount, uint256 program, uint256 length) private {
        bytes4 selector = IBalancerVault.flashLoan.selector;
        assembly {
            mstore(0x80, selector)
            mstore(0x84, address())
            mstore(0xa4, 0x80)
            mstore(0xc4, 0xc0)
            mstore(0xe4, 0x100)
            mstore(0x104, 1)
            mstore(0x124, token)
            mstore(0x144, 1)
            mstore(0x164, amount)
            mstore(0x184, length)
        }
        _await(0x1a4, VAULT, program, length, BALANCER_PLACE);
        unchecked {
            _call(VAULT, 0x124 + length);
        }
    }

    /// @dev Copies the program to `to` in memory, as the data that comes back in the callback, and remembers its hash
    /// together with the one who is to call back: whatever a pool is, it can only return what the owner wrote.
    function _await(uint256 to, address pool, uint256 program, uint256 length, uint256 place) private {
        assembly {
            calldatacopy(to, program, length)
            mstore(add(to, length), pool)
            let hash := keccak256(to, add(length, 0x20))
            tstore(AWAITED, or(and(hash, not(PLACE)), place))
        }
    }

    /// @dev Calls with the `size` bytes from 0x80 on; a revert is passed on as it came.
    function _call(address target, uint256 size) private {
        assembly {
            if iszero(call(gas(), target, 0, 0x80, size, 0, 0)) {
                returndatacopy(0x80, 0, returndatasize())
                revert(0x80, returndatasize())
            }
        }
    }

    /// @dev A transfer that takes no answer (USDT) for yes, and false or no contract at all for no.
    function _transfer(address token, address to, uint256 amount) private {
        bytes4 selector = IERC20.transfer.selector;
        bool done;
        assembly {
            mstore(0x80, selector)
            mstore(0x84, to)
            mstore(0xa4, amount)
            mstore(0x00, 0)
            if iszero(call(gas(), token, 0, 0x80, 0x44, 0x00, 0x20)) {
                returndatacopy(0x80, 0, returndatasize())
                revert(0x80, returndatasize())
            }
            done := eq(mload(0x00), 1)
            if iszero(returndatasize()) { done := iszero(iszero(extcodesize(token))) }
        }
        if (!done) revert TransferFailed(token);
    }

    /// @dev Our balance, as the token tells it.
    function _balance(address token) private view returns (uint256 amount) {
        bytes4 selector = IERC20.balanceOf.selector;
        bool told;
        assembly {
            mstore(0x00, selector)
            mstore(0x04, address())
            told := staticcall(gas(), token, 0x00, 0x24, 0x00, 0x20)
            told := and(told, gt(returndatasize(), 0x1f))
            amount := mload(0x00)
        }
        if (!told) revert NoBalance(token);
    }

    /// @dev Sends ether with all the gas, reading nothing back.
    function _send(address to, uint256 value) private returns (bool sent) {
        assembly {
            sent := call(gas(), to, value, 0, 0, 0, 0)
        }
    }

    function _awaited() private view returns (uint256 awaited) {
        assembly {
            awaited := tload(AWAITED)
        }
    }

    function _word(uint256 place) private pure returns (uint256 word) {
        assembly {
            word := calldataload(place)
        }
    }

    /// @dev The big-endian number of `length` bytes (at most 32) at `place` in the call data.
    function _number(uint256 place, uint256 length) private pure returns (uint256 value) {
        assembly {
            value := shr(sub(256, shl(3, length)), calldataload(place))
        }
    }
}
