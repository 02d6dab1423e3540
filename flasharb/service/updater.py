"""The market's keeper: event batches in, one consistent market per closed block out.

A lost stretch of the feed, the start included, is repaired in one way: wait for the end of the next block, then load
what may be wrong from the node at that block; events up to it are dropped for what was loaded. Nothing is ever traded
on a state in doubt, because pools in doubt are not in the market.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from itertools import chain
from typing import Final, Protocol

import trio

from flasharb.adapters.pool_loader import Loaded
from flasharb.errors import NodeError
from flasharb.feed.blocks import BlockAssembler
from flasharb.feed.events import BlockHeader, ClosedBlock, Event, FeedGap, PoolEvent, PoolNamed, PoolsInvalidated
from flasharb.feed.pool_runs import PoolRun
from flasharb.market.history import Advanced, History, NeedsReload
from flasharb.market.snapshot import Market
from flasharb.pools.register import Refused, Register
from flasharb.pools.spec import PoolSpec
from flasharb.service.conflated import Conflated
from flasharb.service.figures import Figures
from flasharb.service.messages import Batch, Update
from flasharb.service.newcomers import Newcomers
from flasharb.service.reports import BlockApplied, Notice, Report
from flasharb.units import Address, checksum

HEADER_POLL_S: Final = 0.02
"""The bus may be faster than the node; a header that is not there yet is asked for again after this."""
FILLED_BLOCKS: Final = 64
"""Blocks without any event that are filled in by their headers; after a longer silence the market is loaded anew."""
MOST_UNMET: Final = 1_000
"""Blocks whose factories' logs are asked for later than they should; what is older waits for ``pools discover``."""
STALE_SLOTS: Final = 3.0
STALE_MARGIN_S: Final = 2.0


class Chain(Protocol):
    """What the updater asks the node."""

    async def header(self, number: int | None) -> BlockHeader | None:
        """The header of a block (None: the newest), None where the node does not have it."""
        ...

    async def load(self, only: Iterable[Address] | None, header: BlockHeader) -> Loaded:
        """The tracked pools (``None``: all of them) as they are at the end of a block."""
        ...

    async def reread(self, header: BlockHeader) -> Loaded:
        """Tracked pools whose logs nobody brings, as they are at the end of a block."""
        ...

    async def unheard(self, header: BlockHeader) -> tuple[PoolEvent, ...]:
        """What happened in a block to tracked pools that the source of the batches has no events for."""
        ...

    async def native_usd(self, header: BlockHeader) -> Decimal | None:
        """The configured feed's price of ETH at the end of a block; None without a feed."""
        ...

    async def created(self, first: int, last: int, register: Register) -> list[Refused]:
        """Put into the register what factories created in these blocks; what it does not take."""
        ...

    def empty_market(self, header: BlockHeader) -> Market:
        """A market without pools, with the tokens of the configuration."""
        ...


