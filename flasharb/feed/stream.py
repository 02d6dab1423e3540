"""One bus connection as the service sees it: chunks of bytes in, events out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from flasharb.feed.events import Event, FeedGap
from flasharb.feed.messages import encode
from flasharb.feed.pool_runs import PoolRun
from flasharb.feed.reframer import Reframer
from flasharb.feed.runs import Run
from flasharb.feed.translate import Translator
from flasharb.feed.wire import Dialect, Frame


class BusDecoder:
    """A ``Reframer`` and a ``Translator`` in line; what the reframer had to throw away becomes a ``FeedGap``.

    A relay that does not number its messages gives no other sign of a loss, and a lost PoolSync is a stale pool.
    """

    def __init__(self, reframer: Reframer, translator: Translator, runs: bool = False) -> None:
        """``runs``: leave events that came as a run in one piece (``PoolRun``), which is the same for less work."""
        self.reframer = reframer
        self.translator = translator
        self._runs = runs
        self._lost = 0
        self._heard = False
        self._dialect: Dialect = "p1"

    def feed(self, data: bytes) -> list[Event | PoolRun]:
        """The events that these bytes complete. Never raises for what the bytes hold."""
        frames: Sequence[Frame | Run] = self.reframer.feed_runs(data) if self._runs else self.reframer.feed(data)
        found = self.translator.translate(frames)
        lost = self.reframer.counters.dropped_bytes
        if lost != self._lost and self._heard:
            found.insert(0, FeedGap(f"{lost - self._lost} bytes of damaged messages dropped"))
        self._lost = lost
        if frames:
            self._heard = True
            self._dialect = frames[-1].dialect
        return found

    def reset(self) -> None:
        """The connection was lost; the next chunk is the beginning of another one."""
        self.reframer.finish()
        self.translator.reset()
        self._lost = self.reframer.counters.dropped_bytes
        self._heard = False

    def take_requests(self, source: int, timestamp_ns: int) -> list[bytes]:
        """Recovery requests due, ready to be written to the relay."""
        due, self.translator.requests = self.translator.requests, []
        return [
            encode(request, dialect=self._dialect, source=source, domain=domain, timestamp_ns=timestamp_ns)
            for domain, request in due
        ]


def bus_decoder(
    dialect: Literal["auto", "p1", "p3"] = "auto",
    *,
    check_crc: bool = True,
    max_message_bytes: int = 65_568,
    length_prefix: bool = False,
    consumer_id: int = 1,
    runs: bool = False,
    tell_names: bool = False,
) -> BusDecoder:
    """A decoder with the settings of the table ``message_bus``; ``runs`` as in ``BusDecoder``."""
    reframer = Reframer(dialect, check_crc, max_message_bytes, length_prefix)
    return BusDecoder(reframer, Translator(consumer_id, tell_names=tell_names), runs)
