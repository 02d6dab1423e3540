"""The last snapshots of the market, so that a reorganised chain is followed by dropping some of them.

Blocks are told apart by hash. What cannot be followed exactly (a reorg deeper than the history, a missing block) is a
named result, never a guess: the updater then loads all pools anew and starts another ``History``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal

from flasharb.feed.events import ClosedBlock, PoolsInvalidated
from flasharb.market.snapshot import Market
from flasharb.pools import Pool
from flasharb.units import Address, Hash32, hex0x

DEFAULT_DEPTH: Final = 64
"""Snapshots kept: two epochs of mainnet, beyond which a block is final."""


@dataclass(frozen=True, slots=True)
class Advanced:
    """The market at its new head. Its ``touched`` covers all pools that differ from the head before.

    ``dropped`` counts the snapshots given up by a reorg (0: the block followed the head).
    """

    market: Market
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class NeedsReload:
    """The history cannot follow; load the pools anew.

    - ``reorg_too_deep``: the block's parent is older than the history, or on another branch of it.
    - ``missing_blocks``: blocks between the head and this one never arrived.
    - ``not_after_head``: a block without header that is not later than the head.
    - ``load_too_old``: pools were loaded at a block before the history (or on another branch).
    """

    reason: Literal["reorg_too_deep", "missing_blocks", "not_after_head", "load_too_old"]
    detail: str


@dataclass(frozen=True, slots=True)
class _Step:
    market: Market
    closed: ClosedBlock | None


@dataclass(frozen=True, slots=True)
class _Load:
    pools: tuple[Pool, ...]
    at: int
    block_hash: Hash32 | None


class History:
    """The head and the snapshots before it, newest last."""

    def __init__(self, market: Market, depth: int = DEFAULT_DEPTH) -> None:
        if depth < 1:
            raise ValueError(f"a history keeps at least one snapshot, not {depth}")
        self._steps: deque[_Step] = deque([_Step(market, None)], maxlen=depth)
        self._early: list[_Load] = []
        # Pools that left the head after it was given out, of which the next block's ``touched`` must tell.
        self._untold: frozenset[Address] = frozenset()

    @property
    def head(self) -> Market:
        """The newest snapshot."""
        return self._steps[-1].market

    @property
    def oldest(self) -> int:
        """The number of the oldest block that a rewind can reach."""
        return self._steps[0].market.number

    def advance(self, closed: ClosedBlock) -> Advanced | NeedsReload:
        """Follow the chain by one block, first back to its parent where that is not the head."""
        head, header = self.head, closed.header
        if header is None or head.block is None:
            if closed.number <= head.number:
                return NeedsReload("not_after_head", f"block {closed.number} after block {head.number}")
            return self._append(closed)
        if header.hash == head.block.hash:
            return Advanced(replace(head, touched=frozenset()))
        if header.parent_hash == head.block.hash:
            return self._append(closed)
        if closed.number > head.number + 1:
            return NeedsReload("missing_blocks", f"block {closed.number} after block {head.number}")
        rewound = self.rewind(header.parent_hash)
        if isinstance(rewound, NeedsReload):
            return rewound
        advanced = self._append(closed, rewound.market.touched)
        return replace(advanced, dropped=rewound.dropped)

    def rewind(self, block_hash: Hash32) -> Advanced | NeedsReload:
        """Drop all snapshots after the block with this hash."""
        position = self._position(block_hash)
        if position is None:
            return NeedsReload(
                "reorg_too_deep", f"block {hex0x(block_hash)} is not among blocks {self.oldest} to {self.head.number}"
            )
        dropped = [self._steps.pop() for _ in range(len(self._steps) - 1 - position)]
        if dropped:
            kept = self._steps.pop()
            touched = kept.market.touched.union(*(step.market.touched for step in dropped))
            self._steps.append(replace(kept, market=replace(kept.market, touched=touched)))
        return Advanced(self.head, len(dropped))

    def insert(self, pools: Iterable[Pool], at: int, block_hash: Hash32 | None = None) -> Advanced | NeedsReload:
        """Take in pools whose state was loaded at the end of block ``at``; events up to it are dropped for them.

        Loads from before the head are brought up to it by the blocks since; loads from after the head wait until the
        head gets there. ``block_hash``, where known, makes sure that the load is of this branch of the chain.
        """
        load = _Load(tuple(pools), at, block_hash)
        if at > self.head.number:
            self._early.append(load)
            return Advanced(self.head)
        return self._insert(load)

    def expect(self, why: Mapping[Address, str]) -> Market:
        """Pools that are tracked from now on: each is listed for reload, with its reason, until its state is loaded."""
        self._map(lambda market: market.awaiting(why))
        return self.head

    def withdraw(self, why: Mapping[Address, str]) -> Market:
        """Give up pools in every snapshot: their state may be wrong in any of them."""
        self._map(lambda market: market.withdrawing(why))
        return self.head

    def retire(self, pools: Collection[Address]) -> Market:
        """Leave pools out of every snapshot until their next event: they are not to be traded as they stand."""
        self._map(lambda market: market.retiring(pools))
        return self.head

    def invalidate(self, event: PoolsInvalidated) -> Market:
        """The producer withdrew pools."""
        self._map(lambda market: market.invalidating(event))
        return self.head

    def gap(self, pools: frozenset[Address] | None, reason: str) -> Market:
        """Messages were lost (``pools`` None: of any pool)."""
        self._map(lambda market: market.after_gap(pools, reason))
        return self.head

    def _map(self, change: Callable[[Market], Market]) -> None:
        before = self.head.pools
        self._steps = deque(
            (replace(step, market=change(step.market)) for step in self._steps), maxlen=self._steps.maxlen
        )
        self._untold |= before.keys() - self.head.pools.keys()

    def _append(self, closed: ClosedBlock, touched_before: frozenset[Address] = frozenset()) -> Advanced:
        market = self.head.apply(closed)
        touched_before |= self._untold
        self._untold = frozenset()
        self._steps.append(_Step(replace(market, touched=market.touched | touched_before), closed))
        due = [load for load in self._early if load.at <= closed.number]
        self._early = [load for load in self._early if load.at > closed.number]
        for load in due:
            if isinstance(self._insert(load), NeedsReload):
                why = dict.fromkeys((pool.spec.address for pool in load.pools), "loaded on another branch")
                self._map(partial(Market.awaiting, why=why))
        return Advanced(self.head)

    def _insert(self, load: _Load) -> Advanced | NeedsReload:
        if load.at < self.oldest:
            return NeedsReload("load_too_old", f"loaded at block {load.at}, the history begins at {self.oldest}")
        if self._contradicts(load):
            return NeedsReload("load_too_old", f"block {load.at} of the load is on another branch")
        late = dict.fromkeys((pool.spec.address for pool in load.pools), f"loaded at a later block, {load.at}")
        loaded = Market.load(load.at, load.pools, ())
        steps: list[_Step] = []
        for step in self._steps:
            if step.market.number < load.at:
                steps.append(replace(step, market=step.market.awaiting(late)))
                continue
            if step.market.number > load.at and step.closed is not None:
                loaded = loaded.apply(step.closed)
            steps.append(replace(step, market=step.market.merging(loaded)))
        self._steps = deque(steps, maxlen=self._steps.maxlen)
        return Advanced(self.head)

    def _contradicts(self, load: _Load) -> bool:
        if load.block_hash is None:
            return False
        hashes = (step.market.block.hash for step in self._steps if step.market.number == load.at and step.market.block)
        return any(known != load.block_hash for known in hashes)

    def _position(self, block_hash: Hash32) -> int | None:
        for position in range(len(self._steps) - 1, -1, -1):
            block = self._steps[position].market.block
            if block is not None and block.hash == block_hash:
                return position
        return None
