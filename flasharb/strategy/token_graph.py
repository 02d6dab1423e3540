"""Which pool lies in which slot of the screen: the tokens of one set of pools by number, and their edges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from itertools import combinations, repeat
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flasharb.feed.events import Event, V2Sync, V3Swap
from flasharb.feed.pool_runs import PoolRun
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
        pools: list[V2Pool] = []
        slots: list[int] = []
        others: list[tuple[float, float, int]] = []
        known, slot_of = market.pools, self._early.slot_of["sync"]
        for address in moved:
            pool = None if address in leave_out else known.get(address)
            if type(pool) is V2Pool and pool.reserve0 and pool.reserve1 and address in slot_of:
                pools.append(pool)
                slots.append(slot_of[address])
                continue
            placed = self.placed.get(address)
            for slot, i, j in () if placed is None else placed.edges:
                forward, backward = _NOTHING if pool is None else (_rate(pool, i, j), _rate(pool, j, i))
                others.append((forward, backward, slot))
        prices = np.array([pool.reserve1 for pool in pools], np.float64)
        prices /= np.array([pool.reserve0 for pool in pools], np.float64)
        gamma = (PIPS - np.array([pool.spec.fee_pips for pool in pools], np.float64)) / PIPS
        batch = self._early.batch(np.array(slots, np.int32), prices, gamma)
        return np.concatenate((batch, np.array(others, BATCH)))

    def early_rates(self, events: Iterable[Event | PoolRun], after: int) -> Numbers:
        """What events of blocks later than ``after`` say of rates, for the screen.

        Pools whose rate is zero, because they are left out or not known, are passed over: only the market can say.
        """
        slots, prices = self._early.told(events, after)
        listed = slots >= 0
        listed[listed] = self.screen.layout.slots["forward"][slots[listed]] > 0.0
        slots = slots[listed]
        return self._early.batch(slots, prices[listed], self._early.gamma[slots])

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
        slots, prices = [np.empty(0, np.int32)], [np.empty(0)]
        for event in events:
            if isinstance(event, PoolRun):
                if event.block_number > after:
                    of_run = map(self.slot_of[event.kind].get, event.pools(), repeat(-1))
                    slots.append(np.fromiter(of_run, np.int32, len(event)))
                    prices.append(event.prices())
            elif isinstance(event, V2Sync | V3Swap) and event.block_number > after:
                slot = self.slot_of["sync" if isinstance(event, V2Sync) else "swap"].get(event.pool, -1)
                slots.append(np.array((slot,), np.int32))
                prices.append(np.array((_price(event),)))
        return np.concatenate(slots), np.concatenate(prices)

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


def _price(event: V2Sync | V3Swap) -> float:
    if isinstance(event, V2Sync):
        return event.reserve1 / event.reserve0 if event.reserve0 else 0.0
    return (event.sqrt_price_x96 / (1 << 96)) ** 2 if event.liquidity else 0.0


def _rate(pool: Pool, i: int, j: int) -> float:
    """The marginal rate; zero for a pool that gives nothing in this direction, or nothing that is known."""
    try:
        return pool.marginal_rate(i, j)
    except QuoteUnavailable:
        return 0.0
