"""The last stage: counts, writes the journal, tells the bus and the view. It decides nothing."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, assert_never

import trio

from flasharb.adapters.bus import Publisher
from flasharb.adapters.journal import Journal
from flasharb.adapters.records import outcome_record, real_arbitrage_record, trade_record
from flasharb.execution.announcement import result_of, signal_of
from flasharb.execution.outcome import DryRun, FinalOutcome, Included, Missed, Reverted, Submitted
from flasharb.feed.messages import SOURCE_ARBITRAGE, ArbitrageSignal, FlashLoanResult, encode
from flasharb.feed.wire import Dialect
from flasharb.service.figures import Figures
from flasharb.service.reports import ArbitragesSeen, BlockApplied, Notice, Report, Started, TradeFound
from flasharb.settings import Settings
from flasharb.strategy.trade import Rejected

NS: Final = 10**9
KEPT_BUNDLES: Final = 1000
"""Landed bundles that the summary can name (the newest); all stand in the journal."""


class Book:
    """The journal as the stages use it: one line at a time, in a thread, because the disk blocks."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._limiter = trio.CapacityLimiter(1)

    async def write(self, event: str, fields: Mapping[str, Any]) -> None:
        """Return when the line is on the disk.

        Raises:
            JournalError: it cannot be written; nothing may be signed or sent then.
        """
        await trio.to_thread.run_sync(self._journal.append, event, fields, limiter=self._limiter)


class Announcer:
    """Our messages on the bus's signal channel."""

    def __init__(self, publisher: Publisher, settings: Settings) -> None:
        self._publisher = publisher
        self._settings = settings
        self._dialect: Dialect = "p3" if settings.message_bus.dialect == "p3" else "p1"
        self._sequence = 0

    def announce(self, report: TradeFound | FinalOutcome) -> None:
        """Publish what belongs on the bus; never blocks."""
        now_ns = time.time_ns()
        message: ArbitrageSignal | FlashLoanResult | None
        if isinstance(report, TradeFound):
            until_s = int(now_ns / NS + self._settings.chain.slot_s)
            message = signal_of(report.trade, report.costs, self._settings, timestamp_ns=now_ns, valid_until_s=until_s)
        else:
            message = result_of(report, self._settings.chain.id)
        if message is None:
            return
        self._sequence += 1
        source = SOURCE_ARBITRAGE[self._dialect]
        raw = encode(message, dialect=self._dialect, source=source, timestamp_ns=now_ns, sequence=self._sequence)
        self._publisher.publish(raw)


class Reporter:
    """Works off reports until all who report are done."""

    def __init__(
        self, figures: Figures, book: Book, announcer: Announcer | None, show: Callable[[Report], None]
    ) -> None:
        self._figures = figures
        self._book = book
        self._announcer = announcer
        self._show = show
        self.write = book.write
        """For stages that must know that a line is on the disk before they go on."""
        self.included: deque[Included] = deque(maxlen=KEPT_BUNDLES)

    async def run(self, reports: trio.MemoryReceiveChannel[Report]) -> None:
        """Take reports in order."""
        async for report in reports:
            await self._take(report)
            self._show(report)

    async def _take(self, report: Report) -> None:
        match report:
            case Started() | BlockApplied() | Notice():
                pass
            case ArbitragesSeen():
                if report.arbitrages:
                    records = [real_arbitrage_record(one.seen, one.verdict) for one in report.arbitrages]
                    await self._book.write("arbitrages", {"block_number": report.number, "arbitrages": records})
            case TradeFound():
                await self._book.write("trade", trade_record(report.trade))
                self._announce(report)
            case Submitted():
                await self._book.write("submitted", outcome_record(report))
                self._figures.bundles_submitted += 1
            case Rejected() | Reverted() | DryRun() | Included() | Missed():
                await self._book.write("outcome", outcome_record(report))
                self._count(report)
                self._announce(report)
            case _ as never:
                assert_never(never)

    def _announce(self, report: TradeFound | FinalOutcome) -> None:
        if self._announcer is not None:
            self._announcer.announce(report)

    def _count(self, outcome: FinalOutcome) -> None:
        figures = self._figures
        match outcome:
            case Rejected():
                figures.rejected[outcome.reason] += 1
            case Included():
                figures.bundles_included += 1
                figures.net_profit_wei += outcome.net_profit_wei
                self.included.append(outcome)
            case Reverted(on_chain=True):
                figures.net_profit_wei += outcome.net_profit_wei
            case Reverted():
                figures.rejected["reverted_in_simulation"] += 1
            case DryRun() | Missed():
                pass
