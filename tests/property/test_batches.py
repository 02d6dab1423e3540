"""A market fed with tables is the market fed with single messages, and so is what is found in it.

Streams mix syncs, swaps and liquidity changes of two kinds of pools, are cut anywhere, told again, and reorganised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flasharb.feed.blocks import BlockAssembler
from flasharb.feed.events import BlockHeader, ClosedBlock, Event, Heartbeat, PoolUnreliable
from flasharb.feed.messages import encode
from flasharb.feed.pool_runs import PoolRun
from flasharb.feed.records import PoolBurn, PoolMint, PoolSwap, PoolSync
from flasharb.feed.stream import bus_decoder
from flasharb.market import Advanced, History, Market
from flasharb.market.snapshot import Counts
from flasharb.pools import Pool, V2Pool, V3Pool
from flasharb.pools.concentrated.tick_math import sqrt_price_at_tick
from flasharb.strategy.detect import Detector
from flasharb.units import Address
from tests.support.market_samples import header, market, numbered, v2, v3

TOKENS = [numbered((n + 1) << 64) for n in range(4)]
LIQUIDITY = 10**20
BEGINNING_NS = 1_700_000_000_000_000_000
FIRST = 100


def pools() -> list[Pool]:
    """Some of either kind between four tokens, and one that is not tracked."""
    pairs = [(TOKENS[a], TOKENS[b]) for a in range(4) for b in range(a)]
    constant: list[Pool] = [v2(f"v2 {n}", (a, 10**21), (b, 10**21)) for n, (a, b) in enumerate(pairs * 2)]
    return constant + [v3(f"v3 {n}", pair, 0, [(-6000, 6000, LIQUIDITY)]) for n, pair in enumerate(pairs)]


def message(random: Random, pool: Pool, time: int, block: int) -> PoolSync | PoolSwap | PoolMint:
    spec = pool.spec
    token0, token1 = spec.tokens
    ends = spec.address, token0, token1
    if isinstance(pool, V2Pool):
        reserves = (int(10**21 * random.uniform(0.99, 1.01)) for _ in range(2))
        return PoolSync(300, *ends, *reserves, 18, 18, time, block)
    if random.random() < 0.1:
        kind = random.choice([PoolMint, PoolBurn])
        lower = random.randrange(-5, 5) * 60
        return kind(301, *ends, bytes(20), lower, lower + 120, random.randrange(1, 10**6), 1, 1, 18, 18, time)
    tick = random.randrange(-100, 100)
    # now and then another liquidity than the known ticks have: a mint was missed
    liquidity = LIQUIDITY + (random.random() < 0.01)
    return PoolSwap(301, *ends, 1, 1, 18, 18, sqrt_price_at_tick(tick), tick, liquidity, time, block)


def stream_of(random: Random, tracked: Sequence[Pool], blocks: int) -> bytes:
    """Messages of some blocks: by kinds, mixed, out of order now and then, one of them damaged now and then."""
    constant = [pool for pool in tracked if isinstance(pool, V2Pool)]
    concentrated = [pool for pool in tracked if isinstance(pool, V3Pool)]
    stranger = v2("stranger", (TOKENS[0], 1), (TOKENS[1], 1))
    parts = []
    time = BEGINNING_NS
    for block in range(FIRST + 1, FIRST + 1 + blocks):
        for _ in range(random.randrange(1, 5)):
            choice = random.choice([constant, constant, concentrated, [*tracked, stranger]])
            for _ in range(random.choice([1, 5, 30, 120])):
                time += random.choice([1, 1, 1, 1, 5] if random.random() < 0.99 else [0, -2])
                one = message(random, random.choice(choice), time, block)
                parts.append(encode(one, source=4, timestamp_ns=BEGINNING_NS))
    if random.random() < 0.2:
        at = random.randrange(len(parts))
        parts[at] = parts[at][:-1] + bytes([parts[at][-1] ^ 1])
    return b"".join(parts)


def blocks_of(stream: bytes, cuts: list[int], *, runs: bool) -> list[ClosedBlock]:
    decoder, assembler = bus_decoder(runs=runs), BlockAssembler(FIRST)
    events: list[Event | PoolRun] = []
    for start, end in pairwise([0, *cuts, len(stream)]):
        events += decoder.feed(stream[start:end])
    return [block for event in [*events, Heartbeat(10**6, 0)] for block in assembler.add(event)][:-1]


def headed(block: ClosedBlock, parent: BlockHeader, branch: str) -> ClosedBlock:
    own = replace(header(block.number, branch), parent_hash=parent.hash)
    return replace(block, header=own)


def same(left: Market, right: Market) -> bool:
    """Equal in all but how many events it took, and the words for what made a pool unknown."""
    words = dict.fromkeys(left.reload, ""), dict.fromkeys(right.reload, "")
    first = replace(left, counts=Counts(), reload=words[0], index=right.index)
    return first == replace(right, counts=Counts(), reload=words[1]) and left.index == right.index


@given(st.integers(0, 2**32))
@settings(max_examples=40)
def test_every_snapshot_is_the_same_whatever_the_batches(seed: int) -> None:
    """With reorganisations to any block before and on from there, and withdrawals."""
    random = Random(seed)
    tracked = pools()
    stream = stream_of(random, tracked, random.randrange(1, 6))
    cuts = sorted(random.randrange(len(stream)) for _ in range(random.choice([0, 2, 20])))
    single, tables = blocks_of(stream, cuts, runs=False), blocks_of(stream, [], runs=True)
    assert [block.number for block in single] == [block.number for block in tables]
    histories = [History(market(*tracked, number=FIRST)), History(market(*tracked, number=FIRST))]
    start = histories[0].head
    branch, parents = "a", [header(FIRST)]
    places = [*range(len(single))]
    if random.random() < 0.5:
        back = random.randrange(len(single) + 1)
        places += range(back, len(single))
    for n, place in enumerate(places):
        if n >= len(single):
            branch = "b"
        del parents[place + 1 :]
        for history, told in zip(histories, (single, tables), strict=True):
            block = headed(told[place], parents[place], branch)
            assert isinstance(history.advance(block), Advanced)
        assert block.header is not None
        parents.append(block.header)
        if random.random() < 0.1:
            doubt = {random.choice(tracked).spec.address: "lost"}
            for history in histories:
                history.withdraw(doubt)
        assert same(histories[0].head, histories[1].head)
    for history in histories:
        rewound = history.rewind(header(FIRST).hash)
        assert isinstance(rewound, Advanced)
    kept = {at: pool for at, pool in start.pools.items() if at in histories[1].head.pools}
    assert dict(histories[1].head.pools) == kept
    assert same(histories[0].head, histories[1].head)


@pytest.mark.parametrize("compiled", [True, False])
@given(st.integers(0, 2**32))
@settings(max_examples=10)
def test_what_is_found_is_the_same_whatever_the_batches(compiled: bool, seed: int) -> None:
    """Glances at the batches in between change nothing; with the compiled kernels and with the plain ones."""
    random = Random(seed)
    tracked = pools()
    stream = stream_of(random, tracked, 3)
    single, tables = (blocks_of(stream, [], runs=runs) for runs in (False, True))
    start = market(*tracked, number=FIRST)
    glancing, quiet = (Detector(3, TOKENS[:1], compiled=compiled) for _ in range(2))
    glancing.update(start, None)
    quiet.update(start, None)
    markets = [start, start]
    seen = bus_decoder(runs=True).feed(stream)
    for left, right in zip(single, tables, strict=True):
        glancing.glance(seen)
        markets = [markets[0].apply(left), markets[1].apply(right)]
        by_tables = glancing.update(markets[1], markets[1].touched)
        assert by_tables == quiet.update(markets[0], markets[0].touched)
        fresh = Detector(3, TOKENS[:1], compiled=compiled).update(markets[0], None)
        assert [(one.cycle, one.marginal_rate) for one in by_tables] == [
            (one.cycle, one.marginal_rate) for one in fresh
        ]


def test_a_pool_told_unreliable_stays_unknown_wherever_its_syncs_stand() -> None:
    tracked = pools()
    parts = [
        PoolSync(300, tracked[n % 3].spec.address, bytes(20), bytes(20), n + 1, 5, 18, 18, n, 101) for n in range(90)
    ]
    stream = b"".join(encode(one, source=4, timestamp_ns=BEGINNING_NS) for one in parts)
    (run,) = bus_decoder(runs=True).feed(stream)
    assembler = BlockAssembler(FIRST)
    doubted = Address(tracked[1].spec.address)
    for event in (run, PoolUnreliable(doubted, "cut off", 101), run):
        assembler.add(event)
    (closed,) = assembler.add(Heartbeat(102, 0))
    after = market(*tracked, number=FIRST).apply(closed)
    assert set(after.reload) == {doubted}
    assert {tracked[0].spec.address, tracked[2].spec.address} <= after.touched
