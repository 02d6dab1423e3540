"""The screen in flat arrays: nothing lost, nothing invented, the same compiled or not, and back again on a rewind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from math import prod
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flasharb.feed.events import Event, V2Sync, V3Swap
from flasharb.feed.messages import encode
from flasharb.feed.pool_runs import PoolRun
from flasharb.feed.records import PoolSync
from flasharb.feed.stream import bus_decoder
from flasharb.feed.tick_check import sqrt_price_x96_at
from flasharb.market import Market
from flasharb.pools import Pool, V2Pool
from flasharb.strategy.detect import Detector
from flasharb.strategy.screen import BATCH, THRESHOLD, Screen, layout
from flasharb.strategy.screen.compiled import fastest, plain
from flasharb.strategy.screen.layout import Numbers
from flasharb.strategy.trade import Hop
from flasharb.units import Address
from tests.support.cycle_index import CycleIndex
from tests.support.market_samples import address_of, basket, market, numbered, v2, v3

TOKENS = [numbered(n) for n in range(1, 13)]
BASES = [TOKENS[3], TOKENS[0]]
WHOLE = (-887_220, 887_220, 10**22)


# The raw screen


def random_screens(seed: int, max_hops: int) -> tuple[Screen, Screen, list[Numbers]]:
    """The same random graph twice, compiled and plain, and batches for both. Some pairs have many slots, some none."""
    random = np.random.default_rng(seed)
    tokens, edges = int(random.integers(2, 12)), int(random.integers(1, 60))
    tail = random.integers(0, tokens - 1, edges).astype(np.int32)
    head = (tail + 1 + random.integers(0, tokens, edges) % (tokens - 1 - tail)).astype(np.int32)
    rank = np.where(random.random(tokens) < 0.4, np.arange(tokens), -1).astype(np.int32)
    first, second = (
        Screen(layout(tail, head, rank), max_hops, compiled=True),
        Screen(layout(tail, head, rank), max_hops, compiled=False),
    )
    batches = []
    for _ in range(int(random.integers(1, 12))):
        batch = np.zeros(int(random.integers(0, 20)), BATCH)
        batch["slot"] = random.integers(0, edges, len(batch))
        for way in ("forward", "backward"):
            batch[way] = np.where(random.random(len(batch)) < 0.1, 0.0, np.exp(random.normal(-0.01, 0.02, len(batch))))
        batches.append(batch)
    return first, second, batches


@given(st.integers(0, 2**32), st.sampled_from([2, 3, 4]))
@settings(max_examples=60)
def test_compiled_and_plain_kernels_agree_bit_for_bit(seed: int, max_hops: int) -> None:
    compiled, as_is, batches = random_screens(seed, max_hops)
    assert not as_is.compiled
    assert compiled.compiled == fastest().compiled
    for batch in batches:
        for screen in (compiled, as_is):
            screen.open[:] = np.arange(len(screen.open)) % 3
        assert compiled.update(batch) == as_is.update(batch)
        for one, other in (
            (compiled.layout.slots, as_is.layout.slots),
            (compiled.layout.pairs, as_is.layout.pairs),
            (compiled.layout.links, as_is.layout.links),
        ):
            assert one.tobytes() == other.tobytes()
        if len(compiled.layout.tokens) > 1:
            assert compiled.walks(0, 6) == as_is.walks(0, 6)


@pytest.mark.parametrize("compiled", [True, False])
def test_a_leg_with_more_cycles_than_there_is_room_for_loses_none(compiled: bool) -> None:
    """One pool closes a thousand triangles at once."""
    thirds = range(2, 1002)
    ends = [(0, 1), *((0, third) for third in thirds), *((1, third) for third in thirds)]
    tail, head = np.array(ends, np.int32).T
    tables = layout(tail, head, np.array([0, *[-1] * 1001], np.int32))
    screen = Screen(tables, 3, compiled=compiled)
    others = np.zeros(2000, BATCH)
    others["slot"], others["forward"], others["backward"] = tables.slot_of[1:], 0.999, 0.999
    assert screen.update(others).cycles == []
    last = np.array([(1.01, 0.5, tables.slot_of[0])], BATCH)
    assert screen.update(last).cycles == [(0, 1, third) for third in thirds]


def cycles_by_rate(screen: Screen, most: int) -> dict[tuple[int, ...], float]:
    """Every cycle through token 0 with its product, by trying all sequences of tokens."""
    links, tokens = screen.layout.links, screen.layout.tokens
    rate = {
        (start, int(link["token"])): float(link["out"])
        for start in range(len(tokens) - 1)
        for link in links[tokens["first"][start] : tokens["first"][start + 1]]
    }
    others = range(1, len(tokens) - 1)
    return {
        (0, *middle): prod((rate.get(end, 0.0) for end in zip((0, *middle), (*middle, 0), strict=True)), start=1.0)
        for length in range(2, most + 1)
        for middle in permutations(others, length - 1)
    }


@given(st.integers(0, 2**32), st.sampled_from([-0.03, -0.012, 0.0]))
@settings(max_examples=60)
def test_walks_are_cycles_that_pass_and_the_best_where_no_shorter_one_does(seed: int, level: float) -> None:
    """Each is a cycle with the product it is said to have; where none shorter gains, the best of its length is there.

    Against all sequences of tokens. Cycles that avoid the base token count too: they are what a better path goes round.
    """
    random = np.random.default_rng(seed)
    count = int(random.integers(3, 7))
    ends = np.array([(a, b) for a in range(count) for b in range(a + 1, count)], np.int32)
    tables = layout(*ends.T, np.array([0, *[-1] * (count - 1)], np.int32))
    screen = Screen(tables, 2, compiled=False)
    batch = np.zeros(len(ends), BATCH)
    worth = np.exp(random.normal(0, 1, count))
    price = (worth[ends[:, 0]] / worth[ends[:, 1]])[np.argsort(tables.slot_of)]
    batch["slot"] = np.arange(len(ends))
    batch["forward"] = price * np.exp(random.normal(level, 0.012, len(ends)))
    batch["backward"] = np.exp(random.normal(level, 0.012, len(ends))) / price
    screen.update(batch)
    whole = cycles_by_rate(screen, 6)
    walks = screen.walks(0, 6)
    for walk in walks:
        assert walk.rate == pytest.approx(whole[walk.tokens], rel=1e-12)
        assert walk.rate > THRESHOLD * (1 - 1e-11)
    assert [walk.rate for walk in walks] == sorted((walk.rate for walk in walks), reverse=True)
    assert len({walk.tokens for walk in walks}) == len(walks)
    for length in range(2, count + 1):
        rate, best = max((rate, tokens) for tokens, rate in whole.items() if len(tokens) == length)
        if rate > 1.0 and not _any_gains(screen, length - 1):
            assert best in [walk.tokens for walk in walks if len(walk.tokens) == length]


def _any_gains(screen: Screen, most: int) -> bool:
    """Whether a cycle of up to so many tokens gains, through whatever tokens: by the best walks from every token."""
    count = len(screen.layout.tokens) - 1
    rates = np.zeros((count, count))
    for pair in screen.layout.pairs[:-1]:
        here = screen.layout.links[pair["tail_link"]]
        rates[pair["tail"], pair["head"]], rates[pair["head"], pair["tail"]] = here["out"], here["back"]
    walks = rates
    for _ in range(2, most + 1):
        walks = (walks[:, :, None] * rates[None, :, :]).max(axis=1)
        if np.diag(walks).max() > 1.0:
            return True
    return False


def test_without_numba_the_kernels_run_as_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    assert fastest.__wrapped__() is plain()


def test_a_token_without_a_pool_has_no_walk() -> None:
    screen = Screen(layout(*np.array([[0], [1]], np.int32), np.array([0, -1, -1], np.int32)), 3, compiled=False)
    assert screen.walks(2, 4) == []
    assert screen.walks(0, 8) == []


# The screen under the detector, against the index of all cycles


def shaken(random: Random, pool: Pool, spread: float) -> Pool:
    """The pool with other reserves; now and then without any."""
    pool = _as_v2(pool)
    if random.random() < 0.03:
        return pool.with_reserves(0, 0)
    depth = int(10 ** random.uniform(6, 24))
    return pool.with_reserves(depth, int(depth * random.uniform(1 - spread, 1 + spread)) or 1)


def _as_v2(pool: Pool) -> V2Pool:
    assert isinstance(pool, V2Pool)
    return pool


def graph_of_pools(random: Random) -> Market:
    """Pools of two tokens, hubs first, fees as they are, all at about one price."""
    pools: list[Pool] = []
    for n in range(random.randrange(2, 40)):
        a = TOKENS[min(int(random.paretovariate(0.8)) - 1, len(TOKENS) - 1)]
        b = random.choice([token for token in TOKENS if token != a])
        pools.append(
            v2(f"{n}", (a, 10**20), (b, random.randrange(10**20, 10**20 + 10**18)), random.choice([0, 500, 3000]))
        )
    return market(*pools)


def histories(random: Random) -> Iterator[tuple[Market, set[Address]]]:
    """A market and its later states, each with the pools touched."""
    snapshot = graph_of_pools(random)
    yield snapshot, set(snapshot.pools)
    for _ in range(random.randrange(1, 6)):
        touched = set(random.sample(sorted(snapshot.pools), random.randrange(1, min(6, len(snapshot.pools)) + 1)))
        moved = {address: shaken(random, snapshot.pools[address], 0.02) for address in touched}
        snapshot = replace(snapshot, number=snapshot.number + 1, pools={**snapshot.pools, **moved})
        yield snapshot, touched


@given(st.integers(0, 2**32), st.sampled_from([2, 3, 4]), st.booleans())
@settings(max_examples=60)
def test_the_screen_finds_exactly_what_the_index_of_all_cycles_finds(seed: int, max_hops: int, compiled: bool) -> None:
    detector, index = Detector(max_hops, BASES, compiled=compiled), None
    for snapshot, touched in histories(Random(seed)):
        priced = {at: _priced(pool) for at, pool in snapshot.pools.items()}
        known = replace(snapshot, pools=priced)
        if index is None:
            index = CycleIndex(known, BASES, max_hops)
        index.update(known, touched)
        found = detector.update(snapshot, touched)
        rates = {opportunity.cycle: opportunity.marginal_rate for opportunity in found}
        assert len(rates) == len(found)
        assert rates == index.passing(THRESHOLD)


def _priced(pool: Pool) -> Pool:
    """The pool; one without reserves with a price that no cycle survives."""
    pool = _as_v2(pool)
    return pool if pool.reserve0 else _Worthless(pool.spec, 0, 0)


class _Worthless(V2Pool, frozen=True):
    def marginal_rate(self, i: int, j: int) -> float:
        return 0.0


@given(st.integers(0, 2**32), st.sampled_from([3, 4]), st.booleans())
@settings(max_examples=40)
def test_a_rewind_leaves_no_trace(seed: int, max_hops: int, compiled: bool) -> None:
    """Blocks forward, then back to the first: the same cycles, and the same bytes in every table."""
    detector = Detector(max_hops, BASES, compiled=compiled)
    (first, touched), *later = histories(Random(seed))
    before = [(one.cycle, one.marginal_rate) for one in detector.update(first, touched)]
    assert detector.tables is not None
    tables = [table.tobytes() for table in detector.tables]
    everything: set[Address] = set()
    for snapshot, touched in later:
        detector.update(snapshot, touched)
        everything |= touched
    after = [(one.cycle, one.marginal_rate) for one in detector.update(first, everything)]
    assert after == before
    assert [table.tobytes() for table in detector.tables] == tables


# Glances


def as_the_bus_tells(random: Random, events: list[V2Sync], number: int) -> list[Event | PoolRun]:
    """The same events as the decoder gives them: single ones, and a run when there are enough."""
    stream = b"".join(
        encode(
            PoolSync(300, event.pool, bytes(20), bytes(20), event.reserve0, event.reserve1, 18, 18, n, number),
            source=4,
            timestamp_ns=1_700_000_000_000_000_000,
        )
        for n, event in enumerate(events)
    )
    return bus_decoder(runs=random.random() < 0.7).feed(stream)


@given(st.integers(0, 2**32), st.sampled_from([3, 4]))
@settings(max_examples=60)
def test_glances_change_no_report(seed: int, max_hops: int) -> None:
    """Whatever is glanced at, true, untrue or outdated, the next update reports what a fresh search finds."""
    random = Random(seed)
    detector = Detector(max_hops, BASES)
    for snapshot, touched in histories(random):
        left_out = set(random.sample(sorted(snapshot.pools), random.randrange(3) if len(snapshot.pools) > 2 else 0))
        found = [(one.cycle, one.marginal_rate) for one in detector.update(snapshot, touched, left_out)]
        fresh = Detector(max_hops, BASES).update(snapshot, None, left_out)
        assert found == [(one.cycle, one.marginal_rate) for one in fresh]
        for _ in range(random.randrange(3)):
            pools = [*snapshot.pools, Address(bytes(20))]
            told = [(random.choice(pools), random.randrange(10**20)) for _ in range(random.randrange(30))]
            number = snapshot.number + random.choice([0, 1])
            events = [V2Sync(at, one, random.choice([one, 10**20, 0]), number) for at, one in told]
            sighted = detector.glance(as_the_bus_tells(random, events, number))
            assert number > snapshot.number or not sighted
            assert all(set(cycle) & set(BASES) for cycle in sighted)


@pytest.mark.parametrize("count", [1, 20])
def test_a_glance_sees_what_the_next_block_will_report(count: int) -> None:
    """By a single event or by a run of them, of either kind of pool."""
    a, b = BASES[0], TOKENS[5]
    pools = [v2("one", (a, 10**21), (b, 10**21)), v2("two", (a, 10**21), (b, 10**21)), v3("three", (a, b), 0, [WHOLE])]
    before = market(*pools, number=100)
    detector = Detector(3, BASES)
    assert detector.glance([]) == []
    assert detector.update(before, None) == []
    at, zero_for_one = address_of("one"), a < b
    reserves = (105 * 10**19, 10**21) if zero_for_one else (10**21, 105 * 10**19)
    moved = _as_v2(before.pools[at]).with_reserves(*reserves)
    told = [V2Sync(at, moved.reserve0, moved.reserve1, 101)] * count
    sighted = detector.glance(as_the_bus_tells(Random(1), told, 101))
    after = replace(before, number=101, pools={**before.pools, at: moved})
    reported = detector.update(after, {at})
    assert {tuple(hop.token_in for hop in one.cycle) for one in reported} == set(sighted)
    assert sighted == [(a, b)]
    tick = 300 if zero_for_one else -300
    swap = V3Swap(address_of("three"), sqrt_price_x96_at(tick), tick, 10**22, 102)
    assert detector.glance([swap]) == [(a, b)]


@pytest.mark.parametrize("kind", ["sync", "swap"])
def test_a_glance_goes_by_the_fee_that_a_pool_was_last_loaded_with(kind: str) -> None:
    a, b = BASES[0], TOKENS[5]
    other = v2("other", (a, 10**21), (b, 10**21), 100)

    def loaded(fee_pips: int) -> Pool:
        if kind == "sync":
            return v2("one", (a, 10**21), (b, 10**21), fee_pips)
        return v3("one", (a, b), 0, [WHOLE], fee_pips)

    before = market(loaded(100), other, number=100)
    detector = Detector(3, BASES)
    assert detector.update(before, None) == []
    after = before.inserting([loaded(500_000)], 100)
    assert detector.update(after, after.touched) == []
    swap = V3Swap(address_of("one"), sqrt_price_x96_at(300), 300, 10**22, 101)
    event = V2Sync(address_of("one"), 10**21, 105 * 10**19, 101) if kind == "sync" else swap
    assert detector.glance([event]) == []


@given(st.integers(0, 2**32), st.integers(1, 3))
@settings(max_examples=30)
def test_a_limit_of_pools_per_leg_keeps_the_best_of_each(seed: int, most: int) -> None:
    snapshot = graph_of_pools(Random(seed))
    whole = Detector(3, BASES).update(snapshot, None)
    limited = Detector(3, BASES, pools_per_leg=most).update(snapshot, None)
    rank: dict[tuple[Address, Address], list[Address]] = {}
    for address, pool in snapshot.pools.items():
        for start, end in permutations(pool.spec.tokens, 2):
            rank.setdefault((start, end), []).append(address)
    for (start, end), pools in rank.items():
        pools.sort(key=lambda at, start=start, end=end: (-_rate(snapshot.pools[at], start, end), at))

    def is_kept(hop: Hop) -> bool:
        return rank[hop.token_in, hop.token_out].index(hop.pool) < most

    assert [one.cycle for one in limited] == [one.cycle for one in whole if all(map(is_kept, one.cycle))]


def _rate(pool: Pool, start: Address, end: Address) -> float:
    return pool.marginal_rate(*pool.spec.ends(start, end))


def test_a_pool_of_several_tokens_lies_between_each_pair_of_them() -> None:
    rich = basket("rich", {TOKENS[0]: 10**21, TOKENS[1]: 10**21, TOKENS[2]: 10**21}, fee_pips=0)
    detector = Detector(4, [TOKENS[0]])
    assert detector.update(market(rich), None) == []
    assert detector.tables is not None
    assert len(detector.tables[0]) == 3


# Cycles longer than those listed


def ring(*lengths: int, off: int = 10**19, fee_pips: int = 0) -> list[Pool]:
    """Rings of so many pools through the first token, each the only way to gain."""
    pools: list[Pool] = []
    for length in lengths:
        tokens = [TOKENS[0], *(address_of(f"{length}: {n}") for n in range(1, length))]
        pools += [
            v2(f"{length}: {n} and on", (tokens[n], 10**21), (tokens[(n + 1) % length], 10**21 + off), fee_pips)
            for n in range(length)
        ]
    return pools


@pytest.mark.parametrize("length", [5, 6, 7, 8])
@pytest.mark.parametrize("compiled", [True, False])
def test_cycles_longer_than_those_listed_are_found(length: int, compiled: bool) -> None:
    """And with the pool's state they come and go; without being asked for they are not looked for."""
    pools = ring(length)
    snapshot = market(*pools)
    detector = Detector(4, [TOKENS[0]], longest=length, compiled=compiled)
    (found,) = detector.update(snapshot, None)
    assert [hop.pool for hop in found.cycle] == [pool.spec.address for pool in pools]
    assert found.marginal_rate == pytest.approx(1.01**length)
    assert Detector(4, [TOKENS[0]], longest=length - 1).update(snapshot, None) == []
    one = _as_v2(pools[2])
    shut = replace(snapshot, pools={**snapshot.pools, one.spec.address: one.with_reserves(0, 0)})
    assert detector.update(shut, [one.spec.address]) == []
    assert [again.cycle for again in detector.update(snapshot, [one.spec.address])] == [found.cycle]
    assert detector.update(snapshot, [], [one.spec.address]) == []


