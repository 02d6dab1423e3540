"""Finding cycles whose marginal rate, fees included, exceeds one.

Lists of pool cycles explode with the number of pools per token pair, so none is kept. Every pool gives an edge for each
ordered pair of its tokens, and each directed token pair has its best marginal rate. A token cycle is profitable at the
margin for *some* choice of pools only if it is for the best pool of each leg, since each leg maximises by itself. Only
the token cycles that pass are expanded into pools, and then into all combinations that pass, because the most
profitable one may use a deeper pool at a slightly worse price. A pool of several tokens may be the best of two legs;
the combinations leave those out in which it comes twice, as it is locked while it is in use.

The rates and the search for token cycles are the ``screen``'s, in flat arrays: only legs whose best rate rose are
looked at again. What stands here is what they mean: which cycles are open, and what pools they lead through. Cycles
found before and not touched stay open and are reported again, so each report is what a search of the whole market would
give.

Cycles longer than those listed are looked for anew in every market (``Screen.walks``), the best by each token half-way
round, a few in all; where the listing had to pass over some of its own at hubs, these walks look after them too. What
they find is expanded into its best pools and reported beside the others.

Rates are floats; the threshold leaves a margin for their rounding, so that the screen loses nothing. What it lets
through is decided by exact integers in ``size``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import chain
from math import prod
from typing import Final

import numpy as np

from flasharb.feed.events import Event
from flasharb.feed.pool_runs import PoolRun
from flasharb.market.index import Index
from flasharb.market.snapshot import Market
from flasharb.strategy.screen import MOST_HOPS, SCREENED, THRESHOLD, Numbers
from flasharb.strategy.token_graph import Leg, TokenCycle, TokenGraph
from flasharb.strategy.trade import Cycle, Hop, Opportunity
from flasharb.units import Address

LONGEST: Final = 8
_MOST_WALKED: Final = 16
_MOST_SHARING: Final = 2
_WALKED_PER_LEG: Final = 2
_WALKED_PER_CYCLE: Final = 4
"""Bounds of what the walks of one market give: token cycles; of these through one leg, because a single good leg makes
hundreds of them pass; pools a leg, and combinations of pools, of each."""


class Detector:
    """The cycles open in one market, kept up to date from block to block.

    ``base_tokens`` in the order of preference: a cycle through several of them starts at the first.
    ``max_hops`` is 2, 3 or 4; 4 costs the product of two neighbourhoods for every pair that rose. Of longer cycles, up
    to ``longest``, the best are found. ``pools_per_leg`` limits the combinations of an open token cycle to those of so
    many best pools a leg (None: all of them).
    """

    def __init__(
        self,
        max_hops: int,
        base_tokens: Iterable[Address],
        *,
        longest: int = 0,
        pools_per_leg: int | None = None,
        compiled: bool | None = None,
    ) -> None:
        """``longest`` up to ``max_hops``: no longer ones. ``compiled``: see ``Screen``."""
        if not 2 <= max_hops <= MOST_HOPS:
            raise ValueError(f"cycles of 2 to {MOST_HOPS} hops are supported, not {max_hops}")
        if longest > LONGEST:
            raise ValueError(f"cycles of up to {LONGEST} hops are looked for, not {longest}")
        self._max_hops, self._longest = max_hops, longest
        self._pools_per_leg = pools_per_leg
        self._compiled = compiled
        self._rank = {token: rank for rank, token in enumerate(base_tokens)}
        self._graph: TokenGraph | None = None
        self._open: dict[TokenCycle, tuple[tuple[float, Cycle], ...]] = {}
        self._open_through: dict[int, set[TokenCycle]] = {}
        self._walked: tuple[tuple[float, Cycle], ...] = ()
        self._curtailed_before = 0
        self._excluded: frozenset[Address] = frozenset()
        self._index: Index | None = None
        self._number = -1
        self._glanced: list[Numbers] = []
        self._sighted: set[TokenCycle] = set()
        self._next_id = 1

    def update(
        self, market: Market, touched: Collection[Address] | None, excluded: Collection[Address] = ()
    ) -> list[Opportunity]:
        """All cycles open in ``market``, best marginal rate first (then by addresses of pools and tokens).

        ``touched`` names at least the pools that differ from the market of the call before (None: look at all);
        ``excluded`` the pools to leave out. Each report of a cycle has an id of its own.
        """
        leave_out = frozenset(excluded)
        graph = self._graph
        moved: AbstractSet[Address]
        if graph is None or touched is None:
            moved = market.pools.keys() if graph is None else market.pools.keys() | graph.placed.keys()
        else:
            moved = frozenset(touched)
            if leave_out is not self._excluded:
                moved |= leave_out ^ self._excluded
        # The index is another one whenever the pools are others.
        same_pools = market.index is self._index
        self._excluded, self._number, self._index = leave_out, market.number, market.index
        if graph is None or not (
            same_pools or all(graph.holds(address, market.pools.get(address)) for address in moved)
        ):
            self._curtailed_before = self.curtailed
            graph = self._graph = TokenGraph(market, self._rank, self._max_hops, self._compiled)
            self._open.clear()
            self._open_through.clear()
            self._sighted.clear()
            self._walked = ()
            moved = graph.placed.keys()
            self._glanced.clear()
        batch = graph.rates(market, moved, leave_out)
        only_glanced = self._only_glanced(graph, batch["slot"])
        if only_glanced:
            batch = np.concatenate((batch, graph.rates(market, only_glanced, leave_out)))
        self._glanced.clear()
        self._look_again(graph, batch)
        if len(batch):
            self._walked = tuple(self._walk(graph))
        return self._report(market.number)

    def glance(self, events: Iterable[Event | PoolRun]) -> list[tuple[Address, ...]]:
        """Token cycles that pass at the best rates once these events are believed, of blocks not complete yet.

        What is seen so is a warning, not an opportunity: it comes at once and without a market. The next ``update``
        takes the rates of all pools concerned from the market again, so that glances never change what it reports.
        """
        graph = self._graph
        if graph is None:
            return []
        batch = graph.early_rates(events, self._number)
        if not len(batch):
            return []
        self._glanced.append(batch["slot"])
        sighted = set(map(graph.from_base, graph.screen.update(batch).cycles))
        self._sighted |= sighted
        return [tuple(graph.tokens[token] for token in cycle) for cycle in sighted]

    def _only_glanced(self, graph: TokenGraph, taken: Numbers) -> set[Address]:
        """The pools that were glanced at, but are not among those whose rates are taken."""
        if not self._glanced:
            return set()
        left = np.zeros(len(graph.screen.layout.slots), np.bool_)
        for slots in self._glanced:
            left[slots] = True
        left[taken] = False
        return graph.owners(np.flatnonzero(left).tolist())

    @property
    def tables(self) -> tuple[Numbers, ...] | None:
        """The screen's tables, None before the first market."""
        if self._graph is None:
            return None
        tables = self._graph.screen.layout
        return tables.slots, tables.pairs, tables.links, tables.tokens

    @property
    def curtailed(self) -> int:
        """How often, up to now, cycles of four were passed over: see ``Screen.curtailed``."""
        return self._curtailed_before + (self._graph.screen.curtailed if self._graph else 0)

    def _walk(self, graph: TokenGraph) -> Iterator[tuple[float, Cycle]]:
        """Cycles beyond those listed, each with its best pools."""
        hops = max(self._longest, self._max_hops)
        if hops == self._max_hops and not self.curtailed:
            return
        found: dict[TokenCycle, float] = {}
        for base in self._rank:
            if base in graph.number:
                for walk in graph.screen.walks(graph.number[base], hops):
                    found.setdefault(graph.from_base(walk.tokens), walk.rate)
        uses: Counter[tuple[int, int]] = Counter()
        kept = 0
        for tokens in sorted(found, key=lambda tokens: (-found[tokens], tokens)):
            legs = _legs(tokens)
            if tokens in self._open or any(uses[leg] == _MOST_SHARING for leg in legs):
                continue
            pools = [graph.choices(leg, graph.leg(*leg), 0.0)[:_WALKED_PER_LEG] for leg in legs]
            combinations = sorted(_combinations(pools), key=_by_rate)
            uses.update(legs)
            kept += bool(combinations)
            yield from combinations[:_WALKED_PER_CYCLE]
            if kept == _MOST_WALKED:
                return

    def _look_again(self, graph: TokenGraph, batch: Numbers) -> None:
        """Hand the moved rates to the screen; open or close what they concern."""
        passing = graph.screen.update(batch)
        again = {cycle for pair in passing.stale for cycle in self._open_through.get(pair, ())}
        again.update(map(graph.from_base, passing.cycles))
        again |= self._sighted
        self._sighted.clear()
        legs: dict[tuple[int, int], Leg] = {}
        for cycle in again:
            self._reopen(graph, cycle, legs)
        opened = graph.screen.open
        for pair in {leg.pair for leg in legs.values()}:
            opened[pair] = len(self._open_through.get(pair, ()))

    def _reopen(self, graph: TokenGraph, tokens: TokenCycle, known_legs: dict[tuple[int, int], Leg]) -> None:
        """Expand a token cycle that passes at the best rates into all combinations of pools that pass, or close it.

        It stays open with no combination where all would use a pool twice: a worse pool that gets better may open one
        although no best rate rises.
        """
        ends = _legs(tokens)
        for leg_ends in ends:
            if leg_ends not in known_legs:
                known_legs[leg_ends] = graph.leg(*leg_ends)
        legs = [known_legs[leg_ends] for leg_ends in ends]
        was_open, rate = tokens in self._open, prod(leg.best for leg in legs)
        if rate > THRESHOLD:
            # With the best pools of the other legs, a pool needs this share of the best rate of its own.
            share = SCREENED / rate
            choices = [
                graph.choices(leg_ends, leg, leg.best * share)[: self._pools_per_leg]
                for leg_ends, leg in zip(ends, legs, strict=True)
            ]
            self._open[tokens] = _combinations(choices)
            if not was_open:
                for leg in legs:
                    self._open_through.setdefault(leg.pair, set()).add(tokens)
        elif was_open:
            del self._open[tokens]
            for leg in legs:
                self._open_through[leg.pair].discard(tokens)

    def _report(self, block_number: int) -> list[Opportunity]:
        found = sorted(chain(self._walked, *self._open.values()), key=_by_rate)
        first = self._next_id
        self._next_id += len(found)
        return [Opportunity(first + n, cycle, rate, block_number) for n, (rate, cycle) in enumerate(found)]


