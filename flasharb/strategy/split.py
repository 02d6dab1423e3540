"""Several cycles as one trade: amounts that are the best together, in whole units, one path after the other.

Cycles that share pools spoil each other's price: the first takes what the second was sized on. ``joint`` says in real
numbers how much is best for each pool. Here these amounts become paths, and the paths exact: each is quoted on the
pools as the paths before it leave them, which is how the transaction runs them. All but the last take the real amount,
rounded to the least input for a whole unit of the path's coarsest token; the last one takes its best exact size on what
they leave, so that nothing of the rounding is lost.

More paths cost more gas. So paths are added, the one that gains most first, as long as the net profit grows; the
amounts are worked out anew for each number of paths.

The bound is the dual's, over all pools looked at: no split over any of them gains more, in however many paths.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

from flasharb.market.snapshot import Market
from flasharb.pools import Pool
from flasharb.pools.contract import beside, read_by
from flasharb.pools.errors import QuoteUnavailable
from flasharb.pools.quoted.pool import QuotedPool
from flasharb.strategy.gas import gas_estimate
from flasharb.strategy.joint import Solved, solve
from flasharb.strategy.limits import Limits
from flasharb.strategy.paths import Path, paths
from flasharb.strategy.route import Leg, Route
from flasharb.strategy.size import Problem, best_size, loan_fee, snapped
from flasharb.strategy.trade import Cycle, Hop, Trade, TradeHop
from flasharb.units import WAD, Address

_MOST_HOPS: Final = 4
_SHORT: Final = 1 - 1e-10
"""The real amounts less their error, so that none lies beyond the end of the known ticks."""
MOST_CENTRES: Final = 4
MOST_NEAR: Final = 12
"""Bounds of the work in one block: neighbourhoods looked at, and other cycles in each of them."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a split is worth: ``net`` of a trade, in any one unit; ``limits`` and ``loan_fee_wad`` as for ``size``."""

    limits: Limits
    loan_fee_wad: int
    net: Callable[[Trade], int]
    max_paths: int = 4


def split(market: Market, trades: Sequence[Trade], terms: Terms) -> Trade | None:
    """The best trade of several paths over the pools of ``trades``, which have one base token.

    None where the first trade alone nets at least as much. ``id`` and block are the first trade's.
    """
    alone = trades[0]
    hops = tuple(dict.fromkeys(one.hop for trade in trades for one in trade.hops))
    neighbourhood = _Neighbourhood(market, hops, alone.base_token, terms)
    whole = neighbourhood.solved(neighbourhood.legs)
    if whole is None:
        return None
    fee, least = alone.loan_fee, terms.net(alone)
    if whole.bound is not None and terms.net(replace(alone, gross_profit=int(whole.bound) + 1 + fee)) <= least:
        return None  # more than one path costs more gas, and there is no more to gain
    ways = paths(neighbourhood.legs, whole, alone.base_token, _MOST_HOPS)
    best: Trade | None = None
    for count in range(2, min(len(ways), terms.max_paths) + 1):
        trade = neighbourhood.trade(alone, ways[:count], whole.bound)
        if trade is None or terms.net(trade) <= least:
            break
        best, least = trade, terms.net(trade)
    return best


