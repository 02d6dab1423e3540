"""Finding cycles whose marginal rate, fees included, exceeds one.

Lists of pool cycles explode with the number of pools per token pair, so none is kept. Instead each directed token pair
has its best marginal rate, and a token cycle (a, b) or (a, b, c) is profitable at the margin for *some* choice of
pools exactly if it is for the best pool of each leg, since each leg maximises by itself. Only the token cycles that
pass are expanded into pools, and then into all combinations that pass, because the most profitable one may use a deeper
pool at a slightly worse price.

Only pairs with a changed pool are looked at again: through a changed pair (u, v) run the 2-cycle and the 3-cycles with
a third token next to both, found by walking the smaller neighbourhood. Cycles found before and not touched stay open
and are reported again, so each report is what a search of the whole market would give.

Rates are floats; the threshold leaves a margin for their rounding, so that the screen loses nothing. What it lets
through is decided by exact integers in ``size``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from flasharb.market.index import pair_of
from flasharb.market.snapshot import Market
from flasharb.pools import Pool
from flasharb.pools.errors import QuoteUnavailable
from flasharb.strategy.trade import Cycle, Hop, Opportunity
from flasharb.units import Address

THRESHOLD: Final = 1.0 - 1e-9
"""A product of three rates is off by less than 1e-14; the margin makes the screen lossless with room to spare."""

Pair = tuple[Address, Address]
TokenCycle = tuple[Address, ...]
"""Two or three tokens, the base token first; the last leg leads back to it."""


class Detector:
    """The screen over one market, kept up to date from block to block.

    ``base_tokens`` in the order of preference: a cycle through several of them starts at the first.
    ``max_hops`` is 2 or 3.
    """

    def __init__(self, max_hops: int, base_tokens: Iterable[Address]) -> None:
        if max_hops not in (2, 3):
            raise ValueError(f"cycles of 2 or 3 hops are supported, not {max_hops}")
        self._triangles = max_hops == 3
        self._rank = {token: rank for rank, token in enumerate(base_tokens)}
        self._rates: dict[Address, tuple[float, float]] = {}
        self._pair: dict[Address, Pair] = {}
        self._pools: dict[Pair, set[Address]] = {}
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
            moved: Iterable[Address] = market.pools.keys() | self._rates.keys()
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

    def _reprice(self, market: Market, moved: Iterable[Address]) -> tuple[set[Pair], set[Pair]]:
        """Take over the rates of the moved pools; return their token pairs, and the directed pairs whose best rose."""
        changed: set[Pair] = set()
        for address in moved:
            pool = None if address in self._excluded else market.pools.get(address)
            pair = self._forget(address) if pool is None else self._learn(address, pool)
            if pair is not None:
                changed.add(pair)
        risen = {directed for token0, token1 in changed for directed in self._rebest(token0, token1)}
        return changed, risen

    def _learn(self, address: Address, pool: Pool) -> Pair:
        pair = (pool.spec.token0, pool.spec.token1)
        self._rates[address] = (_rate(pool, 0, 1), _rate(pool, 1, 0))
        self._pair[address] = pair
        self._pools.setdefault(pair, set()).add(address)
        return pair

    def _forget(self, address: Address) -> Pair | None:
        pair = self._pair.pop(address, None)
        if pair is not None:
            del self._rates[address]
            self._pools[pair].discard(address)
        return pair

    def _rebest(self, token0: Address, token1: Address) -> Iterator[Pair]:
        """Recompute the best rates of a pair; yield the directions that rose."""
        rates = self._rates
        pools = self._pools[token0, token1]
        for start, end, side in ((token0, token1, 0), (token1, token0, 1)):
            row = self._best.setdefault(start, {})
            best = max((rates[pool][side] for pool in pools), default=None)
            if best is None:
                row.pop(end, None)
                continue
            if best > row.get(end, 0.0):
                yield start, end
            row[end] = best

    def _cycles_through(self, start: Address, end: Address) -> Iterator[TokenCycle]:
        """Token cycles that use the leg ``start`` → ``end`` and pass at the best rates."""
        best = self._best
        rate = best[start][end]
        if rate * best[end][start] > THRESHOLD:
            yield from self._from_base((start, end))
        if not self._triangles:
            return
        out_of_end, out_of_start = best[end], best[start]
        for third in self._thirds(start, end):
            if (
                third in out_of_end
                and third in out_of_start
                and rate * out_of_end[third] * best[third][start] > THRESHOLD
            ):
                yield from self._from_base((start, end, third))

    def _thirds(self, start: Address, end: Address) -> Iterable[Address]:
        if start not in self._rank and end not in self._rank:
            return self._rank
        return min(self._best[start], self._best[end], key=len)

    def _from_base(self, tokens: TokenCycle) -> Iterator[TokenCycle]:
        """The cycle turned so that its most preferred base token comes first; nothing if it has none."""
        ranked = [(self._rank[token], position) for position, token in enumerate(tokens) if token in self._rank]
        if ranked:
            position = min(ranked)[1]
            yield tokens[position:] + tokens[:position]

    def _reopen(self, tokens: TokenCycle) -> None:
        """Expand a token cycle into all combinations of pools that pass; close it if none does."""
        pairs = [pair_of(start, end) for start, end in _legs(tokens)]
        combinations = tuple(self._combinations(tokens))
        if combinations:
            self._open[tokens] = combinations
            for pair in pairs:
                self._open_through.setdefault(pair, set()).add(tokens)
        elif self._open.pop(tokens, None) is not None:
            for pair in pairs:
                self._open_through[pair].discard(tokens)

    def _combinations(self, tokens: TokenCycle) -> Iterator[tuple[float, Cycle]]:
        legs = [self._leg(start, end) for start, end in _legs(tokens)]
        if not all(legs):
            return
        ceilings = [1.0]
        for leg in reversed(legs[1:]):
            ceilings.insert(0, ceilings[0] * leg[0][0])
        yield from _extend(legs, ceilings, 0, 1.0, ())

    def _leg(self, start: Address, end: Address) -> list[tuple[float, Hop]]:
        """The pools from one token to another, best rate first."""
        side = 0 if start < end else 1
        pools = self._pools.get(pair_of(start, end), ())
        hops = [(self._rates[pool][side], Hop(pool, start, end)) for pool in pools]
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
