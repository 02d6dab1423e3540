"""Runs read as tables say what their messages say one by one, however the stream is cut, damaged or numbered."""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flasharb.feed.blocks import BlockAssembler
from flasharb.feed.events import ClosedBlock, Event, Heartbeat, LastReserves, V2Sync, V3Swap
from flasharb.feed.messages import encode
from flasharb.feed.pool_runs import PoolRun, last_reserves
from flasharb.feed.records import PoolSwap, PoolSync
from flasharb.feed.reframer import Reframer
from flasharb.feed.runs import Run
from flasharb.feed.stream import BusDecoder, bus_decoder
from flasharb.feed.tick_check import MAX_SQRT_PRICE_X96, MAX_TICK, MIN_SQRT_PRICE_X96, MIN_TICK, sqrt_price_x96_at
from flasharb.feed.wire import Dialect, Frame
from flasharb.units import Address
from tests.fuzz.bus import mutated, resign
from tests.support.bus_samples import random_frame

BEGINNING_NS = 1_700_000_000_000_000_000


def price_of(random: Random, tick: int) -> int:
    """Nearly always a price within its tick; now and then just at its ends, or none of its."""
    low, high = sqrt_price_x96_at(tick), sqrt_price_x96_at(tick + 1)
    if random.random() < 0.95:
        return random.randrange(low, high)
    return random.choice([low, high, low - 1, high + 1, low & ((1 << 128) - 1), 0, (1 << 160) - 1])


def message(random: Random, kind: str, time: int, block: int) -> PoolSync | PoolSwap:
    """A sync, a swap of a concentrated pool (``priced``) or one of a constant-product pool (``bare``)."""
    pool = bytes([random.randrange(6)]) * 20
    if kind == "sync":
        reserves = (random.getrandbits(112) >> random.randrange(100) for _ in range(2))
        return PoolSync(300, pool, bytes(20), bytes(20), *reserves, 18, 6, time, block)
    tick = random.randrange(-887_272, 887_272) if kind == "priced" else 0
    price = price_of(random, tick) if kind == "priced" else 0
    liquidity = random.getrandbits(100) if kind == "priced" else 0
    venue = random.choice([300, 301, 301]) if kind == "priced" else 300 + (random.random() < 0.02)
    return PoolSwap(venue, pool, bytes(20), bytes(20), 5, 6, 18, 6, price, tick, liquidity, time, block)


def long_run(random: Random, block: int) -> tuple[list[bytes], int]:
    """Up to forty messages of one kind, mostly in order, and the block they end in."""
    dialect: Dialect = random.choice(["p1", "p3"])
    kind = random.choice(["sync", "sync", "priced", "bare"])
    sequence = random.choice([0, 0, 1, 100, 200, 1 << 32, 1 << 40])
    time, header_ns = random.choice([(BEGINNING_NS, BEGINNING_NS), (1000, 1000), (BEGINNING_NS, 0)])
    steady = random.random() < 0.7
    parts = []
    by_turns = random.choice([(kind,), (kind,), ("sync", "bare"), ("bare", "sync"), ("priced", "sync")])
    for n in range(random.randrange(1, 40 * len(by_turns))):
        if (n % len(by_turns) == 0 or not steady) and random.random() < 0.05:
            block += 1 if steady else random.choice([1, 2, -1])
        time += random.randrange(1, 50) if steady else random.choice([1, 1, 1, 0, -3])
        if sequence:
            sequence += 1 if steady or random.random() < 0.95 else random.choice([0, 2, -1])
        one = message(random, by_turns[n % len(by_turns)], time, block)
        source = 4 if steady or random.random() < 0.97 else 5
        parts.append(encode(one, dialect=dialect, source=source, sequence=sequence, timestamp_ns=header_ns))
        if not steady and random.random() < 0.05:
            parts.append(parts[-1])
    return parts, block


def stream_of(random: Random) -> bytes:
    """Long runs, damaged here and there, with other messages in between."""
    parts: list[bytes] = []
    block = 1000
    for _ in range(random.randrange(1, 6)):
        run, block = long_run(random, block)
        if random.random() < 0.4:
            at = random.randrange(len(run))
            run[at] = mutated(run[at], random)
        parts += run
        if random.random() < 0.4:
            parts.append(random_frame(random))
    return b"".join(parts)


def pieces_of(stream: bytes, random: Random) -> list[bytes]:
    cuts = sorted(random.randrange(len(stream) + 1) for _ in range(random.choice([0, 1, 3, 30])))
    return [stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])]


def one_by_one(parts: list[Frame | Run]) -> list[Frame]:
    return [frame for part in parts for frame in (part.frames() if isinstance(part, Run) else [part])]


def taken_apart(events: list[Event | PoolRun]) -> list[Event]:
    return [one for event in events for one in (event.events() if isinstance(event, PoolRun) else [event])]


