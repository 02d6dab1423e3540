"""The market at the end of one block: every tracked pool, frozen.

A block makes a new snapshot (``apply``); the old one stays as it was, so that a reorg is "drop snapshots" and every
reader sees one consistent block. Tables with an entry for every pool come in versions that share what is the same
(``versions``), so that a snapshot costs what moved, not what is there.

A pool is in one of four places: ``pools`` (its state is known), ``reload`` (tracked, but its state is not known any
more: load it and hand it to ``History.insert``), ``retired`` (no event for ``stale_after_blocks``, or not to be
traded as it stands; its next event lists it for reload), or nowhere (untracked: its events are counted and ignored).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import compress
from operator import attrgetter, not_
from typing import Any, Final

from flasharb.feed.events import (
    BlockHeader,
    ClosedBlock,
    LastReserves,
    PoolEvent,
    PoolLog,
    PoolsInvalidated,
    PoolUnreliable,
)
from flasharb.market import versions
from flasharb.market.index import Index, pair_of
from flasharb.market.transition import Inconsistent, next_state
from flasharb.pools import Pool, V2Pool
from flasharb.pools.contract import is_timed
from flasharb.pools.spec import Token
from flasharb.units import Address

_SPEC: Final = attrgetter("spec")


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of a block's events."""

    applied: int = 0
    untracked: int = 0
    superseded: int = 0
    """Older than the pool's own load: that load already holds them."""
    unusable: int = 0
    """Made their pool's state unknown."""


