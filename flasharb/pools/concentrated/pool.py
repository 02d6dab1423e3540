"""A concentrated-liquidity pool (Uniswap V3 and its forks): immutable state and exact quotes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import msgspec

from flasharb.pools.concentrated import shape
from flasharb.pools.concentrated.ladder import Ladder
from flasharb.pools.concentrated.liquidity import TickLiquidity
from flasharb.pools.concentrated.quote import amount_in_for_exact_out, amount_out_for_exact_in, whole_inputs
from flasharb.pools.concentrated.rate import marginal_rate
from flasharb.pools.concentrated.swap import swap
from flasharb.pools.contract import Swapped
from flasharb.pools.errors import Uninitialised
from flasharb.pools.inverse import least_input
from flasharb.pools.pieces import Piece
from flasharb.pools.spec import PoolSpec


# A Struct rather than a dataclass: one is made for every Swap event, at an eighth of the price.
class V3Pool(msgspec.Struct, frozen=True):
    """Price, tick and active liquidity as the chain has them, and the ladder of the ticks that are known.

    ``sqrt_price_x96`` is zero until the pool is initialised.
    """

    spec: PoolSpec
    sqrt_price_x96: int
    tick: int
    liquidity: int
    ladder: Ladder

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

    def ticks_agree(self) -> bool:
        """Whether the known ticks add up to the active liquidity; if not, a Mint or Burn was missed."""
        return self.liquidity == self.ladder.liquidity_at(self.tick)

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

    def marginal_rate(self, i: int, j: int) -> float:
        """See ``Pool.marginal_rate``; in a stretch without liquidity the rate where the liquidity begins."""
        return marginal_rate(self.ladder, (self.sqrt_price_x96, self.tick, self.liquidity), not i)

    def reserve_in(self, i: int, j: int) -> int:
        """The virtual reserve at the current price: ``L / sqrt(P)`` or ``L * sqrt(P)``, rounded down."""
        price = self._price()
        return self.liquidity * price >> 96 if i else (self.liquidity << 96) // price

    def depth(self, share: float = 0.10) -> tuple[int, int]:
        """What the pool pays of each token until its price has moved by ``share``. See ``shape.liquidity_within``."""
        self._price()
        return shape.liquidity_within(self, share)

    def whole_inputs(self, i: int, j: int, amount_in: int) -> tuple[int, ...]:
        """The inputs next to ``amount_in`` of which the fee of the last step leaves a whole number."""
        return whole_inputs(self.ladder, self.sqrt_price_x96, self.tick, self.liquidity, not i, amount_in)

    def pieces(self, i: int, j: int) -> Iterator[Piece]:
        """The ranges of constant liquidity from the current price to the end of what is known."""
        return shape.pieces(self, not i)

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

    def _price(self) -> int:
        if not self.sqrt_price_x96:
            raise Uninitialised("the pool has no price yet")
        return self.sqrt_price_x96


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
