"""The map of the house: five stages, the channels between them, one nursery.

::

    reader ══batches══▶ updater ══newest market══▶ detector ══candidates══▶ executor ══sent══▶ tracker
                           ║                           │                        │                │
                       newest head                     └────────────reports─────┴────────────────┴═▶ reporter
                           ▼                                                                         ▲
                       simulator, which the executor asks       closed blocks ══▶ accountant ════════╛

The updater also shows every batch to the detector as it comes, in its own task: what opens a cycle is seen then, and
traded on when the block is complete.

Consumers start first and the source last, so nobody produces before somebody listens. An orderly stop closes the
source: each stage ends when what came before it has ended and its own work is done, the tracker when the last bundle
is decided.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import trio

from flasharb.feed.events import BlockHeader
from flasharb.service.accountant import Accountant
from flasharb.service.conflated import Conflated
from flasharb.service.detector import Detector
from flasharb.service.executor import Executor
from flasharb.service.messages import Batch, Candidates, Update, newest
from flasharb.service.reporter import Reporter
from flasharb.service.reports import Report
from flasharb.service.tracker import Sent, Tracker
from flasharb.service.updater import Updater


class Reads(Protocol):
    """Opens the source, then fills the channel until the source is closed."""

    def __call__(
        self, batches: trio.MemorySendChannel[Batch], *, task_status: trio.TaskStatus[None]
    ) -> Awaitable[None]: ...


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages, made; ``updater`` gets what tells reporter, simulator and detector without ever waiting.

    ``follow`` reads the state at new heads before anybody asks for it; ``try_out`` tries out the pools that only a
    trial vouches for. ``accountant`` None: nobody counts the real arbitrages.
    """

    read: Reads
    updater: Callable[[Callable[[Report], None], Callable[[BlockHeader], None], Callable[[Batch], None]], Updater]
    follow: Callable[[Conflated[BlockHeader]], Awaitable[None]]
    try_out: Callable[[Conflated[BlockHeader]], Awaitable[None]]
    detector: Callable[[Callable[[Report], None]], Detector]
    executor: Executor
    tracker: Tracker
    reporter: Reporter
    note_dropped: Callable[[], None]
    accountant: Accountant | None = None


async def run(stages: Stages) -> None:
    """Run until the source is closed and everything behind it has drained."""
    # A burst within one block; when it is full, the source's socket feels it.
    batches_in, batches = trio.open_memory_channel[Batch](64)
    # Only the newest market counts: a detector that is behind gets one value with all that moved.
    updates = Conflated[Update](newest)
    # State is worth reading at the newest head only.
    heads = Conflated[BlockHeader](lambda unread, newer: newer)
    trial_heads, trials = Conflated[BlockHeader](lambda unread, newer: newer), trio.CancelScope()
    # Some blocks, while the node is slow with receipts; one more is left out of the account.
    closed_in, closed = trio.open_memory_channel[BlockHeader](16)
    # No place at all: a trade that nobody is ready for is stale when somebody is.
    candidates_in, candidates = trio.open_memory_channel[Candidates](0)
    # A few blocks' bundles, while the tracker asks the node about others.
    sent_in, sent = trio.open_memory_channel[Sent](64)
    # Outcomes wait for the disk; a disk that is further behind than this holds everything up, as it should.
    reports_in, reports = trio.open_memory_channel[Report](64)

    def note(report: Report) -> None:
        # Updater and detector never wait for the disk: their notes are for eyes, not for the books.
        try:
            reports_in.send_nowait(report)
        except trio.WouldBlock:
            stages.note_dropped()

    detector = stages.detector(note)

    def new_head(header: BlockHeader) -> None:
        heads.put(header)
        trial_heads.put(header)
        if stages.accountant is not None:
            try:
                closed_in.send_nowait(header)
            except trio.WouldBlock:
                stages.accountant.skip()

    def no_more_heads() -> None:
        heads.close()
        # what a trial finds is for the blocks after it
        trials.cancel()
        closed_in.close()
        if stages.accountant is not None:
            stages.accountant.hurry()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stages.reporter.run, reports)
        async with reports_in, trio.open_nursery() as reporting:
            reporting.start_soon(stages.tracker.run, sent, reports_in.clone())
            reporting.start_soon(stages.executor.run, candidates, reports_in.clone(), sent_in)
            reporting.start_soon(detector.run, updates, candidates_in)
            reporting.start_soon(stages.follow, heads)
            reporting.start_soon(_until_cancelled, trials, stages.try_out, trial_heads)
            if stages.accountant is not None:
                reporting.start_soon(stages.accountant.run, closed, reports_in.clone())
            updater = stages.updater(note, new_head, detector.glance)
            reporting.start_soon(_follow_to_the_end, updater, batches, updates, no_more_heads)
            await reporting.start(stages.read, batches_in)


async def _until_cancelled(
    scope: trio.CancelScope,
    follow: Callable[[Conflated[BlockHeader]], Awaitable[None]],
    heads: Conflated[BlockHeader],
) -> None:
    with scope:
        await follow(heads)


async def _follow_to_the_end(
    updater: Updater,
    batches: trio.MemoryReceiveChannel[Batch],
    updates: Conflated[Update],
    no_more_heads: Callable[[], None],
) -> None:
    try:
        await updater.run(batches, updates)
    finally:
        no_more_heads()
