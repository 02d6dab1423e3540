"""A trade as FlashArb's call data, and back.

The contract runs a program instead of an ABI call: fewer bytes, and later protocols and loan sources are new commands.
``plan`` turns a trade into commands, ``encode`` commands into bytes, ``decode`` bytes into commands, ``describe``
commands into sentences.

Order of calls: **the last pool first**. A V3 pool (and a V2 flash swap) hands out before it takes, so the profit is in
hand before anything is paid: the last pool pays the base token to the contract, inside its callback the pool before it
sends its output straight to it, and so on; only the first pool is paid by the contract. N pools cost N + 1 transfers,
the contract never holds an intermediate token, and nothing is borrowed from a third party. V2 pools take before they
give: they are paid by the pool before them and called afterwards without a callback.

===========  ===================================================================================================
byte(s)      execution
===========  ===================================================================================================
1            mode: 0; +1: the minimum is a floor; +2: bid given; +4: base token given (else WETH)
4            deadline: last block number that may include it
16           minimum growth of the base token's balance after repayment and bid (floor: minimum balance)
16           bid to the fee recipient, in wei, unwrapped from WETH after the check; only if given
20           base token; only if given
rest         commands, at least one
===========  ===================================================================================================

===========  ===================================================================================================
byte(s)      sweep, to the owner
===========  ===================================================================================================
1            mode: 8; +0x10: ether; +0x20: amount given
20           token; not for ether
32           amount; only if given, else all but one unit of a token, or all of the ether
===========  ===================================================================================================

=============  =================================================================================================
op, command    fields after the op byte
=============  =================================================================================================
0x08 PAY       [token 20]: pays the caller of this callback what it is owed
0x40 V2_SWAP   pool 20, [token 20], [in 16], [out 16]: swaps what is sent to the pair first, or was before
0x80 V3_SWAP   pool 20, length 2, [amount 16], program: swaps, runs the program in the callback
0xc0 V2_FLASH  pool 20, length 2, out 16, program: swaps to the contract, runs the program in the callback
0xc4 BALANCER  token 20, length 2, amount 16, program: borrows, runs the program in the callback
=============  =================================================================================================

Flags in the op byte. 0x20: zero_for_one. 0x10: V2_SWAP and V3_SWAP give the callback's caller what it is owed; amount
and recipient are not given. 0x08: V2_SWAP sends ``in`` first; V3_SWAP is of exact input. 0x04: V2_SWAP and PAY name the
token (else WETH). 0x01 on PAY: to a flash loan's lender. Lowest two bits of V2_SWAP and V3_SWAP: the recipient (0 the
contract, 1 the callback's caller, 2 the pool of the command after this one, 3 the pool of the first command inside this
one). All other op bytes are free. Numbers are big-endian and of fixed width: a zero byte costs less gas than decoding a
length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Final

from flasharb.pools.protocols import PROTOCOLS
from flasharb.settings import Settings
from flasharb.strategy.trade import Trade, TradeHop
from flasharb.units import Address, checksum

FLOOR: Final = 0x01
BID_GIVEN: Final = 0x02
BASE_GIVEN: Final = 0x04
SWEEP: Final = 0x08
SWEEP_ETHER: Final = 0x10
SWEEP_AMOUNT: Final = 0x20

PAY: Final = 0x08
V2_SWAP: Final = 0x40
V3_SWAP: Final = 0x80
V2_FLASH: Final = 0xC0
BALANCER: Final = 0xC4
CALLS_BACK: Final = 0x80
ZERO_FOR_ONE: Final = 0x20
OWED: Final = 0x10
EXACT_INPUT: Final = 0x08
PAY_FIRST: Final = 0x08
TOKEN_GIVEN: Final = 0x04
PAY_LENDER: Final = 0x01

KINDS: Final = frozenset({"v2", "v3"})
"""The kinds of protocols that a command swaps in; routes through others cannot be executed."""

AMOUNT_BYTES: Final = 16
LENGTH_BYTES: Final = 2

FLASH_SWAP: Final = "flash_swap"
BALANCER_V2: Final = "balancer_v2"


class Recipient(IntEnum):
    """Who receives a swap's output."""

    SELF = 0
    CALLER = 1
    NEXT = 2
    INNER = 3


