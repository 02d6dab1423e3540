"""What a run did, counted. One object per run, written by the stages, read by the reporter and the view."""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

from flasharb.service.reports import ArbitragesSeen

KEPT_SAMPLES: Final = 100_000
"""Latencies kept for the percentiles (the newest ones), so that a run of months stays bounded."""


class Latencies:
    """Samples in milliseconds."""

    def __init__(self) -> None:
        self._samples: deque[float] = deque(maxlen=KEPT_SAMPLES)

    def add(self, seconds: float) -> None:
        """Note one sample, given in seconds."""
        self._samples.append(seconds * 1000)

    def percentile(self, share: float) -> float | None:
        """The nearest-rank percentile in milliseconds, None without samples; ``share`` is 0.5 for the median."""
        if not self._samples:
            return None
        ranked = sorted(self._samples)
        return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


@dataclass(slots=True)
class Arbitrages:
    """Real arbitrages of the chain against what we had; ``found`` includes ``ours``, which are on the chain."""

    blocks: int = 0
    seen: int = 0
    found: int = 0
    ours: int = 0
    missed: Counter[str] = field(default_factory=Counter)
    """By reason: see ``simulation.missed``."""
    untold: int = 0
    """Transactions that swapped in several pools and whose tokens receipts do not tell."""
    unaccounted: Counter[str] = field(default_factory=Counter)
    """Blocks without an account, by reason."""

    def add(self, report: ArbitragesSeen) -> None:
        """Count a block's account."""
        self.blocks += 1
        self.untold += report.untold
        for one in report.arbitrages:
            self.seen += 1
            self.ours += one.verdict.ours
            if one.verdict.missed is None:
                self.found += 1
            else:
                self.missed[one.verdict.missed.value] += 1


@dataclass(slots=True)
class Figures:
    """Counters of one run. ``net_profit_wei`` sums what our landed transactions brought on chain, reverts included."""

    blocks: int = 0
    bus_bytes: int = 0
    bus_messages: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    """Input that was counted and skipped, by reason."""
    sightings: int = 0
    """Token cycles seen to pass before the block that opened them was complete."""
    opportunities: int = 0
    curtailed: int = 0
    """How often the listing of cycles passed over some of four pools at hubs: see ``Screen.curtailed``."""
    simulated: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    bundles_submitted: int = 0
    bundles_included: int = 0
    net_profit_wei: int = 0
    reloads: int = 0
    reorgs: int = 0
    notes_dropped: int = 0
    bus_to_sighting: Latencies = field(default_factory=Latencies)
    arbitrages: Arbitrages = field(default_factory=Arbitrages)
    bus_to_opportunity: Latencies = field(default_factory=Latencies)
    bus_to_bundle: Latencies = field(default_factory=Latencies)
    head: int = 0
    pools: int = 0
    stale: str | None = None
    """Why nothing is sent at the moment, None while the head is fresh."""