@dataclass(frozen=True, slots=True)
class Market:
    """All tracked pools at the end of block ``number``.

    ``touched`` are the pools that differ from the snapshot before (changed, inserted, removed). ``loaded_at`` and
    ``last_event`` are block numbers per pool. ``block`` is None as long as the feed has no header for it.

    Pools whose curve moves by the clock answer for the time ``slot_s`` after the block's: for the block that a trade is
    meant for. Without a header they keep the time of their load.
    """

    number: int
    block: BlockHeader | None = None
    pools: Mapping[Address, Pool] = field(default_factory=dict)
    tokens: Mapping[Address, Token] = field(default_factory=dict)
    index: Index = field(default_factory=Index)
    touched: frozenset[Address] = frozenset()
    reload: Mapping[Address, str] = field(default_factory=dict)
    retired: frozenset[Address] = frozenset()
    loaded_at: Mapping[Address, int] = field(default_factory=dict)
    last_event: Mapping[Address, int] = field(default_factory=dict)
    counts: Counts = Counts()
    stale_after_blocks: int = 0
    slot_s: int = 0

    @staticmethod
    def load(
        number: int,
        pools: Iterable[Pool],
        tokens: Iterable[Token],
        *,
        block: BlockHeader | None = None,
        stale_after_blocks: int = 0,
        slot_s: int = 0,
    ) -> Market:
        """A first snapshot from states that were all loaded at the end of block ``number``."""
        empty = Market(
            number,
            block,
            tokens={token.address: token for token in tokens},
            stale_after_blocks=stale_after_blocks,
            slot_s=slot_s,
        )
        return empty.inserting(pools, number)

    def by_fast_hash(self, fast_hash: int) -> tuple[Address, ...]:
        """The pools behind a ``PoolInstrumentId.fast_hash``: all fee tiers of one token pair at one venue."""
        return self.index.by_fast_hash.get(fast_hash, ())

    def by_asset_id(self, venue: int, asset_id: int) -> tuple[Address, ...]:
        """The pools behind the bus's 64-bit pool asset id at a venue."""
        return self.index.by_asset_id.get((venue, asset_id), ())

    def pools_of(self, token: Address) -> tuple[Address, ...]:
        """All pools that hold a token, in ascending order."""
        return self.index.by_token.get(token, ())

    def pools_between(self, token_a: Address, token_b: Address) -> tuple[Address, ...]:
        """All pools between two tokens, whichever comes first, in ascending order."""
        return self.index.by_pair.get(pair_of(token_a, token_b), ())

    def apply(self, closed: ClosedBlock) -> Market:
        """The market after one more block.

        Raises:
            ValueError: the block is not later than this snapshot (``History.advance`` sorts reorgs out first).
        """
        if closed.number <= self.number:
            raise ValueError(f"block {closed.number} is not after block {self.number}: rewind first")
        return _Change(self, closed.number).run(closed)

    def inserting(self, pools: Iterable[Pool], loaded_at: int) -> Market:
        """This market with pools whose state was loaded at the end of block ``loaded_at``.

        Events up to that block are dropped for them from here on. A pool that was there is replaced.
        """
        fresh = {pool.spec.address: self._timely(pool, self.block) for pool in pools}
        if not fresh:
            return self
        new = [pool.spec for address, pool in fresh.items() if address not in self.pools]
        return replace(
            self,
            pools=versions.of(self.pools).changed(fresh),
            index=self.index.adding(new) if new else self.index,
            touched=self.touched | fresh.keys(),
            reload={address: why for address, why in self.reload.items() if address not in fresh},
            retired=self.retired - fresh.keys(),
            loaded_at=versions.of(self.loaded_at).changed(dict.fromkeys(fresh, loaded_at)),
            last_event=versions.of(self.last_event).changed({}, fresh.keys() & self.last_event.keys()),
        )

    def merging(self, other: Market) -> Market:
        """This market with the pools, loads and reloads of another snapshot of the same block."""
        merged = self.inserting(other.pools.values(), other.number).withdrawing(other.reload)
        return replace(
            merged,
            reload={**merged.reload, **other.reload},
            loaded_at=versions.of(merged.loaded_at).changed(other.loaded_at),
            last_event=versions.of(merged.last_event).changed(other.last_event),
        )

    def awaiting(self, why: Mapping[Address, str]) -> Market:
        """This market with further pools listed for reload, where it does not know them."""
        new = {address: reason for address, reason in why.items() if address not in self.pools}
        return replace(self, reload={**new, **self.reload}) if new else self

    def withdrawing(self, why: Mapping[Address, str]) -> Market:
        """This market without pools whose state is no longer known; each is listed for reload with its reason."""
        gone = {address: reason for address, reason in why.items() if address in self.pools}
        listed = {address: reason for address, reason in why.items() if address in self.pools or address in self.reload}
        if not listed:
            return self
        without = self._without(gone.keys()) if gone else self
        return replace(without, reload={**without.reload, **listed})

    def invalidating(self, event: PoolsInvalidated) -> Market:
        """This market after the producer withdrew pools: deleted, and listed for reload."""
        hit = {
            pool: f"withdrawn by the feed: {event.reason}"
            for asset_id in event.asset_ids
            for pool in self.by_asset_id(event.venue, asset_id)
        }
        return self.withdrawing(hit)

    def after_gap(self, pools: frozenset[Address] | None, reason: str) -> Market:
        """This market after lost messages: the pools they may have concerned (None: all) need a reload."""
        return self.withdrawing(dict.fromkeys(self.pools if pools is None else pools, f"feed gap: {reason}"))

    def retiring(self, pools: Collection[Address]) -> Market:
        """This market without pools that are not to be traded as they stand; their next event lists them for reload."""
        if not pools:
            return self
        without = self._without(address for address in pools if address in self.pools)
        left = {address: why for address, why in without.reload.items() if address not in pools}
        return replace(without, reload=left, retired=without.retired.union(pools))

    def moving_with_time(self) -> Iterator[Address]:
        """The pools whose quotes may differ from one block to the next without any log."""
        for addresses in self.index.timed.values():
            for address in addresses:
                pool = self.pools[address]
                if is_timed(pool) and pool.moves_with_time:
                    yield address

    def _timely(self, pool: Pool, block: BlockHeader | None) -> Pool:
        """A pool as it answers in the block after ``block``."""
        if block is None or not is_timed(pool) or not pool.moves_with_time:
            return pool
        return pool.at(block.timestamp + self.slot_s)

    def _without(self, gone: Iterable[Address]) -> Market:
        gone = frozenset(gone)
        return replace(
            self,
            pools=versions.of(self.pools).changed({}, gone),
            index=self.index.removing(self.pools[address].spec for address in gone),
            touched=self.touched | gone,
            loaded_at=versions.of(self.loaded_at).changed({}, gone & self.loaded_at.keys()),
            last_event=versions.of(self.last_event).changed({}, gone & self.last_event.keys()),
        )


