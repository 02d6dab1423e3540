"""A constant-product pool (Uniswap V2 and its forks): immutable state and exact quotes.

The pair accepts a swap if and only if the product of the fee-adjusted balances does not fall (its ``K`` check). The
two quotes are the greatest output and the least input that pass it: ``amount_out`` equals the library's
``getAmountOut``; ``amount_in`` is one less than its ``getAmountIn`` where that division has no remainder (the library
adds one always).
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from flasharb.pools.errors import InsufficientLiquidity, Uninitialised
from flasharb.pools.spec import PoolSpec
from flasharb.units import PIPS

MAX_RESERVE = (1 << 112) - 1
"""The pair keeps reserves in uint112 and reverts beyond."""


# A Struct rather than a dataclass: one is made for every Sync event, at an eighth of the price.
class V2Pool(msgspec.Struct, frozen=True):
    """The reserves, as the last Sync event gave them."""

    spec: PoolSpec
    reserve0: int
    reserve1: int

    def with_reserves(self, reserve0: int, reserve1: int) -> V2Pool:
        """The pool after a Sync event."""
        return V2Pool(self.spec, reserve0, reserve1)

    def amount_out(self, zero_for_one: bool, amount_in: int) -> int:
        """The most that the pair lets out for ``amount_in``. See ``pools.amount_out``."""
        if zero_for_one:
            reserve_in, reserve_out = self.reserve0, self.reserve1
        else:
            reserve_in, reserve_out = self.reserve1, self.reserve0
        if amount_in <= 0 or not reserve_in or not reserve_out or reserve_in + amount_in > MAX_RESERVE:
            return self._refuse_in(reserve_in, reserve_out, amount_in)
        paid = amount_in * (PIPS - self.spec.fee_pips)
        return paid * reserve_out // (reserve_in * PIPS + paid)

    def amount_in(self, zero_for_one: bool, amount_out: int) -> int:
        """The least that the pair accepts for ``amount_out``. See ``pools.amount_in``."""
        if zero_for_one:
            reserve_in, reserve_out = self.reserve0, self.reserve1
        else:
            reserve_in, reserve_out = self.reserve1, self.reserve0
        if not 0 < amount_out < reserve_out or not reserve_in:
            return self._refuse_out(reserve_in, reserve_out, amount_out)
        paid = (reserve_out - amount_out) * (PIPS - self.spec.fee_pips)
        amount_in = -(-reserve_in * amount_out * PIPS // paid)
        if reserve_in + amount_in > MAX_RESERVE:
            raise InsufficientLiquidity(f"input {amount_in} would overflow the pair's reserve of {reserve_in}")
        return amount_in

    def swapped(self, zero_for_one: bool, amount: int, *, exact_in: bool = True) -> V2Swapped:
        """The swap at the pair's limit, and the pool after it.

        Raises:
            ValueError: an amount that is not positive.
        """
        if amount <= 0:
            raise ValueError(f"a swap needs a positive amount, not {amount}")
        amount_in = amount if exact_in else self.amount_in(zero_for_one, amount)
        amount_out = self.amount_out(zero_for_one, amount) if exact_in else amount
        if zero_for_one:
            after = self.with_reserves(self.reserve0 + amount_in, self.reserve1 - amount_out)
        else:
            after = self.with_reserves(self.reserve0 - amount_out, self.reserve1 + amount_in)
        return V2Swapped(amount_in, amount_out, after)

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


class V2Swapped(NamedTuple):
    """Input taken, output given, and the pool afterwards."""

    amount_in: int
    amount_out: int
    pool: V2Pool