@dataclass(frozen=True, slots=True)
class Pay:
    """Pays the caller of this callback, a V3 pool or a lender, what it is owed. ``token`` None = WETH."""

    token: Address | None
    lender: bool = False


@dataclass(frozen=True, slots=True)
class SwapV2:
    """A pair's swap without callback. ``pay`` is sent to the pair first (0: somebody else did).

    ``amount_out`` None = what the caller of this callback is owed, which is also who receives it.
    """

    pool: Address
    zero_for_one: bool
    amount_out: int | None
    recipient: Recipient
    pay: int = 0
    token: Address | None = None


@dataclass(frozen=True, slots=True)
class FlashV2:
    """A pair's flash swap to the contract; ``program`` runs in its callback and must pay the pair."""

    pool: Address
    zero_for_one: bool
    amount_out: int
    program: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class SwapV3:
    """A V3 pool's swap; ``program`` runs in its callback and must pay the pool.

    ``amount`` None = what the caller of this callback is owed, which is also who receives it (exact output).
    """

    pool: Address
    zero_for_one: bool
    exact_in: bool
    amount: int | None
    recipient: Recipient
    program: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Borrow:
    """A Balancer V2 flash loan; ``program`` runs in its callback and must pay the vault."""

    token: Address
    amount: int
    program: tuple[Command, ...]


Command = Pay | SwapV2 | FlashV2 | SwapV3 | Borrow


