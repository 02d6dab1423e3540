"""What ``run`` shows: a live panel on a terminal, plain lines elsewhere, JSON lines with ``--json``."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, Protocol

import msgspec
import trio
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from flasharb.adapters.records import outcome_record, real_arbitrage_record, trade_record
from flasharb.cli.output import Output
from flasharb.execution.outcome import DryRun, Included, Missed, Reverted, Submitted
from flasharb.service.figures import Arbitrages, Figures, Latencies
from flasharb.service.reports import ArbitragesSeen, BlockApplied, Notice, Report, Started, TradeFound
from flasharb.strategy.trade import Rejected, Trade
from flasharb.units import WEI_PER_ETH, WEI_PER_GWEI, Address, checksum, hex0x

REFRESH_S: Final = 0.2
KEPT_TRADES: Final = 50


class View(Protocol):
    """Where reports go. ``refresh`` runs beside the service until it is cancelled."""

    def show(self, report: Report) -> None:
        """Take one report; never blocks."""
        ...

    async def refresh(self) -> None:
        """Redraw from time to time."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was found."""
        ...


def eth(wei: int) -> str:
    """Wei as ETH, exactly, with at least four decimals."""
    text = f"{Decimal(wei) / WEI_PER_ETH:.18f}".rstrip("0")
    whole, _, part = text.partition(".")
    return f"{whole}.{part:<04}"


def short(raw: bytes) -> str:
    """The first and last bytes of a hash, to tell hashes apart on a narrow screen."""
    return f"0x{raw[:4].hex()}…{raw[-3:].hex()}"


def latency(ns: int) -> str:
    """Nanoseconds as milliseconds."""
    return f"{ns / 1e6:.1f} ms"


class Names:
    """Symbols of tokens, and a trade's way in words."""

    def __init__(self) -> None:
        self.symbols: Mapping[Address, str] = {}

    def token(self, token: Address) -> str:
        """A token's symbol, or its address where the list has none."""
        return self.symbols.get(token) or checksum(token)

    def path(self, trade: Trade) -> str:
        """``WETH → USDC → WETH (uniswap_v2, uniswap_v3)``."""
        tokens = [trade.base_token, *(one.hop.token_out for one in trade.hops)]
        return f"{' → '.join(map(self.token, tokens))} ({', '.join(one.protocol for one in trade.hops)})"


def status(report: Report) -> tuple[int, str, str] | None:
    """The trade's id, its state in words, and the colour; None for what is no station of a trade."""
    match report:
        case Rejected():
            return report.id, f"rejected: {report.reason}", "bright_black"
        case Reverted():
            where = f"in block {report.block_number}" if report.on_chain else "in the simulation"
            return report.id, f"reverted {where}: {report.reason}", "red" if report.on_chain else "yellow"
        case DryRun():
            return report.id, f"simulated only, {eth(report.net_profit_wei)} ETH net", "cyan"
        case Submitted():
            return report.id, f"sent for block {report.target_block}, {latency(report.latency_ns)}", "blue"
        case Included():
            words = (
                f"included in {report.block_number}, {eth(report.net_profit_wei)} ETH net, tx {short(report.tx_hash)}"
            )
            return report.id, words, "bold green"
        case Missed():
            return report.id, f"missed: {report.reason}", "magenta"
        case _:
            return None


class PlainView:
    """One concise line for each thing worth a line."""

    def __init__(self, out: Output, figures: Figures) -> None:
        self._out = out
        self._figures = figures
        self._names = Names()

    def _say(self, text: str) -> None:
        self._out.write(text + "\n")

    def show(self, report: Report) -> None:
        match report:
            case Started():
                self._names.symbols = report.symbols
                self._say(", ".join(started_lines(report)))
            case BlockApplied():
                self._say(f"block {report.number}  {totals_line(self._figures)}")
            case Notice():
                self._say(f"note  {report.subject}: {report.detail}")
            case ArbitragesSeen():
                if report.arbitrages:
                    self._say(f"  {seen_words(report)}")
            case TradeFound():
                self._say(f"  trade {report.trade.id}  {self._names.path(report.trade)}  {latency(report.latency_ns)}")
            case Included():
                self._say(f"  trade {report.id}  {_words(report)}\n    tx {hex0x(report.tx_hash)}")
            case _:
                self._say(f"  trade {report.id}  {_words(report)}")

    async def refresh(self) -> None:
        await trio.sleep_forever()

    def close(self) -> None:
        pass


