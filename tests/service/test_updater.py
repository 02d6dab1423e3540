"""The updater: one consistent market per block, and no state in doubt is ever traded on."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import trio
from trio.testing import wait_all_tasks_blocked

from flasharb.feed.events import Event, FeedGap, Heartbeat, NewHead, PoolNamed, PoolUnreliable, V2Sync
from flasharb.market.filters import Cause, Excluded, tracked
from flasharb.pools import PoolSpec, V2Pool
from flasharb.pools.protocols import DEPLOYMENTS, pool_address
from flasharb.pools.register import Register
from flasharb.service.conflated import Conflated
from flasharb.service.figures import Figures
from flasharb.service.messages import Batch, Update, newest
from flasharb.service.newcomers import Newcomers
from flasharb.service.reports import BlockApplied, Notice, Report
from flasharb.service.updater import STALE_MARGIN_S, STALE_SLOTS, Updater
from flasharb.units import WEI_PER_ETH, Address
from tests.support.service_fakes import CHEAP, DEAR, USDC, WETH, FakeChain, header, pool

SLOT_S = 12.0


class Bench:
    """An updater with its channels; ``feed`` gives events and lets everything settle."""

    def __init__(self, chain: FakeChain, newcomers: Newcomers | None = None) -> None:
        self.chain = chain
        self.glanced: list[Batch] = []
        self.figures = Figures()
        self.reports: list[Report] = []
        self.updates = Conflated[Update](newest)
        self.counts: list[int] = []
        self.updater = Updater(
            chain,
            SLOT_S,
            self.figures,
            self.reports.append,
            self.counts.append,
            glance=self.glanced.append,
            newcomers=newcomers,
        )
        self.send, self.receive = trio.open_memory_channel[Batch](64)

    def start(self, nursery: trio.Nursery) -> None:
        nursery.start_soon(self.updater.run, self.receive, self.updates)

    async def feed(self, *events: Event) -> None:
        await self.send.send(Batch(events, trio.current_time()))
        await wait_all_tasks_blocked()

    async def latest(self) -> Update:
        return await self.updates.__anext__()

    def notices(self) -> list[str]:
        return [report.subject for report in self.reports if isinstance(report, Notice)]


def reserve0(update: Update, address: Address) -> int:
    state = update.market.pools[address]
    assert isinstance(state, V2Pool)
    return state.reserve0 // WEI_PER_ETH


def sync(address: Address, weth: int, usdc: int, number: int) -> V2Sync:
    return V2Sync(address, weth * WEI_PER_ETH, usdc * 10**6, number)


async def test_the_first_market_is_loaded_at_the_end_of_a_whole_block() -> None:
    """What came before the load is dropped, what comes after moves the pools."""
    chain = FakeChain()
    chain.grow(5, [pool(CHEAP, 100, 200_000)])
    bench = Bench(chain)
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        await bench.feed(sync(CHEAP, 1, 1, 5))
        assert chain.loads == []
        await bench.feed(Heartbeat(6, 0))
        first = await bench.latest()
        assert (first.market.number, first.touched, reserve0(first, CHEAP)) == (5, None, 100)

        chain.grow(6, [])
        await bench.feed(sync(CHEAP, 90, 222_222, 6), Heartbeat(7, 0))
        second = await bench.latest()
        assert (second.market.number, second.touched, reserve0(second, CHEAP)) == (6, {CHEAP}, 90)
        assert second.header == header(6)
        assert second.deadline == second.received_at + SLOT_S
        bench.send.close()
    assert bench.counts == [1, 2]
    assert [one.number for one in bench.reports if isinstance(one, BlockApplied)] == [5, 6]


async def test_what_the_bus_has_no_messages_for_is_asked_of_the_node() -> None:
    """The node's word on a block is applied with the block, also on one that the bus passed over in silence."""
    chain = FakeChain()
    chain.grow(8, [pool(CHEAP, 100, 200_000), pool(DEAR, 100, 210_000)])
    chain.logs = {6: (sync(DEAR, 66, 1, 6),), 7: (sync(DEAR, 77, 1, 7),)}
    bench = Bench(chain)
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        chain.headers = {number: one for number, one in chain.headers.items() if number <= 5}
        await bench.feed(Heartbeat(6, 0))
        await bench.latest()
        chain.headers |= {number: header(number) for number in (6, 7, 8)}
        await bench.feed(sync(CHEAP, 90, 222_222, 6), Heartbeat(7, 0))
        second = await bench.latest()
        assert (second.touched, reserve0(second, CHEAP), reserve0(second, DEAR)) == ({CHEAP, DEAR}, 90, 66)

        await bench.feed(sync(CHEAP, 80, 250_000, 8), Heartbeat(9, 0))
        third = await bench.latest()
        assert (third.market.number, reserve0(third, CHEAP), reserve0(third, DEAR)) == (8, 80, 77)
        assert third.touched == {CHEAP, DEAR}, "what moved in the silent block is told with the next one"
        bench.send.close()
    assert "reloaded" not in bench.notices()