@dataclass(frozen=True, slots=True)
class Execution:
    """A whole program with its guards.

    ``minimum`` and ``bid`` are in the base token's smallest unit; ``base_token`` None = WETH. With ``floor`` the
    minimum is a balance to be reached instead of a growth.
    """

    deadline_block: int
    minimum: int
    bid: int
    base_token: Address | None
    floor: bool
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Sends a token (None: ether) to the owner. ``amount`` None: all but one unit of a token, all of the ether."""

    token: Address | None
    amount: int | None


def pick_loan(trade: Trade, settings: Settings) -> str:
    """Where the trade's input comes from: ``flash_swap`` (the route's own pools) or ``balancer_v2``.

    ``auto`` takes the flash swap, which costs nothing, wherever every pool of the route can be part of one; all V2 and
    V3 pools can.
    """
    if settings.mev.loan_source != "auto":
        return settings.mev.loan_source
    lends = all(PROTOCOLS[hop.protocol].flash for hop in trade.hops)
    return FLASH_SWAP if lends else BALANCER_V2


def encode_call(
    trade: Trade,
    *,
    weth: Address,
    loan: str,
    min_profit: int,
    bid_wei: int,
    deadline_block: int,
    balance_before: int | None = None,
) -> bytes:
    """The call data that executes ``trade``, or nothing at all.

    ``min_profit``: the least growth of the contract's base-token balance after repayment and before the bid, in the
    base token's smallest unit; the bid must be part of it, so that it is never paid out of older money. ``bid_wei`` is
    paid to the fee recipient out of the profit (0: the bid, if any, is the priority fee). ``deadline_block``: the last
    block that may include it. ``balance_before``: the contract's base-token balance where this will run; when given,
    the check is a floor and 1,200 gas cheaper, which is as safe while no other transaction of the owner comes first.

    Raises:
        ValueError: a trade that does not close or joins wrongly, an amount out of range, or a bid that the profit
            does not hold or that is not in WETH.
    """
    if bid_wei < 0 or min_profit < bid_wei:
        raise ValueError(f"a bid of {bid_wei} wei out of a minimum profit of {min_profit}")
    if bid_wei and trade.base_token != weth:
        raise ValueError("only a profit in WETH can be unwrapped for a bid; other base tokens bid by priority fee")
    execution = Execution(
        deadline_block=deadline_block,
        minimum=min_profit - bid_wei + (balance_before or 0),
        bid=bid_wei,
        base_token=None if trade.base_token == weth else trade.base_token,
        floor=balance_before is not None,
        commands=tuple(command for part in trade.parts() for command in plan(part, loan, weth)),
    )
    return encode(execution)


def encode_sweep(token: Address | None, amount: int | None = None) -> bytes:
    """The call data that sends a token (None: ether) to the owner; see ``Sweep``."""
    return encode(Sweep(token, amount))


# --- plan -------------------------------------------------------------------------------------------------------------


def plan(trade: Trade, loan: str, weth: Address) -> tuple[Command, ...]:
    """The commands that execute ``trade`` with money from ``loan``.

    Raises:
        ValueError: the hops do not join into a cycle of different pools, or an unknown loan or protocol.
    """
    _check_cycle(trade)
    token = None if trade.base_token == weth else trade.base_token
    hops = trade.hops
    if loan == BALANCER_V2:
        return (
            Borrow(
                trade.base_token, trade.amount_in, (*_deliver(hops, Recipient.SELF, token, False), Pay(token, True))
            ),
        )
    if loan != FLASH_SWAP:
        raise ValueError(f"unknown loan source {loan!r} (known: {FLASH_SWAP}, {BALANCER_V2})")

    last = hops[-1]
    position = _last_v3(hops)
    if position is None:
        paid = _deliver(hops[:-1], Recipient.CALLER, token, False)
        return (FlashV2(last.hop.pool, last.hop.zero_for_one, last.amount_out, paid),)
    # V2 pools after the last V3 pool: it pays the first of them, and they are run before it asks for its input.
    after = _chain(hops[position + 1 :], Recipient.SELF)
    paid = _deliver(hops[:position], Recipient.CALLER, token, True)
    return (_swap_v3(hops[position], Recipient.INNER if after else Recipient.SELF, (*after, *paid)),)


def _deliver(hops: Sequence[TradeHop], to: Recipient, token: Address | None, owed: bool) -> tuple[Command, ...]:
    """Runs ``hops`` with the base token in hand so that the last one's output goes to ``to``.

    ``owed``: the callback's caller says how much it is owed, so a last V2 pool's output need not be written.
    """
    if not hops:
        return (Pay(token),)
    position = _last_v3(hops)
    if position is None:
        return _chain(hops, to, hops[0].amount_in, token, owed)
    after = _chain(hops[position + 1 :], to, owed=owed)
    paid = _deliver(hops[:position], Recipient.CALLER, token, True)
    return (_swap_v3(hops[position], Recipient.NEXT if after else to, paid), *after)


def _swap_v3(hop: TradeHop, to: Recipient, program: tuple[Command, ...]) -> SwapV3:
    """A V3 swap of exact input: 900 gas cheaper in the pool than exact output.

    Exact output would survive a price that moved against us by less than the slippage tolerance; but that tolerance is
    a share of the profit, which is itself a small share of the amount, so hardly any move is that small.
    """
    return SwapV3(hop.hop.pool, hop.hop.zero_for_one, True, hop.amount_in, to, program)


def _chain(
    hops: Sequence[TradeHop], to: Recipient, pay: int = 0, token: Address | None = None, owed: bool = False
) -> tuple[Command, ...]:
    """V2 swaps, each paying the next; ``pay`` is sent to the first one (0: it is paid already)."""
    commands = []
    for index, hop in enumerate(hops):
        is_last = index == len(hops) - 1
        commands.append(
            SwapV2(
                pool=hop.hop.pool,
                zero_for_one=hop.hop.zero_for_one,
                amount_out=None if is_last and owed else hop.amount_out,
                recipient=to if is_last else Recipient.NEXT,
                pay=pay if index == 0 else 0,
                token=token if index == 0 and pay else None,
            )
        )
    return tuple(commands)


def _last_v3(hops: Sequence[TradeHop]) -> int | None:
    return next((index for index in reversed(range(len(hops))) if _is_v3(hops[index])), None)


def _is_v3(hop: TradeHop) -> bool:
    protocol = PROTOCOLS.get(hop.protocol)
    if protocol is None:
        raise ValueError(f"unknown protocol {hop.protocol!r}")
    if protocol.kind not in KINDS:
        raise ValueError(f"no command swaps in a pool of {hop.protocol}")
    return protocol.kind == "v3"


def _check_cycle(trade: Trade) -> None:
    hops = trade.hops
    if len(hops) < 2:
        raise ValueError(f"a trade needs at least two pools, not {len(hops)}")
    if hops[0].hop.token_in != trade.base_token or hops[-1].hop.token_out != trade.base_token:
        raise ValueError("the trade does not start and end in its base token")
    if len({hop.hop.pool for hop in hops}) != len(hops):
        raise ValueError("a pool appears twice: it is locked during its own callback")
    for before, after in pairwise(hops):
        if before.hop.token_out != after.hop.token_in:
            raise ValueError(f"{checksum(before.hop.pool)} does not give what {checksum(after.hop.pool)} takes")
        if before.amount_out < after.amount_in:
            raise ValueError(
                f"{checksum(after.hop.pool)} is to take {after.amount_in}, but only {before.amount_out} comes in"
            )
    if any(hop.amount_in <= 0 or hop.amount_out <= 0 for hop in hops):
        raise ValueError("every amount of a trade must be positive")


# --- bytes ------------------------------------------------------------------------------------------------------------


def encode(program: Execution | Sweep) -> bytes:
    """The program's bytes.

    Raises:
        ValueError: a number out of range.
    """
    if isinstance(program, Sweep):
        mode = SWEEP | _bit(program.token is None, SWEEP_ETHER) | _bit(program.amount is not None, SWEEP_AMOUNT)
        amount = b"" if program.amount is None else _number(program.amount, 32, "amount")
        return bytes((mode,)) + (program.token or b"") + amount
    if program.bid and program.base_token is not None:
        raise ValueError("only a profit in WETH can be unwrapped for a bid; other base tokens bid by priority fee")
    if not program.commands:
        raise ValueError("a program needs at least one command")
    mode = _bit(program.floor, FLOOR) | _bit(program.bid, BID_GIVEN) | _bit(program.base_token, BASE_GIVEN)
    return (
        bytes((mode,))
        + _number(program.deadline_block, 4, "deadline block")
        + _number(program.minimum, AMOUNT_BYTES, "minimum")
        + (_number(program.bid, AMOUNT_BYTES, "bid") if program.bid else b"")
        + (program.base_token or b"")
        + _encode_commands(program.commands)
    )


def _encode_commands(commands: Sequence[Command]) -> bytes:
    return b"".join(_encode_command(command) for command in commands)


def _encode_command(command: Command) -> bytes:
    match command:
        case Pay(token, lender):
            return bytes((PAY | _bit(token, TOKEN_GIVEN) | _bit(lender, PAY_LENDER),)) + (token or b"")
        case SwapV2(pool, zero_for_one, out, recipient, pay, token):
            op = V2_SWAP | _bit(zero_for_one, ZERO_FOR_ONE) | _receiver_bits(out, recipient)
            op |= _bit(pay, PAY_FIRST) | _bit(token, TOKEN_GIVEN)
            if token and not pay:
                raise ValueError("a token without an amount to send to the pair")
            return bytes((op,)) + pool + (token or b"") + (_positive(pay) if pay else b"") + _optional(out)
        case FlashV2(pool, zero_for_one, out, program):
            op = V2_FLASH | _bit(zero_for_one, ZERO_FOR_ONE)
            return bytes((op,)) + pool + _with_program(_positive(out), program)
        case SwapV3(pool, zero_for_one, exact_in, amount, recipient, program):
            op = V3_SWAP | _bit(zero_for_one, ZERO_FOR_ONE) | _receiver_bits(amount, recipient)
            op |= _bit(exact_in, EXACT_INPUT)
            if exact_in and amount is None:
                raise ValueError("what is owed can only be an exact output")
            return bytes((op,)) + pool + _with_program(_optional(amount), program)
        case Borrow(token, amount, program):
            return bytes((BALANCER,)) + token + _with_program(_positive(amount), program)


def _bit(condition: object, bit: int) -> int:
    return bit if condition else 0


def _receiver_bits(amount: int | None, recipient: Recipient) -> int:
    if amount is not None:
        return recipient
    if recipient is not Recipient.CALLER:
        raise ValueError("what the caller is owed can only go to the caller")
    return OWED


def _with_program(amount: bytes, program: Sequence[Command]) -> bytes:
    inner = _encode_commands(program)
    return _number(len(inner), LENGTH_BYTES, "length of a program") + amount + inner


def _optional(amount: int | None) -> bytes:
    return b"" if amount is None else _positive(amount)


def _positive(amount: int) -> bytes:
    if amount <= 0:
        raise ValueError(f"an amount must be positive, not {amount}")
    return _number(amount, AMOUNT_BYTES, "amount")


def _number(value: int, size: int, what: str) -> bytes:
    if not 0 <= value < 1 << 8 * size:
        raise ValueError(f"{what} {value} is not within 0 and 2^{8 * size} - 1")
    return value.to_bytes(size, "big")


class _Reader:
    """Takes fields off the front; running out is a ValueError that says where."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.place = 0

    @property
    def left(self) -> int:
        return len(self._data) - self.place

    def take(self, size: int, what: str) -> bytes:
        if size > self.left:
            raise ValueError(f"program cut short at byte {self.place}: {what} needs {size} bytes, {self.left} left")
        self.place += size
        return self._data[self.place - size : self.place]

    def number(self, size: int, what: str) -> int:
        return int.from_bytes(self.take(size, what), "big")

    def amount(self, what: str) -> int:
        value = self.number(AMOUNT_BYTES, what)
        if value == 0:
            raise ValueError(f"{what} before byte {self.place} is zero")
        return value

    def address(self, what: str) -> Address:
        return Address(self.take(20, what))


