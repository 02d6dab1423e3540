"""The reframer on streams that are cut, joined, damaged and disguised."""

from __future__ import annotations

from zlib import crc32

import pytest

from flasharb.feed.messages import decode, encode
from flasharb.feed.records import Heartbeat, Opaque
from flasharb.feed.reframer import Reframer
from flasharb.feed.wire import (
    H1,
    H2,
    H3,
    HELLO_P1,
    HELLO_P3,
    MAGIC,
    MAGIC_NUMBER,
    Dialect,
    Frame,
    decode_h1,
    decode_h3,
    encode_frame,
)

TIME = 1_700_000_000_000_000_000


def beat(number: int, dialect: Dialect = "p1", sequence: int = 0) -> bytes:
    return encode(Heartbeat(TIME, number), dialect=dialect, source=4, sequence=sequence, timestamp_ns=TIME)


def numbers(frames: list[Frame]) -> list[int]:
    found = []
    for frame in frames:
        (message,) = decode(frame)
        assert isinstance(message, Heartbeat)
        found.append(message.block_number)
    return found


def feed_bytewise(reframer: Reframer, data: bytes) -> list[Frame]:
    return [frame for i in range(len(data)) for frame in reframer.feed(data[i : i + 1])]


@pytest.mark.parametrize("dialect", ["p1", "p3"])
@pytest.mark.parametrize("reader", ["auto", "same"])
def test_messages_back_to_back_and_byte_by_byte(dialect: Dialect, reader: str) -> None:
    data = b"".join(beat(n, dialect, sequence=n) for n in range(1, 20))
    chosen = dialect if reader == "same" else "auto"
    whole, split = Reframer(chosen), Reframer(chosen)  # type: ignore[arg-type]
    assert numbers(whole.feed(data)) == list(range(1, 20))
    assert numbers(feed_bytewise(split, data)) == list(range(1, 20))
    assert whole.counters == split.counters
    assert whole.counters.frames == 19
    assert whole.pending_bytes == 0


def test_auto_takes_the_dialect_message_by_message() -> None:
    data = beat(1) + beat(2, "p3") + beat(3, "p3", sequence=5) + beat(4, sequence=6)
    frames = Reframer().feed(data)
    assert [frame.dialect for frame in frames] == ["p1", "p3", "p3", "p1"]
    assert numbers(frames) == [1, 2, 3, 4]


@pytest.mark.parametrize("sequence", [0, 1, 18, 42, 65_536, 65_537, 2**40])
def test_auto_with_sequences_that_look_like_sizes(sequence: int) -> None:
    """H1 has its size where H3 has the low half of its sequence."""
    (frame,) = Reframer().feed(beat(7, "p3", sequence))
    assert (frame.dialect, frame.sequence) == ("p3", sequence)


@pytest.mark.parametrize("timestamp_ns", [0, 5, 17 << 32, 19 << 32, 200 << 32])
def test_auto_with_timestamps_that_look_like_sizes(timestamp_ns: int) -> None:
    """H3 has its size where H1 has the high half of its timestamp."""
    data = encode(Heartbeat(1, 2), source=1, timestamp_ns=timestamp_ns)
    tail = beat(9) * 10
    frames = Reframer().feed(data + tail)
    assert (frames[0].dialect, frames[0].timestamp_ns) == ("p1", timestamp_ns)
    assert numbers(frames) == [2] + [9] * 10


def test_auto_reads_the_one_true_ambiguity_as_p3() -> None:
    """Both sizes equal: the same bytes under the same CRC. As p1 it would date from the first day of 1970."""
    (frame,) = Reframer().feed(beat(7, "p3", sequence=18))
    assert (frame.dialect, frame.sequence, frame.timestamp_ns) == ("p3", 18, TIME)


@pytest.mark.parametrize("dialect", ["p1", "p3"])
def test_empty_messages_keep_their_numbers(dialect: Dialect) -> None:
    data = encode_frame(Frame(dialect, 1, 4, 0, 0, TIME, b"")) + beat(1)
    frame, _ = Reframer().feed(data)
    assert (frame.dialect, frame.sequence, frame.timestamp_ns, frame.payload) == (dialect, 0, TIME, b"")


def test_garbage_before_between_and_after_is_dropped_and_counted() -> None:
    reframer = Reframer()
    data = b"x" * 100 + beat(1) + b"\xef\xbe" * 30 + beat(2) + b"\xef\xbe\xad"
    assert numbers(reframer.feed(data)) == [1, 2]
    assert reframer.counters.resyncs == 2
    assert reframer.counters.dropped_bytes == 160
    assert reframer.pending_bytes == 3
    assert reframer.finish() == []
    assert reframer.counters.dropped_bytes == 163


def test_crc_error_loses_one_message_only() -> None:
    broken = bytearray(beat(2))
    broken[40] ^= 1
    reframer = Reframer()
    assert numbers(reframer.feed(beat(1) + bytes(broken) + beat(3))) == [1, 3]
    assert reframer.counters.crc_errors == 1
    assert reframer.counters.dropped_bytes == len(broken)
    assert reframer.counters.resyncs == 1


def test_crc_is_not_looked_at_when_it_is_off() -> None:
    broken = bytearray(beat(2))
    broken[28] ^= 1
    assert numbers(Reframer("p1", check_crc=False).feed(bytes(broken))) == [2]


@pytest.mark.parametrize("dialect", ["p1", "p3"])
def test_claim_of_more_than_the_limit_is_a_damaged_header(dialect: Dialect) -> None:
    layout = {"p1": (H1, (65_537, 0, TIME)), "p3": (H3, (0, TIME, 65_537))}[dialect]
    head = layout[0].pack(MAGIC_NUMBER, 1, 1, 4, 0, *layout[1], 0)
    reframer = Reframer(dialect)
    assert numbers(reframer.feed(head + beat(3, dialect))) == [3]
    assert reframer.counters.oversized == 1
    assert reframer.counters.dropped_bytes == 32


