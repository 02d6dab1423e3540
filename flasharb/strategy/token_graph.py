"""Which pool lies in which slot of the screen: the tokens of one set of pools by number, and their edges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import combinations, compress, repeat
from operator import attrgetter, not_
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flasharb.feed.events import Event, V2Sync, V3Swap
from flasharb.feed.pool_runs import PoolRun
from flasharb.market import versions
from flasharb.market.snapshot import Market
from flasharb.pools import Pool, V2Pool, V3Pool
from flasharb.pools.errors import QuoteUnavailable
from flasharb.strategy.screen import BATCH, Numbers, Screen, layout
from flasharb.strategy.trade import Hop
from flasharb.units import PIPS, Address

TokenCycle = tuple[int, ...]
"""Numbers of two tokens or more, the base token first; the last leg leads back to it."""


class Leg(NamedTuple):
    """One step of token cycles: its pair, the rates of the pair's slots from the first one on, and the best of them."""

    pair: int
    first: int
    rates: list[float]
    best: float


_RESERVE0, _RESERVE1, _FEE_PIPS = attrgetter("reserve0"), attrgetter("reserve1"), attrgetter("spec.fee_pips")
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
        self._early = _EarlyRates(market, self.placed)
        self._hops: tuple[dict[int, Hop], dict[int, Hop]] = ({}, {})

    def holds(self, address: Address, pool: Pool | None) -> bool:
        """Whether a pool, if there is one, has its place here."""
        if pool is None:
            return True
        placed = self.placed.get(address)
        return placed is not None and placed.tokens == pool.spec.tokens

    def rates(self, market: Market, moved: Iterable[Address], leave_out: Collection[Address]) -> Numbers:
        """The moved pools' rates, for the screen; zeros for pools that are gone or left out."""
        addresses = list(moved)
        pools = list(map(versions.plain(market.pools).get, addresses))
        slots = list(map(self._early.slot_of["sync"].get, addresses))
        plain = [
            type(pool) is V2Pool and slot is not None and bool(pool.reserve0 and pool.reserve1)
            for pool, slot in zip(pools, slots, strict=True)
        ]
        if leave_out:
            plain = [fits and address not in leave_out for fits, address in zip(plain, addresses, strict=True)]
        others: list[tuple[float, float, int]] = []
        if not all(plain):
            for address, pool in compress(zip(addresses, pools, strict=True), map(not_, plain)):
                others += self._rates(address, None if address in leave_out else pool)
            pools, slots = list(compress(pools, plain)), list(compress(slots, plain))
        prices = np.fromiter(map(_RESERVE1, pools), np.float64, len(pools))
        prices /= np.fromiter(map(_RESERVE0, pools), np.float64, len(pools))
        gamma = (PIPS - np.fromiter(map(_FEE_PIPS, pools), np.float64, len(pools))) / PIPS
        numbers = np.array(slots, np.int32)
        self._early.gamma[numbers] = gamma
        batch = self._early.batch(numbers, prices, gamma)
        return np.concatenate((batch, np.array(others, BATCH))) if others else batch

    def _rates(self, address: Address, pool: Pool | None) -> Iterator[tuple[float, float, int]]:
        """One pool's rates, whatever it is."""
        placed = self.placed.get(address)
        if placed is not None and isinstance(pool, V3Pool):
            self._early.gamma[placed.edges[0].slot] = (PIPS - pool.spec.fee_pips) / PIPS
        for slot, i, j in () if placed is None else placed.edges:
            forward, backward = _NOTHING if pool is None else (_rate(pool, i, j), _rate(pool, j, i))
            yield forward, backward, slot

    def early_rates(self, events: Iterable[Event | PoolRun], after: int) -> Numbers:
        """What events of blocks later than ``after`` say of rates, for the screen.

        Pools whose rate is zero, because they are left out or not known, are passed over: only the market can say.
        """
        slots, prices = self._early.told(events, after)
        ours = slots >= 0
        slots, prices = slots[ours], prices[ours]
        last = self._early.is_last(slots)
        last &= self.screen.layout.slots["forward"][slots] > 0.0
        slots = slots[last]
        return self._early.batch(slots, prices[last], self._early.gamma[slots])

    def owners(self, slots: Iterable[int]) -> set[Address]:
        """The pools of some slots."""
        return {self._owner[slot] for slot in slots}

    def from_base(self, tokens: TokenCycle) -> TokenCycle:
        """The cycle, which leads through a base token, turned so that its most preferred one comes first."""
        rank = self._rank
        position = min((rank[token], at) for at, token in enumerate(tokens) if rank[token] >= 0)[1]
        return tokens[position:] + tokens[:position]

    def leg(self, start: int, end: int) -> Leg:
        """What there is from ``start`` to ``end``."""
        pair = self.screen.pair(start, end)
        between = self.screen.slots_between(pair)
        column = self.screen.layout.slots["forward" if start < end else "backward"]
        rates = column[between.start : between.stop].tolist()
        return Leg(pair, between.start, rates, max(rates))

    def choices(self, ends: tuple[int, int], leg: Leg, least: float) -> list[tuple[float, Hop]]:
        """The pools of a leg whose rate is above ``least``, each with its rate, best first, then by address."""
        ranked = sorted(
            (-rate, self._owner[slot], slot) for slot, rate in enumerate(leg.rates, leg.first) if rate > least
        )
        return [(-rate, self._hop(slot, *ends)) for rate, _, slot in ranked]

    def _hop(self, slot: int, start: int, end: int) -> Hop:
        """One object for all who ask for it: a busy pool is in many cycles, block after block."""
        hops = self._hops[start < end]
        hop = hops.get(slot)
        if hop is None:
            hop = hops[slot] = Hop(self._owner[slot], self.tokens[start], self.tokens[end])
        return hop