def decode(data: bytes) -> Execution | Sweep:
    """The program in ``data``; ``encode`` gives the same bytes again.

    Raises:
        ValueError: no program of this version; the message says where.
    """
    reader = _Reader(data)
    mode = reader.take(1, "mode")[0]
    program: Execution | Sweep
    if mode & SWEEP:
        token = None if mode & SWEEP_ETHER else reader.address("token")
        program = Sweep(token, reader.number(32, "amount") if mode & SWEEP_AMOUNT else None)
    else:
        deadline = reader.number(4, "deadline")
        minimum = reader.number(AMOUNT_BYTES, "minimum")
        bid = reader.amount("bid") if mode & BID_GIVEN else 0
        base_token = reader.address("base token") if mode & BASE_GIVEN else None
        commands = _decode_commands(reader, reader.left)
        program = Execution(deadline, minimum, bid, base_token, bool(mode & FLOOR), commands)
    if encode(program) != data:
        raise ValueError("the program has bytes or flags that it does not use")
    return program


def _decode_commands(reader: _Reader, size: int) -> tuple[Command, ...]:
    if size > reader.left:
        raise ValueError(f"the program at byte {reader.place} is longer than what is left")
    end = reader.place + size
    commands = []
    while reader.place < end:
        commands.append(_decode_command(reader))
    if reader.place > end:
        raise ValueError(f"a command reaches over the end of its program at byte {end}")
    return tuple(commands)