def test_message_of_exactly_the_limit_passes() -> None:
    value = bytes(65_536 - 5)
    data = encode(Opaque(200, value), source=1, timestamp_ns=TIME)
    assert len(data) == 65_568
    (frame,) = Reframer().feed(data)
    assert decode(frame) == [Opaque(200, value)]
    assert Reframer(max_message_bytes=65_567).feed(data) == []


def test_damaged_size_waits_and_gives_up_within_the_limit() -> None:
    """A header that claims 60,000 bytes more: the messages behind it come once they are there, none is lost."""
    head = H1.pack(MAGIC_NUMBER, 1, 1, 4, 0, 60_000, 0, TIME, 0)
    reframer = Reframer()
    behind = b"".join(beat(n) for n in range(1, 1400))
    found = reframer.feed(head) + reframer.feed(behind[:30_000])
    assert found == []
    assert reframer.pending_bytes == 30_032
    found += reframer.feed(behind[30_000:])
    assert numbers(found) == list(range(1, 1400))


def test_end_of_stream_gives_what_stands_behind_a_damaged_size() -> None:
    head = H1.pack(MAGIC_NUMBER, 1, 1, 4, 0, 60_000, 0, TIME, 0)
    reframer = Reframer()
    assert reframer.feed(head + beat(1) + beat(2)[:-1]) == []
    assert numbers(reframer.finish()) == [1]
    assert reframer.counters.dropped_bytes == 32 + len(beat(2)) - 1
    assert numbers(reframer.feed(beat(3))) == [3]


@pytest.mark.parametrize("reader", ["auto", "p1", "p3"])
def test_hellos_are_skipped_by_exactly_their_bytes(reader: str) -> None:
    dialect: Dialect = "p3" if reader == "p3" else "p1"
    data = HELLO_P1 + beat(1, dialect) + HELLO_P3 + HELLO_P1 + beat(2, dialect)
    for reframer, feed in ((Reframer(reader), Reframer.feed), (Reframer(reader), feed_bytewise)):  # type: ignore[arg-type]
        assert numbers(feed(reframer, data)) == [1, 2]
        assert reframer.counters.hellos == 3
        assert reframer.counters.dropped_bytes == 0
        assert reframer.counters.resyncs == 0
    almost = bytearray(HELLO_P1)
    almost[35] = 1
    reframer = Reframer(reader)  # type: ignore[arg-type]
    assert numbers(reframer.feed(bytes(almost) + beat(1, dialect))) == [1]
    assert (reframer.counters.hellos, reframer.counters.dropped_bytes) == (0, 36)


def test_hello_is_skipped_without_crc_too() -> None:
    reframer = Reframer("p3", check_crc=False)
    assert numbers(reframer.feed(HELLO_P3 + beat(1, "p3"))) == [1]
    assert reframer.counters.hellos == 1


def test_p1_hello_is_36_bytes_and_no_message() -> None:
    assert (len(HELLO_P1), len(HELLO_P3)) == (36, 32)
    assert decode_h1(HELLO_P1).payload_size == 1
    assert decode_h3(HELLO_P3).checksum == 0
    assert crc32(HELLO_P3[:28]) != 0


def test_h2_after_garbage_is_still_recognised() -> None:
    body = bytes(10)
    head = bytearray(H2.pack(7, TIME, MAGIC_NUMBER, len(body), 0, 1, 1, 4, 0))
    head[24:28] = crc32(bytes(head[28:]) + body, crc32(bytes(head[:24]))).to_bytes(4, "little")
    reframer = Reframer()
    assert numbers(reframer.feed(b"???" + bytes(head) + body + beat(1))) == [1]
    assert (reframer.counters.h2_frames, reframer.counters.dropped_bytes) == (1, 3)


def test_length_prefix() -> None:
    data = b"".join(
        encode(Heartbeat(TIME, n), source=4, timestamp_ns=TIME, length_prefix=True, dialect=dialect)
        for n, dialect in ((1, "p1"), (2, "p3"), (3, "p1"))  # type: ignore[misc]
    )
    assert int.from_bytes(data[:4], "little") == 50
    for feed in (Reframer.feed, feed_bytewise):
        reframer = Reframer(length_prefix=True)
        assert numbers(feed(reframer, data)) == [1, 2, 3]
        assert reframer.counters.dropped_bytes == 0
    damaged = bytearray(data)
    damaged[0] += 1
    reframer = Reframer(length_prefix=True)
    assert numbers(reframer.feed(bytes(damaged))) == [2, 3]
    assert reframer.counters.dropped_bytes == 54
    assert numbers(Reframer(length_prefix=True).feed(b"\x24\0\0\0" + HELLO_P1 + HELLO_P1 + data)) == [1, 2, 3]


def test_memory_stays_within_the_limit() -> None:
    reframer = Reframer()
    head = H1.pack(MAGIC_NUMBER, 1, 1, 4, 0, 65_000, 0, TIME, 0)
    for _ in range(200):
        reframer.feed(head + bytes(1000))
        assert reframer.pending_bytes <= 65_568
    for chunk in (MAGIC * 50_000, b"\0" * 200_000, b"\xef" * 200_000):
        reframer.feed(chunk)
        assert reframer.pending_bytes <= 65_568


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="name p1 or p3"):
        Reframer("auto", check_crc=False)
    with pytest.raises(ValueError, match="unknown dialect"):
        Reframer("p2")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a header alone has 32"):
        Reframer(max_message_bytes=31)