class Updater:
    """Follows the chain; ``run`` ends when the batches end."""

    def __init__(
        self,
        chain: Chain,
        slot_s: float,
        figures: Figures,
        report: Callable[[Report], None],
        enough_blocks: Callable[[int], None],
        new_head: Callable[[BlockHeader], None] = lambda header: None,
        glance: Callable[[Batch], None] = lambda batch: None,
        newcomers: Newcomers | None = None,
    ) -> None:
        """``report``, ``new_head`` and ``glance`` never block.

        ``enough_blocks(count)`` hears the number of blocks after each; ``glance`` sees every batch while the market can
        be trusted. ``newcomers`` None: pools that the bus names and nobody listed are let pass.
        """
        self._chain = chain
        self._slot_s = slot_s
        self._figures = figures
        self._report = report
        self._enough_blocks = enough_blocks
        self._new_head = new_head
        self._newcomers = newcomers
        self._glance = glance
        self._assembler = BlockAssembler()
        self._history: History | None = None
        self._in_doubt: str | None = "start"
        self._met_until: int | None = None
        """The last block whose newly created pools are known."""

    async def run(self, batches: trio.MemoryReceiveChannel[Batch], updates: Conflated[Update]) -> None:
        """Work until the source is closed."""
        try:
            while True:
                come = await self._next(batches)
                if not come:
                    return
                if self._history is not None and self._in_doubt is None:
                    self._glance(_as_one(come))
                for batch in come:
                    for event in batch.events:
                        await self._take(event, batch.received_at, updates)
        finally:
            updates.close()

    async def _next(self, batches: trio.MemoryReceiveChannel[Batch]) -> list[Batch]:
        """What has come, nothing at the end; a silence of several slots makes the head stale, which is said once."""
        with trio.move_on_after(self._slot_s * STALE_SLOTS + STALE_MARGIN_S) as patience:
            return await _received(batches)
        assert patience.cancelled_caught
        self._say_stale("stale_head", f"no word from the feed for {self._slot_s * STALE_SLOTS + STALE_MARGIN_S:.1f} s")
        return await _received(batches)

    async def _take(self, event: Event | PoolRun, received_at: float, updates: Conflated[Update]) -> None:
        match event:
            case FeedGap(pools=None):
                self._in_doubt = event.reason
            case FeedGap() if self._history is not None:
                self._history.gap(event.pools, event.reason)
            case PoolsInvalidated() if self._history is not None:
                self._history.invalidate(event)
            case PoolNamed():
                self._meet(event)
            case _:
                for closed in self._assembler.add(event):
                    await self._close_or_doubt(closed, received_at, updates)

    def _meet(self, named: PoolNamed) -> None:
        """Track a pool that the bus names, if that is wanted; it is loaded at the end of the next block."""
        met = None if self._newcomers is None else self._newcomers.take(named)
        if isinstance(met, Refused):
            self._refuse(met)
        elif met is not None:
            self._track(met, "named by the bus")

    def _refuse(self, refused: Refused) -> None:
        self._figures.skipped["unvouched_pools"] += 1
        self._report(Notice("refused", str(refused)))

    def _track(self, spec: PoolSpec, why: str) -> None:
        self._report(Notice("pool", f"{checksum(spec.address)}: {spec.protocol}, {why}, is tracked now"))
        if self._history is not None:
            self._history.expect({spec.address: why})

    async def _meet_created(self, header: BlockHeader, received_at: float, updates: Conflated[Update]) -> None:
        """Track the pools that factories have created since the last time, after the block's own market is out.

        A node that fails here costs nothing but time: the same blocks are asked for again after the next one.
        """
        newcomers, last = self._newcomers, header.number
        if newcomers is None or not newcomers.from_factories:
            return
        # a block that was replaced is asked for again
        first = last if self._met_until is None else max(min(self._met_until + 1, last), last - MOST_UNMET)
        try:
            refused = await self._chain.created(first, last, newcomers.register)
        except NodeError as error:
            self._report(Notice("newcomers", f"new pools of blocks {first} to {last} are not known yet: {error}"))
            return
        self._met_until = last
        for one in refused:
            self._refuse(one)
        kept = newcomers.choose()
        for spec in kept:
            self._track(spec, "created by its factory")
        if kept and self._history is not None and self._in_doubt is None:
            # the first market may be of a later block than the one that was closed
            await self._reload(self._history, self._history.head.block or header, received_at, updates)

    async def _close_or_doubt(self, closed: ClosedBlock, received_at: float, updates: Conflated[Update]) -> None:
        """Close a block; a node that fails meanwhile puts everything in doubt until a later block."""
        try:
            await self._close(closed, received_at, updates)
        except NodeError as error:
            self._in_doubt = "the node failed"
            self._say_stale("node_failed", str(error))

    def _say_refused(self, loaded: Loaded) -> None:
        for pool, reason in loaded.refused.items():
            self._report(Notice("refused", f"{checksum(pool)}: {reason}"))

    def _say_stale(self, subject: str, detail: str) -> None:
        self._figures.stale = detail
        self._report(Notice(subject, detail))

    async def _close(self, closed: ClosedBlock, received_at: float, updates: Conflated[Update]) -> None:
        header = closed.header or await self._header(closed.number)
        if header is None:
            self._in_doubt = "the node was behind the bus"
            self._say_stale("node_behind", f"the node does not have block {closed.number}, which the bus has closed")
            return
        self._new_head(header)
        self._figures.stale = None
        if self._history is None or self._in_doubt is not None:
            await self._load_all(header, received_at, updates)
            await self._meet_created(header, received_at, updates)
            return
        whole = await self._whole(closed, header)
        if closed.number <= self._history.head.number and not await self._reorganised():
            return
        await self._advance(self._history, whole, received_at, updates)
        await self._meet_created(header, received_at, updates)

    async def _whole(self, closed: ClosedBlock, header: BlockHeader) -> ClosedBlock:
        """The block with the events that its source does not bring."""
        return ClosedBlock(closed.number, (*closed.events, *await self._chain.unheard(header)), header)

    async def _header(self, number: int) -> BlockHeader | None:
        with trio.move_on_after(self._slot_s):
            while True:
                header = await self._chain.header(number)
                if header is not None:
                    return header
                await trio.sleep(HEADER_POLL_S)
        return None

    async def _reorganised(self) -> bool:
        """Whether the node's chain does not hold our head any more."""
        assert self._history is not None
        head = self._history.head.block
        now = await self._chain.header(self._history.head.number)
        return now is None or head is None or now.hash != head.hash

    async def _load_all(self, closed: BlockHeader, received_at: float, updates: Conflated[Update]) -> None:
        newest = await self._chain.header(None)
        header = newest if newest is not None and newest.number > closed.number else closed
        loaded = await self._chain.load(None, header)
        market = self._chain.empty_market(header).inserting(loaded.pools, header.number).retiring(loaded.refused)
        self._say_refused(loaded)
        if self._history is not None:
            self._figures.reloads += 1
            self._report(Notice("reloaded", f"{len(loaded.pools)} pools at block {header.number}: {self._in_doubt}"))
        self._history, self._in_doubt = History(market), None
        await self._publish(market, None, received_at, updates)

    async def _advance(
        self, history: History, closed: ClosedBlock, received_at: float, updates: Conflated[Update]
    ) -> None:
        assert closed.header is not None
        passed: frozenset[Address] = frozenset()
        for filler in await self._silent_blocks(history, closed):
            filled = history.advance(filler)
            passed |= filled.market.touched if isinstance(filled, Advanced) else frozenset()
        advanced = history.advance(closed)
        if isinstance(advanced, NeedsReload):
            self._in_doubt = f"{advanced.reason}: {advanced.detail}"
            await self._load_all(closed.header, received_at, updates)
            return
        market = advanced.market
        if advanced.dropped:
            self._figures.reorgs += 1
            self._report(Notice("reorg", f"{advanced.dropped} blocks dropped, the head is {closed.number} now"))
            # The bus names no hashes: what moved on either branch is taken from the node, not from memory.
            market = history.withdraw(dict.fromkeys(market.touched, "reorganised"))
        market = await self._reread(history, closed.header)
        await self._publish(market, market.touched | passed, received_at, updates)
        if market.reload:
            await self._reload(history, closed.header, received_at, updates)

    async def _reread(self, history: History, header: BlockHeader) -> Market:
        """Bring in at the head what is read at every block's end instead of followed by its logs."""
        loaded = await self._chain.reread(header)
        known = history.head.pools
        moved = [pool for pool in loaded.pools if known.get(pool.spec.address) != pool]
        if moved:
            inserted = history.insert(moved, header.number, header.hash)
            # the head is this very block
            assert not isinstance(inserted, NeedsReload), inserted
        gone = [pool for pool in loaded.refused if pool in known]
        return history.retire(gone) if gone else history.head

    async def _silent_blocks(self, history: History, closed: ClosedBlock) -> list[ClosedBlock]:
        """Blocks between the head and this one in which nothing happened, as far as the feed says."""
        first, last = history.head.number + 1, closed.number - 1
        if last - first >= FILLED_BLOCKS:
            return []
        headers = [await self._chain.header(number) for number in range(first, last + 1)]
        return [await self._whole(ClosedBlock(one.number, (), one), one) for one in headers if one is not None]

    async def _reload(
        self, history: History, header: BlockHeader, received_at: float, updates: Conflated[Update]
    ) -> None:
        wanted = history.head.reload
        loaded = await self._chain.load(wanted.keys(), header)
        self._say_refused(loaded)
        self._figures.reloads += 1
        reasons = "; ".join(sorted(set(wanted.values())))
        self._report(
            Notice("reloaded", f"{len(loaded.pools)} of {len(wanted)} pools at block {header.number}: {reasons}")
        )
        inserted = history.insert(loaded.pools, header.number, header.hash)
        if isinstance(inserted, NeedsReload):
            self._in_doubt = f"{inserted.reason}: {inserted.detail}"
            return
        await self._publish(history.retire(loaded.refused), frozenset(wanted), received_at, updates, again=True)

    async def _publish(
        self,
        market: Market,
        touched: frozenset[Address] | None,
        received_at: float,
        updates: Conflated[Update],
        again: bool = False,
    ) -> None:
        header = market.block
        assert header is not None
        figures = self._figures
        figures.head, figures.pools = market.number, len(market.pools)
        native_usd = await self._chain.native_usd(header)
        updates.put(Update(market, header, touched, received_at, received_at + self._slot_s, native_usd))
        if again:
            return
        figures.blocks += 1
        moved = len(market.pools if touched is None else touched)
        self._report(BlockApplied(market.number, header.hash, header.base_fee_per_gas, len(market.pools), moved))
        self._enough_blocks(figures.blocks)


async def _received(batches: trio.MemoryReceiveChannel[Batch]) -> list[Batch]:
    """The next batch and all that wait behind it; none at the end."""
    try:
        come = [await batches.receive()]
    except trio.EndOfChannel:
        return []
    while True:
        try:
            come.append(batches.receive_nowait())
        except (trio.WouldBlock, trio.EndOfChannel):
            return come


def _as_one(come: list[Batch]) -> Batch:
    """A backlog is glanced at once: of a pool that moved ten times meanwhile only the last state matters."""
    if len(come) == 1:
        return come[0]
    return Batch(tuple(chain.from_iterable(batch.events for batch in come)), come[0].received_at)
