// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

import {IBalancerVault} from "./interfaces/IBalancerVault.sol";
import {IERC20} from "./interfaces/IERC20.sol";
import {IPoolManager} from "./interfaces/IPoolManager.sol";
import {IUniswapV2Pair} from "./interfaces/IUniswapV2Pair.sol";
import {IUniswapV3Pool} from "./interfaces/IUniswapV3Pool.sol";
import {IERC4626, ILitePsm, IWstETH} from "./interfaces/IVaults.sol";
import {IWETH9} from "./interfaces/IWETH9.sol";

/// @title FlashArb: runs an arbitrage cycle with borrowed money, or changes nothing.
///
/// @notice The call data is no ABI call but a short program: its bytes are gas. Who calls decides what it means:
///
/// - the owner: guards and commands to execute, or a sweep;
/// - anybody, without data but with ether: accepted from WETH, and from the pool that a running command has pay ether;
/// - anybody else: a callback, accepted only if it is exactly the one that is awaited.
///
/// An execution ends with a check of the base token's balance, as the token itself tells it, never by events: it must
/// have grown by the minimum and the bid. There is no delegatecall, no call with a target and data of anybody's choice,
/// and no way out for anybody but the owner. Pools that pull their input are approved for exactly that input, and when
/// the command is done the allowance is zero again, whatever the pool did with it.
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
/// Commands: an op byte, then fields of fixed width. A pool that can be paid by a transfer stands right after its op
/// byte, so that a command can name the pool of its neighbour as recipient instead of repeating it.
///
/// Pools that give before they take, or are paid before they give, by transfers:
///
///     0x08 PAY       op [token 20]                            pays the callback's caller what it is owed
///     0x03 SEND      op token 20 amount 16                    pays the callback's caller this amount
///     0x40 V2_SWAP   op pool 20 [token 20] [in 16] [out 16]   swaps what is sent to the pair first, or was before
///     0x80 V3_SWAP   op pool 20 length 2 [amount 16] program  swaps; runs the program in the callback
///     0xc0 V2_FLASH  op pool 20 length 2 out 16 program       swaps to itself; runs the program in the callback
///     0xc4 BALANCER  op token 20 length 2 amount 16 program   borrows; runs the program in the callback
///
/// Flags in the op byte. 0x20: zeroForOne. 0x10: V2_SWAP and V3_SWAP give the callback's caller what it is owed, and
/// amount and recipient are not given. 0x08: V2_SWAP sends `in` first; V3_SWAP is of exact input. 0x04: V2_SWAP and PAY
/// name the token (else WETH). 0x01 on PAY: to a flash loan's lender. Lowest two bits of V2_SWAP and V3_SWAP: the
/// recipient: 0 this contract, 1 the callback's caller, 2 the pool of the command after this one, 3 the pool of the
/// first command inside this one.
///
/// Uniswap V4, all of them inside one unlocking, at any depth; ether is the zero address:
///
///     0xd4 V4_UNLOCK op length 2 program                      unlocks the manager; runs the program in the callback
///     0x20 V4_SWAP   op currency0 20 currency1 20 how 1 fee 3 spacing 3 amount 16 [hooks 20]
///     0x24 V4_TAKE   op token 20 amount 16                    takes: a flash loan without fee, until it is paid back
///     0x25 V4_PAY    op token 20 amount 16                    pays the manager
///     0x26 V4_SYNC   op token 20                              what is sent to the manager from here on
///     0x27 V4_SETTLE op                                       … counts as paid here
///
/// V4_SWAP is of exact input and takes all of the output; `how`: 0x80 zeroForOne, 0x40 hooks are given. Recipient as
/// above, but 3: the output stays with the manager, for the next swap.
///
/// Pools that pull what this contract holds (they are approved for it), or burn it:
///
///     0x10 CURVE     op pool 20 coins 1 amount 16 [token 20]  lowest three bits: 0 exchange by int128 indices, 1 by
///                    uint256; 2 add_liquidity of one coin, 3 the same with a dynamic array; 4 remove_liquidity_one_coin
///                    by int128 index, 5 by uint256. Coins: input << 3 | output (2 and 3: input << 3 | number of coins;
///                    4 and 5: output), +0x80: the input is ether, +0x40: the output is ether.
///                    Token: what is approved; not given for ether and for 4 and 5.
///     0x30 VAULT_SWAP   op pool id 32 token in 20 token out 20 amount 16      one Balancer V2 swap of exact input
///     0x33 VAULT_BATCH  op count 1 amount 16 token in 20, count × (pool id 32 token out 20)   several in a row
///     0x34 WRAPPER   op wrapper 20 how 1 amount 16 [token 20] [bought 16]     how: 0 ERC-4626 deposit, 1 redeem;
///                    2 wstETH wrap, 3 unwrap; 4 Maker PSM sellGem, 6 buyGem. Token: what is approved, for the even
///                    ones. Bought: for 6, which takes what that costs, at most the amount.
///     0x01 WRAP      op amount 16                             ether to WETH
///     0x02 UNWRAP    op amount 16                             WETH to ether
///
/// Lowest two bits of VAULT_SWAP and WRAPPER, and highest two of VAULT_BATCH's count: the recipient, 0 to 2 as above (a
/// wrapper of stETH pays this contract only). All other op bytes are free: a later protocol or loan source is a new
/// command.
///
/// Written in assembly because every opcode is paid for in an auction: see the gas figures in benchmarks. The commands
/// on the paths that are fought over are written out in the loop; all others are functions below it. Memory holds one
/// call at a time, from 0x1c on, and nothing of Solidity's.
contract FlashArb {
    address private immutable OWNER;
    address private immutable WETH;
    address private immutable VAULT;
    address private immutable MANAGER;

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
    // Without PAY the next two bits say which family of commands it is.
    uint256 private constant FAMILY = 0x30;
    // Within their families:
    uint256 private constant V4_NO_SWAP = 0x04;
    uint256 private constant WRAPPER = 0x04;
    // V4_SWAP, CURVE, WRAPPER: the byte after the pool.
    uint256 private constant V4_ZERO_FOR_ONE = 0x80;
    uint256 private constant V4_HOOKS = 0x40;
    uint256 private constant ETHER_IN = 0x80;
    uint256 private constant ETHER_OUT = 0x40;

    /// @dev A transient slot: 0, or the callback that is awaited: keccak256(program ‖ caller) << 16, and in the
    /// lower 16 bits where the program lies in that callback's call data. The place alone tells the protocols'
    /// callbacks apart, so that forks with callbacks of other names need nothing new.
    uint256 private constant AWAITED = 0;
    /// @dev The other transient slot: 0, or the pool from which the command that is running takes ether.
    uint256 private constant PAYER = 1;
    /// @dev uniswapV3SwapCallback(int256 amount0Delta, int256 amount1Delta, bytes data)
    uint256 private constant V3_PLACE = 0x84;
    /// @dev uniswapV2Call(address sender, uint256 amount0, uint256 amount1, bytes data)
    uint256 private constant V2_PLACE = 0xa4;
    /// @dev receiveFlashLoan(address[] tokens, uint256[] amounts, uint256[] feeAmounts, bytes userData), one token
    uint256 private constant BALANCER_PLACE = 0x164;
    /// @dev unlockCallback(bytes data)
    uint256 private constant UNLOCK_PLACE = 0x44;

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
    uint256 private constant DEPOSIT_SELECTOR = 0xd0e30db0;
    uint256 private constant APPROVE_SELECTOR = 0x095ea7b3;
    uint256 private constant ALLOWANCE_SELECTOR = 0xdd62ed3e;
    uint256 private constant UNLOCK_SELECTOR = 0x48c89491;
    uint256 private constant V4_SWAP_SELECTOR = 0xf3cd914c;
    uint256 private constant TAKE_SELECTOR = 0x0b0d9c09;
    uint256 private constant SYNC_SELECTOR = 0xa5841194;
    uint256 private constant SETTLE_SELECTOR = 0x11da60b4;
    uint256 private constant CURVE_EXCHANGE = 0x3df02124;
    uint256 private constant CURVE_EXCHANGE_UINT = 0x5b41b908;
    uint256 private constant CURVE_ADD_2 = 0x0b4c7e4d;
    uint256 private constant CURVE_ADD_3 = 0x4515cef3;
    uint256 private constant CURVE_ADD_4 = 0x029b2f34;
    uint256 private constant CURVE_ADD_ANY = 0xb72df5de;
    uint256 private constant CURVE_REMOVE = 0x1a4d01d2;
    uint256 private constant CURVE_REMOVE_UINT = 0xf1dc3cc9;
    uint256 private constant VAULT_SWAP_SELECTOR = 0x52bbbe29;
    uint256 private constant VAULT_BATCH_SELECTOR = 0x945bcec9;
    uint256 private constant VAULT_DEPOSIT = 0x6e553f65;
    uint256 private constant VAULT_REDEEM = 0xba087652;
    uint256 private constant WSTETH_WRAP = 0xea598cb0;
    uint256 private constant WSTETH_UNWRAP = 0xde0e9a3e;
    uint256 private constant PSM_SELL = 0x95991276;
    uint256 private constant PSM_BUY = 0x8d7ef9bb;

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
    /// @param manager Uniswap V4 pool manager; zero where there is none.
    constructor(address owner, address weth, address vault, address manager) {
        OWNER = owner;
        WETH = weth;
        VAULT = vault;
        MANAGER = manager;

        // All known when compiling: a right one leaves no code, a wrong one no contract.
        assert(bytes4(uint32(V2_SWAP_SELECTOR)) == IUniswapV2Pair.swap.selector);
        assert(bytes4(uint32(V3_SWAP_SELECTOR)) == IUniswapV3Pool.swap.selector);
        assert(bytes4(uint32(FLASH_LOAN_SELECTOR)) == IBalancerVault.flashLoan.selector);
        assert(bytes4(uint32(TRANSFER_SELECTOR)) == IERC20.transfer.selector);
        assert(bytes4(uint32(BALANCE_OF_SELECTOR)) == IERC20.balanceOf.selector);
        assert(bytes4(uint32(WITHDRAW_SELECTOR)) == IWETH9.withdraw.selector);
        assert(bytes4(uint32(DEPOSIT_SELECTOR)) == IWETH9.deposit.selector);
        assert(bytes4(uint32(APPROVE_SELECTOR)) == IERC20.approve.selector);
        assert(bytes4(uint32(ALLOWANCE_SELECTOR)) == IERC20.allowance.selector);
        assert(bytes4(uint32(UNLOCK_SELECTOR)) == IPoolManager.unlock.selector);
        assert(bytes4(uint32(V4_SWAP_SELECTOR)) == IPoolManager.swap.selector);
        assert(bytes4(uint32(TAKE_SELECTOR)) == IPoolManager.take.selector);
        assert(bytes4(uint32(SYNC_SELECTOR)) == IPoolManager.sync.selector);
        assert(bytes4(uint32(SETTLE_SELECTOR)) == IPoolManager.settle.selector);
        assert(bytes4(uint32(CURVE_EXCHANGE)) == bytes4(keccak256("exchange(int128,int128,uint256,uint256)")));
        assert(bytes4(uint32(CURVE_EXCHANGE_UINT)) == bytes4(keccak256("exchange(uint256,uint256,uint256,uint256)")));
        assert(bytes4(uint32(CURVE_ADD_2)) == bytes4(keccak256("add_liquidity(uint256[2],uint256)")));
        assert(bytes4(uint32(CURVE_ADD_3)) == bytes4(keccak256("add_liquidity(uint256[3],uint256)")));
        assert(bytes4(uint32(CURVE_ADD_4)) == bytes4(keccak256("add_liquidity(uint256[4],uint256)")));
        assert(bytes4(uint32(CURVE_ADD_ANY)) == bytes4(keccak256("add_liquidity(uint256[],uint256)")));
        assert(bytes4(uint32(CURVE_REMOVE)) == bytes4(keccak256("remove_liquidity_one_coin(uint256,int128,uint256)")));
        assert(bytes4(uint32(CURVE_REMOVE_UINT)) == bytes4(keccak256("remove_liquidity_one_coin(uint256,uint256,uint256)")));
        assert(bytes4(uint32(VAULT_SWAP_SELECTOR)) == IBalancerVault.swap.selector);
        assert(bytes4(uint32(VAULT_BATCH_SELECTOR)) == IBalancerVault.batchSwap.selector);
        assert(bytes4(uint32(VAULT_DEPOSIT)) == IERC4626.deposit.selector);
        assert(bytes4(uint32(VAULT_REDEEM)) == IERC4626.redeem.selector);
        assert(bytes4(uint32(WSTETH_WRAP)) == IWstETH.wrap.selector);
        assert(bytes4(uint32(WSTETH_UNWRAP)) == IWstETH.unwrap.selector);
        assert(bytes4(uint32(PSM_SELL)) == ILitePsm.sellGem.selector);
        assert(bytes4(uint32(PSM_BUY)) == ILitePsm.buyGem.selector);
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
        address manager = MANAGER;
        assembly {
            // Where the next command stands, and where the commands end.
            let place
            let end
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
                    // The ether that is unwrapped, or that a command swaps for. None comes from anybody else, so that none
                    // is left here. (WETH gives 2,300 gas to do this in.)
                    if iszero(calldatasize()) {
                        if eq(caller(), weth) { stop() }
                        if eq(caller(), tload(PAYER)) { stop() }
                    }
                    fail(UNEXPECTED_CALLBACK, caller())
                }
                // Used up before anything else happens: the same callback a second time finds nothing awaited.
                tstore(AWAITED, 0)
                // The copy would have run out of gas long before this could overflow.
                end := add(place, length)
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
                        switch and(op, PAY)
                        case 0 {
                            switch and(op, FAMILY)
                            case 0x10 { place := curve(place, op, target) }
                            case 0x20 {
                                switch and(op, V4_NO_SWAP)
                                case 0 { place := swapV4(place, op, target, manager) }
                                default { place := payV4(place, op, target, manager) }
                            }
                            case 0x30 {
                                switch and(op, WRAPPER)
                                case 0 {
                                    switch and(op, RECIPIENT)
                                    case 3 { place := swapVaultBatch(place, vault) }
                                    default { place := swapVault(place, op, vault) }
                                }
                                default { place := wrapper(place, op, target) }
                            }
                            default { place := etherOrSend(place, op, target, weth) }
                        }
                        default {
                            // PAY
                            place := add(place, 1)
                            let token := weth
                            if and(op, TOKEN_GIVEN) {
                                token := target
                                place := add(place, 20)
                            }
                            let amount
                            switch and(op, PAY_LENDER)
                            case 0 { amount := owed() }
                            default {
                                // Balancer: the amount and its fee, which governance may raise from zero. The sum
                                // cannot overflow: the vault holds the amount, and the fee is a fraction of it.
                                amount := add(calldataload(0xe4), calldataload(0x124))
                            }
                            transfer(token, caller(), amount)
                        }
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
                        let out
                        let to := caller()
                        switch and(op, OWED)
                        case 0 {
                            out := shr(128, calldataload(place))
                            place := add(place, 16)
                            switch and(op, RECIPIENT)
                            case 0 { to := address() }
                            case 1 {}
                            default { to := poolAt(place) }
                        }
                        default { out := owed() }
                        putSwapV2(op, out, to)
                        mstore(0xa0, 0)
                        if iszero(call(gas(), target, 0, 0x1c, 0xa4, 0, 0)) { passOn() }
                    }
                }
                default {
                    let length := and(shr(72, head), 0xffff)
                    place := add(place, 23)
                    let amount
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
                        switch and(op, OWED)
                        case 0 {
                            switch and(op, RECIPIENT)
                            case 0 { to := address() }
                            case 1 {}
                            case 2 { to := poolAt(add(place, length)) }
                            default { to := poolAt(place) }
                        }
                        default { amount := owed() }
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
                            switch and(op, OWED)
                            case 0 {
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
                            default {
                                // V4_UNLOCK: no pool and no amount, the length is next to the op byte.
                                length := and(shr(232, head), 0xffff)
                                place := sub(place, 20)
                                mstore(0x00, UNLOCK_SELECTOR)
                                mstore(0x20, 0x20)
                                target := manager
                                data := 0x60
                                callback := UNLOCK_PLACE
                            }
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

            if xor(caller(), owner) {
                // What V4's manager wants for an answer: bytes, be they none. The others do not look.
                mstore(0x00, 0x20)
                mstore(0x20, 0)
                return(0x00, 0x40)
            }

            {
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
                    withdraw(weth, bid)
                    if iszero(call(gas(), coinbase(), bid, 0, 0, 0, 0)) { fail(BID_REFUSED, coinbase()) }
                }
            }

            // --- Pools that pull or burn what this contract holds. Each function runs the command at `at` and says
            // where the next one stands.

            // CURVE. Whether a pool returns the amount or nothing, the next command says what it takes.
            function curve(at, op, pool) -> next {
                let coins := byte(21, calldataload(at))
                let amount := shr(128, calldataload(add(at, 22)))
                next := add(at, 38)
                let value := 0
                let token := 0
                switch and(coins, ETHER_IN)
                case 0 {
                    if lt(and(op, 7), 4) {
                        token := shr(96, calldataload(next))
                        next := add(next, 20)
                        approve(token, pool, amount)
                    }
                }
                default { value := amount }
                let size := putCurve(and(op, 7), and(shr(3, coins), 7), and(coins, 7), amount)
                if iszero(size) { fail(UNKNOWN_COMMAND, at) }
                if and(coins, ETHER_OUT) { tstore(PAYER, pool) }
                if iszero(call(gas(), pool, value, 0x1c, size, 0, 0)) { passOn() }
                if and(coins, ETHER_OUT) { tstore(PAYER, 0) }
                if token { revoke(token, pool) }
            }

            // The call of a Curve pool, with no least output: the balance at the end is the limit. Says its size, 0 if
            // there is no such call.
            function putCurve(shape, i, j, amount) -> size {
                mstore(0x80, 0)
                switch shape
                case 0 {
                    mstore(0x00, CURVE_EXCHANGE)
                    size := 0x84
                }
                case 1 {
                    mstore(0x00, CURVE_EXCHANGE_UINT)
                    size := 0x84
                }
                case 2 {
                    switch j
                    case 2 { mstore(0x00, CURVE_ADD_2) }
                    case 3 { mstore(0x00, CURVE_ADD_3) }
                    case 4 { mstore(0x00, CURVE_ADD_4) }
                    default { leave }
                    calldatacopy(0x20, calldatasize(), 0xa0)
                    mstore(add(0x20, shl(5, i)), amount)
                    size := add(0x24, shl(5, j))
                    leave
                }
                case 3 {
                    calldatacopy(0x20, calldatasize(), 0x140)
                    mstore(0x00, CURVE_ADD_ANY)
                    mstore(0x20, 0x40)
                    mstore(0x60, j)
                    mstore(add(0x80, shl(5, i)), amount)
                    size := add(0x64, shl(5, j))
                    leave
                }
                case 4 { mstore(0x00, CURVE_REMOVE) }
                case 5 { mstore(0x00, CURVE_REMOVE_UINT) }
                default { leave }
                switch size
                case 0 {
                    mstore(0x20, amount)
                    mstore(0x40, j)
                    mstore(0x60, 0)
                    size := 0x64
                }
                default {
                    mstore(0x20, i)
                    mstore(0x40, j)
                    mstore(0x60, amount)
                }
            }

            // VAULT_SWAP
            function swapVault(at, op, vault_) -> next {
                let token := shr(96, calldataload(add(at, 33)))
                let amount := shr(128, calldataload(add(at, 73)))
                next := add(at, 89)
                approve(token, vault_, amount)
                mstore(0x00, VAULT_SWAP_SELECTOR)
                mstore(0x20, 0xe0)
                putFunds(0x40, recipient(op, next))
                mstore(0xc0, 0)
                mstore(0xe0, not(0))
                mstore(0x100, calldataload(add(at, 1)))
                mstore(0x120, 0)
                mstore(0x140, token)
                mstore(0x160, shr(96, calldataload(add(at, 53))))
                mstore(0x180, amount)
                mstore(0x1a0, 0xc0)
                mstore(0x1c0, 0)
                if iszero(call(gas(), vault_, 0, 0x1c, 0x1c4, 0, 0)) { passOn() }
                revoke(token, vault_)
            }

            // VAULT_BATCH: each step takes what the one before gives, within the vault.
            function swapVaultBatch(at, vault_) -> next {
                let how := byte(1, calldataload(at))
                let count := and(how, 0x3f)
                let amount := shr(128, calldataload(add(at, 2)))
                let token := shr(96, calldataload(add(at, 18)))
                at := add(at, 38)
                next := add(at, mul(52, count))
                approve(token, vault_, amount)
                mstore(0x00, VAULT_BATCH_SELECTOR)
                mstore(0x20, 0)
                mstore(0x40, 0x120)
                putFunds(0x80, recipient(shr(6, how), next))
                mstore(0x120, not(0))
                // Steps, then the assets, then their limits: `amount` may go in, nothing else.
                mstore(0x140, count)
                let assets := add(0x160, mul(0xe0, count))
                let limits := add(assets, shl(5, add(count, 2)))
                mstore(0x60, sub(assets, 0x20))
                mstore(0x100, sub(limits, 0x20))
                mstore(assets, add(count, 1))
                mstore(add(assets, 0x20), token)
                mstore(limits, add(count, 1))
                mstore(add(limits, 0x20), amount)
                for { let n := 0 } lt(n, count) { n := add(n, 1) } {
                    let step := add(shl(5, count), mul(0xc0, n))
                    mstore(add(0x160, shl(5, n)), step)
                    step := add(0x160, step)
                    mstore(step, calldataload(at))
                    mstore(add(step, 0x20), n)
                    mstore(add(step, 0x40), add(n, 1))
                    mstore(add(step, 0x60), mul(amount, iszero(n)))
                    mstore(add(step, 0x80), 0xa0)
                    mstore(add(step, 0xa0), 0)
                    mstore(add(assets, shl(5, add(n, 2))), shr(96, calldataload(add(at, 32))))
                    mstore(add(limits, shl(5, add(n, 2))), 0)
                    at := add(at, 52)
                }
                if iszero(call(gas(), vault_, 0, 0x1c, add(limits, add(4, shl(5, add(count, 1)))), 0, 0)) { passOn() }
                revoke(token, vault_)
            }

            // The vault's `funds`: out of our balance, to a balance of tokens.
            function putFunds(memory_, to) {
                mstore(memory_, address())
                mstore(add(memory_, 0x20), 0)
                mstore(add(memory_, 0x40), to)
                mstore(add(memory_, 0x60), 0)
            }

            // WRAPPER
            function wrapper(at, op, vault_) -> next {
                let how := byte(21, calldataload(at))
                let amount := shr(128, calldataload(add(at, 22)))
                let token := 0
                let size := 0x24
                next := add(at, 38)
                if iszero(and(how, 1)) {
                    token := shr(96, calldataload(next))
                    next := add(next, 20)
                    approve(token, vault_, amount)
                }
                mstore(0x20, amount)
                mstore(0x40, recipient(op, next))
                switch how
                case 0 {
                    mstore(0x00, VAULT_DEPOSIT)
                    size := 0x44
                }
                case 1 {
                    mstore(0x00, VAULT_REDEEM)
                    mstore(0x60, address())
                    size := 0x64
                }
                case 2 { mstore(0x00, WSTETH_WRAP) }
                case 3 { mstore(0x00, WSTETH_UNWRAP) }
                case 4 { size := putPsm(PSM_SELL, recipient(op, next), amount) }
                case 6 {
                    // By exact output: what the amount does not reach another unit for stays here.
                    amount := shr(128, calldataload(next))
                    next := add(next, 16)
                    size := putPsm(PSM_BUY, recipient(op, next), amount)
                }
                default { fail(UNKNOWN_COMMAND, at) }
                if iszero(call(gas(), vault_, 0, 0x1c, size, 0, 0)) { passOn() }
                if token { revoke(token, vault_) }
            }

            // The call of a PSM. Says its size.
            function putPsm(selector, to, amount) -> size {
                mstore(0x00, selector)
                mstore(0x20, to)
                mstore(0x40, amount)
                size := 0x44
            }

            // WRAP, UNWRAP and SEND
            function etherOrSend(at, op, target, weth_) -> next {
                switch op
                case 3 {
                    transfer(target, caller(), shr(128, calldataload(add(at, 21))))
                    next := add(at, 37)
                }
                default {
                    let amount := shr(128, calldataload(add(at, 1)))
                    next := add(at, 17)
                    switch op
                    case 1 {
                        mstore(0x00, DEPOSIT_SELECTOR)
                        if iszero(call(gas(), weth_, amount, 0x1c, 0x04, 0, 0)) { passOn() }
                    }
                    case 2 { withdraw(weth_, amount) }
                    default { fail(UNKNOWN_COMMAND, at) }
                }
            }

            // --- Uniswap V4

            // V4_SWAP: the input is a debt to the manager that a payment settles before the unlocking ends.
            function swapV4(at, op, currency0, manager_) -> next {
                let how := calldataload(add(at, 41))
                next := add(at, 64)
                mstore(0x00, V4_SWAP_SELECTOR)
                mstore(0x20, currency0)
                let currency := shr(96, calldataload(add(at, 21)))
                mstore(0x40, currency)
                mstore(0x60, and(shr(224, how), 0xffffff))
                mstore(0x80, and(shr(200, how), 0xffffff))
                mstore(0xa0, 0)
                mstore(0xe0, sub(0, and(shr(72, how), 0xffffffffffffffffffffffffffffffff)))
                how := byte(0, how)
                if and(how, V4_HOOKS) {
                    mstore(0xa0, shr(96, calldataload(next)))
                    next := add(next, 20)
                }
                let zeroForOne := shr(7, how)
                mstore(0xc0, zeroForOne)
                mstore(0x100, xor(LOWEST_PRICE, mul(LOWEST_XOR_HIGHEST_PRICE, iszero(zeroForOne))))
                mstore(0x120, 0x120)
                mstore(0x140, 0)
                if iszero(call(gas(), manager_, 0, 0x1c, 0x144, 0x00, 0x20)) { passOn() }
                if lt(and(op, RECIPIENT), 3) {
                    // The two balances' changes in one word; the output's is positive.
                    let out := and(mload(0x00), 0xffffffffffffffffffffffffffffffff)
                    if iszero(zeroForOne) {
                        out := shr(128, mload(0x00))
                        currency := currency0
                    }
                    take(manager_, currency, recipient(op, next), out)
                }
            }

            // V4_TAKE, V4_PAY, V4_SYNC and V4_SETTLE
            function payV4(at, op, token, manager_) -> next {
                next := add(at, 1)
                let amount := 0
                if lt(and(op, RECIPIENT), 3) {
                    next := add(next, 20)
                    if lt(and(op, RECIPIENT), 2) {
                        amount := shr(128, calldataload(next))
                        next := add(next, 16)
                        if iszero(and(op, 1)) {
                            take(manager_, token, address(), amount)
                            leave
                        }
                    }
                    // Ether needs no sync: it comes with the settlement.
                    if token {
                        mstore(0x00, SYNC_SELECTOR)
                        mstore(0x20, token)
                        if iszero(call(gas(), manager_, 0, 0x1c, 0x24, 0, 0)) { passOn() }
                        if and(op, 2) { leave }
                        transfer(token, manager_, amount)
                        amount := 0
                    }
                }
                mstore(0x00, SETTLE_SELECTOR)
                if iszero(call(gas(), manager_, amount, 0x1c, 0x04, 0, 0)) { passOn() }
            }

            // Ether only comes to this contract.
            function take(manager_, currency, to, amount) {
                if iszero(currency) {
                    to := address()
                    tstore(PAYER, manager_)
                }
                mstore(0x00, TAKE_SELECTOR)
                mstore(0x20, currency)
                mstore(0x40, to)
                mstore(0x60, amount)
                if iszero(call(gas(), manager_, 0, 0x1c, 0x64, 0, 0)) { passOn() }
                if iszero(currency) { tstore(PAYER, 0) }
            }

            // --- Parts

            // Who receives the output of the command before `next`.
            function recipient(op, next) -> to {
                to := address()
                switch and(op, RECIPIENT)
                case 0 {}
                case 1 { to := caller() }
                default { to := poolAt(next) }
            }

            // Allows exactly what a command spends. The allowance was zero, as USDT asks.
            function approve(token, spender, amount) {
                callToken(APPROVE_SELECTOR, token, spender, amount)
            }

            // After the command: a pool that did not spend all of it, or a token that did not count it, keeps nothing.
            function revoke(token, spender) {
                mstore(0x00, ALLOWANCE_SELECTOR)
                mstore(0x20, address())
                mstore(0x40, spender)
                let told := staticcall(gas(), token, 0x1c, 0x44, 0x00, 0x20)
                // No answer leaves the selector there, which is not zero either.
                if or(iszero(told), mload(0x00)) { approve(token, spender, 0) }
            }

            function withdraw(weth_, amount) {
                mstore(0x00, WITHDRAW_SELECTOR)
                mstore(0x20, amount)
                if iszero(call(gas(), weth_, 0, 0x1c, 0x24, 0, 0)) { passOn() }
            }

            // What a V3 pool is owed: of the two signed amounts of its callback the positive one.
            function owed() -> amount {
                amount := calldataload(0x04)
                if slt(amount, 1) { amount := calldataload(0x24) }
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

            function transfer(token, to, amount) {
                callToken(TRANSFER_SELECTOR, token, to, amount)
            }

            // A transfer or approval. No answer (USDT) is taken for yes, false or no contract at all for no.
            function callToken(selector, token, to, amount) {
                mstore(0x00, selector)
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
