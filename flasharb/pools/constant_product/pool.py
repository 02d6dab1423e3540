"""A constant-product pool (Uniswap V2 and its forks): immutable state and exact quotes.

The pair accepts a swap if and only if the product of the fee-adjusted balances does not fall (its ``K`` check). The
two quotes are the greatest output and the least input that pass it: ``amount_out`` equals the library's
``getAmountOut``; ``amount_in`` is one less than its ``getAmountIn`` where that division has no remainder (the library
adds one always).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

import msgspec

from flasharb.pools.contract import Swapped
from flasharb.pools.errors import InsufficientLiquidity, Uninitialised
from flasharb.pools.pieces import Piece
from flasharb.pools.spec import PoolSpec
from flasharb.units import PIPS

MAX_RESERVE = (1 << 112) - 1
"""The pair keeps reserves in uint112 and reverts beyond."""


# A Struct rather than a dataclass: one is made for every Sync event, at an eighth of the price.
class V2Pool(msgspec.Struct, frozen=True, gc=False):
    """The reserves, as the last Sync event gave them."""

    spec: PoolSpec
    reserve0: int
    reserve1: int

    def with_reserves(self, reserve0: int, reserve1: int) -> V2Pool:
        """The pool after a Sync event."""
        return V2Pool(self.spec, reserve0, reserve1)

    def amount_out(self, i: int, j: int, amount_in: int) -> int:
        """The most that the pair lets out for ``amount_in``."""
        if i:
            reserve_in, reserve_out = self.reserve1, self.reserve0
        else:
            reserve_in, reserve_out = self.reserve0, self.reserve1
        if amount_in <= 0 or not reserve_in or not reserve_out or reserve_in + amount_in > MAX_RESERVE:
            return self._refuse_in(reserve_in, reserve_out, amount_in)
        paid = amount_in * (PIPS - self.spec.fee_pips)
        return paid * reserve_out // (reserve_in * PIPS + paid)

    def amount_in(self, i: int, j: int, amount_out: int) -> int:
        """The least that the pair accepts for ``amount_out``."""
        if i:
            reserve_in, reserve_out = self.reserve1, self.reserve0
        else:
            reserve_in, reserve_out = self.reserve0, self.reserve1
        if not 0 < amount_out < reserve_out or not reserve_in:
            return self._refuse_out(reserve_in, reserve_out, amount_out)
        paid = (reserve_out - amount_out) * (PIPS - self.spec.fee_pips)
        amount_in = -(-reserve_in * amount_out * PIPS // paid)
        if reserve_in + amount_in > MAX_RESERVE:
            raise InsufficientLiquidity(f"input {amount_in} would overflow the pair's reserve of {reserve_in}")
        return amount_in

    def marginal_rate(self, i: int, j: int) -> float:
        """See ``Pool.marginal_rate``."""
        self._require_reserves()
        # not one division of integers: the search works out many rates at once, in floats, and must come to the same
        price = float(self.reserve1) / float(self.reserve0)
        gamma = (PIPS - self.spec.fee_pips) / PIPS
        return gamma / price if i else gamma * price

    def reserve_in(self, i: int, j: int) -> int:
        """The reserve of the token that goes in."""
        self._require_reserves()
        return self.reserve1 if i else self.reserve0

    def depth(self) -> tuple[int, int]:
        """Both reserves, whole."""
        self._require_reserves()
        return self.reserve0, self.reserve1

    def rounding(self, i: int, j: int) -> tuple[int, int]:
        """One division, rounded down."""
        return 0, 1

    def pieces(self, i: int, j: int) -> Iterator[Piece]:
        """One piece without an end; none without reserves."""
        if self.reserve0 and self.reserve1:
            reserves = float(self.reserve0), float(self.reserve1)
            yield Piece((PIPS - self.spec.fee_pips) / PIPS, reserves[i], reserves[j], inf)

    def swapped(self, i: int, j: int, amount: int, *, exact_in: bool = True) -> Swapped[V2Pool]:
        """The swap at the pair's limit, and the pool after it.

        Raises:
            ValueError: an amount that is not positive.
        """
        if amount <= 0:
            raise ValueError(f"a swap needs a positive amount, not {amount}")
        amount_in = amount if exact_in else self.amount_in(i, j, amount)
        amount_out = self.amount_out(i, j, amount) if exact_in else amount
        if i:
            after = self.with_reserves(self.reserve0 - amount_out, self.reserve1 + amount_in)
        else:
            after = self.with_reserves(self.reserve0 + amount_in, self.reserve1 - amount_out)
        return Swapped(amount_in, amount_out, after)

    def _require_reserves(self) -> None:
        if not self.reserve0 or not self.reserve1:
            raise Uninitialised("the pool has no reserves")

    def _refuse_in(self, reserve_in: int, reserve_out: int, amount_in: int) -> int:
        if amount_in < 0:
            raise ValueError(f"an amount cannot be negative: {amount_in}")
        if not reserve_in or not reserve_out:
            raise Uninitialised("the pool has no reserves")
        if amount_in:
            raise InsufficientLiquidity(f"input {amount_in} would overflow the pair's reserve of {reserve_in}")
        return 0

    def _refuse_out(self, reserve_in: int, reserve_out: int, amount_out: int) -> int:
        if amount_out < 0:
            raise ValueError(f"an amount cannot be negative: {amount_out}")
        if not reserve_in or not reserve_out:
            raise Uninitialised("the pool has no reserves")
        if amount_out:
            raise InsufficientLiquidity(f"output {amount_out} is not less than the reserve of {reserve_out}")
        return 0
