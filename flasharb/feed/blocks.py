"""From events to whole blocks: a block is released only when nothing more can belong to it.

Block N is closed by the first message of a later block, by the node's header N + 1, or by a heartbeat that names a
later block. What comes for a closed block is stale, and counted; unless the node reports another header for it: then
the chain was reorganised, and the assembler takes its blocks again from there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeGuard

from flasharb.feed.events import (
    BlockHeader,
    ClosedBlock,
    Event,
    Heartbeat,
    LastReserves,
    NewHead,
    PoolEvent,
    PoolLog,
    PoolUnreliable,
    V2Sync,
    V3Burn,
    V3Initialize,
    V3Mint,
    V3Swap,
)
from flasharb.feed.pool_runs import PoolRun, last_reserves
from flasharb.units import Address

MAX_AHEAD: Final = 100_000
"""A block number further ahead than this is a damaged number, not a later block: believing it would close all."""
MAX_EVENTS: Final = 200_000
"""Pool events kept of one block; the pools of a block with more are reported unreliable instead."""
_KEPT_HEADERS: Final = 256
_MAX_WITHHELD: Final = 64
_MANY: Final = 64
"""Single syncs of one block from which on only the last of each pool is kept."""

_POOL_EVENTS: Final = (V2Sync, V3Swap, V3Mint, V3Burn, V3Initialize, PoolLog, PoolUnreliable)


@dataclass(slots=True)
class AssemblerCounters:
    """What was not taken, and why."""

    stale: int = 0
    duplicates: int = 0
    implausible: int = 0
    overflowed: int = 0
    reorganisations: int = 0


class BlockAssembler:
    """Collects events and releases ``ClosedBlock`` in ascending order.

    Args:
        after: the block whose state is already known; events up to it are stale. None: unknown, take whatever comes.
        wait_for_header: hold a closed block back until its header has come (a node is connected beside the bus).
            At most 64 blocks wait; then the oldest goes without.
    """

    def __init__(self, after: int | None = None, *, wait_for_header: bool = False) -> None:
        self.counters = AssemblerCounters()
        self._closed = after
        self._wait = wait_for_header
        self._headers: dict[int, BlockHeader] = {}
        self._open: dict[int, _OpenBlock] = {}
        self._withheld: deque[ClosedBlock] = deque()

    @property
    def closed_through(self) -> int | None:
        """The newest block that is complete."""
        return self._closed

    def reset(self, after: int | None) -> None:
        """Start anew after a block whose state was loaded from elsewhere."""
        self._closed = after
        self._open.clear()
        self._withheld.clear()

    def add(self, event: Event | PoolRun) -> list[ClosedBlock]:
        """Take the next event; returns the blocks that it completes. Events about no block are passed by."""
        if isinstance(event, _POOL_EVENTS):
            return self._take_pool_event(event)
        if isinstance(event, PoolRun):
            return self._take_pool_event(event, len(event))
        if isinstance(event, Heartbeat):
            return self._close_through(event.block_number - 1) if self._is_plausible(event.block_number) else []
        if isinstance(event, NewHead):
            return self._take_header(event.header)
        return []

    def _take_pool_event(self, event: PoolEvent | PoolUnreliable | PoolRun, count: int = 1) -> list[ClosedBlock]:
        number = event.block_number
        if self._closed is not None and number <= self._closed:
            self.counters.stale += count
            return []
        block = self._open.get(number)
        if block is not None:
            block.add(event, self.counters)
            return []
        if not self._is_plausible(number, count):
            return []
        if self._closed is None:
            self._closed = number - 1
        released = self._close_through(number - 1)
        block = self._open[number] = _OpenBlock()
        block.add(event, self.counters)
        return released

    def _is_plausible(self, number: int, count: int = 1) -> bool:
        if self._closed is None or number <= self._closed + MAX_AHEAD:
            return True
        self.counters.implausible += count
        return False

    def _close_through(self, last: int) -> list[ClosedBlock]:
        """Release every block up to ``last`` that had events or a header, and ``last`` itself even if empty."""
        if last < 0 or (self._closed is not None and last <= self._closed):
            return self._release()
        numbers = {number for number in self._open if number <= last}
        if self._closed is not None:
            numbers.update(number for number in self._headers if self._closed < number <= last)
        numbers.add(last)
        self._closed = last
        for number in sorted(numbers):
            block = self._open.pop(number, None)
            events = block.in_order() if block is not None else ()
            self._withheld.append(ClosedBlock(number, events, self._headers.get(number)))
        return self._release()

    def _release(self) -> list[ClosedBlock]:
        released: list[ClosedBlock] = []
        while self._withheld:
            block = self._withheld[0]
            if block.header is None:
                header = self._headers.get(block.number)
                if header is None and self._wait and len(self._withheld) <= _MAX_WITHHELD:
                    break
                block = ClosedBlock(block.number, block.events, header)
            self._withheld.popleft()
            released.append(block)
        return released

    def _take_header(self, header: BlockHeader) -> list[ClosedBlock]:
        if not self._is_plausible(header.number):
            return []
        known = self._headers.get(header.number)
        if known is not None and known.hash == header.hash:
            self.counters.duplicates += 1
            return []
        parent = self._headers.get(header.number - 1)
        if known is not None or (parent is not None and parent.hash != header.parent_hash):
            self._rewind(header.number if known is not None else header.number - 1)
        self._headers[header.number] = header
        while len(self._headers) > _KEPT_HEADERS:
            del self._headers[min(self._headers)]
        return [] if self._closed is None else self._close_through(header.number - 1)

    def _rewind(self, number: int) -> None:
        """Blocks from ``number`` on were replaced: forget them and take their successors."""
        self.counters.reorganisations += 1
        for old in [n for n in self._headers if n >= number]:
            del self._headers[old]
        for old in [n for n in self._open if n >= number]:
            del self._open[old]
        while self._withheld and self._withheld[-1].number >= number:
            self._withheld.pop()
        if self._closed is not None and self._closed >= number:
            self._closed = number - 1


class _OpenBlock:
    """The events of one block: by log index where there is one, else as they came."""

    __slots__ = ("_arrived", "_count", "_indexed", "_unreliable")

    def __init__(self) -> None:
        self._arrived: list[PoolEvent | PoolUnreliable | PoolRun] = []
        self._indexed: dict[int, PoolEvent] = {}
        self._count = 0
        self._unreliable: dict[Address, PoolUnreliable] | None = None

    def add(self, event: PoolEvent | PoolUnreliable | PoolRun, counters: AssemblerCounters) -> None:
        if isinstance(event, PoolRun):
            if self._unreliable is None and self._count + len(event) <= MAX_EVENTS:
                self._arrived.append(event)
                self._count += len(event)
            else:
                for one in event.events():
                    self.add(one, counters)
            return
        if self._unreliable is not None:
            counters.overflowed += 1
            self._distrust(event)
        elif isinstance(event, PoolUnreliable) or event.log_index is None:
            self._arrived.append(event)
            self._count += 1
        elif event.log_index in self._indexed:
            counters.duplicates += 1
        else:
            self._indexed[event.log_index] = event
            self._count += 1
        if self._unreliable is None and self._count > MAX_EVENTS:
            self._unreliable = {}
            for kept in self.in_order_of_arrival():
                self._distrust(kept)
            self._arrived.clear()
            self._indexed.clear()

    def _distrust(self, event: PoolEvent | PoolUnreliable) -> None:
        assert self._unreliable is not None
        if len(self._unreliable) < MAX_EVENTS:
            self._unreliable[event.pool] = PoolUnreliable(
                event.pool, f"more than {MAX_EVENTS} events in one block", event.block_number
            )

    def in_order_of_arrival(self) -> tuple[PoolEvent | PoolUnreliable, ...]:
        return (*_taken_apart(self._arrived), *self._indexed.values())

    def in_order(self) -> tuple[PoolEvent | PoolUnreliable | LastReserves, ...]:
        if self._unreliable is not None:
            return tuple(self._unreliable.values())
        return (*_conflated(self._arrived), *(event for _, event in sorted(self._indexed.items())))


def _taken_apart(arrived: Iterable[PoolEvent | PoolUnreliable | PoolRun]) -> Iterator[PoolEvent | PoolUnreliable]:
    for event in arrived:
        if isinstance(event, PoolRun):
            yield from event.events()
        else:
            yield event


def _conflated(
    arrived: Sequence[PoolEvent | PoolUnreliable | PoolRun],
) -> Iterator[PoolEvent | PoolUnreliable | LastReserves]:
    """Single events; where syncs came in runs, of all of them only the last reserves of each pool, behind all others.

    They may stand there, because nothing else moves such a pool.
    """
    syncs = [event for event in arrived if isinstance(event, V2Sync) or _is_of_syncs(event)]
    few = len(syncs) < _MANY and not any(map(_is_of_syncs, syncs))
    for event in arrived:
        if isinstance(event, PoolRun):
            if not _is_of_syncs(event):
                yield from event.events()
        elif few or not isinstance(event, V2Sync):
            yield event
    last = None if few else last_reserves(syncs)
    if last is not None:
        yield last


def _is_of_syncs(event: object) -> TypeGuard[PoolRun]:
    return isinstance(event, PoolRun) and event.kind == "sync"
