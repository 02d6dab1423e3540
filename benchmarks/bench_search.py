"""The screen at a thousand to a million pools, and on the pools of the recorded blocks; the market's memory.

Reserves in, passing token cycles out: an update is a pool's new reserves, from which its rates are computed, taken over
and searched (up to three hops unless said otherwise). Every update is a new one: repeated ones would raise nothing.
Times are CPU time of this process, in which other work on the machine hardly shows.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from time import process_time, process_time_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.recorded_graph import MAINNET, recorded_graph, recorded_pools
from benchmarks.synthetic_graph import HUBS, Graph, graph
from flasharb.strategy.screen import BATCH, Numbers, Screen, layout

Row = dict[str, Any]
SIZES = (1_000, 10_000, 100_000, 1_000_000)
BATCH_LENGTH = 256
UPDATES = 400_000
SINGLES = 20_000


@dataclass
class Subject:
    """A screen over a graph, with the reserves that its updates move."""

    drawn: Graph
    screen: Screen
    random: np.random.Generator

    @staticmethod
    def of(drawn: Graph, bases: int, max_hops: int, compiled: bool = True) -> Subject:
        rank = np.where(np.arange(drawn.tokens) < bases, np.arange(drawn.tokens), -1).astype(np.int32)
        screen = Screen(layout(drawn.tail, drawn.head, rank), max_hops, compiled=compiled)
        subject = Subject(drawn, screen, np.random.default_rng(7))
        everything = np.arange(len(drawn.tail))
        screen.update(subject.batch(everything, drawn.reserve_tail, drawn.reserve_head))
        return subject

    def updates(self, count: int) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Pools at random, their reserves a swap of about 0.05 % away from rest."""
        pools = self.random.integers(0, len(self.drawn.tail), count)
        swap = np.exp(self.random.normal(0, 0.0005, count))
        return pools, self.drawn.reserve_tail[pools] * swap, self.drawn.reserve_head[pools] / swap

    def batch(self, pools: NDArray[np.int64], tail: NDArray[np.float64], head: NDArray[np.float64]) -> Numbers:
        """The rates for these reserves."""
        batch = np.empty(len(pools), BATCH)
        price, gamma = head / tail, self.drawn.gamma[pools]
        batch["slot"] = self.screen.layout.slot_of[pools]
        batch["forward"], batch["backward"] = gamma * price, gamma / price
        return batch

    def rate(self, count: int) -> tuple[float, int]:
        """Updates a second in batches, and the cycles seen."""
        pools, tail, head = self.updates(count)
        seen = 0
        start = process_time()
        for at in range(0, count, BATCH_LENGTH):
            part = slice(at, at + BATCH_LENGTH)
            seen += len(self.screen.update(self.batch(pools[part], tail[part], head[part])).cycles)
        return count / (process_time() - start), seen

    def single(self, count: int) -> tuple[float, float]:
        """Microseconds of one update by itself: p50 and p99."""
        pools, tail, head = self.updates(count)
        times = []
        for n in range(count):
            one = slice(n, n + 1)
            start = process_time_ns()
            self.screen.update(self.batch(pools[one], tail[one], head[one]))
            times.append(process_time_ns() - start)
        times.sort()
        return times[count // 2] / 1e3, times[count * 99 // 100] / 1e3


def row(case: str, value: float | None, unit: str) -> Row:
    return {"case": case, "value": value, "unit": unit, "peer": None, "peer_value": None, "ratio": None}


def study(drawn: Graph, name: str) -> list[Row]:
    """One graph."""
    start = process_time()
    subject = Subject.of(drawn, 1, 3)
    built = process_time() - start
    rows = [
        row(f"{name}: tables", subject.screen.layout.nbytes / 1e6, "MB"),
        row(f"{name}: tables built and filled", built * 1e3, "ms"),
    ]
    rate, _ = subject.rate(UPDATES)
    p50, p99 = subject.single(SINGLES)
    rows += [
        row(f"{name}: updates, batches of {BATCH_LENGTH}", rate / 1e6, "million/s"),
        row(f"{name}: single update p50", p50, "us"),
        row(f"{name}: single update p99", p99, "us"),
    ]
    all_hubs = Subject.of(drawn, HUBS, 3)
    rate, _ = all_hubs.rate(UPDATES)
    rows.append(row(f"{name}: updates, five base tokens", rate / 1e6, "million/s"))
    rows.append(row(f"{name}: best walks of 4 hops from the base token", _milliseconds(subject), "ms"))
    return rows


def _milliseconds(subject: Subject) -> float:
    subject.screen.walks(0, 4)
    start = process_time()
    subject.screen.walks(0, 4)
    return (process_time() - start) * 1e3


def four_hops(drawn: Graph, name: str, count: int) -> list[Row]:
    """Single updates with cycles of four, which cost the product of two neighbourhoods."""
    name += ", 4 hops"
    subject = Subject.of(drawn, 1, 4)
    p50, p99 = subject.single(count)
    return [row(f"{name}: single update p50", p50, "us"), row(f"{name}: single update p99", p99, "us")]


def as_it_stands(drawn: Graph) -> Row:
    """The same kernels without numba."""
    subject = Subject.of(drawn, 1, 3, compiled=False)
    rate, _ = subject.rate(20_000)
    return row(f"{len(drawn.tail):,} pools: updates without numba", rate / 1e6, "million/s")


def recorded() -> list[Row]:
    """The same on real pools: a row that says why, where there are none."""
    name = "pools of the recorded blocks"
    pools = recorded_pools()
    if not pools:
        return [row(f"{name}: not measured, there are no blocks in {MAINNET}", None, "")]
    drawn = recorded_graph(pools)
    name = f"{len(pools)} {name}, {len(drawn.tail)} pairs"
    return study(drawn, name) + four_hops(drawn, name, 5_000)


def objects(count: int) -> list[Row]:
    """The market's own objects, held by a process of their own."""
    command = [sys.executable, "-m", "benchmarks.market_memory", str(count)]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    name = f"{count:,} pools as objects"
    return [
        row(f"{name}: pools and their facts", said["pools"], "MB"),
        row(f"{name}: market with its indexes", said["market"], "MB"),
        row(f"{name}: detector and screen", said["detector"], "MB"),
        row(f"{name}: market loaded", said["load_s"], "s"),
        row(f"{name}: detector's first look", said["detect_s"], "s"),
        row(f"{name}: a block in which 200 moved, state and detection", said["block_ms"], "ms"),
    ]


def rows() -> list[Row]:
    """All figures."""
    graphs = {f"{size:,} pools": graph(size) for size in SIZES}
    found = [one for name, drawn in graphs.items() for one in study(drawn, name)]
    for name, count in (("1,000 pools", 5_000), ("10,000 pools", 2_000)):
        found += four_hops(graphs[name], name, count)
    found += recorded()
    found.append(as_it_stands(graphs["10,000 pools"]))
    for count in SIZES:
        found += objects(count)
    return found
