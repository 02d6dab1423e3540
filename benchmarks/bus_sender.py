"""Serves PoolSync messages of the synthetic graph on a unix socket: ``python -m benchmarks.bus_sender``.

Everything but the timestamps is prepared before the first byte goes out. A few short blocks come first, for whoever
reads to get ready; the rest when a line comes on standard input. At a rate of 0 all of it goes out at once, otherwise
one message at a time, and standard output gets the nanosecond at which each left. A second line ends it.
"""

from __future__ import annotations

import socket
import sys
import time
from array import array

import numpy as np

from benchmarks.synthetic_graph import graph, pools_of
from flasharb.feed.messages import PoolSync, encode

SPREAD, SWAP = 0.0005, 0.0003
"""How far prices lie apart, and how far they move: about as in a market that others watch as well."""
BLOCK = 20_000
"""Messages of one block, when all goes out at once: what piles up while a consumer is away."""
WARM_UP = 3
"""Messages in front, each in a block of its own, from block 2 on."""


def messages(pools: int, count: int, *, per_block: int) -> list[bytes]:
    """Swaps in random pools, in rising blocks from 2 on; those of the warm-up come first."""
    random = np.random.default_rng(9)
    states = pools_of(graph(pools, spread=SPREAD))
    total = WARM_UP + count
    picks, swaps = random.integers(0, pools, total).tolist(), np.exp(random.normal(0, SWAP, total)).tolist()
    begin = time.time_ns()
    parts = []
    for n, (pick, swap) in enumerate(zip(picks, swaps, strict=True)):
        pool = states[pick]
        reserves = int(pool.reserve0 * swap) + 1, int(pool.reserve1 / swap) + 1
        block = 2 + (n if n < WARM_UP else WARM_UP + (n - WARM_UP) // per_block)
        sync = PoolSync(300, pool.spec.address, pool.spec.token0, pool.spec.token1, *reserves, 18, 18, begin + n, block)
        parts.append(encode(sync, source=4, timestamp_ns=begin + n))
    return parts


def serve(path: str, pools: int, count: int, rate: float) -> None:
    """Wait for one reader and write."""
    parts = messages(pools, count, per_block=BLOCK if not rate else 1_000_000)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen()
        sys.stdout.buffer.write(b"\n")
        sys.stdout.flush()
        wire, _ = listener.accept()
    with wire:
        wire.sendall(b"".join(parts[:WARM_UP]))
        sys.stdin.readline()
        if not rate:
            wire.sendall(b"".join(parts[WARM_UP:]))
            sys.stdin.readline()
            return
        left = array("Q")
        begin = time.monotonic()
        for n, message in enumerate(parts[WARM_UP:]):
            pause = begin + n / rate - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            left.append(time.time_ns())
            wire.sendall(message)
        sys.stdin.readline()
    sys.stdout.buffer.write(left.tobytes())


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
