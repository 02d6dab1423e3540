"""What so many pools cost as Python objects: ``python -m benchmarks.market_memory 100000``.

Run by ``bench_search`` in a process of its own, which prints megabytes of resident memory (pools with their facts; a
market of them; the detector with the screen) and the milliseconds of a block in which 200 of the pools move.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from time import process_time

from benchmarks.synthetic_graph import graph, pools_of
from flasharb.feed.events import ClosedBlock, V2Sync
from flasharb.market import Market
from flasharb.strategy.detect import Detector
from flasharb.units import Address

_MOVED = 200
_NOBODY = Address(b"\xff" * 20)
"""A base token that no pool holds: the thousands of open cycles of the made-up graph are no part of the question."""


def main() -> None:
    """Hold ``argv[1]`` pools."""
    count = int(sys.argv[1])
    drawn = graph(count)
    # loading the kernels takes a hundred megabytes, however many pools there are
    Detector(3, (_NOBODY,)).update(Market.load(1, pools_of(graph(1_000)), ()), None)
    at_start = _resident()
    pools = pools_of(drawn)
    with_pools = _resident()
    start = process_time()
    market = Market.load(1, pools, ())
    loaded = process_time() - start
    with_market = _resident()
    start = process_time()
    detector = Detector(3, (_NOBODY,))
    detector.update(market, None)
    detected = process_time() - start
    with_detector = _resident()
    moved = [pools[n * (count // _MOVED)] for n in range(_MOVED)]
    times = []
    for number in range(2, 12):
        events = tuple(V2Sync(pool.spec.address, pool.reserve0 + number, pool.reserve1, number) for pool in moved)
        start = process_time()
        market = market.apply(ClosedBlock(number, events, None))
        detector.update(market, market.touched)
        times.append(process_time() - start)
    figures = {
        "pools": with_pools - at_start,
        "market": with_market - with_pools,
        "detector": with_detector - with_market,
        "load_s": loaded,
        "detect_s": detected,
        "block_ms": sorted(times)[len(times) // 2] * 1e3,
    }
    print(json.dumps(figures))


def _resident() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


if __name__ == "__main__":
    main()
