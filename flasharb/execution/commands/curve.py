"""Curve pools of two to seven coins, which pull their input: exchange, and one coin into and out of the LP token.

===========  ===================================================================================================
op           fields
===========  ===================================================================================================
0x10 CURVE   pool 20, coins 1, amount 16, [token 20]
===========  ===================================================================================================

Lowest three bits of the op byte: which function. ``coins``: 0x80 the input is ether, 0x40 the output is ether,
input << 3 | output (adding: input << 3 | number of coins; removing: output). ``token`` is what the pool is approved
for; ether is sent along instead, and LP tokens are burned without approval.

Whether a pool returns the amount or nothing does not matter: the next command says what it takes, and the check of the
balance at the end is the limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final, Self

from flasharb.execution.commands.leg import Leg
from flasharb.execution.commands.wire import Command, Reader, bit, positive
from flasharb.units import ZERO_ADDRESS, Address, checksum

CURVE: Final = 0x10
ETHER_IN: Final = 0x80
ETHER_OUT: Final = 0x40
MOST_COINS: Final = 7
MOST_COINS_FIXED: Final = 4


class CurveCall(IntEnum):
    """Which function of the pool, in the lowest three bits of the op byte."""

    EXCHANGE = 0
    EXCHANGE_UINT = 1
    ADD = 2
    ADD_ANY = 3
    REMOVE = 4
    REMOVE_UINT = 5


REMOVALS: Final = (CurveCall.REMOVE, CurveCall.REMOVE_UINT)
ADDITIONS: Final = (CurveCall.ADD, CurveCall.ADD_ANY)


@dataclass(frozen=True, slots=True)
class CurveFacts:
    """How a pool is called.

    ``coins``: how many it has; index ``coins`` of its tokens is the LP token. ``uint_indices``: indices are uint256
    (crypto pools), else int128. ``dynamic_amounts``: ``add_liquidity`` takes an array of any length (the new factory's
    stable pools). ``ether``: the coin that is ether, which a market may well list as WETH; None: none is.
    """

    coins: int
    uint_indices: bool = False
    dynamic_amounts: bool = False
    ether: int | None = None


@dataclass(frozen=True, slots=True)
class Curve(Command):
    """One call of a Curve pool. ``i`` and ``j``: coins in and out, or ``coins`` where it is the LP token.

    ``token`` None: ether goes in, or an LP token that needs no approval.
    """

    ops: ClassVar = frozenset(CURVE | call for call in CurveCall)

    pool: Address
    call: CurveCall
    i: int
    j: int
    amount: int
    token: Address | None
    ether_out: bool = False

    def encode(self) -> bytes:
        """See ``Command``."""
        if not (0 <= self.i <= MOST_COINS and 0 <= self.j <= MOST_COINS):
            raise ValueError(f"coins {self.i} and {self.j} of a Curve pool are not within 0 and {MOST_COINS}")
        removal = self.call in REMOVALS
        if removal and (self.token is not None or self.i):
            raise ValueError("an LP token is burned: it has neither approval nor index")
        if self.call is CurveCall.ADD and not 2 <= self.j <= MOST_COINS_FIXED:
            raise ValueError(f"add_liquidity of an array of {self.j} coins is not known")
        coins = bit(self.token is None and not removal, ETHER_IN) | bit(self.ether_out, ETHER_OUT)
        return (
            bytes((CURVE | self.call,))
            + self.pool
            + bytes((coins | self.i << 3 | self.j,))
            + positive(self.amount)
            + (self.token or b"")
        )

    @classmethod
    def decode(cls, op: int, reader: Reader) -> Self:
        """See ``Command``."""
        call = CurveCall(op & 7)
        pool, coins, amount = reader.address("pool"), reader.number(1, "coins"), reader.amount("amount")
        pulled = not coins & ETHER_IN and call not in REMOVALS
        token = reader.address("token") if pulled else None
        return cls(pool, call, coins >> 3 & 7, coins & 7, amount, token, bool(coins & ETHER_OUT))

    def sentence(self, following: Command | None) -> str:
        """See ``Command``."""
        pool = checksum(self.pool)
        after = " for ether" if self.ether_out else ""
        if self.call in REMOVALS:
            return f"Curve {pool}: {self.amount} of the LP token for coin {self.j}{after}"
        before = "ether" if self.token is None else checksum(self.token)
        if self.call in ADDITIONS:
            return f"Curve {pool}: {self.amount} of {before} (coin {self.i} of {self.j}) for the LP token"
        return f"Curve {pool}: {self.amount} of {before} (coin {self.i}) for coin {self.j}{after}"


def swap(leg: Leg) -> Curve:
    """The call that a leg through a Curve pool makes, with its input in hand and its output to the contract.

    Raises:
        ValueError: indices that are no coins of the pool.
    """
    facts = leg.facts
    if not isinstance(facts, CurveFacts):
        raise ValueError(f"{checksum(leg.pool)}: a Curve pool needs its facts, not {facts!r}")
    if leg.i == leg.j or not (0 <= leg.i <= facts.coins and 0 <= leg.j <= facts.coins):
        raise ValueError(f"{checksum(leg.pool)} has no coins {leg.i} and {leg.j}")
    token = None if leg.token_in == ZERO_ADDRESS else leg.token_in
    ether_out = leg.token_out == ZERO_ADDRESS
    if leg.i == facts.coins:
        call = CurveCall.REMOVE_UINT if facts.uint_indices else CurveCall.REMOVE
        return Curve(leg.pool, call, 0, leg.j, leg.amount_in, None, ether_out)
    if leg.j == facts.coins:
        call = CurveCall.ADD_ANY if facts.dynamic_amounts else CurveCall.ADD
        return Curve(leg.pool, call, leg.i, facts.coins, leg.amount_in, token)
    call = CurveCall.EXCHANGE_UINT if facts.uint_indices else CurveCall.EXCHANGE
    return Curve(leg.pool, call, leg.i, leg.j, leg.amount_in, token, ether_out)
