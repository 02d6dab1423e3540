"""What every pool answers, whatever its mathematics.

A pool is an immutable value. ``i`` and ``j`` index ``spec.tokens``: ``i`` goes in, ``j`` comes out, never the same.
Amounts are whole numbers of the tokens' smallest units. A quote that cannot be given raises one of ``pools.errors``.
How a pool follows its events is its protocol's own business (``pools.protocols``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, NamedTuple, Protocol, TypeGuard, TypeVar, cast

from flasharb.pools.pieces import Piece
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address


class Pool(Protocol):
    """The state of one pool."""

    @property
    def spec(self) -> PoolSpec:
        """What is fixed about it."""
        ...

    def amount_out(self, i: int, j: int, amount: int, /) -> int:
        """Exactly what the contract pays, fee taken off, for exactly this input, all of which it takes; 0 for 0.

        Raises:
            Uninitialised: no reserves or no price.
            InsufficientLiquidity: the pool runs dry before it has taken the input.
            UnknownRange: the quote needs state that nobody has loaded.
            ValueError: a negative amount.
        """
        ...

    def amount_in(self, i: int, j: int, amount: int, /) -> int:
        """The least input for which ``amount_out`` gives at least this output; 0 for 0. Raises as that does."""
        ...

    def marginal_rate(self, i: int, j: int, /) -> float:
        """Output per input, both in smallest units, for an infinitesimal amount, fee taken off.

        Raises:
            QuoteUnavailable: nothing to be had in this direction, or not known.
        """
        ...

    def reserve_in(self, i: int, j: int, /) -> int:
        """The input-side reserve that position limits are a share of.

        Raises:
            Uninitialised: no reserves or no price.
        """
        ...

    def depth(self) -> tuple[int, ...]:
        """What it pays of each token at about its price: its balances, of ticks those within 10 % of the price.

        Raises:
            QuoteUnavailable: no reserves or no price, or not all of that is known.
        """
        ...

    def swapped(self, i: int, j: int, amount: int, /) -> tuple[int, int, Pool]:
        """Input taken, output given, and the pool afterwards, as its storage is after the contract's own swap."""
        ...


class Piecewise(Pool, Protocol):
    """A pool whose curve is a chain of Möbius maps, so that a route of such pools is sized in closed form."""

    def pieces(self, i: int, j: int, /) -> Iterator[Piece]:
        """The pieces from the current price, lazily; none for a pool without price or reserves."""
        ...


class Timed(Pool, Protocol):
    """A pool that answers for blocks of one time: its curve moves by the clock, or it remembers when it was traded."""

    @property
    def moves_with_time(self) -> bool:
        """Whether its quotes may differ from one block to the next without any log."""
        ...

    def at(self, timestamp: int, /) -> Timed:
        """The same pool in a block of another time (Unix seconds)."""
        ...


def is_timed(pool: Pool) -> TypeGuard[Timed]:
    """Whether a pool answers for one block time."""
    return hasattr(pool, "moves_with_time")


def is_piecewise(pool: Pool) -> TypeGuard[Piecewise]:
    """Whether a pool has pieces. (``isinstance`` of a protocol compares all methods, and takes as long as a sizing.)"""
    return hasattr(pool, "pieces")


def rounding(pool: Pool, i: int, j: int) -> tuple[int, int]:
    """Units of the input and of the output by which a quote may lie below the pool's real curve.

    A pool says so in a method ``rounding(i, j)``. What bounds a gain relies on it; three of each is what nobody who
    rounds a few times exceeds.
    """
    known = getattr(pool, "rounding", None)
    units: tuple[int, int] = (3, 3) if known is None else known(i, j)
    return units


def whole_inputs(pool: Pool, i: int, j: int, amount: int) -> tuple[int, ...]:
    """The inputs next to ``amount`` of which the pool's fee leaves a whole number, so that none of it is lost.

    A pool that rounds what its fee leaves says so in a method of this name; of others every input is as good.

    Raises:
        QuoteUnavailable: as for a quote.
    """
    known = getattr(pool, "whole_inputs", None)
    inputs: tuple[int, ...] = () if known is None else known(i, j, amount)
    return inputs


class Reader(Pool, Protocol):
    """A pool whose quotes depend on the state of another one (a metapool's on its base pool's price)."""

    @property
    def reads(self) -> Address | None:
        """The other pool; None: there is none."""
        ...

    def beside(self, other: Pool, /) -> Pool:
        """The pool once the other one is this."""
        ...


def read_by(pool: Pool) -> Address | None:
    """The other pool that this one's quotes depend on."""
    other: Address | None = getattr(pool, "reads", None)
    return other


def beside(pool: Pool, other: Pool) -> Pool:
    """A pool after a hop through ``other``, which it may read."""
    return cast("Reader", pool).beside(other) if read_by(pool) == other.spec.address else pool


After = TypeVar("After")


class Swapped(NamedTuple, Generic[After]):
    """Input taken (fee included), output given, and the pool afterwards."""

    amount_in: int
    amount_out: int
    pool: After


def ends(zero_for_one: bool) -> tuple[int, int]:
    """The indices of a direction through a pool of two tokens."""
    return (0, 1) if zero_for_one else (1, 0)