class _Neighbourhood:
    """Some hops of a market, bound to their pools."""

    def __init__(self, market: Market, hops: Sequence[Hop], base: Address, terms: Terms) -> None:
        self.pools: Mapping[Address, Pool] = market.pools
        self._between: dict[Address, frozenset[Address]] = {}
        self.base, self.terms = base, terms
        bound = [(hop, market.pools.get(hop.pool)) for hop in hops]
        usable = [(hop, pool) for hop, pool in bound if pool is not None and self._is_usable(hop, pool)]
        self.hops = [hop for hop, _ in usable]
        self.legs = [Leg.of(pool, hop) for hop, pool in usable]
        self._reading: dict[Address, set[Address]] = {}
        for hop, pool in usable:
            other = read_by(pool)
            if other is not None:
                self._reading.setdefault(other, set()).add(hop.pool)

    def _is_usable(self, hop: Hop, pool: Pool) -> bool:
        """A pool of several tokens takes part between two of them only: its curves for other pairs move with these.

        One that is quoted by running its code takes none: its rate is only measured, and hundreds of quotes are dear.
        """
        ends = _ends(hop)
        return not isinstance(pool, QuotedPool) and self._between.setdefault(hop.pool, ends) == ends

    def solved(self, legs: Sequence[Leg]) -> Solved | None:
        """The joint optimum over some of the legs."""
        try:
            caps = [float(self.terms.limits.most_input(leg.reserve_in())) for leg in legs]
        except QuoteUnavailable:
            return None
        return solve(legs, self.base, 1.0 + self.terms.loan_fee_wad / WAD, caps)

    def trade(self, alone: Trade, ways: Sequence[Path], bound: float | None) -> Trade | None:
        """The trade over the legs of these ways alone, in whole units."""
        kept = sorted({leg for way in ways for leg in way.legs})
        legs = [self.legs[leg] for leg in kept]
        solved = self.solved(legs)
        if solved is None:
            return None
        cycles = [
            (tuple(self.hops[kept[leg]] for leg in way.legs), int(way.amount_in * _SHORT))
            for way in paths(legs, solved, self.base, _MOST_HOPS)[: len(ways)]
        ]
        made = self._exact(cycles)
        if made is None or len(made) < 2:
            return None
        hops = tuple(hop for path in made for hop in path)
        starts = [sum(map(len, made[:count])) for count in range(1, len(made))]
        gross = sum(path[-1].amount_out - path[0].amount_in for path in made)
        fee = sum(loan_fee(path[0].amount_in, self.terms.loan_fee_wad) for path in made)
        return replace(
            alone,
            hops=hops,
            starts=tuple(starts),
            gross_profit=gross,
            loan_fee=fee,
            gas_estimate=gas_estimate(hops),
            gain_bound=0 if bound is None else max(int(bound) + 1, gross - fee),
        )

    def _exact(self, cycles: Sequence[tuple[Cycle, int]]) -> list[tuple[TradeHop, ...]] | None:
        """The paths in order, each on the pools that those before leave; None where one cannot be had."""
        # only the first of these maps is written to
        pools: ChainMap[Address, Pool] = ChainMap({}, cast("dict[Address, Pool]", self.pools))
        used: dict[Hop, int] = {}
        made = []
        for position, (cycle, amount) in enumerate(cycles):
            legs = tuple(Leg.of(pools[hop.pool], hop) for hop in cycle)
            problem = Problem(Route(legs), tuple(self._left(hop, used) for hop in cycle), self.terms.loan_fee_wad)
            is_last = position == len(cycles) - 1
            amounts = best_size(problem, self.terms.limits) if is_last else snapped(problem, amount)
            if amounts is None:
                return None
            for leg, hop, amount_in in zip(legs, cycle, amounts, strict=False):
                if not is_last:
                    after = pools[hop.pool].swapped(leg.i, leg.j, amount_in)[2]
                    pools[hop.pool] = after
                    pools |= {at: beside(pools[at], after) for at in self._reading.get(hop.pool, ())}
                used[hop] = used.get(hop, 0) + amount_in
            made.append(
                tuple(
                    TradeHop(hop, leg.pool.spec, amount_in, amount_out)
                    for hop, leg, amount_in, amount_out in zip(cycle, legs, amounts, amounts[1:], strict=False)
                )
            )
        return made

    def _left(self, hop: Hop, used: Mapping[Hop, int]) -> int:
        """What the position limit leaves of a pool, by its reserve before the trade."""
        leg = Leg.of(self.pools[hop.pool], hop)
        return max(self.terms.limits.most_input(leg.reserve_in()) - used.get(hop, 0), 0)


def splits(market: Market, trades: Sequence[Trade], terms: Terms) -> list[Trade]:
    """Trades of several paths around those that net most, where they net more than these."""
    ordered = sorted(trades, key=lambda trade: -terms.net(trade))
    covered: set[int] = set()
    found = []
    for alone in ordered[:MOST_CENTRES]:
        ends = {one.hop.pool: _ends(one.hop) for one in alone.hops}
        near = [
            trade
            for trade in ordered
            if trade is not alone
            and trade.base_token == alone.base_token
            and any(one.hop.pool in ends for one in trade.hops)
            and all(ends.get(one.hop.pool, _ends(one.hop)) == _ends(one.hop) for one in trade.hops)
        ][:MOST_NEAR]
        if alone.id in covered or not near:
            continue
        covered.update(trade.id for trade in near)
        made = split(market, [alone, *near], terms)
        if made is not None:
            found.append(made)
    return found


def _ends(hop: Hop) -> frozenset[Address]:
    return frozenset((hop.token_in, hop.token_out))
