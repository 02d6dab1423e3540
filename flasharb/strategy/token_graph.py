"""Which pool lies in which slot of the screen: the tokens of one set of pools by number, and their edges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np

from flasharb.market.snapshot import Market
from flasharb.pools import Pool
from flasharb.pools.errors import QuoteUnavailable
from flasharb.strategy.screen import Screen, layout
from flasharb.strategy.trade import Hop
from flasharb.units import Address

TokenCycle = tuple[int, ...]
"""Numbers of two tokens or more, the base token first; the last leg leads back to it."""

_NOTHING: Final = (0.0, 0.0)


class Edge(NamedTuple):
    """Where a pool's rates from token i to token j, and back, lie."""

    slot: int
    i: int
    j: int


class Placed(NamedTuple):
    """A pool's tokens and its edges, one for each pair of them."""

    tokens: tuple[Address, ...]
    edges: tuple[Edge, ...]


class TokenGraph:
    """One set of pools and the screen over them. Tokens with many pools have small numbers."""

    def __init__(self, market: Market, rank: dict[Address, int], max_hops: int, compiled: bool | None) -> None:
        """``rank``: of the base tokens."""
        uses = Counter(token for pool in market.pools.values() for token in pool.spec.tokens)
        self.tokens = [token for token, _ in uses.most_common()]
        self.number = {token: number for number, token in enumerate(self.tokens)}
        self._rank = [rank.get(token, -1) for token in self.tokens]
        ends: list[tuple[int, int]] = []
        owners: list[tuple[Address, int, int]] = []
        for address, pool in market.pools.items():
            for i, j in combinations(range(len(pool.spec.tokens)), 2):
                one, other = self.number[pool.spec.tokens[i]], self.number[pool.spec.tokens[j]]
                ends.append((one, other) if one < other else (other, one))
                owners.append((address, i, j) if one < other else (address, j, i))
        tail, head = np.array(ends, np.int32).reshape(-1, 2).T
        tables = layout(tail, head, np.array(self._rank, np.int32))
        edges: dict[Address, list[Edge]] = {}
        self._owner = [Address(bytes(20))] * len(owners)
        for slot, (address, i, j) in zip(tables.slot_of.tolist(), owners, strict=True):
            self._owner[slot] = address
            edges.setdefault(address, []).append(Edge(slot, i, j))
        self.placed = {
            address: Placed(market.pools[address].spec.tokens, tuple(of_pool)) for address, of_pool in edges.items()
        }
        self.screen = Screen(tables, max_hops, compiled=compiled)

    def holds(self, address: Address, pool: Pool | None) -> bool:
        """Whether a pool, if there is one, has its place here."""
        if pool is None:
            return True
        placed = self.placed.get(address)
        return placed is not None and placed.tokens == pool.spec.tokens

    def rates(
        self, market: Market, moved: Iterable[Address], leave_out: Collection[Address]
    ) -> list[tuple[float, float, int]]:
        """The moved pools' rates, for the screen; zeros for pools that are gone or left out."""
        batch = []
        for address in moved:
            placed = self.placed.get(address)
            if placed is None:
                continue
            pool = None if address in leave_out else market.pools.get(address)
            for slot, i, j in placed.edges:
                forward, backward = _NOTHING if pool is None else (_rate(pool, i, j), _rate(pool, j, i))
                batch.append((forward, backward, slot))
        return batch

    def from_base(self, tokens: TokenCycle) -> TokenCycle:
        """The cycle, which leads through a base token, turned so that its most preferred one comes first."""
        rank = self._rank
        position = min((rank[token], at) for at, token in enumerate(tokens) if rank[token] >= 0)[1]
        return tokens[position:] + tokens[:position]

    def leg(self, pair: int, start: int, end: int) -> list[tuple[float, Hop]]:
        """The pools of a pair that give anything from ``start`` to ``end``, best rate first, then by address."""
        slots = self.screen.slots_between(pair)
        column = self.screen.layout.slots["forward" if start < end else "backward"]
        ranked = sorted(
            (-rate, self._owner[slot])
            for slot, rate in zip(slots, column[slots.start : slots.stop].tolist(), strict=True)
        )
        token_in, token_out = self.tokens[start], self.tokens[end]
        return [(-rate, Hop(pool, token_in, token_out)) for rate, pool in ranked if rate]


def _rate(pool: Pool, i: int, j: int) -> float:
    """The marginal rate; zero for a pool that gives nothing in this direction, or nothing that is known."""
    try:
        return pool.marginal_rate(i, j)
    except QuoteUnavailable:
        return 0.0
