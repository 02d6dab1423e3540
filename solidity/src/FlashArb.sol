// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

import {IBalancerVault} from "./interfaces/IBalancerVault.sol";
import {IERC20} from "./interfaces/IERC20.sol";
import {IUniswapV2Pair} from "./interfaces/IUniswapV2Pair.sol";
import {IUniswapV3Pool} from "./interfaces/IUniswapV3Pool.sol";
import {IWETH9} from "./interfaces/IWETH9.sol";

/// @title FlashArb: runs an arbitrage cycle with borrowed money, or changes nothing.
///
/// @notice The call data is no ABI call but a short program: its bytes are gas. Who calls decides what it means:
///
/// - the owner: guards and commands to execute, or a sweep;
/// - anybody, without data but with ether: accepted from WETH only;
/// - anybody else: a callback, accepted only if it is exactly the one that is awaited.
///
/// An execution ends with a check of the base token's balance, as the token itself tells it, never by events: it must
/// have grown by the minimum and the bid. There is no delegatecall, no call with a target and data of anybody's choice,
/// no approval, and no way out for anybody but the owner.
///
/// @dev Execution, big-endian, nothing padded:
///
///     mode     1   0; +1: minimum is a floor; +2: a bid is given; +4: the base token is given (else WETH)
///     deadline 4   last block number that may include it
///     minimum 16   least growth of the base token's balance, after repayment and bid (floor: least balance)
///     bid 16, base token 20: only if given (never both); then at least one command, to the end
///
/// Sweep: mode 1 (8; +0x10: ether; +0x20: an amount is given), token 20 (not for ether), amount 32 (if given; else all
/// but one unit of the token, or all of the ether).
///
/// Commands: an op byte, then fields of fixed width. A pool always stands right after its op byte, so that a command
/// can name the pool of its neighbour as recipient instead of repeating it.
///
///     0x08 PAY       op [token 20]                            pays the callback's caller what it is owed
///     0x40 V2_SWAP   op pool 20 [token 20] [in 16] [out 16]   swaps what is sent to the pair first, or was before
///     0x80 V3_SWAP   op pool 20 length 2 [amount 16] program  swaps; runs the program in the callback
///     0xc0 V2_FLASH  op pool 20 length 2 out 16 program       swaps to itself; runs the program in the callback
///     0xc4 BALANCER  op token 20 length 2 amount 16 program   borrows; runs the program in the callback
///
/// Flags in the op byte. 0x20: zeroForOne. 0x10: V2_SWAP and V3_SWAP give the callback's caller what it is owed, and
/// amount and recipient are not given. 0x08: V2_SWAP sends `in` first; V3_SWAP is of exact input. 0x04: V2_SWAP and PAY
/// name the token (else WETH). 0x01 on PAY: to a flash loan's lender. Lowest two bits of V2_SWAP and V3_SWAP: the
/// recipient: 0 this contract, 1 the callback's caller, 2 the pool of the command after this one, 3 the pool of the
/// first command inside this one. All other op bytes are free: a later protocol or loan source is a new command.
///
/// Written in assembly because every opcode is paid for in an auction: see the gas figures in benchmarks. Memory holds
/// one call at a time, from 0x1c on, and nothing of Solidity's.
contract FlashArb {
    address private immutable OWNER;
    address private immutable WETH;
    address private immutable VAULT;

    // Modes.
    uint256 private constant FLOOR = 0x01;
    uint256 private constant BID_GIVEN = 0x02;
    uint256 private constant BASE_GIVEN = 0x04;
    uint256 private constant SWEEP = 0x08;
    uint256 private constant ETHER = 0x10;
    uint256 private constant AMOUNT_GIVEN = 0x20;

    // The op byte. The first two bits are the command: both = V2_FLASH or BALANCER, none = PAY.
    uint256 private constant CALLS_BACK = 0x80;
    uint256 private constant V2 = 0x40;
    uint256 private constant ZERO_FOR_ONE = 0x20;
    uint256 private constant OWED = 0x10;
    uint256 private constant EXACT_INPUT = 0x08;
    uint256 private constant PAY_FIRST = 0x08;
    uint256 private constant TOKEN_GIVEN = 0x04;
    uint256 private constant LOAN = 0x04;
    uint256 private constant RECIPIENT = 0x03;
    uint256 private constant PAY = 0x08;
    uint256 private constant PAY_LENDER = 0x01;

    /// @dev The one transient slot: 0, or the callback that is awaited: keccak256(program ‖ caller) << 16, and in the
    /// lower 16 bits where the program lies in that callback's call data. The place alone tells the protocols'
    /// callbacks apart, so that forks with callbacks of other names need nothing new.
    uint256 private constant AWAITED = 0;
    /// @dev uniswapV3SwapCallback(int256 amount0Delta, int256 amount1Delta, bytes data)
    uint256 private constant V3_PLACE = 0x84;
    /// @dev uniswapV2Call(address sender, uint256 amount0, uint256 amount1, bytes data)
    uint256 private constant V2_PLACE = 0xa4;
    /// @dev receiveFlashLoan(address[] tokens, uint256[] amounts, uint256[] feeAmounts, bytes userData), one token
    uint256 private constant BALANCER_PLACE = 0x164;

    /// @dev TickMath.MIN_SQRT_RATIO + 1, and what to xor it with to get MAX_SQRT_RATIO - 1: no price limit, the check
    /// of the balance is the limit.
    uint256 private constant LOWEST_PRICE = 0x1000276a4;
    uint256 private constant LOWEST_XOR_HIGHEST_PRICE = 0x00fffd8963efd1fc6a506488495d951d53639afb81;

    // Selectors of what is called and, below, of the errors: assembly takes only literals, the constructor checks them.
    uint256 private constant V2_SWAP_SELECTOR = 0x022c0d9f;
    uint256 private constant V3_SWAP_SELECTOR = 0x128acb08;
    uint256 private constant FLASH_LOAN_SELECTOR = 0x5c38449e;
    uint256 private constant TRANSFER_SELECTOR = 0xa9059cbb;
    uint256 private constant BALANCE_OF_SELECTOR = 0x70a08231;
    uint256 private constant WITHDRAW_SELECTOR = 0x2e1a7d4d;

    uint256 private constant UNEXPECTED_CALLBACK = 0xc2221189;
    uint256 private constant CALLBACK_MISSING = 0xe2481207;
    uint256 private constant DEADLINE_PASSED = 0xbfb22adf;
    uint256 private constant PROFIT_TOO_LOW = 0x88215f9c;
    uint256 private constant BID_REFUSED = 0xc9487063;
    uint256 private constant TRANSFER_FAILED = 0x39f1c8d9;
    uint256 private constant NO_BALANCE = 0x8cb85f52;
    uint256 private constant ETHER_REFUSED = 0xf5f2dda5;
    uint256 private constant UNKNOWN_COMMAND = 0x7e13c4fe;

    /// @notice Not the callback that is awaited (another caller, other data, none at all), or ether not from WETH.
    error UnexpectedCallback(address caller);
    /// @notice The pool or vault called did not call back.
    error CallbackMissing();
    /// @notice The block is later than the last one allowed, or ether came with the program.
    error DeadlinePassed(uint256 deadline);
    /// @notice The base token's balance did not reach what it was before plus minimum and bid.
    error ProfitTooLow(uint256 balance, uint256 required);
    /// @notice The block's fee recipient refused the bid.
    error BidRefused(address coinbase);
    /// @notice The token said no, or is no contract.
    error TransferFailed(address token);
    /// @notice The token gave no balance.
    error NoBalance(address token);
    /// @notice The owner refused the ether.
    error EtherRefused();
    /// @notice A mode or command that this version does not know, at this place in the call data.
    error UnknownCommand(uint256 place);

    /// @param owner Who may execute and sweep, for ever. It also receives what is swept.
    /// @param weth Wrapped ether of this chain.
    /// @param vault Balancer V2 vault; zero where there is none.
    constructor(address owner, address weth, address vault) {
        OWNER = owner;
        WETH = weth;
        VAULT = vault;

        // All known when compiling: a right one leaves no code, a wrong one no contract.
        assert(bytes4(uint32(V2_SWAP_SELECTOR)) == IUniswapV2Pair.swap.selector);
        assert(bytes4(uint32(V3_SWAP_SELECTOR)) == IUniswapV3Pool.swap.selector);
        assert(bytes4(uint32(FLASH_LOAN_SELECTOR)) == IBalancerVault.flashLoan.selector);
        assert(bytes4(uint32(TRANSFER_SELECTOR)) == IERC20.transfer.selector);
        assert(bytes4(uint32(BALANCE_OF_SELECTOR)) == IERC20.balanceOf.selector);
        assert(bytes4(uint32(WITHDRAW_SELECTOR)) == IWETH9.withdraw.selector);
        assert(bytes4(uint32(UNEXPECTED_CALLBACK)) == UnexpectedCallback.selector);
        assert(bytes4(uint32(CALLBACK_MISSING)) == CallbackMissing.selector);
        assert(bytes4(uint32(DEADLINE_PASSED)) == DeadlinePassed.selector);
        assert(bytes4(uint32(PROFIT_TOO_LOW)) == ProfitTooLow.selector);
        assert(bytes4(uint32(BID_REFUSED)) == BidRefused.selector);
        assert(bytes4(uint32(TRANSFER_FAILED)) == TransferFailed.selector);
        assert(bytes4(uint32(NO_BALANCE)) == NoBalance.selector);
        assert(bytes4(uint32(ETHER_REFUSED)) == EtherRefused.selector);
        assert(bytes4(uint32(UNKNOWN_COMMAND)) == UnknownCommand.selector);
    }

    /// @notice The owner's program, a callback, or ether from WETH.
    fallback() external payable {
        address owner = OWNER;
        address weth = WETH;
        address vault = VAULT;
        assembly {
            // Where the next command stands, where the commands end, and what this callback's caller is owed.
            let place
            let end
            let owed
            // What the base token's balance must reach at the end.
            let required

            switch eq(caller(), owner)
            case 0 {
                let awaited := tload(AWAITED)
                place := and(awaited, 0xffff)
                let length := calldataload(sub(place, 0x20))
                calldatacopy(0, place, length)
                mstore(length, caller())
                // With nothing awaited this asks for a hash with 240 zeros.
                if or(callvalue(), xor(awaited, or(shl(16, keccak256(0, add(length, 0x20))), place))) {
                    // The ether of an unwrapped bid. None comes from anybody else, so that none is left here.
                    if iszero(or(calldatasize(), xor(caller(), weth))) { stop() }
                    fail(UNEXPECTED_CALLBACK, caller())
                }
                // Used up before anything else happens: the same callback a second time finds nothing awaited.
                tstore(AWAITED, 0)
                // The copy would have run out of gas long before this could overflow.
                end := add(place, length)
                // V3: of the two signed amounts the positive one. (Elsewhere it is not used.)
                owed := calldataload(0x04)
                owed := xor(owed, mul(xor(owed, calldataload(0x24)), slt(owed, 1)))
            }
            default {
                let head := calldataload(0)
                let mode := byte(0, head)
                let base := weth
                place := 21
                required := and(shr(88, head), 0xffffffffffffffffffffffffffffffff)
                if gt(mode, FLOOR) {
                    if and(mode, SWEEP) { sweep(mode, owner) }
                    if or(gt(mode, 7), eq(and(mode, 6), 6)) { fail(UNKNOWN_COMMAND, 0) }
                    if and(mode, BID_GIVEN) {
                        required := add(required, shr(128, calldataload(place)))
                        place := 37
                    }
                    if and(mode, BASE_GIVEN) {
                        base := shr(96, calldataload(place))
                        place := 41
                    }
                }
                // The value is a mistake: nothing here would use it.
                if or(callvalue(), gt(number(), and(shr(216, head), 0xffffffff))) {
                    fail(DEADLINE_PASSED, and(shr(216, head), 0xffffffff))
                }
                // With a floor the sender names the balance itself and saves this reading (800 gas). It protects as
                // much as long as no other transaction of the owner comes between.
                if iszero(and(mode, FLOOR)) {
                    let before := balanceOf(base)
                    required := add(required, before)
                    if lt(required, before) { fail2(PROFIT_TOO_LOW, before, not(0)) }
                }
                end := calldatasize()
            }

            for {} 1 {} {
                let head := calldataload(place)
                let op := byte(0, head)
                let target := and(shr(88, head), 0xffffffffffffffffffffffffffffffffffffffff)

                switch and(op, CALLS_BACK)
                case 0 {
                    switch and(op, V2)
                    case 0 {
                        // PAY
                        if iszero(and(op, PAY)) { fail(UNKNOWN_COMMAND, place) }
                        place := add(place, 1)
                        let token := weth
                        if and(op, TOKEN_GIVEN) {
                            token := target
                            place := add(place, 20)
                        }
                        if and(op, PAY_LENDER) {
                            // Balancer: the amount and its fee, which governance may raise from zero. The sum cannot
                            // overflow: the vault holds the amount, and the fee is a fraction of it.
                            owed := add(calldataload(0xe4), calldataload(0x124))
                        }
                        transfer(token, caller(), owed)
                    }
                    default {
                        // V2_SWAP
                        place := add(place, 21)
                        if and(op, PAY_FIRST) {
                            let token := weth
                            if and(op, TOKEN_GIVEN) {
                                token := shr(96, calldataload(place))
                                place := add(place, 20)
                            }
                            transfer(token, target, shr(128, calldataload(place)))
                            place := add(place, 16)
                        }
                        let out := owed
                        let to := caller()
                        if iszero(and(op, OWED)) {
                            out := shr(128, calldataload(place))
                            place := add(place, 16)
                            switch and(op, RECIPIENT)
                            case 0 { to := address() }
                            case 1 {}
                            default { to := poolAt(place) }
                        }
                        putSwapV2(op, out, to)
                        mstore(0xa0, 0)
                        if iszero(call(gas(), target, 0, 0x1c, 0xa4, 0, 0)) { passOn() }
                    }
                }
                default {
                    let length := and(shr(72, head), 0xffff)
                    place := add(place, 23)
                    let amount := owed
                    if iszero(and(op, OWED)) {
                        amount := shr(128, calldataload(place))
                        place := add(place, 16)
                    }
                    // Where the program lies in the call's memory, and in the callback's call data.
                    let data
                    let callback

                    switch and(op, V2)
                    case 0 {
                        // V3_SWAP
                        let to := caller()
                        if iszero(and(op, OWED)) {
                            switch and(op, RECIPIENT)
                            case 0 { to := address() }
                            case 1 {}
                            case 2 { to := poolAt(add(place, length)) }
                            default { to := poolAt(place) }
                        }
                        let zeroForOne := and(op, ZERO_FOR_ONE)
                        mstore(0x00, V3_SWAP_SELECTOR)
                        mstore(0x20, to)
                        mstore(0x40, shr(5, zeroForOne))
                        // Below 2^128, or what a pool itself has as int256: the sign is ours.
                        mstore(0x60, mul(amount, sub(shr(2, and(op, EXACT_INPUT)), 1)))
                        mstore(0x80, xor(LOWEST_PRICE, mul(LOWEST_XOR_HIGHEST_PRICE, iszero(zeroForOne))))
                        mstore(0xa0, 0xa0)
                        data := 0xe0
                        callback := V3_PLACE
                    }
                    default {
                        switch and(op, LOAN)
                        case 0 {
                            // V2_FLASH
                            putSwapV2(op, amount, address())
                            data := 0xc0
                            callback := V2_PLACE
                        }
                        default {
                            // BALANCER
                            mstore(0x00, FLASH_LOAN_SELECTOR)
                            mstore(0x20, address())
                            mstore(0x40, 0x80)
                            mstore(0x60, 0xc0)
                            mstore(0x80, 0x100)
                            mstore(0xa0, 1)
                            mstore(0xc0, target)
                            mstore(0xe0, 1)
                            mstore(0x100, amount)
                            target := vault
                            data := 0x140
                            callback := BALANCER_PLACE
                        }
                    }

                    // Whatever the pool is, it can only return what the owner wrote.
                    mstore(sub(data, 0x20), length)
                    calldatacopy(data, place, length)
                    mstore(add(data, length), target)
                    tstore(AWAITED, or(shl(16, keccak256(data, add(length, 0x20))), callback))
                    place := add(place, length)
                    if iszero(call(gas(), target, 0, 0x1c, add(sub(data, 0x1c), length), 0, 0)) { passOn() }
                }
                if iszero(lt(place, end)) { break }
            }

            if eq(caller(), owner) {
                let mode := byte(0, calldataload(0))
                let base := weth
                if and(mode, BASE_GIVEN) { base := shr(96, calldataload(21)) }
                let after := balanceOf(base)
                // A pool that did not call back could still do so later, after this check.
                if or(lt(after, required), tload(AWAITED)) {
                    if tload(AWAITED) { fail0(CALLBACK_MISSING) }
                    fail2(PROFIT_TOO_LOW, after, required)
                }
                // Last, because the fee recipient may be a contract: nothing is in flight that it could disturb.
                if and(mode, BID_GIVEN) {
                    let bid := shr(128, calldataload(21))
                    mstore(0x00, WITHDRAW_SELECTOR)
                    mstore(0x20, bid)
                    if iszero(call(gas(), weth, 0, 0x1c, 0x24, 0, 0)) { passOn() }
                    if iszero(call(gas(), coinbase(), bid, 0, 0, 0, 0)) { fail(BID_REFUSED, coinbase()) }
                }
            }

            // The pool of the command at this place.
            function poolAt(command) -> pool {
                pool := and(shr(88, calldataload(command)), 0xffffffffffffffffffffffffffffffffffffffff)
            }

            // The arguments of a pair's swap; what follows the offset of the data is the caller's to put.
            function putSwapV2(op, out, to) {
                mstore(0x00, V2_SWAP_SELECTOR)
                // amount0Out or, 32 bytes further, amount1Out.
                mstore(0x20, 0)
                mstore(0x40, 0)
                mstore(add(0x20, and(op, ZERO_FOR_ONE)), out)
                mstore(0x60, to)
                mstore(0x80, 0x80)
            }

            // A transfer that takes no answer (USDT) for yes, and false or no contract at all for no.
            function transfer(token, to, amount) {
                mstore(0x00, TRANSFER_SELECTOR)
                mstore(0x20, to)
                mstore(0x40, amount)
                mstore(0x60, 0)
                let done := call(gas(), token, 0, 0x1c, 0x44, 0x60, 0x20)
                if iszero(and(done, eq(mload(0x60), 1))) {
                    if iszero(done) { passOn() }
                    if or(returndatasize(), iszero(extcodesize(token))) { fail(TRANSFER_FAILED, token) }
                }
            }

            // This contract's balance, as the token tells it.
            function balanceOf(token) -> amount {
                mstore(0x00, BALANCE_OF_SELECTOR)
                mstore(0x20, address())
                let told := staticcall(gas(), token, 0x1c, 0x24, 0x00, 0x20)
                if iszero(and(told, gt(returndatasize(), 0x1f))) { fail(NO_BALANCE, token) }
                amount := mload(0x00)
            }

            // Sends a token or ether to the owner, and stops. One unit of the token may stay: a balance that never
            // returns to zero makes each later execution 17,100 gas cheaper.
            function sweep(mode, owner_) {
                if gt(mode, 0x3f) { fail(UNKNOWN_COMMAND, 0) }
                switch and(mode, ETHER)
                case 0 {
                    let token := shr(96, calldataload(1))
                    let amount := calldataload(21)
                    if iszero(and(mode, AMOUNT_GIVEN)) {
                        amount := balanceOf(token)
                        if amount { amount := sub(amount, 1) }
                    }
                    transfer(token, owner_, amount)
                }
                default {
                    let amount := calldataload(1)
                    if iszero(and(mode, AMOUNT_GIVEN)) { amount := selfbalance() }
                    if iszero(call(gas(), owner_, amount, 0, 0, 0, 0)) { fail0(ETHER_REFUSED) }
                }
                stop()
            }

            // Reverts as the contract called did.
            function passOn() {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }

            function fail0(selector) {
                mstore(0x00, selector)
                revert(0x1c, 0x04)
            }

            function fail(selector, argument) {
                mstore(0x00, selector)
                mstore(0x20, argument)
                revert(0x1c, 0x24)
            }

            function fail2(selector, first, second) {
                mstore(0x00, selector)
                mstore(0x20, first)
                mstore(0x40, second)
                revert(0x1c, 0x44)
            }
        }
    }
}
