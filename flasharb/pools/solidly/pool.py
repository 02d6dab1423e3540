"""A pair of Solidly or a fork: volatile (xy) or stable (x³y + xy³), immutable state and exact quotes.

The fee is a share of the input, rounded down, and leaves the pair for a contract of its own during the swap: the
reserves afterwards are without it. The pair lets a swap pass if its invariant does not fall.

A volatile pair's quote is the most that it lets out. A stable pair's quote (``getAmountOut``) comes from a search that
may end a unit too high for its own check, which rounds in another order: ``amount_out`` is that quote, lowered until
the pair lets it pass.

The output is concave in the input up to the rounding of a few units; where balances are small (less than about 1e6
units of a token of few decimals) the products of the stable curve round away so much that it is a staircase.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from flasharb.pools.contract import Swapped
from flasharb.pools.errors import InsufficientLiquidity, Uninitialised
from flasharb.pools.inverse import least_input
from flasharb.pools.solidly.curve import ONE, invariant, reserve_after
from flasharb.pools.solidly.facts import SolidlyFacts
from flasharb.pools.spec import PoolSpec
from flasharb.units import BPS


class SolidlyPool(msgspec.Struct, frozen=True):
    """Reserves in smallest units, as the last Sync event gave them, and the fee in basis points."""

    spec: PoolSpec
    facts: SolidlyFacts
    reserves: tuple[int, int]
    fee_bps: int

    def quoted(self, i: int, j: int, amount_in: int) -> int:
        """The pair's own ``getAmountOut``; a stable pair may refuse to pay it.

        Raises as ``amount_out`` does.
        """
        taken = amount_in - amount_in * self.fee_bps // BPS
        reserve_in, reserve_out = self.reserves[i], self.reserves[j]
        if not self.facts.stable:
            return taken * reserve_out // (reserve_in + taken)
        unit_in, unit_out = self.facts.units[i], self.facts.units[j]
        x, y = reserve_in * ONE // unit_in, reserve_out * ONE // unit_out
        target = invariant(x, y)
        after = reserve_after(x + taken * ONE // unit_in, target, y, self.facts.loop)
        if after > y:
            raise InsufficientLiquidity("the pair's search ends above its reserve")
        return (y - after) * unit_out // ONE

    def amount_out(self, i: int, j: int, amount_in: int) -> int:
        """The pair's own quote for exactly ``amount_in``, lowered to what it lets pass; 0 for 0.

        Raises:
            Uninitialised: the pair has no reserves.
            InsufficientLiquidity: the pair's mathematics fails for these amounts: it would revert.
            ValueError: a negative amount, or i = j.
        """
        if amount_in <= 0 or i == j or not all(self.reserves):
            return self._refuse(i, j, amount_in)
        amount_out = self.quoted(i, j, amount_in)
        if not self.facts.stable or not amount_out:
            return amount_out
        reserve_in, reserve_out = self._scaled(i, self.reserves[i]), self._scaled(j, self.reserves[j])
        least = invariant(reserve_in, reserve_out)
        after_in = self._scaled(i, self.reserves[i] + amount_in - amount_in * self.fee_bps // BPS)

        def passes(lowered: int) -> bool:
            return invariant(after_in, self._scaled(j, self.reserves[j] - lowered)) >= least

        return amount_out if passes(amount_out) else _greatest(passes, amount_out)

    def amount_in(self, i: int, j: int, amount_out: int) -> int:
        """The least input for which ``amount_out`` gives at least that much; 0 for 0. Raises as it does."""
        if amount_out <= 0 or i == j or not all(self.reserves):
            return self._refuse(i, j, amount_out)
        if amount_out >= self.reserves[j]:
            raise InsufficientLiquidity(f"output {amount_out} is not less than the reserve of {self.reserves[j]}")
        guess = self._about(i, j, amount_out) * BPS // (BPS - self.fee_bps)
        return least_input(lambda amount: self.amount_out(i, j, amount), amount_out, guess)

    def marginal_rate(self, i: int, j: int) -> float:
        """Output per input, both in smallest units, for an infinitesimal amount, fee taken off.

        Raises:
            Uninitialised: the pair has no reserves.
        """
        if not all(self.reserves):
            raise Uninitialised("the pair has no reserves")
        x, y = self.reserves[i], self.reserves[j]
        kept = (BPS - self.fee_bps) / BPS
        if not self.facts.stable:
            return kept * (y / x)
        unit_in, unit_out = self.facts.units[i], self.facts.units[j]
        a, b = x / unit_in, y / unit_out
        return kept * (b * (3 * a * a + b * b)) / (a * (a * a + 3 * b * b)) * (unit_out / unit_in)

    def reserve_in(self, i: int, j: int) -> int:
        """The reserve of the token that goes in."""
        return self.reserves[i]

    def depth(self) -> tuple[int, ...]:
        """Both reserves."""
        return self.reserves

    def swapped(self, i: int, j: int, amount_in: int) -> Swapped[SolidlyPool]:
        """The swap, and the pair afterwards; the fee has left it.

        Raises:
            ValueError: an amount that is not positive.
        """
        if amount_in <= 0:
            raise ValueError(f"a swap needs a positive amount, not {amount_in}")
        amount_out = self.amount_out(i, j, amount_in)
        after = list(self.reserves)
        after[i] += amount_in - amount_in * self.fee_bps // BPS
        after[j] -= amount_out
        return Swapped(amount_in, amount_out, self.after_sync(after[0], after[1]))

    def after_sync(self, reserve0: int, reserve1: int) -> SolidlyPool:
        """The pair after its ``Sync`` event, which every change of the reserves ends with."""
        return msgspec.structs.replace(self, reserves=(reserve0, reserve1))

    def after_fee_changed(self, fee_bps: int) -> SolidlyPool:
        """The pair after its factory has set another fee."""
        return msgspec.structs.replace(self, fee_bps=fee_bps)

    def _about(self, i: int, j: int, amount_out: int) -> int:
        """The input after the fee for this output, near enough to begin a search with."""
        left = self.reserves[j] - amount_out
        if not self.facts.stable:
            return -(-self.reserves[i] * amount_out // left)
        x, y = self._scaled(i, self.reserves[i]), self._scaled(j, self.reserves[j])
        try:
            after = reserve_after(self._scaled(j, left), invariant(x, y), x, self.facts.loop)
        except InsufficientLiquidity:
            return round(amount_out / self.marginal_rate(i, j))
        return max(0, after - x) * self.facts.units[i] // ONE

    def _scaled(self, k: int, amount: int) -> int:
        return amount * ONE // self.facts.units[k]

    def _refuse(self, i: int, j: int, amount: int) -> int:
        if amount < 0:
            raise ValueError(f"an amount cannot be negative: {amount}")
        if i == j:
            raise ValueError(f"token {i} cannot be swapped for itself")
        if not all(self.reserves):
            raise Uninitialised("the pair has no reserves")
        return 0


def _greatest(passes: Callable[[int], bool], high: int) -> int:
    """The greatest amount below ``high``, which does not pass, that passes; nothing at all always does."""
    reach = 1
    while high - reach > 0 and not passes(high - reach):
        high -= reach
        reach *= 2
    low = max(0, high - reach)
    while high - low > 1:
        middle = (low + high) // 2
        if passes(middle):
            low = middle
        else:
            high = middle
    return low