class _EarlyRates:
    """From prices to rates, for the pools of which an event says the whole price."""

    def __init__(self, market: Market, placed: Mapping[Address, Placed]) -> None:
        count = sum(len(pool.edges) for pool in placed.values())
        # events of constant-product pools, and of concentrated ones
        self.slot_of: dict[str, dict[bytes, int]] = {"sync": {}, "swap": {}}
        self.gamma = np.zeros(count)
        self._place = np.zeros(count, np.int32)
        self._direct = np.zeros(count, np.bool_)
        for address, (_, edges) in placed.items():
            pool = market.pools[address]
            if isinstance(pool, V2Pool | V3Pool):
                (edge,) = edges
                self.slot_of["sync" if isinstance(pool, V2Pool) else "swap"][address] = edge.slot
                self.gamma[edge.slot] = (PIPS - pool.spec.fee_pips) / PIPS
                self._direct[edge.slot] = edge.i == 0

    def told(self, events: Iterable[Event | PoolRun], after: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Slots (-1: not ours) and prices, in the order of the events."""
        sync, swap = self.slot_of["sync"], self.slot_of["swap"]
        slots: list[NDArray[np.int32]] = []
        prices: list[NDArray[np.float64]] = []
        # single events become arrays together: one for each would cost more than all else
        slots_alone: list[int] = []
        prices_alone: list[float] = []
        for event in events:
            if isinstance(event, PoolRun):
                if event.block_number > after:
                    of_run = map(self.slot_of[event.kind].get, event.pools(), repeat(-1))
                    slots += np.array(slots_alone, np.int32), np.fromiter(of_run, np.int32, len(event))
                    prices += np.array(prices_alone, np.float64), event.prices()
                    slots_alone, prices_alone = [], []
            elif isinstance(event, V2Sync):
                if event.block_number > after:
                    slots_alone.append(sync.get(event.pool, -1))
                    prices_alone.append(event.reserve1 / event.reserve0 if event.reserve0 else 0.0)
            elif isinstance(event, V3Swap) and event.block_number > after:
                slots_alone.append(swap.get(event.pool, -1))
                prices_alone.append((event.sqrt_price_x96 / (1 << 96)) ** 2 if event.liquidity else 0.0)
        slots.append(np.array(slots_alone, np.int32))
        prices.append(np.array(prices_alone, np.float64))
        return np.concatenate(slots), np.concatenate(prices)

    def is_last(self, slots: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Of each slot that comes several times only the last place passes."""
        places = np.arange(len(slots), dtype=np.int32)
        self._place[slots] = places
        last: NDArray[np.bool_] = self._place[slots] == places
        return last

    def batch(self, slots: NDArray[np.int32], prices: NDArray[np.float64], gamma: NDArray[np.float64]) -> Numbers:
        batch = np.zeros(len(slots), BATCH)
        there = np.isfinite(prices) & (prices > 0.0)
        up, down = np.zeros(len(slots)), np.zeros(len(slots))
        np.multiply(gamma, prices, out=up, where=there)
        np.divide(gamma, prices, out=down, where=there)
        direct = self._direct[slots]
        batch["slot"] = slots
        batch["forward"], batch["backward"] = np.where(direct, up, down), np.where(direct, down, up)
        return batch


def _rate(pool: Pool, i: int, j: int) -> float:
    """The marginal rate; zero for a pool that gives nothing in this direction, or nothing that is known."""
    try:
        return pool.marginal_rate(i, j)
    except QuoteUnavailable:
        return 0.0