def test_a_longer_cycle_is_found_beside_open_short_ones() -> None:
    """What gains more per round trip, gone round twice, is no longer cycle."""
    snapshot = market(*ring(2, 3, off=5 * 10**19), *ring(6))
    found = [len(one.cycle) for one in Detector(4, [TOKENS[0]], longest=6).update(snapshot, None)]
    assert found == [3, 2, 6]


@given(st.integers(0, 2**32))
@settings(max_examples=30)
def test_longer_cycles_are_those_of_the_market_whatever_came_before(seed: int) -> None:
    """Block by block as from scratch, no cycle twice, all through different pools and tokens, and nothing else lost."""
    running = Detector(3, BASES, longest=6)
    for snapshot, touched in histories(Random(seed)):
        found = [(one.cycle, one.marginal_rate) for one in running.update(snapshot, touched)]
        assert found == [(one.cycle, one.marginal_rate) for one in Detector(3, BASES, longest=6).update(snapshot, None)]
        cycles = [cycle for cycle, _ in found]
        assert len(set(cycles)) == len(cycles)
        listed = [one.cycle for one in Detector(3, BASES).update(snapshot, None)]
        assert [cycle for cycle in cycles if len(cycle) <= 3] == listed
        for cycle, rate in found:
            assert len({hop.pool for hop in cycle}) == len({hop.token_in for hop in cycle}) == len(cycle) <= 6
            assert rate > THRESHOLD


def test_a_length_beyond_the_longest_is_refused() -> None:
    with pytest.raises(ValueError, match="up to 8 hops"):
        Detector(3, BASES, longest=9)


@pytest.mark.parametrize("compiled", [True, False])
def test_cycles_passed_over_at_hubs_are_counted_and_the_best_found_all_the_same(
    compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A budget of no link at all leaves base tokens for thirds: the cycle of four by another third is walked."""
    monkeypatch.setattr("flasharb.strategy.screen.screen.FOUR_HOP_BUDGET", 0)
    pools = ring(4)
    detector = Detector(4, [TOKENS[0]], compiled=compiled)
    assert detector.curtailed == 0
    (found,) = detector.update(market(*pools), None)
    assert [hop.pool for hop in found.cycle] == [pool.spec.address for pool in pools]
    assert (counted := detector.curtailed) > 0
    newcomer = v2("new", (TOKENS[0], 10**20), (TOKENS[5], 10**20))
    detector.update(market(*pools, newcomer), [newcomer.spec.address])
    assert detector.curtailed >= counted, "the count outlives the tables"
