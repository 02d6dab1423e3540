"""A trade as FlashArb's call data, and back.

The contract runs a program instead of an ABI call: fewer bytes, and later protocols and loan sources are new commands.
``encode_call`` turns a trade into call data (``planning`` says in which order), ``encode`` a program into bytes,
``decode`` bytes into a program, ``describe`` a program into sentences. The commands and their bytes are in
``flasharb.execution.commands``, one module a protocol family.

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
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from flasharb.execution.commands import BY_OP, ENCODERS
from flasharb.execution.commands.leg import Leg
from flasharb.execution.commands.wire import (
    AMOUNT_BYTES,
    Command,
    Reader,
    bit,
    encode_commands,
    name_of,
    number,
)
from flasharb.execution.planning import BALANCER_V2, FLASH_SWAP, LOANS, UNISWAP_V4, fits, plan_legs
from flasharb.pools.protocols import PROTOCOLS
from flasharb.settings import Settings, balancer_vault, v4_manager
from flasharb.strategy.trade import Trade, TradeHop
from flasharb.units import Address

KINDS: Final = frozenset(ENCODERS)
"""The kinds of protocols that a program can trade through."""

FLOOR: Final = 0x01
BID_GIVEN: Final = 0x02
BASE_GIVEN: Final = 0x04
SWEEP: Final = 0x08
SWEEP_ETHER: Final = 0x10
SWEEP_AMOUNT: Final = 0x20


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


def loan_for(trade: Trade, vault: Address | None, manager: Address | None, among: Sequence[str] = LOANS) -> str | None:
    """The first loan of ``among`` that the trade can be run with; None: there is none.

    The flash swap (of a pool of the route that gives before it takes) costs nothing. ``vault`` and ``manager`` are
    Balancer's and Uniswap V4's, None or the zero address where FlashArb knows none.
    """
    kinds = [PROTOCOLS[hop.protocol].kind for hop in trade.hops]
    lenders = {FLASH_SWAP: True, BALANCER_V2: bool(vault and any(vault)), UNISWAP_V4: bool(manager and any(manager))}
    return next((loan for loan in among if lenders[loan] and fits(loan, kinds)), None)


def pick_loan(trade: Trade, settings: Settings) -> str | None:
    """Where the trade's input comes from, of what ``mev.loan_source`` allows; None: it cannot be run so."""
    allowed = LOANS if settings.mev.loan_source == "auto" else (settings.mev.loan_source,)
    return loan_for(trade, balancer_vault(settings), v4_manager(settings), allowed)


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


def plan(trade: Trade, loan: str, weth: Address) -> tuple[Command, ...]:
    """The commands that execute ``trade`` with money from ``loan``; see ``planning``.

    Raises:
        ValueError: the hops do not join into a cycle of different pools, or an unknown loan or protocol.
    """
    return plan_legs([_leg(hop) for hop in trade.hops], trade.base_token, loan, weth)


def _leg(hop: TradeHop) -> Leg:
    protocol = PROTOCOLS.get(hop.protocol)
    if protocol is None:
        raise ValueError(f"unknown protocol {hop.protocol!r}")
    if protocol.kind not in KINDS:
        raise ValueError(f"no command swaps in a pool of {hop.protocol}")
    i, j = hop.ends
    way, named = hop.hop, protocol.named(hop.spec)
    return Leg(protocol.kind, way.pool, way.token_in, way.token_out, i, j, hop.amount_in, hop.amount_out, named)


# --- bytes ------------------------------------------------------------------------------------------------------------


def encode(program: Execution | Sweep) -> bytes:
    """The program's bytes.

    Raises:
        ValueError: a number out of range.
    """
    if isinstance(program, Sweep):
        mode = SWEEP | bit(program.token is None, SWEEP_ETHER) | bit(program.amount is not None, SWEEP_AMOUNT)
        amount = b"" if program.amount is None else number(program.amount, 32, "amount")
        return bytes((mode,)) + (program.token or b"") + amount
    if program.bid and program.base_token is not None:
        raise ValueError("only a profit in WETH can be unwrapped for a bid; other base tokens bid by priority fee")
    if not program.commands:
        raise ValueError("a program needs at least one command")
    mode = bit(program.floor, FLOOR) | bit(program.bid, BID_GIVEN) | bit(program.base_token, BASE_GIVEN)
    return (
        bytes((mode,))
        + number(program.deadline_block, 4, "deadline block")
        + number(program.minimum, AMOUNT_BYTES, "minimum")
        + (number(program.bid, AMOUNT_BYTES, "bid") if program.bid else b"")
        + (program.base_token or b"")
        + encode_commands(program.commands)
    )


def decode(data: bytes) -> Execution | Sweep:
    """The program in ``data``; ``encode`` gives the same bytes again.

    Raises:
        ValueError: no program of this version; the message says where.
    """
    reader = Reader(data, BY_OP)
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
        commands = reader.commands(reader.left)
        program = Execution(deadline, minimum, bid, base_token, bool(mode & FLOOR), commands)
    if encode(program) != data:
        raise ValueError("the program has bytes or flags that it does not use")
    return program


# --- words ------------------------------------------------------------------------------------------------------------


def describe(program: Execution | Sweep) -> tuple[str, ...]:
    """The program in sentences, one a line, what runs inside a callback indented below its call."""
    if isinstance(program, Sweep):
        amount = "everything" if program.amount is None else f"{program.amount}"
        return (f"sweep {amount} of {name_of(program.token, 'ether')} to the owner",)
    token = name_of(program.base_token)
    check = f"{token} balance is at least" if program.floor else f"{token} balance grew by at least"
    bid = f"pay {program.bid} wei to the fee recipient" if program.bid else "pay no bid"
    return (
        f"until block {program.deadline_block}",
        *_describe(program.commands, 0),
        f"require that the {check} {program.minimum + program.bid}",
        bid,
    )


def _describe(commands: Sequence[Command], depth: int) -> Iterator[str]:
    for index, command in enumerate(commands):
        yield "  " * depth + command.sentence(commands[index + 1] if index + 1 < len(commands) else None)
        yield from _describe(command.inner, depth + 1)
