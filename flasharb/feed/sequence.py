"""Sequence numbers of the bus, tracked per (domain, source).

All zero means that a producer does not number its messages; staleness then comes from block and timestamp. Where
numbers do rise, a gap says that messages were lost, and how many decides what to ask for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

import numpy as np

from flasharb.feed.records import RETRANSMIT, SNAPSHOT, RecoveryRequest
from flasharb.feed.runs import Run

MAX_RETRANSMIT: Final = 100
"""Most missing messages that are asked for one by one."""
MAX_SNAPSHOT: Final = 10_000
"""Most missing messages that a relay's snapshot may bridge; beyond, only the node knows."""


class Remedy(StrEnum):
    """What mends a gap."""

    RETRANSMIT = "retransmission asked"
    SNAPSHOT = "snapshot asked"
    RELOAD = "to be reloaded from the node"


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages ``last + 1`` to ``current - 1`` of one source did not come."""

    domain: int
    source: int
    last: int
    current: int

    @property
    def missing(self) -> int:
        """How many messages were lost."""
        return self.current - self.last - 1

    @property
    def remedy(self) -> Remedy:
        """What to ask for; also without an answer in time, the node has the state."""
        if self.missing <= MAX_RETRANSMIT:
            return Remedy.RETRANSMIT
        return Remedy.SNAPSHOT if self.missing <= MAX_SNAPSHOT else Remedy.RELOAD

    def request(self, consumer_id: int) -> RecoveryRequest | None:
        """The request to the relay, or None where only the node can help."""
        if self.remedy is Remedy.RELOAD:
            return None
        kind = RETRANSMIT if self.remedy is Remedy.RETRANSMIT else SNAPSHOT
        return RecoveryRequest(consumer_id, self.last, self.current, kind)

    def __str__(self) -> str:
        return (
            f"{self.missing} messages missing from domain {self.domain} source {self.source} "
            f"({self.last + 1}..{self.current - 1}): {self.remedy}"
        )


@dataclass(slots=True)
class _Source:
    last: int
    timestamp_ns: int
    missing: set[int] = field(default_factory=set)


class SequenceTracker:
    """Judges each message's number: ``fresh``, ``stale`` (older or duplicate), ``restarted``, or a ``Gap``."""

    def __init__(self) -> None:
        self._sources: dict[int, _Source] = {}

    def observe(
        self, domain: int, source: int, sequence: int, timestamp_ns: int
    ) -> Gap | Literal["fresh", "stale", "restarted"]:
        """Take the next message's number.

        A lower number with a newer timestamp is a producer that started over: what it sent in between is unknown.
        A retransmitted message that was missing is fresh, once.
        """
        if not sequence:
            return "fresh"
        known = self._sources.get(domain << 8 | source)
        if known is None:
            self._sources[domain << 8 | source] = _Source(sequence, timestamp_ns)
            return "fresh"
        last = known.last
        if sequence == last + 1:
            known.last = sequence
            known.timestamp_ns = timestamp_ns
            return "fresh"
        if sequence > last:
            known.last = sequence
            known.timestamp_ns = timestamp_ns
            gap = Gap(domain, source, last, sequence)
            known.missing = set(range(last + 1, sequence)) if gap.remedy is Remedy.RETRANSMIT else set()
            return gap
        if sequence in known.missing:
            known.missing.remove(sequence)
            return "fresh"
        if sequence < last and timestamp_ns > known.timestamp_ns:
            self._sources[domain << 8 | source] = _Source(sequence, timestamp_ns)
            return "restarted"
        return "stale"

    def take_run(self, run: Run) -> bool:
        """Take a run's numbers if they are fresh without exception: absent, or the next ones without a gap."""
        numbers, last = run.column("sequence"), (run.rows if run.beside is None else run.beside)[-1]
        if not numbers.any():
            return True
        key = int(last["domain"]) << 8 | int(last["source"])
        known = self._sources.get(key)
        if (known is not None and numbers[0] != known.last + 1) or not numbers[0] or (np.diff(numbers) != 1).any():
            return False
        if known is None:
            known = self._sources[key] = _Source(0, 0)
        known.last, known.timestamp_ns = int(last["sequence"]), int(last["timestamp"])
        return True

    def reset(self) -> None:
        """Forget every source: the next message of each sets its mark anew."""
        self._sources.clear()