@given(
    st.integers(0, 2**32),
    st.sampled_from([("auto", True), ("p1", True), ("p3", True), ("p1", False), ("p3", False)]),
    st.sampled_from([65_568, 200, 146, 145]),
    st.booleans(),
)
@settings(max_examples=150)
def test_frames_and_counts_are_those_of_the_reader_without_runs(
    seed: int, how: tuple[str, bool], limit: int, prefix: bool
) -> None:
    """Any split, any damage, any dialect, with and without CRC, with limits below and above a message's size."""
    random = Random(seed)
    dialect, check_crc = how
    plain, tables = (Reframer(dialect, check_crc, limit, length_prefix=prefix) for _ in range(2))  # type: ignore[arg-type]
    for piece in pieces_of(stream_of(random), random):
        assert one_by_one(tables.feed_runs(piece)) == plain.feed(piece)
        assert tables.counters == plain.counters
        assert tables.pending_bytes == plain.pending_bytes
    assert tables.finish() == plain.finish()
    assert tables.counters == plain.counters


@given(st.integers(0, 2**32))
@settings(max_examples=150)
def test_events_counts_and_requests_are_those_of_the_decoder_without_runs(seed: int) -> None:
    random = Random(seed)
    plain, tables = bus_decoder(), bus_decoder(runs=True)
    for piece in pieces_of(stream_of(random), random):
        assert taken_apart(tables.feed(piece)) == plain.feed(piece)
        assert asdict(tables.translator.counters) == asdict(plain.translator.counters)
        assert tables.take_requests(20, 7) == plain.take_requests(20, 7)


def states_of(blocks: list[ClosedBlock]) -> list[tuple[int, dict[bytes, tuple[V2Sync | None, list[object]]]]]:
    """For each block and pool what decides its state: the last sync, and all other events in their order."""
    found = []
    for block in blocks:
        pools: dict[bytes, tuple[V2Sync | None, list[object]]] = {}
        events = [
            one for event in block.events for one in (event.events() if isinstance(event, LastReserves) else [event])
        ]
        for event in events:
            sync, others = pools.get(event.pool, (None, []))
            pools[event.pool] = (event, others) if isinstance(event, V2Sync) else (sync, [*others, event])
        found.append((block.number, pools))
    return found


def blocks_of(decoder: BusDecoder, pieces: list[bytes]) -> tuple[list[ClosedBlock], BlockAssembler]:
    assembler = BlockAssembler()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    blocks = [block for event in [*events, Heartbeat(10**6, 0)] for block in assembler.add(event)]
    return blocks, assembler


@given(st.integers(0, 2**32))
@settings(max_examples=100)
def test_blocks_say_the_same_of_every_pool(seed: int) -> None:
    """Superseded syncs may be missing; nothing else may."""
    random = Random(seed)
    pieces = pieces_of(stream_of(random), random)
    plain, counted = blocks_of(bus_decoder(), pieces)
    tables, counted_tables = blocks_of(bus_decoder(runs=True), pieces)
    assert states_of(tables) == states_of(plain)
    assert counted_tables.counters == counted.counters


def syncs(count: int, **header: int) -> list[bytes]:
    return [
        encode(
            PoolSync(300, bytes([n % 5]) * 20, bytes(20), bytes(20), n + 1, n + 2, 18, 6, BEGINNING_NS + n, 7),
            source=4,
            timestamp_ns=BEGINNING_NS + n,
            **header,
        )
        for n in range(count)
    ]


def test_a_run_comes_as_one_event() -> None:
    """The way that is fast is the way that is taken."""
    decoder = bus_decoder(runs=True)
    (run,) = decoder.feed(b"".join(syncs(100)))
    assert isinstance(run, PoolRun)
    assert len(run) == 100
    assert run.prices()[:3].tolist() == [2 / 1, 3 / 2, 4 / 3]
    last = last_reserves([run])
    assert last is not None
    assert dict(zip(last.pools, last.reserve0, strict=True)) == {bytes([n]) * 20: 96 + n for n in range(5)}


@pytest.mark.parametrize("sync_first", [True, False])
@pytest.mark.parametrize("dialect", ["p1", "p3"])
def test_a_trade_told_twice_comes_in_a_run_of_its_syncs(sync_first: bool, dialect: Dialect) -> None:
    """PoolSync and the PoolSwap of the same trade by turns, numbered, which is what V2 producers send."""
    parts = []
    for n in range(40):
        time, block = BEGINNING_NS + n, 7 + n // 20
        swap = PoolSwap(300, bytes(20), bytes(20), bytes(20), 5, 6, 18, 6, 0, 0, 0, time, block)
        sync = PoolSync(300, bytes(20), bytes(20), bytes(20), n + 1, n + 2, 18, 6, time, block)
        told = sync if (n % 2 == 0) == sync_first else swap
        parts.append(encode(told, dialect=dialect, source=4, sequence=10**12 + n, timestamp_ns=BEGINNING_NS))
    plain, tables = bus_decoder(), bus_decoder(runs=True)
    one_by_one = plain.feed(b"".join(parts))
    runs = tables.feed(b"".join(parts))
    assert [len(run) for run in runs if isinstance(run, PoolRun)] == [10, 10]
    assert taken_apart(runs) == one_by_one
    assert tables.translator.counters == plain.translator.counters
    assert tables.reframer.counters == plain.reframer.counters