def _by_rate(candidate: tuple[float, Cycle]) -> tuple[float, list[Address], list[Address]]:
    rate, cycle = candidate
    return -rate, [hop.pool for hop in cycle], [hop.token_out for hop in cycle]


def _legs(tokens: TokenCycle) -> list[tuple[int, int]]:
    return list(zip(tokens, (*tokens[1:], tokens[0]), strict=True))


def _combinations(legs: list[list[tuple[float, Hop]]]) -> tuple[tuple[float, Cycle], ...]:
    ceilings = [1.0]
    for leg in reversed(legs[1:]):
        ceilings.insert(0, ceilings[0] * leg[0][0])
    return tuple(_extend(legs, ceilings, 0, 1.0, ()))


def _extend(
    legs: list[list[tuple[float, Hop]]], ceilings: list[float], depth: int, rate: float, hops: Cycle
) -> Iterator[tuple[float, Cycle]]:
    """All choices of one pool a leg whose product passes; a leg is sorted, so the first that cannot pass ends it."""
    if depth == len(legs):
        yield rate, hops
        return
    for leg_rate, hop in legs[depth]:
        product = rate * leg_rate
        if product * ceilings[depth] <= THRESHOLD:
            return
        if all(hop.pool != used.pool for used in hops):
            yield from _extend(legs, ceilings, depth + 1, product, (*hops, hop))