async def test_a_slow_reader_gets_the_newest_market_with_all_that_moved() -> None:
    chain = FakeChain()
    chain.grow(30, [pool(CHEAP, 100, 200_000), pool(DEAR, 100, 210_000)])
    bench = Bench(chain)
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        chain.headers = {number: one for number, one in chain.headers.items() if number <= 1}
        await bench.feed(Heartbeat(2, 0))
        await bench.latest()
        for number in range(2, 30):
            chain.headers[number] = header(number)
            address = CHEAP if number % 2 else DEAR
            await bench.feed(sync(address, number, 200_000, number), Heartbeat(number + 1, 0))
        update = await bench.latest()
        bench.send.close()
    assert update.market.number == 29
    assert update.touched == {CHEAP, DEAR}
    assert bench.updates.merged == 27


async def test_a_backlog_is_glanced_at_once_and_each_block_keeps_its_own_time() -> None:
    """Three batches wait while nobody reads; the deadline of their block is that of the batch which closed it."""
    chain = FakeChain()
    chain.grow(5, [pool(CHEAP, 100, 200_000)])
    bench = Bench(chain)
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        await bench.feed(Heartbeat(6, 0))
        await bench.latest()
        chain.grow(6, [])
        waiting = [(sync(CHEAP, 90, 1, 6),), (sync(CHEAP, 80, 1, 6),), (Heartbeat(7, 0),)]
        for at, events in enumerate(waiting):
            bench.send.send_nowait(Batch(events, float(at)))
        update = await bench.latest()
        assert (update.market.number, update.received_at, reserve0(update, CHEAP)) == (6, 2.0, 80)
        assert [batch.events for batch in bench.glanced] == [tuple(event for events in waiting for event in events)]
        bench.send.close()


async def test_a_pool_without_logs_is_read_at_the_end_of_every_block() -> None:
    """It moves without an event, is not touched where it did not, leaves when it is refused, and comes back."""
    chain = FakeChain()
    chain.grow(5, [pool(CHEAP, 100, 200_000), pool(DEAR, 100, 210_000)])
    chain.probed, chain.refused = frozenset({DEAR}), {DEAR: "not tried out yet"}
    bench = Bench(chain)
    async with trio.open_nursery() as nursery:
        bench.start(nursery)

        async def block(number: int, dear: int) -> Update:
            chain.headers[number] = header(number)
            chain.pools[number] = {one.spec.address: one for one in (pool(CHEAP, 1, 1), pool(DEAR, dear, 210_000))}
            await bench.feed(sync(CHEAP, number, 200_000, number), Heartbeat(number + 1, 0))
            return await bench.latest()

        await bench.feed(Heartbeat(6, 0))
        first = await bench.latest()
        assert first.market.pools.keys() == {CHEAP}

        chain.refused = {}
        admitted = await block(6, 100)
        assert (admitted.touched, reserve0(admitted, DEAR)) == ({CHEAP, DEAR}, 100)
        moved = await block(7, 77)
        assert (moved.touched, reserve0(moved, DEAR), reserve0(moved, CHEAP)) == ({CHEAP, DEAR}, 77, 7)
        still = await block(8, 77)
        assert (still.touched, reserve0(still, DEAR)) == ({CHEAP}, 77)
        chain.refused = {DEAR: "a fee"}
        out = await block(9, 77)
        assert out.market.pools.keys() == {CHEAP}
        assert DEAR in (out.touched or ())
        assert out.market.reload == {}
        chain.refused = {}
        back = await block(10, 66)
        assert reserve0(back, DEAR) == 66
        bench.send.close()
    assert [wanted for wanted, _ in chain.loads] == [None], "no reload is made for it"


def newcomers(*listed: Address) -> Newcomers:
    """Uniswap vouches; pools of these tokens are wanted."""
    sort = partial(tracked, track_all=False, listed=listed, kinds={"v2"})
    return Newcomers(Register(1, DEPLOYMENTS[1]), sort, {}, {})


