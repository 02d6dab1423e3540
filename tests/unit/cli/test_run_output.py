"""What ``run`` prints: the keys of the contract, exact amounts, and a loud word when the chain disagrees."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from flasharb.cli.output import Output
from flasharb.cli.summary import print_summary, summary_records
from flasharb.cli.view import JsonView, LiveView, PlainView, eth, figure_lines
from flasharb.errors import OutsideError
from flasharb.execution.outcome import Included, Missed
from flasharb.execution.realised import Holdings, net_profit_wei
from flasharb.market.prices import usd_prices
from flasharb.market.snapshot import Market
from flasharb.pools import PoolSpec
from flasharb.service.figures import Figures
from flasharb.service.reports import ArbitragesSeen, BlockApplied, Notice, RealArbitrage, Report, Started, TradeFound
from flasharb.service.serve import Result
from flasharb.simulation.accounting import Verdict
from flasharb.simulation.arbitrage import Arbitrage
from flasharb.simulation.missed import MissedReason
from flasharb.simulation.receipts import Seen
from flasharb.simulation.swaps import Swap
from flasharb.strategy.profit import Costs
from flasharb.strategy.trade import Hop, Rejected, Trade, TradeHop
from flasharb.units import Address, Hash32
from tests.support.arbitrage_receipts import receipt

WETH, USDC, POOL = (Address(bytes([byte]) * 20) for byte in (1, 2, 3))
HOPS = (
    TradeHop(Hop(POOL, WETH, USDC), PoolSpec(POOL, "uniswap_v2", (WETH, USDC), 3000), 10**18, 2_000),
    TradeHop(Hop(WETH, USDC, WETH), PoolSpec(WETH, "uniswap_v3", (WETH, USDC), 500, 10), 2_000, 10**18 + 7),
)
TRADE = Trade(5, WETH, HOPS, 7, 0, 130_000, 6, 41)
COSTS = Costs(1, WETH, usd_prices(Market(41), ()))
INCLUDED = Included(5, Hash32(b"\xaa" * 32), Hash32(b"\xbb" * 32), 42, Hash32(b"\xcc" * 32), 9, 8, 7, WETH, 3, 4, 5_000)
REAL = Seen(
    receipt(3, ()),
    (Swap(POOL, "uniswap_v2", POOL, WETH, USDC, 10**18, 5), Swap(b"\xcc" * 32, "uniswap_v4", POOL, USDC, WETH, 5, 6)),
    Arbitrage(WETH, 10**17, None, (POOL, b"\xcc" * 32)),
    False,
)
SEEN = ArbitragesSeen(
    42,
    Hash32(b"\xdd" * 32),
    (
        RealArbitrage(REAL, Verdict(MissedReason.PROTOCOL, "uniswap_v4 0xcc")),
        RealArbitrage(REAL, Verdict(None, "landed", True)),
    ),
    1,
)
REPORTS: tuple[Report, ...] = (
    Started(61_861, 40, 21, POOL, USDC, True, {WETH: "WETH", USDC: "USDC"}),
    BlockApplied(41, Hash32(b"\xdd" * 32), 10**9, 21, 2),
    TradeFound(TRADE, COSTS, 1_500_000),
    Rejected(6, "too_late", "the slot ended", 41),
    Missed(7, Hash32(b"\xaa" * 32), Hash32(b"\xbb" * 32), 42, "not_included"),
    INCLUDED,
    Notice("stale_head", "no word from the feed"),
    SEEN,
)


def output(stream: io.StringIO) -> Output:
    return Output(stream, lambda: None)


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
    view = JsonView(output(out))
    for report in REPORTS:
        view.show(report)
    records = [json.loads(line) for line in out.getvalue().splitlines()]

    events = ["started", "block", "trade", "outcome", "outcome", "outcome", "notice", "arbitrages"]
    assert [record["event"] for record in records] == events
    assert records[2]["gross_profit"] == "7"
    assert records[2]["trade"] == 5
    assert records[5]["net_profit_wei"] == "4"
    assert records[5]["tx_hash"] == "0x" + "aa" * 32
    missed, found = records[7]["arbitrages"]
    assert (missed["found"], missed["ours"], missed["reason"]) == (False, False, "protocol")
    assert (found["found"], found["ours"], found["reason"]) == (True, True, None)
    assert found["gross_profit"] == str(10**17)
    assert [one["protocol"] for one in found["path"]] == ["uniswap_v2", "uniswap_v4"]
    assert found["path"][1]["pool"] == "0x" + "cc" * 32


def test_the_last_json_line_is_the_summary_of_the_contract() -> None:
    figures = Figures(blocks=3, net_profit_wei=2**70)
    figures.bus_to_bundle.add(0.002)
    figures.arbitrages.add(SEEN)
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
        "arbitrages",
        "curtailed",
    ]
    assert summary["arbitrages"] == {
        "blocks": 1,
        "seen": 2,
        "found": 1,
        "ours": 1,
        "missed": {"protocol": 1},
        "untold": 1,
        "unaccounted": {},
    }
    assert summary["net_profit_wei"] == str(2**70)
    assert summary["latency_ms"]["bus_to_bundle"] == {"p50": 2.0, "p99": 2.0}
    assert summary["latency_ms"]["bus_to_opportunity"] == {"p50": None, "p99": None}
    assert balances["growth_wei"] == "10"
    assert balances["equals_net_profit"] is False


@pytest.mark.parametrize(("profit", "word"), [(10, "by exactly that."), (11, "BUT THE NET PROFIT")])
def test_the_summary_is_loud_when_the_chain_disagrees(profit: int, word: str) -> None:
    out = io.StringIO()
    print_summary(Console(file=out, width=200), Figures(net_profit_wei=profit), result(20), 12.0)
    text = out.getvalue()

    assert word in text
    assert "0x" + "aa" * 32 in text
    assert "./just simulate 0x" in text


def test_plain_lines_name_the_path_and_the_whole_transaction_hash() -> None:
    out = io.StringIO()
    view = PlainView(output(out), Figures())
    for report in REPORTS:
        view.show(report)
    text = out.getvalue()

    assert "WETH → USDC → WETH (uniswap_v2, uniswap_v3)" in text
    assert "0x" + "aa" * 32 in text
    assert "rejected: too_late" in text
    assert "stale_head" in text
    assert "real arbitrages in block 42: 2, 1 found (1 ours), missed: protocol" in text


def test_figures_tell_of_real_arbitrages_once_a_block_is_accounted_for() -> None:
    figures = Figures()
    assert not any("arbitrages" in line for line in figure_lines(figures))
    figures.arbitrages.add(SEEN)
    assert figure_lines(figures)[-2:] == ["real arbitrages 2 in 1 block: 1 found (1 ours)", "missed: protocol 1"]


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
    assert "real arbitrages in block 42" in text


BIG = 10**26 + 123_456_789


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_figure_of_the_summary_is_ever_cut(width: int) -> None:
    before, after = Holdings(123_456, BIG, BIG + 1, BIG + 2), Holdings(123_999, BIG + 10**25, BIG + 3, 5)
    landed = replace(INCLUDED, net_profit_wei=BIG)
    out = io.StringIO()
    figures = Figures(net_profit_wei=net_profit_wei(before, after))
    print_summary(Console(file=out, width=width), figures, Result(POOL, USDC, before, after, [landed], True), 12.0)
    text = out.getvalue()

    for held in (before, after):
        for amount in (held.contract_token, held.contract_wei, held.sender_wei, held.total_wei):
            assert str(amount) in text
    assert f"{figures.net_profit_wei:+d}" in text
    assert eth(BIG) in text
    assert "0x" + "aa" * 32 in text
    assert "…" not in text
    # The command is longer than 80 columns, and must stay one line to be copied.
    assert all(len(line) <= 80 for line in text.splitlines() if not line.startswith("./just"))


def test_balances_that_nobody_knows_are_said_to_be_unknown() -> None:
    unknown = Result(POOL, USDC, Holdings(1, 0, 0, 100), None, [], True)
    out = io.StringIO()
    print_summary(Console(file=out, width=80), Figures(), unknown, 12.0)
    balances, _ = summary_records(Figures(), unknown)

    assert "not compared" in out.getvalue()
    assert "by exactly that" not in out.getvalue()
    assert balances["after"] is balances["growth_wei"] is balances["equals_net_profit"] is None


def screen(width: int, height: int) -> list[str]:
    """The last frame of a panel with many trades, without colours."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system=None, width=width, height=height)
    figures = Figures(net_profit_wei=BIG)
    figures.rejected.update({"conflicts_with_better": 1000, "below_min_profit": 2000, "no_profit": 30_000})
    view = LiveView(console, figures)
    for number in range(60):
        view.show(TradeFound(replace(TRADE, id=number), COSTS, 1_500_000))
        view.show(replace(INCLUDED, id=number, net_profit_wei=BIG + number))
    for report in REPORTS[:2]:
        view.show(report)
    view.close()
    with console.capture() as frame:
        console.print(view._render())
    return frame.get().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (80, 10), (40, 24)])
def test_the_panel_fits_the_terminal_and_shows_the_newest_trades(width: int, height: int) -> None:
    lines = screen(width, height)

    assert len(lines) < height or height < 15
    assert max(map(len, lines)) <= width
    assert any("flasharb on chain 61861" in line for line in lines)
    if width >= 80:
        assert any(eth(BIG) in line for line in lines)
    if height >= 24 and width >= 80:
        assert any(eth(BIG + 59) in line for line in lines)


class Gone(io.StringIO):
    """A pipe whose reader has ended."""

    def flush(self) -> None:
        raise BrokenPipeError(32, "Broken pipe")


class Full(io.StringIO):
    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_reader_that_goes_away_is_noticed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flasharb.cli.output._discard", lambda stream: None)
    calls = []
    out = Output(Gone(), lambda: calls.append(1))
    out.write("a")
    out.write("b")
    assert calls == [1]


def test_a_full_disk_behind_stdout_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flasharb.cli.output._discard", lambda stream: None)
    with pytest.raises(OutsideError, match="cannot write to stdout: No space left"):
        Output(Full(), lambda: None).write("a")


def test_a_closed_stdout_is_nobody_s_business() -> None:
    Output(None, lambda: None).write("a")
