"""A cycle bound to the pools of one market: exact amounts along it, forwards and backwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from flasharb.market.snapshot import Market
from flasharb.pools import Pool, is_piecewise
from flasharb.pools.contract import beside, read_by, rounding
from flasharb.pools.errors import QuoteUnavailable
from flasharb.strategy.trade import Cycle, Hop


@dataclass(frozen=True, slots=True)
class Leg:
    """One hop's pool, and its token that goes in and that comes out, as indices."""

    pool: Pool
    i: int
    j: int

    @staticmethod
    def of(pool: Pool, hop: Hop) -> Leg:
        """The hop bound to its pool."""
        return Leg(pool, *pool.spec.ends(hop.token_in, hop.token_out))

    def least_input(self, amount: int) -> int:
        """The least input for which the pool gives at least ``amount``."""
        return self.pool.amount_in(self.i, self.j, amount)

    def reserve_in(self) -> int:
        """The input-side reserve (V3: virtual, at the current price)."""
        return self.pool.reserve_in(self.i, self.j)


@dataclass(frozen=True, slots=True)
class Route:
    """The legs of a cycle, from base token to base token.

    ``is_moving``: a leg's pool reads an earlier one's (a metapool its base pool's price), which has changed by then.
    Amounts forwards are exact all the same; those backwards (``least_input``) are of the pools as they are now.
    """

    legs: tuple[Leg, ...]
    is_moving: bool = field(init=False)

    def __post_init__(self) -> None:
        """Look for pools that read earlier ones."""
        seen: set[object] = set()
        moving = False
        for leg in self.legs:
            moving = moving or read_by(leg.pool) in seen
            seen.add(leg.pool.spec.address)
        object.__setattr__(self, "is_moving", moving)

    @staticmethod
    def through(market: Market, cycle: Cycle) -> Route | None:
        """The route over the market's pools; None if one of them is not there."""
        pools = [market.pools.get(hop.pool) for hop in cycle]
        legs = tuple(Leg.of(pool, hop) for pool, hop in zip(pools, cycle, strict=True) if pool is not None)
        return Route(legs) if len(legs) == len(cycle) else None

    def is_piecewise(self) -> bool:
        """Whether every pool's curve is known in closed form."""
        return all(is_piecewise(leg.pool) for leg in self.legs)

    def rounding(self, exact_after: int | None = None) -> float:
        """The most that roundings take of the route's output.

        A unit that is missing somewhere is worth at most what the following legs give for it at the margin: their rates
        only fall from there. ``exact_after``: for inputs that are the least for what comes out of this many legs, the
        last rounding there is none, but the input may be one unit more than the real one.

        Raises:
            QuoteUnavailable: a pool has no rate.
        """
        worth, total = 1.0, 0.0
        for position, leg in zip(range(len(self.legs), 0, -1), reversed(self.legs), strict=True):
            units_in, units_out = rounding(leg.pool, leg.i, leg.j)
            total += (units_out - (position == exact_after)) * worth
            worth *= leg.pool.marginal_rate(leg.i, leg.j)
            total += units_in * worth
        return total if exact_after is None else total + worth

    def marginal_rate(self) -> float:
        """Output per input for an infinitesimal amount.

        Raises:
            QuoteUnavailable: a pool has no rate.
        """
        rate = 1.0
        for leg in self.legs:
            rate *= leg.pool.marginal_rate(leg.i, leg.j)
        return rate

    def amounts(self, amount: int) -> tuple[int, ...] | None:
        """The input and what each leg gives after it; None where a pool cannot quote."""
        amounts = [amount]
        try:
            if self.is_moving:
                return (amount, *self._one_after_another(amount))
            for leg in self.legs:
                amount = leg.pool.amount_out(leg.i, leg.j, amount)
                amounts.append(amount)
        except QuoteUnavailable:
            return None
        return tuple(amounts)

    def _one_after_another(self, amount: int) -> Iterator[int]:
        """What each leg gives on the pools that those before it leave."""
        legs = list(self.legs)
        for at, leg in enumerate(legs):
            read = any(read_by(later.pool) == leg.pool.spec.address for later in legs[at + 1 :])
            if read and amount:
                _, amount, after = leg.pool.swapped(leg.i, leg.j, amount)
                legs[at + 1 :] = [replace(later, pool=beside(later.pool, after)) for later in legs[at + 1 :]]
            else:
                amount = leg.pool.amount_out(leg.i, leg.j, amount)
            yield amount

    def least_input(self, amount: int, legs: int) -> int | None:
        """The least input for which the first ``legs`` legs give at least ``amount``; None where they never do."""
        try:
            for leg in reversed(self.legs[:legs]):
                amount = leg.least_input(amount)
        except QuoteUnavailable:
            return None
        return amount
