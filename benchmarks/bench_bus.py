"""How fast bus bytes become frames, messages and events: CPU time of one process, reads as a socket delivers them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from flasharb.feed.messages import Message, PoolSwap, PoolSync, decode, encode
from flasharb.feed.reframer import Reframer
from flasharb.feed.stream import bus_decoder
from flasharb.feed.wire import Dialect

MESSAGES = 60_000
CHUNK_BYTES = 65_536
REPEATS = 5


def _stream(dialect: Dialect, *, concentrated: bool) -> bytes:
    """Half PoolSync, half PoolSwap, of 500 pools in rising blocks."""
    parts: list[bytes] = []
    for n in range(MESSAGES):
        pool = (n % 500).to_bytes(20, "big")
        token0, token1 = b"\x01" * 20, b"\x02" * 20
        block = 20_000_000 + n // 300
        message: Message
        if n % 2 or concentrated:
            price, tick, liquidity = ((1 << 96) + n, 0, 10**18 + n) if concentrated else (0, 0, 0)
            message = PoolSwap(
                300 + concentrated, pool, token0, token1, 10**18 + n, 10**9, 18, 6, price, tick, liquidity, n, block
            )
        else:
            message = PoolSync(300, pool, token0, token1, 5 * 10**24 + n, 25 * 10**11 + n, 18, 6, n, block)
        parts.append(encode(message, dialect=dialect, source=4, timestamp_ns=1_700_000_000_000_000_000 + n))
    return b"".join(parts)


def _rate(work: Callable[[list[bytes]], int], stream: bytes) -> float:
    chunks = [stream[i : i + CHUNK_BYTES] for i in range(0, len(stream), CHUNK_BYTES)]
    best = 0.0
    for _ in range(REPEATS):
        start = time.process_time()
        count = work(chunks)
        best = max(best, count / (time.process_time() - start))
        assert count >= MESSAGES // 2
    return best


def _messages(chunks: list[bytes]) -> int:
    reframer = Reframer("auto")
    count = 0
    for chunk in chunks:
        for frame in reframer.feed(chunk):
            count += len(decode(frame))
    return count


def _events(chunks: list[bytes]) -> int:
    decoder = bus_decoder()
    for chunk in chunks:
        decoder.feed(chunk)
    return decoder.translator.counters.messages


def _tables(chunks: list[bytes]) -> int:
    decoder = bus_decoder(runs=True)
    for chunk in chunks:
        decoder.feed(chunk)
    return decoder.translator.counters.messages


def rows() -> list[dict[str, Any]]:
    """Rows of ``just bench``: messages per second."""
    cases = {
        "p1 PoolSync and V2 PoolSwap": _stream("p1", concentrated=False),
        "p1 V3 PoolSwap": _stream("p1", concentrated=True),
        "p3 PoolSync and V2 PoolSwap": _stream("p3", concentrated=False),
    }
    found: list[dict[str, Any]] = []
    for name, stream in cases.items():
        for what, work in (("bytes to messages", _messages), ("bytes to events", _events)):
            found.append(
                {
                    "case": f"{name}: {what}",
                    "value": round(_rate(work, stream)),
                    "unit": "messages/s",
                    "peer": None,
                    "peer_value": None,
                    "ratio": None,
                }
            )
    for name in ("p1 PoolSync and V2 PoolSwap", "p1 V3 PoolSwap"):
        one_by_one, tables = (_rate(work, cases[name]) for work in (_events, _tables))
        found.append(
            {
                "case": f"{name}: bytes to events, equal messages as tables",
                "value": round(tables),
                "unit": "messages/s",
                "peer": "message by message",
                "peer_value": round(one_by_one),
                "ratio": tables / one_by_one,
            }
        )
    return found