def _decode_command(reader: _Reader) -> Command:
    place = reader.place
    op = reader.take(1, "command")[0]
    if not op & CALLS_BACK:
        if op & V2_SWAP:
            return _decode_swap_v2(reader, op)
        if op & PAY:
            return Pay(reader.address("token") if op & TOKEN_GIVEN else None, bool(op & PAY_LENDER))
        raise ValueError(f"unknown command 0x{op:02x} at byte {place}")
    target = reader.address("pool or token")
    length = reader.number(LENGTH_BYTES, "length")
    amount = None if op & OWED else reader.amount("amount")
    program = _decode_commands(reader, length)
    zero_for_one = bool(op & ZERO_FOR_ONE)
    if op & V2_FLASH != V2_FLASH:
        return SwapV3(target, zero_for_one, bool(op & EXACT_INPUT), amount, _recipient(op), program)
    if amount is None:
        raise ValueError(f"command 0x{op:02x} at byte {place} needs an amount")
    if op == BALANCER:
        return Borrow(target, amount, program)
    return FlashV2(target, zero_for_one, amount, program)


def _decode_swap_v2(reader: _Reader, op: int) -> SwapV2:
    pool = reader.address("pool")
    token = reader.address("token") if op & TOKEN_GIVEN else None
    pay = reader.amount("input") if op & PAY_FIRST else 0
    out = None if op & OWED else reader.amount("output")
    return SwapV2(pool, bool(op & ZERO_FOR_ONE), out, _recipient(op), pay, token)