def from_factories() -> Newcomers:
    """The same, and what factories create is asked for."""
    return replace(newcomers(WETH, USDC), from_factories=True)


def created_pool() -> PoolSpec:
    """What Uniswap V2's factory tells when it creates that pool."""
    return PoolSpec(real_pool(), "uniswap_v2", (WETH, USDC), 3000)


def real_pool() -> Address:
    """Where Uniswap V2's factory would create the pool of the fake tokens."""
    at = pool_address(DEPLOYMENTS[1]["uniswap_v2"], PoolSpec(CHEAP, "uniswap_v2", (WETH, USDC), 3000))
    assert at is not None
    return at


async def test_a_pool_that_the_bus_names_is_loaded_at_the_end_of_the_block() -> None:
    """From the node, like every other: what the bus said of its reserves in that block is not needed."""
    chain = FakeChain()
    chain.grow(5, [pool(CHEAP, 100, 200_000)])
    met = newcomers(WETH, USDC)
    bench = Bench(chain, met)
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        await bench.feed(Heartbeat(6, 0))
        assert real_pool() not in (await bench.latest()).market.pools
        chain.grow(6, [pool(CHEAP, 100, 200_000), pool(real_pool(), 55, 110_000)], first=6)
        named = PoolNamed(real_pool(), (WETH, USDC))
        await bench.feed(named, sync(real_pool(), 1, 1, 6), named, Heartbeat(7, 0))
        update = await bench.latest()
        bench.send.close()
    assert reserve0(update, real_pool()) == 55
    assert update.touched is not None
    assert real_pool() in update.touched
    assert met.specs.keys() == {real_pool()}
    assert chain.loads[-1] == (frozenset({real_pool()}), 6)
    assert bench.notices() == ["pool", "reloaded"]


async def test_a_pool_that_no_factory_knows_is_refused_by_name_and_one_that_nobody_wants_left_out() -> None:
    chain = FakeChain()
    chain.grow(6, [pool(CHEAP, 100, 200_000)])
    met = newcomers(WETH)
    bench = Bench(chain, met)
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        await bench.feed(PoolNamed(DEAR, (WETH, USDC)), PoolNamed(real_pool(), (WETH, USDC)), Heartbeat(6, 0))
        bench.send.close()
    assert met.specs == {}
    assert met.left_out == {real_pool(): Excluded(Cause.NOT_TRACKED, USDC)}
    assert bench.notices() == ["refused"]
    assert bench.figures.skipped == {"unvouched_pools": 1}


async def test_a_pool_that_a_factory_creates_is_traded_in_the_same_slot() -> None:
    """The block's market comes first; then the pool is loaded, at that block, and the market told again with it."""
    chain, created, met = FakeChain(), created_pool(), from_factories()
    chain.grow(5, [pool(CHEAP, 100, 200_000)])
    bench = Bench(chain, met)
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        await bench.feed(Heartbeat(6, 0))
        await bench.latest()
        chain.grow(6, [pool(CHEAP, 100, 200_000), pool(real_pool(), 55, 110_000)], first=6)
        chain.creations[6] = (created, replace(created, address=DEAR))
        await bench.feed(sync(CHEAP, 90, 210_000, 6), Heartbeat(7, 0))
        update = await bench.latest()
        bench.send.close()
    assert update.market.number == 6
    assert reserve0(update, real_pool()) == 55
    assert update.touched == {CHEAP, real_pool()}
    assert met.specs.keys() == {real_pool()}
    assert bench.notices() == ["refused", "pool", "reloaded"]
    assert chain.asked_created == [(5, 5), (6, 6)]


async def test_new_pools_that_the_node_did_not_tell_are_asked_for_again() -> None:
    """The market is not in doubt for that; the blocks that were missed are in the next question."""
    chain, created, met = FakeChain(), created_pool(), from_factories()
    chain.grow(5, [pool(CHEAP, 100, 200_000)])
    bench = Bench(chain, met)
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        await bench.feed(Heartbeat(6, 0))
        await bench.latest()
        chain.grow(7, [pool(CHEAP, 100, 200_000), pool(real_pool(), 55, 110_000)], first=6)
        chain.creations[6] = (created,)
        chain.created_failing = True
        await bench.feed(Heartbeat(7, 0))
        assert (await bench.latest()).market.number == 6
        assert bench.notices() == ["newcomers"]
        chain.created_failing = False
        await bench.feed(Heartbeat(8, 0))
        update = await bench.latest()
        bench.send.close()
    assert chain.asked_created == [(5, 5), (6, 6), (6, 7)]
    assert reserve0(update, real_pool()) == 55


