"""From a unix socket to candidates: how many messages a second, and how long after the sender wrote one.

Another process writes PoolSync messages (p1, with CRC, unnumbered) of 10,000 and 100,000 pools. Here they are read,
decoded and screened as the service does it: by ``BusDecoder`` and ``Search.glance``, in one task (``fused``), or with
reader, updater and detector as tasks of their own and a channel between each (``channels``). Rates are messages per
second of this process's CPU time. Latencies are wall time from the sender's stamp to the end of the search, at 1,000
messages a second; on a busy machine they show the neighbours.

``whole blocks``: the same bytes to whole markets and a search of each, blocks of 20,000 messages as they pile up while
a consumer is away.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from benchmarks.bus_sender import SPREAD
from benchmarks.synthetic_graph import graph, hub_addresses, pools_of
from flasharb.feed.blocks import BlockAssembler
from flasharb.feed.stream import bus_decoder
from flasharb.market import Market
from flasharb.pools import Token
from flasharb.service.messages import Batch
from flasharb.settings import Pools, Settings
from flasharb.strategy.search import Search, Tokens

Row = dict[str, Any]
READ_BYTES = 65_536
FLOOD = 400_000
PACED = 3_000
PACE = 1_000.0


@dataclass
class Sink:
    """Batches in, sightings counted, latencies noted."""

    search: Search
    sighted: int = 0
    batches: int = 0
    latencies_us: list[float] = field(default_factory=list)

    def take(self, batch: Batch, sent_ns: int) -> None:
        self.sighted += self.search.glance(batch.events)
        self.batches += 1
        self.latencies_us.append((time.time_ns() - sent_ns) / 1e3)


Reading = Callable[[trio.SocketStream, Sink], Awaitable[None]]


def market_of(pools: int) -> Market:
    """Block 1 of the synthetic graph."""
    states = pools_of(graph(pools, spread=SPREAD))
    tokens = {token for pool in states for token in pool.spec.tokens}
    return Market.load(1, states, [Token(token, "", 18) for token in tokens])


def search_of(market: Market) -> Search:
    hubs = hub_addresses()
    settings = Settings(pools=Pools(min_liquidity_usd=0))
    search = Search(settings, Tokens((hubs[0],), (hubs[1],), hubs[0]))
    search.update(market, None, 10**9)
    return search


async def fused(stream: trio.SocketStream, sink: Sink) -> None:
    """One task from the socket to the screen."""
    decoder = bus_decoder(runs=True)
    while chunk := await stream.receive_some(READ_BYTES):
        found = decoder.feed(bytes(chunk))
        if found:
            sink.take(Batch(tuple(found), 0.0), int.from_bytes(chunk[20:28], "little"))


async def channels(stream: trio.SocketStream, sink: Sink) -> None:
    """Reader, updater and detector, each a task, with channels as in the pipeline."""
    batches_in, batches = trio.open_memory_channel[tuple[Batch, int]](64)
    updates_in, updates = trio.open_memory_channel[tuple[Batch, int]](64)

    async def read() -> None:
        decoder = bus_decoder(runs=True)
        async with batches_in:
            while chunk := await stream.receive_some(READ_BYTES):
                found = decoder.feed(bytes(chunk))
                if found:
                    await batches_in.send((Batch(tuple(found), 0.0), int.from_bytes(chunk[20:28], "little")))

    async def hand_on() -> None:
        async with updates_in:
            async for one in batches:
                await updates_in.send(one)

    async def look() -> None:
        async for batch, sent_ns in updates:
            sink.take(batch, sent_ns)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look)
        nursery.start_soon(hand_on)
        nursery.start_soon(read)


def whole_blocks(market: Market) -> Reading:
    """Every block applied and searched, after a glance at each of its batches."""

    async def read(stream: trio.SocketStream, sink: Sink) -> None:
        current, decoder, assembler = market, bus_decoder(runs=True), BlockAssembler(after=1)
        while chunk := await stream.receive_some(READ_BYTES):
            found = decoder.feed(bytes(chunk))
            sink.take(Batch(tuple(found), 0.0), int.from_bytes(chunk[20:28], "little"))
            for event in found:
                for closed in assembler.add(event):
                    current = current.apply(closed)
                    sink.search.update(current, current.touched, 10**9)

    return read


async def through_a_socket(pools: int, count: int, rate: float, reading: Reading, sink: Sink) -> float:
    """Let another process send; returns the CPU seconds that reading took here."""
    with tempfile.TemporaryDirectory() as place:
        path = str(Path(place, "bus"))
        listener = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
        await listener.bind(path)
        listener.listen()
        command = [sys.executable, "-m", "benchmarks.bus_sender", path, str(pools), str(count), str(rate)]
        with listener:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.run_process, command)
                connection, _ = await listener.accept()
                async with trio.SocketStream(connection) as stream:
                    start = time.process_time()
                    await reading(stream, sink)
                    return time.process_time() - start


def row(case: str, value: float, unit: str) -> Row:
    return {"case": case, "value": value, "unit": unit, "peer": None, "peer_value": None, "ratio": None}


def flood(market: Market, name: str, reading: Reading) -> Row:
    """Messages per CPU second when they come as fast as they can be read."""
    sink = Sink(search_of(market))
    took = trio.run(through_a_socket, len(market.pools), FLOOD, 0, reading, sink)
    return row(f"{len(market.pools):,} pools, {name}", FLOOD / took, "messages/s")


def paced(market: Market, name: str, reading: Reading) -> list[Row]:
    """Latencies at a steady rate."""
    sink = Sink(search_of(market))
    trio.run(through_a_socket, len(market.pools), PACED, PACE, reading, sink)
    times = sorted(sink.latencies_us)
    case = f"{len(market.pools):,} pools, {name}, {PACE:,.0f} messages/s"
    return [
        row(f"{case}: p50", times[len(times) // 2], "us"),
        row(f"{case}: p99", times[len(times) * 99 // 100], "us"),
    ]


def rows() -> list[Row]:
    """All figures."""
    found = []
    for pools in (10_000, 100_000):
        market = market_of(pools)
        found += [flood(market, "fused", fused), flood(market, "channels", channels)]
        if pools == 10_000:
            found.append(flood(market, "whole blocks", whole_blocks(market)))
            found += paced(market, "fused", fused) + paced(market, "channels", channels)
    return found
