"""Bytes in, frames out: finds whole messages in a byte stream that may be split, joined or damaged anywhere.

The reader's decisions depend only on the bytes, never on how they were cut into reads. It looks at one magic at a
time and at every *reading* of the bytes around it that the dialect allows (H1 or H3 at the magic, H2 sixteen bytes
before it). The reading that needs the fewest bytes is judged first; the first whose CRC matches is the message.
A reading that wants more bytes than have come makes the reader wait, but never for more than the size limit; when
every reading has failed, the scan goes on behind that magic. So memory stays below the size limit plus one read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, cast
from zlib import crc32

from flasharb.feed.runs import Run, measure
from flasharb.feed.wire import (
    CHECKSUM_OFFSET,
    DEFAULT_MAX_MESSAGE_BYTES,
    H1,
    H2_CHECKSUM_OFFSET,
    H2_MAGIC_OFFSET,
    H3,
    HEADER_BYTES,
    HELLO_P1,
    HELLO_P3,
    MAGIC,
    MAGIC_NUMBER,
    VERSION,
    Dialect,
    Frame,
    Header,
    decode_h1,
    decode_h2,
    decode_h3,
)

_HELLOS: Final = (HELLO_P1, HELLO_P3)
_PREFIX_BYTES: Final = 4
_LAYOUTS: Final[dict[str, tuple[tuple[Dialect | Literal["h2"], int, Callable[[bytes, int], Header]], ...]]] = {
    # An empty message whose first words are zero reads both ways; only as H3 do its numbers make sense: H3 is first.
    "auto": (("h2", H2_MAGIC_OFFSET, decode_h2), ("p3", 0, decode_h3), ("p1", 0, decode_h1)),
    "p1": (("p1", 0, decode_h1),),
    "p3": (("p3", 0, decode_h3),),
}
_unpack_h1: Final = H1.unpack_from
_unpack_h3: Final = H3.unpack_from

_Reading = tuple[int, int, Header, Dialect | Literal["h2"]]
"""end, start, header, layout"""


@dataclass(slots=True)
class ReframerCounters:
    """What the reader has met so far; ``resyncs`` counts losses of synchronism, not the bytes they cost."""

    frames: int = 0
    hellos: int = 0
    h2_frames: int = 0
    resyncs: int = 0
    dropped_bytes: int = 0
    crc_errors: int = 0
    oversized: int = 0
    bad_headers: int = 0


class Reframer:
    """The sans-I/O reader of one connection.

    Args:
        dialect: ``p1``, ``p3``, or ``auto``: whichever reading's CRC matches, message by message.
        check_crc: must stay on for ``auto`` (without it, one message can be read both ways).
        max_message_bytes: header and payload together; a larger claim is a damaged header.
        length_prefix: every message has its length in front (u32 little-endian).

    Raises:
        ValueError: ``auto`` without CRC, or a limit that has no room for a header.
    """

    def __init__(
        self,
        dialect: Literal["auto", "p1", "p3"] = "auto",
        check_crc: bool = True,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        length_prefix: bool = False,
    ) -> None:
        if dialect not in ("auto", "p1", "p3"):
            raise ValueError(f"unknown dialect {dialect!r} (auto, p1 or p3)")
        if dialect == "auto" and not check_crc:
            raise ValueError("dialect auto tells messages apart by their CRC: set check_crc, or name p1 or p3")
        if max_message_bytes < HEADER_BYTES:
            raise ValueError(f"max_message_bytes is {max_message_bytes}, but a header alone has {HEADER_BYTES}")
        self.counters = ReframerCounters()
        self._dialect: Literal["auto", "p1", "p3"] = dialect
        self._check_crc = check_crc
        self._max_bytes = max_message_bytes
        self._prefix = _PREFIX_BYTES if length_prefix else 0
        # While nothing is found, these last bytes may still be the beginning of a message.
        self._lookback = self._prefix + (H2_MAGIC_OFFSET if dialect == "auto" else 0)
        self._pending = bytearray()
        self._need = 0
        self._in_sync = True

    @property
    def pending_bytes(self) -> int:
        """Bytes held back because their message is not complete."""
        return len(self._pending)

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next bytes of the stream; returns the messages they complete, in order."""
        self._pending += data
        if len(self._pending) < self._need:
            return []
        return cast("list[Frame]", self._read(final=False))

    def feed_runs(self, data: bytes) -> list[Frame | Run]:
        """As ``feed``, but with equal messages that come back to back left in one piece."""
        self._pending += data
        if len(self._pending) < self._need:
            return []
        return self._read(final=False, runs=True)

    def finish(self) -> list[Frame]:
        """The stream has ended: what still waits for bytes is damaged; returns sound messages found behind it.

        Afterwards the reader is as new (but for its counters) and may take another stream.
        """
        frames = cast("list[Frame]", self._read(final=True))
        self._in_sync = True
        return frames

    def _read(self, *, final: bool, runs: bool = False) -> list[Frame | Run]:
        buffer = bytes(self._pending)
        frames: list[Frame | Run] = []
        position = 0
        while True:
            if not self._prefix:
                position = self._read_run(buffer, position, frames, runs)
            advance, self._need = self._step(buffer, position, frames, final)
            if not advance:
                break
            position += advance
        self.counters.frames += len(frames)
        del self._pending[:position]
        return frames

    def _read_run(  # noqa: C901  # one loop, for speed
        self, buffer: bytes, position: int, frames: list[Frame | Run], runs: bool
    ) -> int:
        """The fast way for what nearly always comes: whole, sound messages back to back.

        Stops in front of the first bytes that leave any doubt and returns their position; ``_step`` judges them.
        """
        length = len(buffer)
        limit = self._max_bytes - HEADER_BYTES
        check, auto, p3 = self._check_crc, self._dialect == "auto", self._dialect == "p3"
        found = len(frames)
        sizes, tried = (-1, -1), False
        if runs:
            position = self._take_run(buffer, position, frames)
        while position + HEADER_BYTES <= length:
            magic, domain, version, source, flags, size, sequence, timestamp_ns, checksum = _unpack_h1(buffer, position)
            if magic != MAGIC_NUMBER or version != VERSION:
                break
            start = position + HEADER_BYTES
            if auto:
                # H3 has its size where H1 has the upper half of its timestamp: one plausible size settles it.
                size_p3 = timestamp_ns >> 32
                p3 = size_p3 <= limit
                if p3 and size < size_p3:
                    # Both plausible and H1 the shorter: only its CRC can tell.
                    payload = buffer[start : start + size]
                    p3 = crc32(payload, crc32(buffer[position : position + 28])) != checksum
            if p3:
                _, _, _, _, _, sequence, timestamp_ns, size, _ = _unpack_h3(buffer, position)
            end = start + size
            if size > limit or end > length:
                break
            payload = buffer[start:end]
            if check:
                if crc32(payload, crc32(buffer[position : position + 28])) != checksum:
                    break
            elif buffer.startswith(_HELLOS, position):
                break
            frames.append(Frame("p3" if p3 else "p1", domain, source, flags, sequence, timestamp_ns, payload))
            position = end
            if runs:
                # A size that comes again may be the beginning of many; that is looked for once until a new size comes.
                if size not in sizes:
                    sizes, tried = (sizes[1], size), False
                elif not tried:
                    position = self._take_run(buffer, position, frames)
                    tried = position == end
        if len(frames) > found:
            self._in_sync = True
        return position

    def _take_run(self, buffer: bytes, position: int, frames: list[Frame | Run]) -> int:
        """Take the run that begins here, if one does; returns the position behind it."""
        run = measure(buffer, position, self._dialect, self._max_bytes - HEADER_BYTES, self._check_crc)
        if run is None:
            return position
        frames.append(run)
        self.counters.frames += len(run) - 1
        return position + run.nbytes

    def _step(self, buffer: bytes, position: int, frames: list[Frame | Run], final: bool) -> tuple[int, int]:
        """Judge the bytes at ``position``: how many to move on, and (when none) how many are needed from there."""
        available = len(buffer) - position
        at = buffer.find(MAGIC, position)
        if at < 0:
            return self._skip(available if final else available - self._lookback - len(MAGIC) + 1), available + 1
        before = at - position
        if before > self._lookback:
            return self._skip(before - self._lookback), 0
        hello = _hello_at(buffer, at)
        if hello and at + len(hello) <= len(buffer):
            self._skip(before - self._prefix if self._is_prefixed(buffer, position, at, len(hello)) else before)
            self.counters.hellos += 1
            self._in_sync = True
            return before + len(hello), 0
        need = before + (len(hello) if hello else HEADER_BYTES)
        if available < need and not final:
            return 0, need
        readings = self._readings(buffer, position, at) if available >= before + HEADER_BYTES else []
        return self._accept(buffer, position, readings, frames, final) or (self._skip(before + len(MAGIC)), 0)

    def _accept(
        self, buffer: bytes, position: int, readings: list[_Reading], frames: list[Frame | Run], final: bool
    ) -> tuple[int, int] | None:
        """Take the first reading that is a message; None when every one has failed."""
        for end, start, header, dialect in readings:
            if end > len(buffer):
                if final:
                    continue
                return 0, end - position
            if self._check_crc and not _crc_matches(buffer, start, end, header.checksum, dialect):
                continue
            self._skip(start - self._prefix - position)
            self._in_sync = True
            if dialect == "h2":
                self.counters.h2_frames += 1
            else:
                payload = buffer[start + HEADER_BYTES : end]
                frames.append(
                    Frame(
                        dialect,
                        header.domain,
                        header.source,
                        header.flags,
                        header.sequence,
                        header.timestamp_ns,
                        payload,
                    )
                )
            return end - position, 0
        if readings:
            self.counters.crc_errors += 1
        return None

    def _readings(self, buffer: bytes, position: int, at: int) -> list[_Reading]:
        """Every way to read a header around the magic at ``at`` that makes sense, the shortest message first."""
        readings: list[_Reading] = []
        oversized = False
        for dialect, offset, decode in _LAYOUTS[self._dialect]:
            start = at - offset
            if start - self._prefix < position:
                continue
            header = decode(buffer, start)
            size = HEADER_BYTES + header.payload_size
            if header.version != VERSION:
                continue
            if size > self._max_bytes:
                oversized = True
            elif not self._prefix or self._is_prefixed(buffer, position, start, size):
                readings.append((start + size, start, header, dialect))
        if not readings:
            if oversized:
                self.counters.oversized += 1
            else:
                self.counters.bad_headers += 1
        readings.sort(key=_end)
        return readings

    def _is_prefixed(self, buffer: bytes, position: int, start: int, size: int) -> bool:
        prefix = start - self._prefix
        return self._prefix > 0 and prefix >= position and int.from_bytes(buffer[prefix:start], "little") == size

    def _skip(self, count: int) -> int:
        """Count bytes that belong to no message; returns how many those are (never below zero)."""
        if count <= 0:
            return 0
        if self._in_sync:
            self._in_sync = False
            self.counters.resyncs += 1
        self.counters.dropped_bytes += count
        return count


def _hello_at(buffer: bytes, at: int) -> bytes:
    """The hello that stands, or begins and is cut off, at a place; empty when none does."""
    for hello in _HELLOS:
        if hello.startswith(buffer[at : at + len(hello)]):
            return hello
    return b""


def _end(reading: _Reading) -> int:
    return reading[0]


def _crc_matches(buffer: bytes, start: int, end: int, checksum: int, dialect: str) -> bool:
    place = start + (H2_CHECKSUM_OFFSET if dialect == "h2" else CHECKSUM_OFFSET)
    return crc32(buffer[place + 4 : end], crc32(buffer[start:place])) == checksum
