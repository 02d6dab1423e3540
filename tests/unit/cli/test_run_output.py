"""What ``run`` prints: the keys of the contract, exact amounts, and a loud word when the chain disagrees."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from flasharb.cli.summary import print_summary, summary_records
from flasharb.cli.view import JsonView, LiveView, PlainView, eth
from flasharb.execution.outcome import Included, Missed
from flasharb.execution.realised import Holdings
from flasharb.market.prices import usd_prices
from flasharb.market.snapshot import Market
from flasharb.service.figures import Figures
from flasharb.service.reports import BlockApplied, Notice, Report, Started, TradeFound
from flasharb.service.serve import Result
from flasharb.strategy.profit import Costs
from flasharb.strategy.trade import Hop, Rejected, Trade, TradeHop
from flasharb.units import Address, Hash32

WETH, USDC, POOL = (Address(bytes([byte]) * 20) for byte in (1, 2, 3))
HOPS = (
    TradeHop(Hop(POOL, WETH, USDC, True), "uniswap_v2", 10**18, 2_000),
    TradeHop(Hop(WETH, USDC, WETH, False), "uniswap_v3", 2_000, 10**18 + 7),
)
TRADE = Trade(5, WETH, HOPS, 7, 0, 130_000, 6, 41)
COSTS = Costs(1, WETH, usd_prices(Market(41), ()))
INCLUDED = Included(5, Hash32(b"\xaa" * 32), Hash32(b"\xbb" * 32), 42, Hash32(b"\xcc" * 32), 9, 8, 7, WETH, 3, 4, 5_000)
REPORTS: tuple[Report, ...] = (
    Started(61_861, 40, 21, POOL, USDC, True, {WETH: "WETH", USDC: "USDC"}),
    BlockApplied(41, Hash32(b"\xdd" * 32), 10**9, 21, 2),
    TradeFound(TRADE, COSTS, 1_500_000),
    Rejected(6, "too_late", "the slot ended", 41),
    Missed(7, Hash32(b"\xaa" * 32), Hash32(b"\xbb" * 32), 42, "not_included"),
    INCLUDED,
    Notice("stale_head", "no word from the feed"),
)


def result(after: int) -> Result:
    return Result(POOL, USDC, Holdings(1, 0, 0, 100), Holdings(9, after, 0, 90), [INCLUDED], True)


@pytest.mark.parametrize(
    ("wei", "text"),
    [(0, "0.0000"), (1, "0.000000000000000001"), (10**18, "1.0000"), (-15 * 10**17, "-1.5000"), (2**80, None)],
)
def test_ether_is_written_exactly(wei: int, text: str | None) -> None:
    written = eth(wei)
    assert text is None or written == text
    whole, _, part = written.partition(".")
    assert int(whole + part.ljust(18, "0")) == wei


def test_json_lines_have_an_event_and_no_numbers_for_amounts() -> None:
    out = io.StringIO()
    view = JsonView(out)
    for report in REPORTS:
        view.show(report)
    records = [json.loads(line) for line in out.getvalue().splitlines()]

    events = ["started", "block", "trade", "outcome", "outcome", "outcome", "notice"]
    assert [record["event"] for record in records] == events
    assert records[2]["gross_profit"] == "7"
    assert records[2]["trade"] == 5
    assert records[5]["net_profit_wei"] == "4"
    assert records[5]["tx_hash"] == "0x" + "aa" * 32


def test_the_last_json_line_is_the_summary_of_the_contract() -> None:
    figures = Figures(blocks=3, net_profit_wei=2**70)
    figures.bus_to_bundle.add(0.002)
    balances, summary = summary_records(figures, result(20))

    assert list(summary) == [
        "event",
        "blocks",
        "bus_messages",
        "opportunities",
        "simulated",
        "rejected",
        "bundles_submitted",
        "bundles_included",
        "net_profit_wei",
        "latency_ms",
    ]
    assert summary["net_profit_wei"] == str(2**70)
    assert summary["latency_ms"]["bus_to_bundle"] == {"p50": 2.0, "p99": 2.0}
    assert summary["latency_ms"]["bus_to_opportunity"] == {"p50": None, "p99": None}
    assert balances["growth_wei"] == "10"
    assert balances["equals_net_profit"] is False


@pytest.mark.parametrize(("profit", "word"), [(10, "by exactly that"), (11, "BUT THE NET PROFIT")])
def test_the_summary_is_loud_when_the_chain_disagrees(profit: int, word: str) -> None:
    out = io.StringIO()
    print_summary(Console(file=out, width=200), Figures(net_profit_wei=profit), result(20), 12.0)
    text = out.getvalue()

    assert word in text
    assert "0x" + "aa" * 32 in text
    assert "./just simulate 0x" in text


def test_plain_lines_name_the_path_and_the_whole_transaction_hash() -> None:
    out = io.StringIO()
    view = PlainView(out, Figures())
    for report in REPORTS:
        view.show(report)
    text = out.getvalue()

    assert "WETH → USDC → WETH (uniswap_v2, uniswap_v3)" in text
    assert "0x" + "aa" * 32 in text
    assert "rejected: too_late" in text
    assert "stale_head" in text


def test_the_live_panel_shows_what_became_of_each_trade() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=160, height=40)
    view = LiveView(console, Figures(stale="no word from the feed"))
    for report in REPORTS:
        view.show(report)
    view.close()
    text = out.getvalue()

    assert "included in 42" in text
    assert "not sending: no word from the feed" in text
    assert "block 41" in text
