"""What must hold for every stream of bus messages."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from flasharb.feed.blocks import BlockAssembler
from flasharb.feed.events import ClosedBlock, Heartbeat, PoolEvent, V2Sync, V3Swap
from flasharb.feed.instrument import PoolInstrumentId
from flasharb.feed.messages import decode, encode
from flasharb.feed.records import Message, PoolSync
from flasharb.feed.reframer import Reframer
from flasharb.feed.stream import BusDecoder, bus_decoder
from flasharb.feed.wire import HELLO_P1, HELLO_P3, Dialect, Frame
from flasharb.units import Address
from tests.fuzz.bus import mutated
from tests.support.bus_samples import dialects, messages, random_frame


@given(st.data(), dialects)
def test_what_is_written_is_read_back(data: st.DataObject, dialect: Dialect) -> None:
    several: list[Message] = data.draw(st.lists(messages(dialect), min_size=1, max_size=4))
    sequence, timestamp_ns = data.draw(st.integers(0, 2**64 - 1)), data.draw(st.integers(0, 2**64 - 1))
    wire = encode(several, dialect=dialect, source=4, sequence=sequence, timestamp_ns=timestamp_ns)
    (frame,) = Reframer(dialect).feed(wire)
    assert (frame.sequence, frame.timestamp_ns, frame.source) == (sequence, timestamp_ns, 4)
    assert decode(frame) == several


def _split(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(places)]


@given(
    st.integers(0, 2**32),
    st.lists(st.integers(0, 2**20), max_size=40),
    st.sampled_from(["auto", "p1", "p3"]),
    st.booleans(),
)
def test_any_split_gives_the_same_frames_and_counts(seed: int, cuts: list[int], dialect: str, prefix: bool) -> None:
    random = Random(seed)
    parts: list[bytes] = [HELLO_P1, HELLO_P3]
    for _ in range(random.randrange(1, 25)):
        frame = random_frame(random)
        part = mutated(frame, random) if random.random() < 0.4 else frame
        parts.append(len(part).to_bytes(4, "little") + part if prefix else part)
    stream = b"".join(parts)
    whole = Reframer(dialect, length_prefix=prefix)  # type: ignore[arg-type]
    at_once = whole.feed(stream) + whole.finish()
    cut = Reframer(dialect, length_prefix=prefix)  # type: ignore[arg-type]
    in_pieces: list[Frame] = []
    for piece in _split(stream, cuts):
        in_pieces += cut.feed(piece)
    in_pieces += cut.finish()
    assert in_pieces == at_once
    assert cut.counters == whole.counters


@given(st.binary(max_size=2000), st.lists(st.binary(max_size=70), max_size=8))
def test_no_bytes_make_the_decoder_raise(noise: bytes, pieces: list[bytes]) -> None:
    decoder = bus_decoder()
    decoder.feed(noise)
    for piece in pieces:
        decoder.feed(b"\xef\xbe\xad\xde\x01\x01" + piece)
    decoder.reset()
    assert decoder.reframer.pending_bytes == 0


@given(dialects, st.integers(1, 254), st.binary(max_size=300))
def test_no_value_makes_the_decoder_raise(dialect: Dialect, kind: int, value: bytes) -> None:
    from flasharb.feed.tlv import join
    from flasharb.feed.wire import encode_frame

    frame = Frame(dialect, 1, 4, 0, 0, 0, join(kind, value))
    decoder = bus_decoder()
    decoder.feed(encode_frame(frame))
    counters = decoder.translator.counters
    assert counters.messages + counters.malformed == 1


@given(st.integers(0, 2**16 - 1), st.sets(st.integers(0, 2**64 - 1), min_size=1, max_size=8), st.randoms())
def test_pool_ids_do_not_depend_on_order(venue: int, tokens: set[int], random: Random) -> None:
    shuffled = list(tokens)
    random.shuffle(shuffled)
    pool = PoolInstrumentId.of(venue, [*shuffled, shuffled[0]])
    assert pool == PoolInstrumentId.of(venue, sorted(tokens))
    assert PoolInstrumentId.from_bytes(pool.to_bytes()) == pool


# Duplicates and disorder


def _indexed_blocks(draw_sizes: list[int]) -> list[PoolEvent]:
    events: list[PoolEvent] = []
    for block, size in enumerate(draw_sizes, start=100):
        for index in range(size):
            pool = Address(bytes([index % 3]) * 20)
            events.append(
                V2Sync(pool, block, index, block, index) if index % 2 else V3Swap(pool, 1 << 96, 0, index, block, index)
            )
    return events


def _closed(events: list[PoolEvent], last: int) -> list[ClosedBlock]:
    assembler = BlockAssembler(after=99)
    found: list[ClosedBlock] = []
    for event in events:
        found += assembler.add(event)
    return found + assembler.add(Heartbeat(last + 1, 0))


@given(st.lists(st.integers(0, 12), min_size=1, max_size=6), st.randoms(), st.data())
def test_order_and_repetition_within_a_block_do_not_matter_for_logs(
    sizes: list[int], random: Random, data: st.DataObject
) -> None:
    events = _indexed_blocks(sizes)
    last = 99 + len(sizes)
    expected = _closed(events, last)
    disturbed: list[PoolEvent] = []
    for block in range(100, last + 1):
        of_block = [event for event in events if event.block_number == block]
        repeated = of_block + (random.sample(of_block, random.randrange(len(of_block) + 1)) if of_block else [])
        random.shuffle(repeated)
        disturbed += repeated
        # Older blocks told once more are stale, wherever they come.
        older = [event for event in events if event.block_number < block]
        if older and of_block:
            disturbed += random.sample(older, random.randrange(min(4, len(older)) + 1))
    assert _closed(disturbed, last) == expected


def _final(decoder: BusDecoder, wire: list[bytes]) -> dict[Address, tuple[int, int]]:
    state: dict[Address, tuple[int, int]] = {}
    for message in wire:
        for event in decoder.feed(message):
            if isinstance(event, V2Sync):
                state[event.pool] = (event.reserve0, event.reserve1)
    return state


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 2**112 - 1)), min_size=1, max_size=12), st.randoms())
def test_duplicated_and_shuffled_messages_of_a_block_end_in_the_same_reserves(
    syncs: list[tuple[int, int]], random: Random
) -> None:
    """Without sequence numbers, block and timestamp decide what is older."""
    wire = [
        encode(
            PoolSync(300, bytes([pool]) * 20, bytes(20), bytes(20), reserve, reserve, 18, 18, 1000 + n, 7),
            source=4,
            timestamp_ns=1000 + n,
        )
        for n, (pool, reserve) in enumerate(syncs)
    ]
    disturbed = wire + random.sample(wire, random.randrange(len(wire) + 1))
    random.shuffle(disturbed)
    assert _final(bus_decoder(), disturbed) == _final(bus_decoder(), wire)


@given(st.lists(st.integers(1, 2**112 - 1), min_size=2, max_size=12), st.randoms())
def test_numbered_messages_are_applied_once(reserves: list[int], random: Random) -> None:
    wire = [
        encode(
            PoolSync(300, bytes(20), bytes(20), bytes(20), reserve, reserve, 18, 18, n, 7),
            source=4,
            sequence=n,
            timestamp_ns=n,
        )
        for n, reserve in enumerate(reserves, start=1)
    ]
    disturbed: list[bytes] = []
    for n, message in enumerate(wire):
        disturbed.append(message)
        disturbed += random.sample(wire[: n + 1], random.randrange(n + 2))
    decoder = bus_decoder()
    assert _final(decoder, disturbed) == _final(bus_decoder(), wire)
    assert decoder.translator.counters.stale == len(disturbed) - len(wire)
    assert decoder.translator.counters.messages == len(wire)