def _words(report: Report) -> str:
    found = status(report)
    return found[1] if found else ""


class LiveView:
    """A panel that is redrawn in place: figures above, below as many of the last trades as the terminal has room for.

    It is laid out for 80 columns; where a line is longer it goes on in the next one, no figure is ever cut.
    """

    def __init__(self, console: Console, figures: Figures) -> None:
        self._console = console
        self._figures = figures
        self._names = Names()
        self._head = ["starting…"]
        self._block: BlockApplied | None = None
        self._notice: Notice | None = None
        self._seen: ArbitragesSeen | None = None
        self._trades: deque[int] = deque(maxlen=KEPT_TRADES)
        self._rows: dict[int, tuple[int, str, str, str]] = {}
        # No refresh thread: a Trio task redraws.
        self._live = Live(self._render(), console=console, auto_refresh=False)
        self._live.start()

    def show(self, report: Report) -> None:
        match report:
            case Started():
                self._names.symbols = report.symbols
                self._head = started_lines(report)
            case BlockApplied():
                self._block = report
            case Notice():
                self._notice = report
            case ArbitragesSeen():
                self._seen = report
            case TradeFound():
                self._add(report)
            case _:
                self._mark(report)

    def _add(self, report: TradeFound) -> None:
        if len(self._trades) == KEPT_TRADES:
            self._rows.pop(self._trades[0], None)
        trade = report.trade
        self._trades.append(trade.id)
        self._rows[trade.id] = (trade.block_number, self._names.path(trade), "found", "white")

    def _mark(self, report: Report) -> None:
        found = status(report)
        if found and found[0] in self._rows:
            block_number, path, _, _ = self._rows[found[0]]
            self._rows[found[0]] = (block_number, path, found[1], found[2])

    def _render(self) -> RenderableType:
        parts = [Text(self._head[0], style="bold"), *map(Text, self._head[1:]), Text(self._block_line())]
        parts += [Text(line) for line in figure_lines(self._figures)]
        if self._seen:
            parts.append(Text(seen_words(self._seen)))
        if self._figures.stale:
            parts.append(Text(f"not sending: {self._figures.stale}", style="bold red"))
        elif self._notice:
            parts.append(Text(f"{self._notice.subject}: {self._notice.detail}", style="yellow"))
        parts += [Text(""), Text("block   trade, and what became of it", style="bold")]
        for part in parts:
            part.overflow = "fold"
        above = len(self._console.render_lines(Group(*parts)))
        return Group(*parts, *self._trade_lines(self._console.height - above - 1))

    def _trade_lines(self, room: int) -> Iterator[RenderableType]:
        """The newest trades that fit into ``room`` lines."""
        for trade in reversed(self._trades):
            block_number, path, words, style = self._rows[trade]
            # A path of addresses may be cut (they stand in the journal), what became of it may not.
            way = Text(f"{block_number:>5}   {path}", no_wrap=True, overflow="ellipsis")
            fate = Text(f"        {words}", style=style, overflow="fold")
            room -= len(self._console.render_lines(Group(way, fate)))
            if room < 0:
                return
            yield way
            yield fate

    def _block_line(self) -> str:
        block = self._block
        if block is None:
            return "waiting for the first block"
        fee = "" if block.base_fee_per_gas is None else f"   base fee {block.base_fee_per_gas / WEI_PER_GWEI:.3f} gwei"
        return f"block {block.number}   {block.pools} pools, {block.touched} moved{fee}"

    async def refresh(self) -> None:
        while True:
            self._live.update(self._render(), refresh=True)
            await trio.sleep(REFRESH_S)

    def close(self) -> None:
        self._live.update(self._render(), refresh=True)
        self._live.stop()


class JsonView:
    """One JSON object a line; the line of a report is a function of the report alone."""

    def __init__(self, out: Output) -> None:
        self._out = out

    def write(self, record: Mapping[str, Any]) -> None:
        """Write one line."""
        self._out.write(msgspec.json.encode(record).decode() + "\n")

    def show(self, report: Report) -> None:
        self.write(json_record(report))

    async def refresh(self) -> None:
        await trio.sleep_forever()

    def close(self) -> None:
        pass