class _Change:
    """One block's passage over a market, collected before the new snapshot is made."""

    def __init__(self, market: Market, number: int) -> None:
        self.market = market
        self.number = number
        self.time: int | None = None
        self.changed: dict[Address, Pool] = {}
        self.unknown: dict[Address, str] = {}
        self.awake: dict[Address, str] = {}
        self.applied = self.untracked = self.superseded = self.unusable = 0

    def run(self, closed: ClosedBlock) -> Market:
        market, header = self.market, closed.header
        self.time = header.timestamp if header is not None else None
        for event in closed.events:
            if isinstance(event, LastReserves):
                self._take_reserves(event)
            else:
                self._take(event)
        moved = {address: pool for address, pool in self.changed.items() if address not in self.unknown}
        active = moved.keys()
        by_clock = {address: market.pools[address] for address in market.moving_with_time()}
        if market.index.timed:
            moved = {address: market._timely(pool, header) for address, pool in (by_clock | moved).items()}
        after = replace(
            market,
            number=self.number,
            block=closed.header,
            pools=versions.of(market.pools).changed(moved),
            touched=frozenset(moved),
            last_event=versions.of(market.last_event).changed(dict.fromkeys(active, self.number)),
            counts=Counts(self.applied, self.untracked, self.superseded, self.unusable),
        )
        if self.awake:
            after = replace(after, reload={**after.reload, **self.awake}, retired=after.retired - self.awake.keys())
        return _retire_stale(after.withdrawing(self.unknown))

    def _take(self, event: PoolEvent | PoolUnreliable) -> None:
        if isinstance(event, PoolLog):
            for address in self.market.index.by_source.get(event.pool, ()):
                self._take_for(address, event)
            if event.pool in self.market.index.by_source and event.pool not in self.market.pools:
                return
        self._take_for(event.pool, event)

    def _take_reserves(self, told: LastReserves) -> None:
        """Many syncs at once; those that need a closer look come one by one."""
        known, loaded_at = versions.plain(self.market.pools), versions.plain(self.market.loaded_at)
        unknown, number = self.unknown, self.number
        pools = list(map(known.get, told.pools))
        plain = [
            type(pool) is V2Pool and loaded_at.get(address, -1) < number and address not in unknown
            for address, pool in zip(told.pools, pools, strict=True)
        ]
        columns: tuple[Iterable[Any], ...] = (told.pools, pools, told.reserve0, told.reserve1)
        if not all(plain):
            for event in compress(told.events(), map(not_, plain)):
                self._take(event)
            columns = tuple(compress(column, plain) for column in columns)
        addresses, before, reserve0, reserve1 = map(list, columns)
        self.changed.update(zip(addresses, map(V2Pool, map(_SPEC, before), reserve0, reserve1), strict=True))
        self.applied += len(addresses)

    def _take_for(self, address: Address, event: PoolEvent | PoolUnreliable) -> None:
        pool = self.changed.get(address, self.market.pools.get(address))
        if pool is None:
            self.untracked += 1
            if address in self.market.retired:
                self.awake[address] = "active again after it was retired"
        elif address in self.unknown:
            self.unusable += 1
        elif self.market.loaded_at.get(address, -1) >= self.number:
            self.superseded += 1
        elif isinstance(event, PoolUnreliable):
            self._give_up(address, event.reason)
        else:
            self._move(address, pool, event)

    def _move(self, address: Address, pool: Pool, event: PoolEvent) -> None:
        if is_timed(pool):
            if self.time is None:
                self._give_up(address, "the block has no header, and the pool needs its time")
                return
            pool = pool.at(self.time)
        after = next_state(pool, event)
        if isinstance(after, Inconsistent):
            self._give_up(address, after.reason)
        else:
            self.changed[address] = after
            self.applied += 1

    def _give_up(self, address: Address, reason: str) -> None:
        self.unknown[address] = reason
        self.unusable += 1


def _retire_stale(market: Market) -> Market:
    """Take out pools without any event (nor load) for ``stale_after_blocks``; 0 keeps all for ever."""
    if not market.stale_after_blocks:
        return market
    oldest = market.number - market.stale_after_blocks
    events = market.last_event
    stale = [
        address
        for address, loaded_at in market.loaded_at.items()
        if loaded_at <= oldest and events.get(address, loaded_at) <= oldest
    ]
    if not stale:
        return market
    without = market._without(stale)
    return replace(without, retired=without.retired.union(stale))