def _recipient(op: int) -> Recipient:
    return Recipient.CALLER if op & OWED else Recipient(op & 3)


# --- words ------------------------------------------------------------------------------------------------------------


def describe(program: Execution | Sweep) -> tuple[str, ...]:
    """The program in sentences, one a line, what runs inside a callback indented below its call."""
    if isinstance(program, Sweep):
        amount = "everything" if program.amount is None else f"{program.amount}"
        return (f"sweep {amount} of {_name(program.token, 'ether')} to the owner",)
    token = _name(program.base_token)
    check = f"{token} balance is at least" if program.floor else f"{token} balance grew by at least"
    bid = f"pay {program.bid} wei to the fee recipient" if program.bid else "pay no bid"
    return (
        f"until block {program.deadline_block}",
        *_describe(program.commands, 0),
        f"require that the {check} {program.minimum + program.bid}",
        bid,
    )


def _describe(commands: Sequence[Command], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for index, command in enumerate(commands):
        following = commands[index + 1] if index + 1 < len(commands) else None
        match command:
            case Pay(token, lender):
                yield f"{indent}pay the {'lender' if lender else 'caller'} what it is owed in {_name(token)}"
            case SwapV2(pool, zero_for_one, amount, recipient, pay, token):
                if pay:
                    yield f"{indent}send {pay} of {_name(token)} to {checksum(pool)}"
                to = _receiver(recipient, following, ())
                yield f"{indent}V2 {_way(pool, zero_for_one)}: {_amount(amount)} out to {to}"
            case FlashV2(pool, zero_for_one, amount, program):
                yield f"{indent}V2 flash {_way(pool, zero_for_one)}: {amount} out to this contract, in the callback:"
                yield from _describe(program, depth + 1)
            case SwapV3(pool, zero_for_one, exact_in, amount, recipient, program):
                to = _receiver(recipient, following, program)
                side = "in, output" if exact_in else "out"
                yield f"{indent}V3 {_way(pool, zero_for_one)}: {_amount(amount)} {side} to {to}, in the callback:"
                yield from _describe(program, depth + 1)
            case Borrow(token, amount, program):
                yield f"{indent}borrow {amount} of {checksum(token)} from the Balancer vault, in the callback:"
                yield from _describe(program, depth + 1)


def _way(pool: Address, zero_for_one: bool) -> str:
    return f"{checksum(pool)} {'0 to 1' if zero_for_one else '1 to 0'}"


def _amount(amount: int | None) -> str:
    return "what is owed" if amount is None else str(amount)


def _name(token: Address | None, implied: str = "WETH") -> str:
    return implied if token is None else checksum(token)


def _receiver(recipient: Recipient, following: Command | None, program: Sequence[Command]) -> str:
    if recipient is Recipient.SELF:
        return "this contract"
    if recipient is Recipient.CALLER:
        return "the caller"
    neighbour = following if recipient is Recipient.NEXT else next(iter(program), None)
    pool = getattr(neighbour, "pool", None)
    return checksum(pool) if pool is not None else "nobody (a neighbour without a pool)"
