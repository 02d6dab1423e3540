"""Every cycle of pools in a list, and for each pool the cycles through it: what the screen saves, as its oracle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import permutations, product
from math import prod

import numpy as np

from flasharb.market import Market
from flasharb.strategy.trade import Hop
from flasharb.units import Address

Cycle = tuple[Hop, ...]


class CycleIndex:
    """The cycles of one set of pools in CSR form. Rates are the pools' own, multiplied from the base token on."""

    def __init__(self, market: Market, base_tokens: list[Address], max_hops: int) -> None:
        self.cycles = sorted(set(_all_cycles(market, base_tokens, max_hops)), key=_pools_of)
        self.pools = sorted(market.pools)
        place = {pool: n for n, pool in enumerate(self.pools)}
        through = [(place[hop.pool], n) for n, cycle in enumerate(self.cycles) for hop in cycle]
        through.sort()
        self._place = place
        self._first = np.searchsorted([pool for pool, _ in through], np.arange(len(self.pools) + 1))
        self._cycles = [cycle for _, cycle in through]
        self._rates = [self._rate(market, cycle) for cycle in self.cycles]

    def update(self, market: Market, touched: Iterable[Address]) -> None:
        """Compute the touched pools' cycles again."""
        for pool in touched:
            at = self._place[pool]
            for n in self._cycles[self._first[at] : self._first[at + 1]]:
                self._rates[n] = self._rate(market, self.cycles[n])

    def passing(self, threshold: float) -> dict[Cycle, float]:
        """All cycles whose rate exceeds the threshold."""
        return {cycle: rate for cycle, rate in zip(self.cycles, self._rates, strict=True) if rate > threshold}

    @staticmethod
    def _rate(market: Market, cycle: Cycle) -> float:
        pools = [market.pools[hop.pool] for hop in cycle]
        ends = [pool.spec.ends(hop.token_in, hop.token_out) for pool, hop in zip(pools, cycle, strict=True)]
        return prod((pool.marginal_rate(*end) for pool, end in zip(pools, ends, strict=True)), start=1.0)


def _all_cycles(market: Market, base_tokens: list[Address], max_hops: int) -> Iterator[Cycle]:
    legs: dict[tuple[Address, Address], list[Hop]] = {}
    for address, pool in market.pools.items():
        for token_in, token_out in permutations(pool.spec.tokens, 2):
            legs.setdefault((token_in, token_out), []).append(Hop(address, token_in, token_out))
    after: dict[Address, set[Address]] = {}
    for token_in, token_out in legs:
        after.setdefault(token_in, set()).add(token_out)
    for rank, base in enumerate(base_tokens):
        for tokens in _token_cycles(after, (base,), max_hops):
            if not set(tokens) & set(base_tokens[:rank]):
                ends = zip(tokens, (*tokens[1:], base), strict=True)
                for hops in product(*(legs[end] for end in ends)):
                    if len({hop.pool for hop in hops}) == len(hops):
                        yield hops


def _token_cycles(
    after: dict[Address, set[Address]], tokens: tuple[Address, ...], max_hops: int
) -> Iterator[tuple[Address, ...]]:
    if len(tokens) > 1 and tokens[0] in after[tokens[-1]]:
        yield tokens
    if len(tokens) < max_hops:
        for token in after.get(tokens[-1], ()):
            if token not in tokens:
                yield from _token_cycles(after, (*tokens, token), max_hops)


def _pools_of(cycle: Cycle) -> list[Address]:
    return [hop.pool for hop in cycle]
