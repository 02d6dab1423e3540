"""The detector between the market and the executor: what it counts, and what it tells the operator."""

from __future__ import annotations

import pytest
import trio

from flasharb.pools import Pool
from flasharb.service.conflated import Conflated
from flasharb.service.detector import Detector
from flasharb.service.executor import TOO_LATE
from flasharb.service.figures import Figures
from flasharb.service.messages import Candidates, Update, newest
from flasharb.service.reports import Notice, Report, TradeFound
from flasharb.settings import Pools, Settings, Strategy
from flasharb.strategy.search import Search, Tokens
from flasharb.strategy.trade import Rejected
from tests.support.market_samples import WETH, address_of, header, market, v2


def ring_of_four(off: int) -> list[Pool]:
    """Four pools round four tokens, the first WETH."""
    tokens = [WETH.address, *(address_of(f"token {n}") for n in range(3))]
    return [v2(f"pool {n}", (tokens[n], 10**21), (tokens[(n + 1) % 4], 10**21 + off * n), fee_pips=0) for n in range(4)]


async def test_a_trade_found_after_its_slot_is_not_handed_on() -> None:
    """It ends as too late, by its own id, in the report; one block later the same trade is a candidate."""
    settings = Settings(strategy=Strategy(min_profit_usd=0.0, max_hops=4), pools=Pools(min_liquidity_usd=0.0))
    reports = list[Report]()
    detector = Detector(Search(settings, Tokens((WETH.address,), (), WETH.address)), Figures(), reports.append)
    handed = []
    for number, left_s in ((100, -1.0), (101, 1e6)):
        now = trio.current_time()
        updates: Conflated[Update] = Conflated(newest)
        updates.put(Update(market(*ring_of_four(10**19), number=number), header(number), None, now - 2.0, now + left_s))
        updates.close()
        send, receive = trio.open_memory_channel[Candidates](1)
        await detector.run(updates, send)
        handed.append([trade.id for found in [one async for one in receive] for trade in found.trades])
    late, *_ = [report for report in reports if isinstance(report, TradeFound)]
    assert [(one.id, one.reason, one.block_number) for one in reports if isinstance(one, Rejected)] == [
        (late.trade.id, TOO_LATE, 100)
    ]
    assert handed[0] == []
    assert len(handed[1]) == 1


async def test_cycles_passed_over_at_hubs_are_counted_and_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no budget the listing passes over every third that is no base token; the trade is found all the same."""
    monkeypatch.setattr("flasharb.strategy.screen.screen.FOUR_HOP_BUDGET", 0)
    settings = Settings(strategy=Strategy(min_profit_usd=0.0, max_hops=4), pools=Pools(min_liquidity_usd=0.0))
    figures, reports = Figures(), list[Report]()
    detector = Detector(Search(settings, Tokens((WETH.address,), (), WETH.address)), figures, reports.append)
    counts = []
    for number, off in ((100, 10**19), (101, 2 * 10**19)):
        snapshot = market(*ring_of_four(off), number=number)
        updates: Conflated[Update] = Conflated(newest)
        updates.put(Update(snapshot, header(number), None, trio.current_time(), trio.current_time() + 1e6))
        updates.close()
        send, receive = trio.open_memory_channel[Candidates](1)
        await detector.run(updates, send)
        (trade,) = receive.receive_nowait().trades
        assert len(trade.hops) == 4
        counts.append(figures.curtailed)
    assert 0 < counts[0] < counts[1]
    (notice,) = [report for report in reports if isinstance(report, Notice)]
    assert notice.subject == "curtailed"
    assert notice.detail.startswith("in block 100 ")
