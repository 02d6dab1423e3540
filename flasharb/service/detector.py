"""Looks for trades in each new market; the search itself is ``strategy.search``.

Between markets it glances at every batch, in the updater's own task: from the socket to a sighting there is no channel
after the reader's, and no work for single messages where they come in runs. Only whole blocks are traded on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from flasharb.execution.fees import next_base_fee
from flasharb.market.snapshot import Market
from flasharb.service.conflated import Conflated
from flasharb.service.executor import TOO_LATE
from flasharb.service.figures import Figures
from flasharb.service.messages import Batch, Candidates, Update
from flasharb.service.reports import Notice, Report, TradeFound
from flasharb.strategy.search import Findings, Search
from flasharb.strategy.trade import Rejected

NS: Final = 10**9


class Detector:
    """Turns markets into candidates; ``run`` ends when the updates end."""

    def __init__(
        self,
        search: Search,
        figures: Figures,
        report: Callable[[Report], None],
        looked: Callable[[Market, Findings], None] | None = None,
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        """``report`` and ``looked`` never block. ``settle`` is called when all that lasts has been made."""
        self._search = search
        self._figures = figures
        self._report = report
        self._looked = looked
        self._settle = settle

    async def run(self, updates: Conflated[Update], candidates: trio.MemorySendChannel[Candidates]) -> None:
        """Search every market that comes, at most one at a time."""
        async with candidates:
            async for update in updates:
                found = self._look(update)
                if update.touched is None:
                    self._settle()
                # A trade after its slot, or on a chain that has gone on without us, is worthless.
                if self._figures.stale is None and trio.current_time() < update.deadline:
                    if found.trades:
                        await candidates.send(found)
                    continue
                for trade in found.trades:
                    detail = "it was found when its slot was over, or the chain had gone on without us"
                    self._report(Rejected(trade.id, TOO_LATE, detail, update.market.number))

    def glance(self, batch: Batch) -> None:
        """Note the cycles that a batch opens, long before its block is complete. Never blocks."""
        sighted = self._search.glance(batch.events)
        if sighted:
            self._figures.sightings += sighted
            self._figures.bus_to_sighting.add(trio.current_time() - batch.received_at)

    def _look(self, update: Update) -> Candidates:
        findings = self._search.update(update.market, update.touched, next_base_fee(update.header), update.native_usd)
        figures, now = self._figures, trio.current_time()
        if self._looked is not None:
            self._looked(update.market, findings)
        figures.opportunities += len(findings.opportunities)
        self._note_curtailed(findings.curtailed, update.market.number)
        for rejected in findings.rejected:
            figures.rejected[rejected.reason] += 1
        if findings.opportunities:
            figures.bus_to_opportunity.add(now - update.received_at)
        for trade in findings.trades:
            self._report(TradeFound(trade, findings.costs, int((now - update.received_at) * NS)))
        return Candidates(update.header, findings.trades, findings.costs, update.received_at, update.deadline)

    def _note_curtailed(self, count: int, block_number: int) -> None:
        """Say it once: from then on the figures tell."""
        if count and not self._figures.curtailed:
            detail = (
                f"in block {block_number} some cycles of four pools between tokens with very many pools were passed "
                "over; the best of them are still found. strategy.max_hops = 3 leaves cycles of four to that way"
            )
            self._report(Notice("curtailed", detail))
        self._figures.curtailed = count