def started_lines(report: Started) -> list[str]:
    """Which chain, which contract, and whether bundles go out."""
    mode = "sending bundles" if report.sending else "dry run, nothing is sent"
    return [
        f"flasharb on chain {report.chain_id} from block {report.block_number}: {report.pools} pools, {mode}",
        f"contract {checksum(report.contract)}",
    ]


def totals_line(figures: Figures) -> str:
    """The counters in one line."""
    return (
        f"pools {figures.pools}  opportunities {figures.opportunities}  simulated {figures.simulated}  "
        f"bundles {figures.bundles_included}/{figures.bundles_submitted}  profit {eth(figures.net_profit_wei)} ETH"
    )


def figure_lines(figures: Figures) -> list[str]:
    """The counters and latencies as text."""
    rejected = ", ".join(f"{reason} {count}" for reason, count in figures.rejected.most_common(4))
    bundles = f"bundles {figures.bundles_submitted} sent, {figures.bundles_included} included"
    curtailed = f", cycles passed over at hubs {figures.curtailed} times" if figures.curtailed else ""
    return [
        f"opportunities {figures.opportunities}{curtailed}   simulated {figures.simulated}   {bundles}",
        f"net profit {eth(figures.net_profit_wei)} ETH",
        f"bus messages {figures.bus_messages}",
        f"bus → sighting     {percentiles(figures.bus_to_sighting)}, {figures.sightings} ahead of their block",
        f"bus → opportunity  {percentiles(figures.bus_to_opportunity)}",
        f"bus → bundle       {percentiles(figures.bus_to_bundle)}",
        f"rejected: {rejected or 'none'}",
        *arbitrage_lines(figures.arbitrages),
    ]


def arbitrage_lines(arbitrages: Arbitrages) -> list[str]:
    """Real arbitrages of the chain, and what we had of them; nothing where no block was accounted for."""
    if not arbitrages.blocks:
        return []
    others = f"{arbitrages.found} found ({arbitrages.ours} ours)"
    missed = ", ".join(f"{reason} {count}" for reason, count in arbitrages.missed.most_common())
    blocks = "1 block" if arbitrages.blocks == 1 else f"{arbitrages.blocks} blocks"
    return [f"real arbitrages {arbitrages.seen} in {blocks}: {others}", f"missed: {missed or 'none'}"]


def seen_words(report: ArbitragesSeen) -> str:
    """A block's real arbitrages in one line."""
    verdicts = [one.verdict for one in report.arbitrages]
    found = sum(1 for one in verdicts if one.missed is None)
    ours = sum(1 for one in verdicts if one.ours)
    missed = [one.missed.value for one in verdicts if one.missed is not None]
    words = f"real arbitrages in block {report.number}: {len(verdicts)}, {found} found ({ours} ours)"
    return f"{words}, missed: {', '.join(missed)}" if missed else words


def percentiles(latencies: Latencies) -> str:
    """``p50 1.2 ms, p99 3.4 ms`` or a dash."""
    half, most = latencies.percentile(0.5), latencies.percentile(0.99)
    return "–" if half is None else f"p50 {half:.1f} ms, p99 {most:.1f} ms"


def json_record(report: Report) -> dict[str, Any]:
    """A report as JSON values: amounts are decimal strings, hashes and addresses 0x strings, times milliseconds."""
    match report:
        case Started():
            return {
                "event": "started",
                "chain_id": report.chain_id,
                "block_number": report.block_number,
                "pools": report.pools,
                "contract": checksum(report.contract),
                "sender": checksum(report.sender),
                "sending": report.sending,
            }
        case BlockApplied():
            return {
                "event": "block",
                "number": report.number,
                "hash": None if report.hash is None else hex0x(report.hash),
                "pools": report.pools,
                "touched": report.touched,
            }
        case TradeFound():
            return {"event": "trade", **trade_record(report.trade), "latency_ms": report.latency_ns / 1e6}
        case Notice():
            return {"event": "notice", "subject": report.subject, "detail": report.detail}
        case ArbitragesSeen():
            return {
                "event": "arbitrages",
                "block_number": report.number,
                "arbitrages": [real_arbitrage_record(one.seen, one.verdict) for one in report.arbitrages],
                "untold": report.untold,
            }
        case _:
            return {"event": "outcome", **outcome_record(report)}
