"""A cycle bound to the pools of one market: exact amounts along it, forwards and backwards."""

from __future__ import annotations

from dataclasses import dataclass

from flasharb.market.snapshot import Market
from flasharb.pools import Pool, V2Pool, virtual_reserves
from flasharb.pools.errors import QuoteUnavailable
from flasharb.strategy.trade import Cycle

_NEARBY = 64
"""Units by which a pool's own exact-output quote may miss the least input (rounding at each tick crossed)."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One hop's pool and direction."""

    pool: Pool
    zero_for_one: bool

    def out(self, amount: int) -> int:
        """What the pool gives for exactly this input."""
        return self.pool.amount_out(self.zero_for_one, amount)

    def least_input(self, amount: int) -> int:
        """The least input for which the pool gives at least ``amount``.

        A V2 pool says it; a V3 pool's quote for an exact output comes close, but rounds otherwise than an exact
        input's, so that its neighbours decide.
        """
        least = self.pool.amount_in(self.zero_for_one, amount)
        if isinstance(self.pool, V2Pool):
            return least
        for _ in range(_NEARBY):
            if least <= 1 or self.out(least - 1) < amount:
                break
            least -= 1
        while self.out(least) < amount:
            least += 1
        return least

    def reserve_in(self) -> int:
        """The input-side reserve (V3: virtual, at the current price)."""
        reserve0, reserve1 = virtual_reserves(self.pool)
        return reserve0 if self.zero_for_one else reserve1


@dataclass(frozen=True, slots=True)
class Route:
    """The legs of a cycle, from base token to base token."""

    legs: tuple[Leg, ...]

    @staticmethod
    def through(market: Market, cycle: Cycle) -> Route | None:
        """The route over the market's pools; None if one of them is not there."""
        pools = [market.pools.get(hop.pool) for hop in cycle]
        legs = tuple(Leg(pool, hop.zero_for_one) for pool, hop in zip(pools, cycle, strict=True) if pool is not None)
        return Route(legs) if len(legs) == len(cycle) else None

    def amounts(self, amount: int) -> tuple[int, ...] | None:
        """The input and what each leg gives after it; None where a pool cannot quote."""
        amounts = [amount]
        try:
            for leg in self.legs:
                amount = leg.out(amount)
                amounts.append(amount)
        except QuoteUnavailable:
            return None
        return tuple(amounts)

    def least_input(self, amount: int, legs: int) -> int | None:
        """The least input for which the first ``legs`` legs give at least ``amount``; None where they never do."""
        try:
            for leg in reversed(self.legs[:legs]):
                amount = leg.least_input(amount)
        except QuoteUnavailable:
            return None
        return amount
