"""From a unix socket to candidates: how many messages a second, and how long after the sender wrote one.

Another process writes PoolSync messages (p1, with CRC, unnumbered) of 10,000 and 100,000 pools. ``service``: read by
the service's own reader, updater and detector, with the channels between them, every block applied, searched and sized
to trades; only node, simulation and what follows are missing. ``fused``: ``BusDecoder`` and ``Search.glance`` in one
task, which is the shortest way to a sighting. Rates are messages per second of this process's CPU time. Latencies are
wall time from the sender's stamp to the end of the search for sightings, at 1,000 messages a second; on a busy machine
they show the neighbours.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, cast

import trio

from benchmarks.bus_sender import BLOCK, SPREAD, WARM_UP
from benchmarks.synthetic_graph import graph, hub_addresses, pools_of
from flasharb.adapters.bus import READ_BYTES
from flasharb.adapters.pool_loader import Loaded
from flasharb.feed.events import BlockHeader, Event, PoolEvent
from flasharb.feed.pool_runs import PoolRun
from flasharb.feed.stream import bus_decoder
from flasharb.market import Market
from flasharb.pools import Pool, Token
from flasharb.service import garbage
from flasharb.service.conflated import Conflated
from flasharb.service.detector import Detector
from flasharb.service.figures import Figures
from flasharb.service.messages import Batch, Candidates, Update, newest
from flasharb.service.reader import read
from flasharb.service.updater import Updater
from flasharb.settings import MessageBus, Pools, Settings
from flasharb.strategy.search import Findings, Search, Tokens
from flasharb.units import Address, Hash32

Row = dict[str, Any]
FLOOD = 400_000
PACED = 3_000
PACE = 1_000.0
USD_PER_ETH = Decimal(3_000)
GWEI = 10**9


@dataclass
class Meter:
    """What a reading shows; ``warm`` is set when it is ready for what is measured, ``done`` when that has come."""

    expected: int
    warm: trio.Event = field(default_factory=trio.Event)
    done: trio.Event = field(default_factory=trio.Event)
    messages: int = 0
    arrived: dict[int, int] = field(default_factory=dict)
    """By number of the message that was the first of a batch: when the batch had been searched, in nanoseconds."""
    looks: int = 0
    trades: int = 0

    def searched(self, events: Iterable[Event | PoolRun]) -> None:
        """Note a batch."""
        if not self.warm.is_set():
            return
        self.arrived[self.messages] = time.time_ns()
        self.messages += sum(len(event) if isinstance(event, PoolRun) else 1 for event in events)
        if self.messages >= self.expected:
            self.done.set()


Reading = Callable[[str, Meter], Awaitable[None]]


def market_of(pools: int) -> Market:
    """Block 1 of the synthetic graph."""
    states = pools_of(graph(pools, spread=SPREAD))
    tokens = {token for pool in states for token in pool.spec.tokens}
    return Market.load(1, states, [Token(token, "", 18) for token in tokens])


def search_of() -> Search:
    hubs = hub_addresses()
    settings = Settings(pools=Pools(min_liquidity_usd=0))
    return Search(settings, Tokens((hubs[0],), (hubs[1],), hubs[0]))


def header(number: int) -> BlockHeader:
    parent, own = (Hash32(n.to_bytes(32, "big")) for n in (number - 1, number))
    return BlockHeader(number, own, parent, 12 * number, GWEI, 15_000_000, 30_000_000, Address(bytes(20)))


class Chain:
    """A node that knows every header at once, and the pools as they are before the first block."""

    def __init__(self, market: Market) -> None:
        self._market = market

    async def header(self, number: int | None) -> BlockHeader | None:
        return None if number is None else header(number)

    async def load(self, only: Iterable[Address] | None, header: BlockHeader) -> Loaded:
        return Loaded(cast("list[Pool]", list(self._market.pools.values())), {})

    async def reread(self, header: BlockHeader) -> Loaded:
        return Loaded([], {})

    async def unheard(self, header: BlockHeader) -> tuple[PoolEvent, ...]:
        return ()

    async def native_usd(self, header: BlockHeader) -> Decimal | None:
        return USD_PER_ETH

    def empty_market(self, header: BlockHeader) -> Market:
        return Market(header.number, header, tokens=self._market.tokens)


def service(market: Market) -> Reading:
    """Reader, updater and detector, with the channels of the pipeline."""

    async def reading(path: str, meter: Meter) -> None:
        settings = Settings(message_bus=MessageBus(transport="unix", address=path))
        figures, stop = Figures(), trio.Event()
        batches_in, batches = trio.open_memory_channel[Batch](64)
        candidates_in, candidates = trio.open_memory_channel[Candidates](0)
        updates = Conflated[Update](newest)

        def looked(market: Market, findings: Findings) -> None:
            meter.looks += 1
            meter.trades += len(findings.trades)
            if market.number >= WARM_UP:
                meter.warm.set()

        def glance(batch: Batch) -> None:
            detector.glance(batch)
            meter.searched(batch.events)

        async def drain() -> None:
            async for _ in candidates:
                pass

        detector = Detector(search_of(), figures, lambda report: None, looked, garbage.settle)
        updater = Updater(Chain(market), 12.0, figures, lambda report: None, lambda count: None, glance=glance)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drain)
            nursery.start_soon(detector.run, updates, candidates_in)
            nursery.start_soon(updater.run, batches, updates)
            await nursery.start(partial(read, settings, figures, batches_in, stop))
            await meter.done.wait()
            stop.set()

    return reading


def fused(market: Market) -> Reading:
    """One task from the socket to the screen."""

    async def reading(path: str, meter: Meter) -> None:
        search, decoder = search_of(), bus_decoder(runs=True)
        search.update(market, None, GWEI)
        garbage.settle()
        async with await trio.open_unix_socket(path) as stream:
            await stream.receive_some(READ_BYTES)
            meter.warm.set()
            while not meter.done.is_set():
                found = decoder.feed(bytes(await stream.receive_some(READ_BYTES)))
                search.glance(found)
                meter.searched(found)

    return reading


async def through_a_socket(pools: int, rate: float, reading: Reading, meter: Meter) -> tuple[float, array[int]]:
    """Let another process send; returns the CPU seconds that the messages took here, and when each one left."""
    with tempfile.TemporaryDirectory() as place:
        path = str(Path(place, "bus"))
        command = [sys.executable, "-m", "benchmarks.bus_sender", path, str(pools), str(meter.expected), str(rate)]
        sender = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert sender.stdin is not None
        assert sender.stdout is not None
        await sender.stdout.receive_some(1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reading, path, meter)
            await meter.warm.wait()
            start = time.process_time()
            await sender.stdin.send_all(b"\n")
            await meter.done.wait()
        took = time.process_time() - start
        await sender.stdin.send_all(b"\n")
        left = array("Q")
        left.frombytes(b"".join([part async for part in sender.stdout]))
        await sender.wait()
        return took, left


def row(case: str, value: float, unit: str) -> Row:
    return {"case": case, "value": value, "unit": unit, "peer": None, "peer_value": None, "ratio": None}


def flood(market: Market, name: str, reading: Reading) -> list[Row]:
    """Messages per CPU second when they come as fast as they can be read."""
    meter = Meter(FLOOD)
    took, _ = trio.run(through_a_socket, len(market.pools), 0, reading, meter)
    case = f"{len(market.pools):,} pools, {name}"
    found = [row(case, FLOOD / took, "messages/s")]
    if meter.looks:
        found.append(row(f"{case}: markets searched for {FLOOD // BLOCK} blocks", meter.looks, "markets"))
        found.append(row(f"{case}: trades in them", meter.trades, "trades"))
    return found


def paced(market: Market, name: str, reading: Reading) -> list[Row]:
    """Latencies at a steady rate: from before the message was written to after its batch was searched."""
    meter = Meter(PACED)
    _, left = trio.run(through_a_socket, len(market.pools), PACE, reading, meter)
    times = sorted((at - left[number]) / 1e3 for number, at in meter.arrived.items())
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
        found += flood(market, "service", service(market)) + flood(market, "fused", fused(market))
        if pools == 10_000:
            found += paced(market, "service", service(market)) + paced(market, "fused", fused(market))
    return found