async def test_a_pool_created_in_a_block_that_the_node_has_left_behind_is_loaded_at_the_newest() -> None:
    """The first market is of a later block than the feed's: nothing is in doubt for the pool's sake."""
    chain, created, met = FakeChain(), created_pool(), from_factories()
    chain.grow(8, [pool(CHEAP, 100, 200_000), pool(real_pool(), 55, 110_000)])
    chain.creations[5] = (created,)
    met.specs[CHEAP] = pool(CHEAP, 100, 200_000).spec
    chain.tracked = met.specs
    bench = Bench(chain, met)
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        await bench.feed(Heartbeat(6, 0))
        await bench.latest()
        chain.grow(9, [], first=9)
        await bench.feed(sync(CHEAP, 90, 210_000, 9), Heartbeat(10, 0))
        update = await bench.latest()
        bench.send.close()
    assert update.market.number == 9
    assert reserve0(update, real_pool()) == 55
    assert update.touched is not None, "the market was not loaded anew"
    assert chain.loads == [(None, 8), (frozenset({real_pool()}), 8)]


def test_a_name_brings_its_own_pool_and_leaves_those_that_a_factory_told_before_the_node_failed() -> None:
    """Such a pool would else be tracked without being loaded, and a name of it be called a duplicate."""
    met = newcomers(WETH, USDC)
    specs = []
    for protocol in ("uniswap_v2", "sushiswap_v2", "shibaswap_v2"):
        spec = PoolSpec(CHEAP, protocol, (WETH, USDC), 3000)
        at = pool_address(DEPLOYMENTS[1][protocol], spec)
        assert at is not None
        specs.append(replace(spec, address=at))
    told, named, both = specs
    for spec in (told, both):
        assert met.register.offer(spec, "a factory") is None
    assert met.take(PoolNamed(named.address, (WETH, USDC))) == named
    assert met.take(PoolNamed(both.address, (WETH, USDC))) == both
    assert met.specs.keys() == {named.address, both.address}
    assert met.choose() == [told]


async def test_a_gap_takes_all_pools_from_the_node_at_the_next_whole_block() -> None:
    chain = FakeChain()
    chain.grow(5, [pool(CHEAP, 100, 200_000)])
    bench = Bench(chain)
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        await bench.feed(Heartbeat(6, 0))
        await bench.latest()

        chain.grow(7, [pool(CHEAP, 77, 260_000)], first=6)
        await bench.feed(FeedGap("three messages lost"), sync(CHEAP, 50, 50, 6), Heartbeat(7, 0))
        update = await bench.latest()
        bench.send.close()
    # The node is at block 7 already, so that is where the load is made.
    assert (update.market.number, update.touched, reserve0(update, CHEAP)) == (7, None, 77)
    assert chain.loads == [(None, 5), (None, 7)]
    assert bench.notices() == ["reloaded"]


async def test_an_unreliable_pool_leaves_the_market_until_it_is_reloaded() -> None:
    chain = FakeChain()
    chain.grow(5, [pool(CHEAP, 100, 200_000), pool(DEAR, 100, 210_000)])
    bench = Bench(chain)
    seen: list[Update] = []

    async def read() -> None:
        async for update in bench.updates:
            seen.append(update)  # noqa: PERF401 - one by one, while the channel is open

    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        nursery.start_soon(read)
        await bench.feed(Heartbeat(6, 0))
        chain.grow(6, [pool(CHEAP, 55, 300_000), pool(DEAR, 1, 1)], first=6)
        await bench.feed(PoolUnreliable(CHEAP, "truncated price", 6), Heartbeat(7, 0))
        bench.send.close()
    assert chain.loads[1:] == [(frozenset({CHEAP}), 6)]
    assert reserve0(seen[-1], CHEAP) == 55
    assert reserve0(seen[-1], DEAR) == 100
    assert bench.figures.blocks == 2