def test_a_run_of_concentrated_pools_tells_every_price() -> None:
    parts = [
        encode(
            PoolSwap(
                301, bytes(20), bytes(20), bytes(20), 1, 1, 18, 6, (3 << 96) + n, 21974, 10**25, BEGINNING_NS + n, 7
            ),
            source=4,
            timestamp_ns=BEGINNING_NS,
        )
        for n in range(20)
    ]
    *_, run = bus_decoder(runs=True).feed(b"".join(parts))
    assert isinstance(run, PoolRun)
    assert run.events() == [V3Swap(bytes(20), (3 << 96) + n, 21974, 10**25, 7) for n in range(20)]  # type: ignore[arg-type]
    assert run.prices().tolist() == pytest.approx([9.0] * 20)


@pytest.mark.parametrize(
    ("price", "tick"),
    [
        (MIN_SQRT_PRICE_X96, MIN_TICK),
        (MIN_SQRT_PRICE_X96 - 1, MIN_TICK),
        (MAX_SQRT_PRICE_X96 - 1, MAX_TICK - 1),
        (MAX_SQRT_PRICE_X96, MAX_TICK - 1),
        (1 << 96, MAX_TICK),
        (1 << 96, 1),
    ],
)
@pytest.mark.parametrize("dialect", ["p1", "p3"])
def test_extreme_prices_are_judged_as_one_by_one(price: int, tick: int, dialect: Dialect) -> None:
    stream = b"".join(
        encode(
            PoolSwap(300, bytes(20), bytes(20), bytes(20), 1, 1, 18, 6, price, tick, 5, BEGINNING_NS + n, 7),
            dialect=dialect,
            source=4,
            timestamp_ns=BEGINNING_NS,
        )
        for n in range(20)
    )
    assert taken_apart(bus_decoder(runs=True).feed(stream)) == bus_decoder().feed(stream)


def sync(pool: int, reserve: int) -> V2Sync:
    return V2Sync(Address(bytes([pool]) * 20), reserve, 1, 7)


def test_a_single_sync_and_a_run_supersede_each_other_in_their_order() -> None:
    """Of two pools in a run, one is told again by a single message; then both by another run."""
    (run,) = bus_decoder(runs=True).feed(b"".join(syncs(10)))
    (later,) = bus_decoder(runs=True).feed(b"".join(syncs(20)))
    assert isinstance(run, PoolRun)
    assert isinstance(later, PoolRun)
    first, second = last_reserves([run, sync(1, 99)]), last_reserves([run, sync(1, 99), later])
    assert first is not None
    assert second is not None
    told = [dict(zip((pool[0] for pool in last.pools), last.reserve0, strict=True)) for last in (first, second)]
    assert told == [{0: 6, 1: 99, 2: 8, 3: 9, 4: 10}, {0: 16, 1: 17, 2: 18, 3: 19, 4: 20}]
    assert last_reserves([sync(1, 99), sync(2, 5), sync(1, 98)]) == LastReserves(7, *_columns({2: 5, 1: 98}))
    assert last_reserves([]) is None


def _columns(reserve0: dict[int, int]) -> tuple[list[Address], list[int], list[int]]:
    return [Address(bytes([pool]) * 20) for pool in reserve0], list(reserve0.values()), [1] * len(reserve0)


def test_a_price_beyond_twenty_bytes_is_no_price() -> None:
    """p3 leaves twelve more, which a damaged producer may fill under a CRC that is right."""
    parts = []
    for n in range(20):
        sound = PoolSwap(301, bytes(20), bytes(20), bytes(20), 1, 1, 18, 6, 1 << 96, 0, 5, BEGINNING_NS + n, 7)
        data = bytearray(encode(sound, dialect="p3", source=4, timestamp_ns=BEGINNING_NS))
        data[-12 + n % 12] = n == 15
        resign(data)
        parts.append(bytes(data))
    stream = b"".join(parts)
    assert taken_apart(bus_decoder(runs=True).feed(stream)) == bus_decoder().feed(stream)


@pytest.mark.parametrize("first", [1, 50, 1 << 33])
def test_a_gap_in_the_numbers_at_the_end_of_a_run_is_seen(first: int) -> None:
    numbered = [part for n in range(20) for part in syncs(1, sequence=first + n)]
    late = syncs(1, sequence=first + 25)
    plain, tables = bus_decoder(), bus_decoder(runs=True)
    for piece in (b"".join(numbered), b"".join(late), b"".join(numbered)):
        assert taken_apart(tables.feed(piece)) == plain.feed(piece)
    assert tables.take_requests(20, 7) == plain.take_requests(20, 7) != []
