"""Writes PoolSync messages of the synthetic graph to a unix socket: ``python -m benchmarks.bus_sender``.

Everything but the timestamps is prepared before the first byte goes out. At a rate of 0 all goes out at once, with
timestamps made beforehand; otherwise one message at a time, stamped as it leaves.
"""

from __future__ import annotations

import socket
import sys
import time
from zlib import crc32

import numpy as np

from benchmarks.synthetic_graph import graph, pools_of
from flasharb.feed.messages import PoolSync, encode

BURST_BYTES = 1 << 16
SPREAD, SWAP = 0.0005, 0.0003
"""How far prices lie apart, and how far they move: about as in a market that others watch as well."""
BLOCK = 20_000
"""Messages of one block, when all goes out at once: what piles up while a consumer is away."""


def messages(pools: int, count: int, *, per_block: int) -> list[bytes]:
    """Swaps in random pools, in rising blocks from 2 on."""
    random = np.random.default_rng(9)
    states = pools_of(graph(pools, spread=SPREAD))
    picks, swaps = random.integers(0, pools, count).tolist(), np.exp(random.normal(0, SWAP, count)).tolist()
    begin = time.time_ns()
    parts = []
    for n, (pick, swap) in enumerate(zip(picks, swaps, strict=True)):
        pool = states[pick]
        reserves = int(pool.reserve0 * swap) + 1, int(pool.reserve1 / swap) + 1
        sync = PoolSync(
            300, pool.spec.address, pool.spec.token0, pool.spec.token1, *reserves, 18, 18, begin + n, 2 + n // per_block
        )
        parts.append(encode(sync, source=4, timestamp_ns=begin + n))
    return parts


def stamped(message: bytes) -> bytes:
    """The message with the time of now in its header."""
    head = message[:20] + time.time_ns().to_bytes(8, "little")
    return head + crc32(message[32:], crc32(head)).to_bytes(4, "little") + message[32:]


def send(path: str, pools: int, count: int, rate: float) -> None:
    """Connect and write."""
    parts = messages(pools, count, per_block=BLOCK if not rate else 1_000_000)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wire:
        wire.connect(path)
        if not rate:
            wire.sendall(b"".join(parts))
            return
        begin = time.monotonic()
        for n, message in enumerate(parts):
            pause = begin + n / rate - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            wire.sendall(stamped(message))


if __name__ == "__main__":
    send(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