async def test_a_reorganisation_ends_in_the_state_of_the_new_branch() -> None:
    """Whatever the orphaned block did is undone, and what moved on either branch comes from the node."""
    chain = FakeChain()
    chain.grow(6, [pool(CHEAP, 100, 200_000), pool(DEAR, 100, 210_000)])
    bench = Bench(chain)
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        await bench.feed(NewHead(header(6)), Heartbeat(7, 0))
        await bench.latest()
        chain.headers[7] = header(7)
        await bench.feed(NewHead(header(7)), sync(CHEAP, 66, 303_000, 7), Heartbeat(8, 0))
        assert reserve0(await bench.latest(), CHEAP) == 66

        fresh = header(7, "other", parent_branch="")
        chain.headers[7] = fresh
        chain.pools[7] = {CHEAP: pool(CHEAP, 100, 200_000), DEAR: pool(DEAR, 88, 240_000)}
        await bench.feed(NewHead(fresh), sync(DEAR, 88, 240_000, 7), Heartbeat(8, 0))
        update = await bench.latest()
        bench.send.close()
    assert update.header == fresh
    assert (reserve0(update, CHEAP), reserve0(update, DEAR)) == (100, 88)
    assert update.touched is not None
    assert update.touched >= {CHEAP, DEAR}
    assert bench.figures.reorgs == 1
    assert "reorg" in bench.notices()


async def test_a_silent_feed_makes_the_head_stale_once(autojump_clock: trio.testing.MockClock) -> None:
    chain = FakeChain()
    chain.grow(7, [pool(CHEAP, 100, 200_000)])
    bench = Bench(chain)
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        await bench.feed(Heartbeat(6, 0))
        assert bench.figures.stale is None
        await trio.sleep(10 * (SLOT_S * STALE_SLOTS + STALE_MARGIN_S))
        assert bench.figures.stale is not None
        assert bench.notices() == ["stale_head"]

        await bench.feed(Heartbeat(8, 0))
        assert bench.figures.stale is None
        bench.send.close()


async def test_a_node_behind_the_bus_is_waited_for_one_slot(autojump_clock: trio.testing.MockClock) -> None:
    chain = FakeChain()
    chain.grow(5, [pool(CHEAP, 100, 200_000)])
    bench = Bench(chain)
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        await bench.send.send(Batch((Heartbeat(7, 0),), trio.current_time()))
        await trio.sleep(SLOT_S / 2)
        chain.grow(6, [pool(CHEAP, 60, 300_000)], first=6)
        assert (await bench.latest()).market.number == 6

        await bench.send.send(Batch((Heartbeat(8, 0),), trio.current_time()))
        await trio.sleep(2 * SLOT_S)
        assert bench.notices() == ["node_behind"]
        assert bench.figures.stale is not None
        bench.send.close()


async def test_a_node_that_was_away_costs_a_reload_and_nothing_else() -> None:
    chain = FakeChain()
    chain.grow(5, [pool(CHEAP, 100, 200_000)])
    bench = Bench(chain)
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        await bench.feed(Heartbeat(6, 0))
        await bench.latest()
        chain.failing = True
        chain.grow(7, [pool(CHEAP, 70, 290_000)], first=6)
        await bench.feed(sync(CHEAP, 71, 285_000, 6), Heartbeat(7, 0))
        assert bench.notices() == ["node_failed"]
        chain.failing = False
        await bench.feed(sync(CHEAP, 70, 290_000, 7), Heartbeat(8, 0))
        update = await bench.latest()
        bench.send.close()
    assert (update.market.number, reserve0(update, CHEAP)) == (7, 70)
    assert bench.figures.stale is None


async def test_a_refused_pool_rests_until_its_next_event() -> None:
    """It is named once, is in no market, is not loaded in every block, and comes back when it may be traded again."""
    chain = FakeChain()
    chain.grow(5, [pool(CHEAP, 100, 200_000), pool(DEAR, 100, 210_000)])
    chain.refused = {DEAR: "halted"}
    bench = Bench(chain)
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        await bench.feed(Heartbeat(6, 0))
        first = await bench.latest()
        assert first.market.pools.keys() == {CHEAP}
        assert bench.notices() == ["refused"]

        chain.grow(6, [pool(DEAR, 100, 220_000)])
        await bench.feed(Heartbeat(7, 0))
        assert (await bench.latest()).market.pools.keys() == {CHEAP}
        assert len(chain.loads) == 1

        chain.refused = {}
        chain.grow(7, [pool(DEAR, 100, 230_000)])
        await bench.feed(sync(DEAR, 100, 230_000, 7), Heartbeat(8, 0))
        assert (await bench.latest()).market.pools.keys() == {CHEAP, DEAR}
        assert chain.loads[1:] == [(frozenset({DEAR}), 7)]
        nursery.cancel_scope.cancel()
