"""State and detection for an update: a pool's new reserves in, open cycles out, up to three hops from one base token.

Ours is the service's own: ``Market.apply`` takes a block of updates over, and ``Detector.update`` finds what is open;
``Detector.glance`` finds it before the block is complete. degenbot, where it can be imported, is told by
``external_update`` and then asks every cycle through the pool, in either direction, whether its rate is high enough,
which ``calculate`` does first and raises where it is not (asked for a rate of two, so that it never sizes). The engine
of its alpha solves all registered paths after a batch of updates (``solve_all_paths``): without a node its public
interface has no other way.

Prices of one pair differ by 0.03 % only, so that few cycles are open. Every update is a new one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from random import Random
from statistics import mean, median
from time import process_time_ns
from typing import Any

from benchmarks.degenbot_engine import Engine, is_engine
from benchmarks.degenbot_stable import StableCycles, degenbot_version, is_stable
from benchmarks.synthetic_graph import graph, hub_addresses, pools_of
from flasharb.feed.events import ClosedBlock, V2Sync
from flasharb.market import Market
from flasharb.pools import V2Pool
from flasharb.strategy.detect import Detector
from flasharb.units import Address

Row = dict[str, Any]
SPREAD = 0.0003
SIZES = (300, 1_000, 10_000)
MOST_FOR_PEERS = 1_000
BATCH = 256
BATCHES = 40
PEER_UPDATES = 100
ENGINE_BATCHES = 5


def rows() -> list[Row]:
    """All figures, microseconds an update."""
    return [row for count in SIZES for row in _rows(count)]


def _rows(count: int) -> Iterator[Row]:
    pools = pools_of(graph(count, spread=SPREAD))
    base = hub_addresses()[0]
    updates = list(_updates(pools, BATCH * BATCHES))
    ours = _by_block(pools, base, updates)
    name = f"{count:,} pools: an update, state and detection"
    yield _row(f"{name}, in blocks of {BATCH}", ours)
    if count <= MOST_FOR_PEERS:
        for peer, took in _peers(pools, base, updates):
            yield _row(f"{name}, in blocks of {BATCH}", ours, peer, took)
    yield _row(f"{name}, in a block of its own", _by_block(pools, base, updates[:1_000], 1))
    yield _row(f"{count:,} pools: an update seen before its block is complete", _glanced(pools, base, updates))


def _row(case: str, value: float, peer: str | None = None, peer_value: float | None = None) -> Row:
    ratio = None if peer_value is None else peer_value / value
    return {"case": case, "value": value, "unit": "us", "peer": peer, "peer_value": peer_value, "ratio": ratio}


def _updates(pools: Sequence[V2Pool], count: int) -> Iterator[V2Pool]:
    """Pools at random, a swap of about 0.01 % away from rest."""
    dice = Random(5)
    for _ in range(count):
        pool, by = dice.choice(pools), 1 + dice.gauss(0, 0.0001)
        yield pool.with_reserves(int(pool.reserve0 * by), int(pool.reserve1 / by))


def _syncs(updates: Sequence[V2Pool], number: int) -> tuple[V2Sync, ...]:
    return tuple(V2Sync(pool.spec.address, pool.reserve0, pool.reserve1, number) for pool in updates)


def _by_block(pools: Sequence[V2Pool], base: Address, updates: Sequence[V2Pool], size: int = BATCH) -> float:
    """The median block's share for each of its updates."""
    market = Market.load(1, pools, ())
    detector = Detector(3, (base,))
    detector.update(market, None)
    times = []
    for number, at in enumerate(range(0, len(updates), size), 2):
        block = ClosedBlock(number, _syncs(updates[at : at + size], number), None)
        start = process_time_ns()
        market = market.apply(block)
        detector.update(market, market.touched)
        times.append((process_time_ns() - start) / size / 1e3)
    return median(times)


def _glanced(pools: Sequence[V2Pool], base: Address, updates: Sequence[V2Pool]) -> float:
    detector = Detector(3, (base,))
    detector.update(Market.load(1, pools, ()), None)
    times = []
    for at in range(0, len(updates), BATCH):
        events = _syncs(updates[at : at + BATCH], 2)
        start = process_time_ns()
        detector.glance(events)
        times.append((process_time_ns() - start) / BATCH / 1e3)
    return median(times)


def _peers(pools: Sequence[V2Pool], base: Address, updates: Sequence[V2Pool]) -> Iterator[tuple[str, float]]:
    version = degenbot_version()
    paths = _cycles(pools, base)
    if is_stable():
        yield f"degenbot {version}, {len(paths):,} cycles", _stable(pools, paths, base, updates[:PEER_UPDATES])
    elif is_engine():
        engine = Engine()
        for path in paths:
            engine.register_path(path, base)
        engine.solve()
        times = []
        for at in range(0, BATCH * ENGINE_BATCHES, BATCH):
            start = process_time_ns()
            for pool in updates[at : at + BATCH]:
                engine.update(pool)
            engine.solve()
            times.append((process_time_ns() - start) / BATCH / 1e3)
        yield f"degenbot {version}, Rust engine, {len(paths):,} paths", median(times)


def _cycles(pools: Sequence[V2Pool], base: Address) -> list[tuple[V2Pool, ...]]:
    """All cycles of two and three pools from and to the base token, in both directions."""
    between: dict[tuple[Address, Address], list[V2Pool]] = defaultdict(list)
    beside: dict[Address, set[Address]] = defaultdict(set)
    for pool in pools:
        for start, end in (pool.spec.tokens, pool.spec.tokens[::-1]):
            between[start, end].append(pool)
            beside[start].add(end)
    two = [(a, b) for token in beside[base] for a in between[base, token] for b in between[token, base] if a is not b]
    three = [
        (a, b, c)
        for token in beside[base]
        for other in (beside[token] & beside[base]) - {base}
        for a in between[base, token]
        for b in between[token, other]
        for c in between[other, base]
    ]
    return [*two, *three]


def _stable(
    pools: Sequence[V2Pool], paths: Sequence[tuple[V2Pool, ...]], base: Address, updates: Sequence[V2Pool]
) -> float:
    """The mean of single updates, each with all cycles through its pool."""
    cycles = StableCycles(pools, paths, base)
    out_of_reach = Fraction(2)
    times = []
    for pool in updates:
        told, through = cycles.about(pool)
        start = process_time_ns()
        told()
        for cycle in through:
            try:
                cycle.calculate(min_rate_of_exchange=out_of_reach)
            except cycles.rate_too_low:
                pass
            else:
                raise AssertionError("a rate of two in this market")
        times.append((process_time_ns() - start) / 1e3)
    return mean(times)
