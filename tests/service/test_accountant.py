"""The account of closed blocks on a scripted chain: what is counted, and what a node's failures cost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio
import trio.testing

from flasharb.adapters.receipts import ReceiptsUnavailable
from flasharb.errors import NodeError
from flasharb.execution.outcome import Submitted
from flasharb.feed.events import BlockHeader
from flasharb.market.prices import usd_prices
from flasharb.market.snapshot import Market
from flasharb.service.accountant import KEPT_LOOKS, Accountant, Ours
from flasharb.service.figures import Figures
from flasharb.service.reports import ArbitragesSeen, Notice, Report
from flasharb.simulation.missed import MissedReason, Reach
from flasharb.simulation.receipts import BlockReceipt
from flasharb.strategy.profit import Costs
from flasharb.strategy.search import Findings
from flasharb.strategy.trade import Hop, Opportunity, Trade, TradeHop
from flasharb.units import Address, Hash32
from tests.support.arbitrage_receipts import BOT, cycle, receipt, swap
from tests.support.service_fakes import CHEAP, CONTRACT, DEAR, TOKENS, USDC, WETH, header, pool, spec

SLOT_S = 12.0
POOLS = (pool(CHEAP, 1000, 2_000_000), pool(DEAR, 1000, 2_200_000))
SPECS = {one.spec.address: one.spec for one in POOLS}
OURS = Ours(1, CONTRACT, WETH, SPECS, Reach(SPECS, (WETH,), 3))
HASH = Hash32(b"\xaa" * 32)
PROFIT = 10**17


@dataclass
class FakeReceipts:
    blocks: dict[int, tuple[BlockReceipt, ...]] = field(default_factory=dict)
    failure: NodeError | None = None
    asked: list[int] = field(default_factory=list)

    async def of_block(self, number: int, block_hash: Hash32) -> tuple[BlockReceipt, ...]:
        self.asked.append(number)
        await trio.lowlevel.checkpoint()
        if self.failure is not None:
            raise self.failure
        return self.blocks.get(number, ())

    async def values(self, transactions: tuple[Hash32, ...]) -> tuple[int, ...]:
        await trio.lowlevel.checkpoint()
        return (0,) * len(transactions)


class Desk:
    """An accountant at work; ``close`` says that a block is closed."""

    def __init__(self) -> None:
        self.receipts = FakeReceipts()
        self.figures = Figures()
        self.accountant = Accountant(self.receipts, OURS, SLOT_S, self.figures)
        self.seen: list[Report] = []
        self._closed_in, self._closed = trio.open_memory_channel[BlockHeader](16)

    async def close(self, number: int, branch: str = "") -> None:
        self._closed_in.send_nowait(header(number, branch))
        await trio.sleep(SLOT_S)

    def look(self, number: int, *trades: Trade, branch: str = "") -> None:
        market = Market.load(number, POOLS, TOKENS, block=header(number, branch))
        opportunities = tuple(Opportunity(one.id, tuple(hop.hop for hop in one.hops), 1.1, number) for one in trades)
        costs = Costs(1, WETH, usd_prices(Market(1), ()))
        self.accountant.looked(market, Findings(opportunities, trades, (), {}, costs))

    @property
    def accounts(self) -> list[ArbitragesSeen]:
        return [one for one in self.seen if isinstance(one, ArbitragesSeen)]

    @property
    def notices(self) -> list[Notice]:
        return [one for one in self.seen if isinstance(one, Notice)]

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        reports_in, reports = trio.open_memory_channel[Report](100)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.accountant.run, self._closed, reports_in)
            yield
            self._closed_in.close()
        async for report in reports:
            self.seen.append(report)


def trade(number: int, gross_profit: int = PROFIT) -> Trade:
    way = (Hop(DEAR, WETH, USDC), Hop(CHEAP, USDC, WETH))
    hops = tuple(TradeHop(hop, spec(hop.pool), 10**18, 10**18) for hop in way)
    return Trade(number, WETH, hops, gross_profit, 0, 100_000, 0, number)


def theirs(index: int, *, to: Address = BOT) -> BlockReceipt:
    return receipt(index, cycle(10**18, 10**18 + PROFIT, bot=to), to=to)


async def test_ours_theirs_found_and_missed_are_counted(autojump_clock: trio.testing.MockClock) -> None:
    """Block 2 holds ours; block 3 one that we sent a bundle for; block 4 one that its own block made."""
    desk = Desk()
    desk.receipts.blocks = {
        2: (theirs(0, to=CONTRACT),),
        3: (theirs(0),),
        4: (receipt(0, (swap(DEAR, (1, 0, 0, 1)),)), theirs(1)),
    }
    async with desk.at_work():
        desk.look(1, trade(1))
        await desk.close(2)
        desk.look(2, trade(2))
        desk.accountant.hear(Submitted(2, HASH, HASH, 3, 0, 0, 0, (), 0))
        await desk.close(3)
        desk.look(3)
        await desk.close(4)
    counted = desk.figures.arbitrages
    assert (counted.blocks, counted.seen, counted.found, counted.ours) == (3, 3, 2, 1)
    assert counted.missed == {"timing": 1}
    assert [[one.verdict.missed for one in account.arbitrages] for account in desk.accounts] == [
        [None],
        [None],
        [MissedReason.TIMING],
    ]
    assert not counted.unaccounted


async def test_a_block_is_held_against_the_search_on_its_own_parent(autojump_clock: trio.testing.MockClock) -> None:
    """What was found on a block that a reorganisation dropped is no finding."""
    desk = Desk()
    desk.receipts.blocks = {3: (theirs(0),)}
    async with desk.at_work():
        desk.look(2, trade(2), branch="dropped")
        desk.accountant.hear(Submitted(2, HASH, HASH, 3, 0, 0, 0, (), 0))
        await desk.close(3)
    assert desk.figures.arbitrages.missed == {"timing": 1}


async def test_a_second_look_at_a_block_adds_to_the_first(autojump_clock: trio.testing.MockClock) -> None:
    """After a reload the same block is searched again; the trades of the first search were sent all the same."""
    desk = Desk()
    desk.receipts.blocks = {3: (theirs(0),)}
    async with desk.at_work():
        desk.look(2, trade(2))
        desk.accountant.hear(Submitted(2, HASH, HASH, 3, 0, 0, 0, (), 0))
        desk.look(2)
        await desk.close(3)
    assert desk.figures.arbitrages.found == 1


async def test_a_failing_node_costs_the_blocks_account_and_is_said_once(autojump_clock: trio.testing.MockClock) -> None:
    desk = Desk()
    desk.receipts.failure = NodeError("the node is away")
    async with desk.at_work():
        await desk.close(2)
        await desk.close(3)
        desk.receipts.failure = None
        await desk.close(4)
    assert [one.number for one in desk.accounts] == [4]
    assert desk.figures.arbitrages.unaccounted == {"node_failed": 2}
    (notice,) = desk.notices
    assert notice.subject == "accounting"
    assert "the node is away" in notice.detail


async def test_a_node_without_receipts_is_not_asked_again(autojump_clock: trio.testing.MockClock) -> None:
    desk = Desk()
    desk.receipts.failure = ReceiptsUnavailable("no such method")
    async with desk.at_work():
        for number in (2, 3, 4):
            await desk.close(number)
    assert desk.receipts.asked == [2]
    (notice,) = desk.notices
    assert notice.detail.startswith("off")
    assert desk.figures.arbitrages.unaccounted == {"no_receipts": 3}


async def test_silent_blocks_are_said_to_be_unaccounted(autojump_clock: trio.testing.MockClock) -> None:
    desk = Desk()
    async with desk.at_work():
        await desk.close(2)
        await desk.close(5)
    assert desk.figures.arbitrages.unaccounted == {"silent": 2}


async def test_tokens_that_receipts_do_not_name_are_counted_and_not_guessed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Two pools that nobody knows, and no transfers: what was swapped stays open."""
    desk = Desk()
    strangers = (Address(b"\xe1" * 20), Address(b"\xe2" * 20))
    desk.receipts.blocks = {2: (receipt(0, tuple(swap(one, (5, 0, 0, 7)) for one in strangers)),)}
    async with desk.at_work():
        await desk.close(2)
    assert desk.figures.arbitrages.untold == 1
    assert desk.figures.arbitrages.seen == 0


async def test_an_orderly_stop_does_not_wait_for_the_rest(autojump_clock: trio.testing.MockClock) -> None:
    desk = Desk()
    async with desk.at_work():
        desk._closed_in.send_nowait(header(2))
        desk.accountant.hurry()
        begun = trio.current_time()
    assert desk.figures.arbitrages.blocks == 1
    assert trio.current_time() == begun


async def test_what_is_kept_is_bounded(autojump_clock: trio.testing.MockClock) -> None:
    """A run of months remembers the findings and outcomes of a few blocks."""
    desk = Desk()
    for number in range(1, 100):
        desk.look(number, trade(number))
        desk.accountant.hear(Submitted(number, HASH, HASH, 3, 0, 0, 0, (), 0))
    assert len(desk.accountant._looks) == KEPT_LOOKS
    assert len(desk.accountant._outcomes) == KEPT_LOOKS
    desk.receipts.blocks = {100: (theirs(0),)}
    async with desk.at_work():
        await desk.close(100)
    assert desk.figures.arbitrages.found == 1
