"""Finding cycles whose marginal rate, fees included, exceeds one.

Lists of pool cycles explode with the number of pools per token pair, so none is kept. Every pool gives an edge for each
ordered pair of its tokens, and each directed token pair has its best marginal rate. A token cycle is profitable at the
margin for *some* choice of pools only if it is for the best pool of each leg, since each leg maximises by itself. Only
the token cycles that pass are expanded into pools, and then into all combinations that pass, because the most
profitable one may use a deeper pool at a slightly worse price. A pool of several tokens may be the best of two legs;
the combinations leave those out in which it comes twice, as it is locked while it is in use.

Only pairs with a changed pool are looked at again: through a changed pair (u, v) run the 2-cycle, the 3-cycles with a
third token next to both, found by walking the smaller neighbourhood, and the 4-cycles with an edge from a neighbour of
v to a neighbour of u. Cycles found before and not touched stay open and are reported again, so each report is what a
search of the whole market would give.

Rates are floats; the threshold leaves a margin for their rounding, so that the screen loses nothing. What it lets
through is decided by exact integers in ``size``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import permutations
from math import prod
from typing import Final

from flasharb.market.snapshot import Market
from flasharb.pools import Pool
from flasharb.pools.errors import QuoteUnavailable
from flasharb.strategy.trade import Cycle, Hop, Opportunity
from flasharb.units import Address

THRESHOLD: Final = 1.0 - 1e-9
"""A product of four rates is off by less than 5e-12; the margin makes the screen lossless with room to spare."""

MOST_HOPS: Final = 4

Pair = tuple[Address, Address]
"""A directed pair of tokens."""
TokenCycle = tuple[Address, ...]
"""Two tokens or more, the base token first; the last leg leads back to it."""


class Detector:
    """The screen over one market, kept up to date from block to block.

    ``base_tokens`` in the order of preference: a cycle through several of them starts at the first.
    ``max_hops`` is 2, 3 or 4; 4 costs the product of two neighbourhoods for every pair that rose.
    """

    def __init__(self, max_hops: int, base_tokens: Iterable[Address]) -> None:
        if not 2 <= max_hops <= MOST_HOPS:
            raise ValueError(f"cycles of 2 to {MOST_HOPS} hops are supported, not {max_hops}")
        self._max_hops = max_hops
        self._rank = {token: rank for rank, token in enumerate(base_tokens)}
        self._edges: dict[Pair, dict[Address, float]] = {}
        self._quoted: dict[Address, tuple[Pair, ...]] = {}
        self._best: dict[Address, dict[Address, float]] = {}
        self._open: dict[TokenCycle, tuple[tuple[float, Cycle], ...]] = {}
        self._open_through: dict[Pair, set[TokenCycle]] = {}
        self._excluded: frozenset[Address] = frozenset()
        self._started = False
        self._next_id = 1

    def update(
        self, market: Market, touched: Collection[Address] | None, excluded: Collection[Address] = ()
    ) -> list[Opportunity]:
        """All cycles open in ``market``, best marginal rate first (then by pool addresses).

        ``touched`` names at least the pools that differ from the market of the call before (None: look at all);
        ``excluded`` the pools to leave out. Each report of a cycle has an id of its own.
        """
        leave_out = frozenset(excluded)
        if touched is None or not self._started:
            moved: Iterable[Address] = market.pools.keys() | self._quoted.keys()
            self._started = True
        else:
            moved = {*touched, *(leave_out ^ self._excluded)}
        self._excluded = leave_out
        changed, risen = self._reprice(market, moved)
        again = {cycle for pair in changed for cycle in self._open_through.get(pair, ())}
        for start, end in risen:
            again.update(self._cycles_through(start, end))
        for cycle in again:
            self._reopen(cycle)
        return self._report(market.number)

    def _reprice(self, market: Market, moved: Iterable[Address]) -> tuple[set[Pair], list[Pair]]:
        """Take over the rates of the moved pools; return their directed pairs, and those whose best rate rose."""
        changed: set[Pair] = set()
        for address in moved:
            pool = None if address in self._excluded else market.pools.get(address)
            changed.update(self._forget(address) if pool is None else self._learn(address, pool))
        return changed, [pair for pair in changed if self._rebest(*pair)]

    def _learn(self, address: Address, pool: Pool) -> tuple[Pair, ...]:
        pairs = self._quoted.get(address)
        if pairs is None:
            pairs = self._quoted[address] = tuple(permutations(pool.spec.tokens, 2))
        for pair, (i, j) in zip(pairs, permutations(range(len(pool.spec.tokens)), 2), strict=True):
            self._edges.setdefault(pair, {})[address] = _rate(pool, i, j)
        return pairs

    def _forget(self, address: Address) -> tuple[Pair, ...]:
        pairs = self._quoted.pop(address, ())
        for pair in pairs:
            del self._edges[pair][address]
        return pairs

    def _rebest(self, start: Address, end: Address) -> bool:
        """Recompute the best rate of a directed pair; whether it rose."""
        row = self._best.setdefault(start, {})
        best = max(self._edges[start, end].values(), default=None)
        if best is None:
            row.pop(end, None)
            return False
        rose = best > row.get(end, 0.0)
        row[end] = best
        return rose

    def _cycles_through(self, start: Address, end: Address) -> Iterator[TokenCycle]:
        """Token cycles that use the leg ``start`` → ``end`` and pass at the best rates."""
        best = self._best
        rate = best[start][end]
        if rate * best[end].get(start, 0.0) > THRESHOLD:
            yield from self._from_base((start, end))
        if self._max_hops < 3:
            return
        based = start in self._rank or end in self._rank
        for third, onward in self._between(end, start, based):
            if rate * onward > THRESHOLD:
                yield from self._from_base((start, end, third))
        if self._max_hops < 4:
            return
        for third, first_rate in best[end].items():
            if third != start:
                for fourth, onward in self._between(third, start, based or third in self._rank):
                    if fourth != end and rate * first_rate * onward > THRESHOLD:
                        yield from self._from_base((start, end, third, fourth))

    def _between(self, start: Address, end: Address, based: bool) -> Iterator[tuple[Address, float]]:
        """Tokens with a leg from ``start`` and one to ``end``, and the rate over both legs.

        Only base tokens, unless the cycle is ``based`` on one already.
        """
        best = self._best
        out_of_start = best[start]
        for token in min(out_of_start, best[end], key=len) if based else self._rank:
            if token in out_of_start and token != end and end in best[token]:
                yield token, out_of_start[token] * best[token][end]

    def _from_base(self, tokens: TokenCycle) -> Iterator[TokenCycle]:
        """The cycle turned so that its most preferred base token comes first; nothing if it has none."""
        ranked = [(self._rank[token], position) for position, token in enumerate(tokens) if token in self._rank]
        if ranked:
            position = min(ranked)[1]
            yield tokens[position:] + tokens[:position]

    def _reopen(self, tokens: TokenCycle) -> None:
        """Expand a token cycle that passes at the best rates into all combinations of pools that pass, or close it.

        It stays open with no combination where all would use a pool twice: a worse pool that gets better may open one
        although no best rate rises.
        """
        legs = [self._leg(start, end) for start, end in _legs(tokens)]
        if prod(leg[0][0] if leg else 0.0 for leg in legs) > THRESHOLD:
            self._open[tokens] = _combinations(legs)
            for pair in _legs(tokens):
                self._open_through.setdefault(pair, set()).add(tokens)
        elif self._open.pop(tokens, None) is not None:
            for pair in _legs(tokens):
                self._open_through[pair].discard(tokens)

    def _leg(self, start: Address, end: Address) -> list[tuple[float, Hop]]:
        """The pools from one token to another, best rate first."""
        rates = self._edges.get((start, end), {})
        hops = [(rate, Hop(pool, start, end)) for pool, rate in rates.items()]
        return sorted(hops, key=lambda leg: (-leg[0], leg[1].pool))

    def _report(self, block_number: int) -> list[Opportunity]:
        found = sorted(
            (candidate for candidates in self._open.values() for candidate in candidates),
            key=lambda candidate: (-candidate[0], [hop.pool for hop in candidate[1]]),
        )
        first = self._next_id
        self._next_id += len(found)
        return [Opportunity(first + n, cycle, rate, block_number) for n, (rate, cycle) in enumerate(found)]


def _rate(pool: Pool, i: int, j: int) -> float:
    """The marginal rate; zero for a pool that gives nothing in this direction, or nothing that is known."""
    try:
        return pool.marginal_rate(i, j)
    except QuoteUnavailable:
        return 0.0


def _legs(tokens: TokenCycle) -> list[Pair]:
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
