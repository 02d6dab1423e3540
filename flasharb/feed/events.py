"""What the feed tells the market, whatever carried it: a bus message or a node's log.

``log_index`` orders events within a block; it is ``None`` where the carrier has no such number (the bus), and then
the order of arrival counts.

The pool events are msgspec structs, because a burst brings hundreds of thousands a second and a frozen dataclass takes
ten times as long to build (0.96 against 0.09 µs); the rest are dataclasses. Both match and compare alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

import msgspec

from flasharb.units import Address, Hash32


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """The header fields that the pipeline needs; ``hash`` identifies the block across reorgs."""

    number: int
    hash: Hash32
    parent_hash: Hash32
    timestamp: int
    base_fee_per_gas: int
    gas_used: int
    gas_limit: int
    coinbase: Address
    blob_gas_used: int = 0
    excess_blob_gas: int = 0


@dataclass(frozen=True, slots=True)
class NewHead:
    """A node reports a new head of its chain (its logs may still be on the way)."""

    header: BlockHeader


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The producer lives and is at ``block_number``; blocks before it are complete."""

    block_number: int
    timestamp_ns: int


class V2Sync(msgspec.Struct, frozen=True, gc=False):
    """Reserves of a constant-product pool after the event (authoritative)."""

    pool: Address
    reserve0: int
    reserve1: int
    block_number: int
    log_index: int | None = None


@dataclass(frozen=True, slots=True)
class LastReserves:
    """The reserves that a block left to many constant-product pools: as many syncs, one a pool."""

    block_number: int
    pools: Sequence[Address]
    reserve0: Sequence[int]
    reserve1: Sequence[int]

    def __len__(self) -> int:
        """How many pools."""
        return len(self.pools)

    def events(self) -> list[V2Sync]:
        """The syncs."""
        return list(map(V2Sync, self.pools, self.reserve0, self.reserve1, repeat(self.block_number)))


class V3Initialize(msgspec.Struct, frozen=True, gc=False):
    """The first price of a concentrated pool."""

    pool: Address
    sqrt_price_x96: int
    tick: int
    block_number: int
    log_index: int | None = None


class V3Swap(msgspec.Struct, frozen=True, gc=False):
    """Price, tick and active liquidity of a concentrated pool after a swap."""

    pool: Address
    sqrt_price_x96: int
    tick: int
    liquidity: int
    block_number: int
    log_index: int | None = None


class V3Mint(msgspec.Struct, frozen=True, gc=False):
    """Liquidity added to ``[tick_lower, tick_upper)``."""

    pool: Address
    tick_lower: int
    tick_upper: int
    liquidity: int
    block_number: int
    log_index: int | None = None


class V3Burn(msgspec.Struct, frozen=True, gc=False):
    """Liquidity removed from ``[tick_lower, tick_upper)``."""

    pool: Address
    tick_lower: int
    tick_upper: int
    liquidity: int
    block_number: int
    log_index: int | None = None


class PoolLog(msgspec.Struct, frozen=True, gc=False):
    """A log that only its pool's protocol understands, as it stands; ``topics`` are 32 bytes each.

    ``pool`` is the pool's key: the contract that emitted it, or within a singleton the first 20 bytes of the pool's id.
    ``emitter`` is the contract that emitted it where a topic names the pool (anybody may emit such a log).
    """

    pool: Address
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    log_index: int | None = None
    emitter: Address | None = None


@dataclass(frozen=True, slots=True)
class PoolNamed:
    """The carrier spoke of a pool and said which tokens it has, the lower first; nobody has vouched for that."""

    pool: Address
    tokens: tuple[Address, Address]


@dataclass(frozen=True, slots=True)
class PoolUnreliable:
    """The carrier said that this pool changed but could not say how (a truncated price): reload it from the node."""

    pool: Address
    reason: str
    block_number: int


@dataclass(frozen=True, slots=True)
class PoolsInvalidated:
    """The producer withdraws pools: delete them, re-add on fresh data only.

    ``asset_ids`` are the bus's 64-bit pool asset ids (``spec/bus.md`` 1.6) at ``venue``.
    """

    venue: int
    asset_ids: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class FeedGap:
    """Messages were lost (a sequence gap, a reconnect). ``pools`` is None when all are affected."""

    reason: str
    pools: frozenset[Address] | None = None


@dataclass(frozen=True, slots=True)
class PriceHint:
    """A trade print or quote: it can warn of staleness, never move state. ``price_e8`` has 8 decimals."""

    venue: int
    asset_id: int
    price_e8: int
    timestamp_ns: int


@dataclass(frozen=True, slots=True)
class GasHint:
    """Gas price of the bus, in whole gwei: only a hint, the header decides."""

    block_number: int
    base_fee_gwei: int
    priority_fee_gwei: int


PoolEvent = V2Sync | V3Initialize | V3Swap | V3Mint | V3Burn | PoolLog
Event = PoolEvent | PoolNamed | NewHead | Heartbeat | PoolUnreliable | PoolsInvalidated | FeedGap | PriceHint | GasHint


@dataclass(frozen=True, slots=True)
class ClosedBlock:
    """All pool events of one complete block, in chain order, as ``feed.blocks.BlockAssembler`` releases them.

    Events that cannot matter to each other may have changed places, and syncs that a later one supersedes be gone.

    ``header`` is None where the feed has no node behind it and the header has not arrived.
    """

    number: int
    events: tuple[PoolEvent | PoolUnreliable | LastReserves, ...]
    header: BlockHeader | None
