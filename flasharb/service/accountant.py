"""Beside the hot path: which arbitrages did a closed block really hold, and did we have them?

Nothing waits for this task. Detector and reporter tell it what they had in passing, closed blocks come through a small
channel that drops what it cannot hold, and the receipts are asked for when the block's own work is done. A node that
fails costs the account of that block; one that has no receipts to give ends the accounting, and the run goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

import trio

from flasharb.adapters.receipts import ReceiptsUnavailable
from flasharb.errors import NodeError
from flasharb.execution.outcome import DryRun, Included, Missed, Outcome, Reverted, Submitted
from flasharb.feed.events import BlockHeader
from flasharb.market.snapshot import Market
from flasharb.pools.spec import PoolSpec
from flasharb.service.figures import Figures
from flasharb.service.reports import ArbitragesSeen, Notice, RealArbitrage, Report
from flasharb.simulation.accounting import Look, account_for
from flasharb.simulation.missed import Reach
from flasharb.simulation.receipts import BlockReceipt, Candidate, arbitrage_of, candidate_of, seen
from flasharb.strategy.search import Findings
from flasharb.strategy.trade import Rejected
from flasharb.units import Address, Hash32

KEPT_LOOKS: Final = 8
"""Blocks whose findings are kept: an account is due half a slot after its block, and later only when the node lags."""
REST: Final = 0.5
"""Share of a slot that a block's own work gets before its account; bundles for it are sent long before."""


class Receipts(Protocol):
    """``adapters.receipts.Receipts``."""

    async def of_block(self, number: int, block_hash: Hash32) -> tuple[BlockReceipt, ...]: ...

    async def values(self, transactions: tuple[Hash32, ...]) -> tuple[int, ...]: ...


@dataclass(frozen=True, slots=True)
class Ours:
    """What tells our things from others'. ``contract`` is FlashArb, ``specs`` are the tracked pools."""

    chain_id: int
    contract: Address
    wrapped_native: Address
    specs: Mapping[Address, PoolSpec]
    reach: Reach


class Accountant:
    """Accounts for each closed block; ``run`` ends when there are no more."""

    def __init__(self, receipts: Receipts, ours: Ours, slot_s: float, figures: Figures) -> None:
        self._receipts = receipts
        self._ours = ours
        self._rest_s = slot_s * REST
        self._hurried = trio.Event()
        self._figures = figures.arbitrages
        self._looks: dict[int, Look] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._said: str | None = None
        self._newest: int | None = None

    # What the other stages tell in passing; none of these waits

    def looked(self, market: Market, findings: Findings) -> None:
        """The search's findings at the end of a block; a second look, after a reload, adds to the first."""
        known = self._looks.pop(market.number, None)
        if known is not None and known.market.block == market.block:
            first = known.findings
            findings = replace(
                findings,
                opportunities=(*first.opportunities, *findings.opportunities),
                trades=(*first.trades, *findings.trades),
                rejected=(*first.rejected, *findings.rejected),
            )
        self._looks[market.number] = Look(market, findings)
        if len(self._looks) > KEPT_LOOKS:
            forgotten = self._looks.pop(next(iter(self._looks)))
            for trade in forgotten.findings.trades:
                self._outcomes.pop(trade.id, None)

    def hear(self, report: Report) -> None:
        """What became of a trade; other reports are let pass."""
        if isinstance(report, Rejected | Reverted | DryRun | Submitted | Included | Missed):
            self._outcomes[report.id] = report

    def skip(self) -> None:
        """A block is left out, because the node is behind with those before it."""
        self._figures.unaccounted["node_behind"] += 1

    def hurry(self) -> None:
        """The service stops: what is left is accounted for at once."""
        self._hurried.set()

    # The task

    async def run(
        self, closed: trio.MemoryReceiveChannel[BlockHeader], reports: trio.MemorySendChannel[Report]
    ) -> None:
        """Work until there are no more closed blocks."""
        async with reports:
            async for header in closed:
                self._count_silent(header.number)
                with trio.move_on_after(self._rest_s):
                    await self._hurried.wait()
                try:
                    await self._account(header, reports)
                except ReceiptsUnavailable as error:
                    self._figures.unaccounted["no_receipts"] += 1
                    await reports.send(Notice("accounting", f"off, real arbitrages are not counted: {error}"))
                    async for _ in closed:
                        self._figures.unaccounted["no_receipts"] += 1
                except NodeError as error:
                    self._figures.unaccounted["node_failed"] += 1
                    if self._said != str(error):
                        await reports.send(Notice("accounting", f"block {header.number} is not accounted for: {error}"))
                    self._said = str(error)

    def _count_silent(self, number: int) -> None:
        """Blocks that the feed had nothing to say about do not come here."""
        if self._newest is not None and number > self._newest + 1:
            self._figures.unaccounted["silent"] += number - self._newest - 1
        self._newest = number

    async def _account(self, header: BlockHeader, reports: trio.MemorySendChannel[Report]) -> None:
        receipts = await self._receipts.of_block(header.number, header.hash)
        candidates = await self._candidates(receipts)
        cyclic = [one for one in candidates if one.cyclic]
        values = await self._receipts.values(tuple(one.receipt.tx_hash for one in cyclic)) if cyclic else ()
        look = self._looks.get(header.number - 1)
        if look is not None and (look.market.block is None or look.market.block.hash != header.parent_hash):
            look = None
        found: list[RealArbitrage] = []
        for candidate, value in zip(cyclic, values, strict=True):
            won = arbitrage_of(candidate, value, self._ours.wrapped_native)
            if won is not None:
                real = seen(candidate, won, receipts)
                verdict = account_for(real, look, self._outcomes, self._ours.reach, self._ours.contract)
                found.append(RealArbitrage(real, verdict))
            await trio.lowlevel.checkpoint()
        untold = sum(1 for one in candidates if not one.told and not one.cyclic)
        report = ArbitragesSeen(header.number, header.hash, tuple(found), untold)
        self._figures.add(report)
        await reports.send(report)

    async def _candidates(self, receipts: tuple[BlockReceipt, ...]) -> list[Candidate]:
        ours, found = self._ours, []
        for receipt in receipts:
            candidate = candidate_of(receipt, ours.specs, ours.chain_id, ours.wrapped_native)
            if candidate is not None:
                found.append(candidate)
                await trio.lowlevel.checkpoint()
        return found
