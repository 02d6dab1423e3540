"""The pipeline as a whole on a moved clock: bounded under a flood, drained in order, fed by events in memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from typing import Any

import trio
from eth_hash.auto import keccak

from flasharb.adapters.journal import Journal
from flasharb.errors import NodeError
from flasharb.evm import Fork
from flasharb.execution.outcome import Included
from flasharb.feed.events import BlockHeader, Heartbeat, V2Sync
from flasharb.service import pipeline
from flasharb.service.accountant import Accountant, Ours
from flasharb.service.conflated import Conflated
from flasharb.service.detector import Detector
from flasharb.service.executor import Executor, Ground, Identity
from flasharb.service.figures import Figures
from flasharb.service.messages import Batch
from flasharb.service.reporter import Book, Reporter
from flasharb.service.reports import BlockApplied, Report
from flasharb.service.tracker import Tracker
from flasharb.service.updater import Updater
from flasharb.settings import DEVNET_CHAIN_ID
from flasharb.simulation.missed import Reach
from flasharb.simulation.receipts import BlockReceipt, Known
from flasharb.strategy.search import Search, Tokens
from flasharb.units import WEI_PER_ETH, Hash32
from tests.service.test_accountant import FakeReceipts
from tests.service.test_executor import GENESIS, KEY, SETTINGS, FakeRelays, FakeSimulator
from tests.support.service_fakes import CHEAP, CONTRACT, DEAR, USDC, WETH, FakeChain, header, pool

SLOT_S = 12.0


class InlineBook(Book):
    """Writes where it stands: a moved clock would not wait for a thread."""

    async def write(self, event: str, fields: Mapping[str, Any]) -> None:
        await trio.lowlevel.checkpoint()
        self._journal.append(event, fields)


class House:
    """All stages, real but for chain, simulator and relays; ``send`` is the source."""

    def __init__(self, journal: Journal) -> None:
        self.receipts = FakeReceipts()
        self.chain = FakeChain()
        self.chain.grow(1, [pool(CHEAP, 1000, 2_000_000), pool(DEAR, 1000, 2_200_000)])
        self.figures = Figures()
        self.relays = FakeRelays()
        self.seen: list[Report] = []
        self.counts: list[int] = []
        self.heads: list[int] = []
        self.tried_at: list[int] = []
        self.trial_s = 0.0
        self.simulator = FakeSimulator(5 * WEI_PER_ETH)
        ours = Ours(CONTRACT, Known(DEVNET_CHAIN_ID, WETH, {}, {}), Reach({}, (WETH,), 3))
        self.accountant = Accountant(self.receipts, ours, SLOT_S, self.figures)
        self.reporter = Reporter(self.figures, InlineBook(journal), None, self.seen.append)
        self.send, self._source = trio.open_memory_channel[Batch](0)
        identity = Identity(KEY.address, CONTRACT, WETH, KEY, self.relays)
        ground = Ground(DEVNET_CHAIN_ID, GENESIS, GENESIS, False, lambda number, timestamp: Fork.PRAGUE)
        self.executor = Executor(
            SETTINGS, identity, ground, self.chain, self.simulator, self.figures, self.reporter.write
        )

    async def read(
        self,
        batches: trio.MemorySendChannel[Batch],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        task_status.started()
        async with batches:
            async for batch in self._source:
                await batches.send(batch)

    async def _follow(self, heads: Conflated[BlockHeader]) -> None:
        async for head in heads:
            self.heads.append(head.number)

    async def _try_out(self, heads: Conflated[BlockHeader]) -> None:
        async for head in heads:
            self.tried_at.append(head.number)
            await trio.sleep(self.trial_s)

    def _dropped(self) -> None:
        self.figures.notes_dropped += 1

    async def run(self) -> None:
        search = Search(SETTINGS, Tokens((WETH,), (USDC,), WETH))
        await pipeline.run(
            pipeline.Stages(
                read=self.read,
                updater=lambda note, new_head, glance: Updater(
                    self.chain, SLOT_S, self.figures, note, self.counts.append, new_head, glance
                ),
                follow=self._follow,
                try_out=self._try_out,
                detector=lambda note: Detector(search, self.figures, note, self.accountant.looked),
                executor=self.executor,
                tracker=Tracker(self.chain, SLOT_S),
                reporter=self.reporter,
                note_dropped=self._dropped,
                accountant=self.accountant,
            )
        )

    async def block(self, number: int, events: int = 1) -> None:
        """One block of the bus: the pools move a little and the heartbeat closes it."""
        self.chain.headers[number] = header(number)
        self.chain.pools[number] = self.chain.pools[1]
        moves = tuple(
            V2Sync(CHEAP, 1000 * WEI_PER_ETH + 10**9 * number + 10**6 * one, 2_000_000 * 10**6, number)
            for one in range(events)
        )
        await self.send.send(Batch((*moves, Heartbeat(number + 1, 0)), trio.current_time()))


async def test_the_stop_waits_for_no_trial(autojump_clock: trio.testing.MockClock, tmp_path: Any) -> None:
    """Trials of many vaults take longer than a block, and there is no block any more that they could be of use in."""
    with Journal(tmp_path, "test") as journal:
        house = House(journal)
        house.trial_s = 3600.0
        house.chain.grow(1, [pool(CHEAP, 1000, 2_000_000), pool(DEAR, 1000, 2_000_000)])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.run)
            await house.block(2)
            await trio.sleep(1)
            house.send.close()
    assert house.tried_at == [2]
    assert house.relays.bundles == []
    assert trio.current_time() < 3600.0


async def test_events_become_landed_bundles_and_the_stop_waits_for_them(
    autojump_clock: trio.testing.MockClock, tmp_path: Any
) -> None:
    with Journal(tmp_path, "test") as journal:
        house = House(journal)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.run)
            await house.block(2)
            await trio.sleep(1)
            (bundle,) = house.relays.bundles
            house.send.close()
            await trio.sleep(1)
            # The source is closed; the bundle's fate is still open, and the house waits for it.
            house.chain.headers[3] = header(3)
            house.chain.balances = {2: 0, 3: 7}
            house.chain.include(bundle_tx(bundle), 3)
            house.chain.headers[4] = header(4)
    (included,) = [report for report in house.seen if isinstance(report, Included)]
    assert included.net_profit_wei == 7
    assert house.figures.net_profit_wei == 7
    assert house.figures.bundles_included == 1
    assert house.heads == house.tried_at == [2]
    assert house.figures.sightings == 0, "there was no market yet when the first block came"
    assert journal.open_intents == []


def bundle_tx(bundle: Any) -> Any:
    return keccak(bundle.transactions[0])


class Hanging(FakeReceipts):
    """A node that is asked for receipts and answers to nothing until its request times out."""

    async def of_block(self, number: int, block_hash: Hash32) -> tuple[BlockReceipt, ...]:
        self.asked.append(number)
        await trio.sleep(30 * SLOT_S)
        raise NodeError("no answer within the time")


async def test_a_node_that_hangs_over_receipts_delays_no_trade(
    autojump_clock: trio.testing.MockClock, tmp_path: Any
) -> None:
    """Forty blocks pass while the first account hangs: each has its trade at once; too many accounts are left out."""
    with Journal(tmp_path, "test") as journal:
        house = House(journal)
        house.receipts = house.accountant._receipts = Hanging()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.run)
            for number in range(2, 42):
                await house.block(number)
                await trio.sleep(1)
                assert len(house.relays.bundles) == number - 1
                await trio.sleep(SLOT_S - 1)
            assert house.receipts.asked == [2, 3]
            assert house.figures.arbitrages.unaccounted["node_failed"] == 1
            assert house.figures.arbitrages.unaccounted["node_behind"] >= 20
            nursery.cancel_scope.cancel()


async def test_a_flood_is_bounded_and_only_the_newest_market_counts(
    autojump_clock: trio.testing.MockClock, tmp_path: Any
) -> None:
    """Fault 9: blocks at many times the rate at which trades can be simulated. Memory stays flat, the end is fresh."""
    with Journal(tmp_path, "test") as journal:
        house = House(journal)
        house.simulator.delay_s = 3.0
        house.simulator.jobs = Forgetful()
        house.seen = Forgetful()
        sizes: list[int] = []

        async def flood() -> None:
            for number in range(2, 402):
                await house.block(number, events=20)
                house.chain.pools.pop(number - 1, None) if number > 3 else None
                house.figures.head = number
                await trio.sleep(0.01)
                if number in (100, 400):
                    sizes.append(tracemalloc.get_traced_memory()[0])
            house.send.close()
            house.chain.headers[500] = header(500)

        tracemalloc.start()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(house.run)
                await flood()
        finally:
            tracemalloc.stop()
    assert house.figures.blocks == 400
    assert house.figures.head == 401
    assert house.figures.sightings > 0, "open cycles were seen to rise before their blocks were complete"
    assert house.figures.bus_to_sighting.percentile(1.0) == 0.0, "in the task that took the batch"
    # Headers of 300 further blocks are kept by the test itself: about 1 kB each.
    assert sizes[1] - sizes[0] < 2_000_000, sizes
    targets = [bundle.target_block for bundle in house.relays.bundles]
    assert targets[-1:] == [402]
    assert len(targets) < 20


class Forgetful(list[Any]):
    """A list that keeps nothing, so that the test's own records do not count as growth."""

    def append(self, value: Any) -> None:
        pass


async def test_a_full_report_channel_drops_notes_and_never_outcomes(
    autojump_clock: trio.testing.MockClock, tmp_path: Any
) -> None:
    """The disk hangs for a minute: blocks go on, and what was not shown is counted."""
    with Journal(tmp_path, "test") as journal:
        house = House(journal)
        slow = house.reporter._book.write

        async def hanging(event: str, fields: Mapping[str, Any]) -> None:
            await trio.sleep(60)
            await slow(event, fields)

        house.reporter._book.write = hanging  # type: ignore[method-assign]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.run)
            for number in range(2, 152):
                await house.block(number)
                await trio.sleep(0.1)
            assert house.figures.blocks == 150
            assert house.figures.notes_dropped > 50
            house.send.close()
            house.chain.headers[400] = header(400)
    shown = [report for report in house.seen if isinstance(report, BlockApplied)]
    assert len(shown) < 150
