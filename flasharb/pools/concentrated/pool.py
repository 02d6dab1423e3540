"""A concentrated-liquidity pool (Uniswap V3 and its forks): immutable state and exact quotes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from flasharb.pools.concentrated.ladder import Ladder
from flasharb.pools.concentrated.liquidity import TickLiquidity
from flasharb.pools.concentrated.on_ladder import OnLadder
from flasharb.pools.concentrated.quote import amount_in_for_exact_out, amount_out_for_exact_in
from flasharb.pools.concentrated.swap import swap
from flasharb.pools.contract import Swapped
from flasharb.pools.inverse import least_input
from flasharb.pools.spec import PoolSpec


class V3Pool(OnLadder, frozen=True):
    """A pool that is a contract of its own."""

    def with_price(self, sqrt_price_x96: int, tick: int, liquidity: int) -> V3Pool:
        """The pool after a Swap or Initialize event, in constant time.

        The event's liquidity is the chain's word; ``ticks_agree`` says whether the known ticks lead to the same.
        """
        return V3Pool(self.spec, sqrt_price_x96, tick, liquidity, self.ladder)

    def with_liquidity_change(self, tick_lower: int, tick_upper: int, delta: int) -> V3Pool:
        """The pool after a Mint (``delta`` > 0) or Burn (< 0) over ``[tick_lower, tick_upper)``; zero changes nothing.

        Raises:
            ValueError: the change contradicts the known ticks (events were missed): load the pool anew.
        """
        if not delta:
            return self
        active = self.liquidity + delta if tick_lower <= self.tick < tick_upper else self.liquidity
        ladder = self.ladder.with_position(tick_lower, tick_upper, delta)
        return V3Pool(self.spec, self.sqrt_price_x96, self.tick, active, ladder)

    def amount_out(self, i: int, j: int, amount_in: int) -> int:
        """What the pool pays for ``amount_in``, all of which it takes."""
        if amount_in <= 0 or not self.sqrt_price_x96:
            return self._nothing(amount_in)
        return amount_out_for_exact_in(self.ladder, self.sqrt_price_x96, self.tick, self.liquidity, not i, amount_in)

    def amount_in_exact_out(self, i: int, j: int, amount_out: int) -> int:
        """What the pool takes in a swap of exact output; its rounding may ask for more than ``amount_in`` does."""
        if amount_out <= 0 or not self.sqrt_price_x96:
            return self._nothing(amount_out)
        return amount_in_for_exact_out(self.ladder, self.sqrt_price_x96, self.tick, self.liquidity, not i, amount_out)

    def amount_in(self, i: int, j: int, amount_out: int) -> int:
        """The least input of a swap of exact input that pays ``amount_out``.

        The pool's own quote for an exact output comes close, but rounds otherwise: its neighbours decide.
        """
        guess = self.amount_in_exact_out(i, j, amount_out)
        return least_input(partial(self.amount_out, i, j), amount_out, guess) if guess else 0

    def swapped(
        self, i: int, j: int, amount: int, *, exact_in: bool = True, sqrt_price_limit_x96: int | None = None
    ) -> Swapped[V3Pool]:
        """The whole swap: what it takes and gives, also where the pool runs dry or meets the limit, and the pool after.

        Raises:
            ValueError: an amount that is not positive, or a limit behind the current price.
        """
        price = self._price()
        if amount <= 0:
            raise ValueError(f"a swap needs a positive amount, not {amount}")
        result = swap(
            self.ladder,
            (price, self.tick, self.liquidity),
            not i,
            amount,
            exact_in=exact_in,
            sqrt_price_limit_x96=sqrt_price_limit_x96,
        )
        after = self.with_price(result.sqrt_price_x96, result.tick, result.liquidity)
        return Swapped(result.amount_in, result.amount_out, after)

    def _nothing(self, amount: int) -> int:
        """Zero for zero, otherwise why there is no answer."""
        if amount < 0:
            raise ValueError(f"an amount cannot be negative: {amount}")
        self._price()
        return 0


def v3_pool(
    spec: PoolSpec,
    sqrt_price_x96: int,
    tick: int,
    liquidity: int,
    ticks: Mapping[int, TickLiquidity],
    words: tuple[int, int] | None = None,
) -> V3Pool:
    """A pool from its state; ``ticks`` are all initialised ticks of the bitmap words ``words`` (None: of all words).

    Raises:
        ValueError: ticks, liquidity and words contradict each other.
    """
    info = {at: TickLiquidity(*known) for at, known in ticks.items()}
    fees = (spec.fee_pips, spec.fee_pips)
    ladder = Ladder.around(fees, spec.tick_spacing, info, tick=tick, liquidity=liquidity, words=words)
    return V3Pool(spec, sqrt_price_x96, tick, liquidity, ladder)
