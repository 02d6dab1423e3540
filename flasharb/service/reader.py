"""From the source to batches of events. Losses come down the same way, as ``FeedGap``; the adapters reconnect."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial

import trio

from flasharb.adapters.bus import Bus, open_bus
from flasharb.adapters.node_source import events as node_events
from flasharb.feed.events import FeedGap
from flasharb.feed.messages import SOURCE_ARBITRAGE
from flasharb.feed.stream import BusDecoder, bus_decoder
from flasharb.service.figures import Figures
from flasharb.service.messages import Batch
from flasharb.settings import MessageBus, Settings

Source = Callable[["trio.TaskStatus[None]"], Awaitable[None]]


async def read(
    settings: Settings,
    figures: Figures,
    batches: trio.MemorySendChannel[Batch],
    stop: trio.Event,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Read until ``stop`` is set or a capture file ends; started once the subscription stands.

    Raises:
        BusError, NodeError: the source cannot be reached at the start.
    """
    source = _read_node if settings.message_bus.transport == "node" else _read_bus
    async with batches, trio.open_nursery() as nursery:
        nursery.start_soon(_cancel_on, stop, nursery.cancel_scope)
        await source(settings, figures, batches, task_status)
        nursery.cancel_scope.cancel()


async def _cancel_on(stop: trio.Event, scope: trio.CancelScope) -> None:
    await stop.wait()
    scope.cancel()


async def _read_bus(
    settings: Settings,
    figures: Figures,
    batches: trio.MemorySendChannel[Batch],
    task_status: trio.TaskStatus[None],
) -> None:
    decoder = _decoder(settings.message_bus, tell_names=settings.pools.from_bus)
    async with open_bus(settings.message_bus) as bus:
        task_status.started()
        async for chunk in bus:
            now = trio.current_time()
            if isinstance(chunk, FeedGap):
                decoder.reset()
                await batches.send(Batch((chunk,), now))
                continue
            found = decoder.feed(chunk)
            figures.bus_bytes += len(chunk)
            _count(decoder, figures)
            await _ask_again(decoder, bus)
            if found:
                await batches.send(Batch(tuple(found), now))


def _decoder(bus: MessageBus, *, tell_names: bool) -> BusDecoder:
    make = partial(
        bus_decoder,
        check_crc=bus.check_crc,
        max_message_bytes=bus.max_message_bytes,
        length_prefix=bus.length_prefix,
        consumer_id=bus.consumer_id,
        tell_names=tell_names,
        # A run is not looked at message by message, and names nobody.
        runs=not tell_names,
    )
    match bus.dialect:
        case "p1":
            return make("p1")
        case "p3":
            return make("p3")
        case _:
            return make("auto")


def _count(decoder: BusDecoder, figures: Figures) -> None:
    counters, frames = decoder.translator.counters, decoder.reframer.counters
    figures.bus_messages = counters.messages
    figures.skipped["malformed"] = counters.malformed
    figures.skipped["stale"] = counters.stale
    figures.skipped["unknown"] = counters.unknown
    figures.skipped["dropped_bytes"] = frames.dropped_bytes


async def _ask_again(decoder: BusDecoder, bus: Bus) -> None:
    for request in decoder.take_requests(SOURCE_ARBITRAGE["p1"], time.time_ns()):
        await bus.send(request)


async def _read_node(
    settings: Settings,
    figures: Figures,
    batches: trio.MemorySendChannel[Batch],
    task_status: trio.TaskStatus[None],
) -> None:
    node = settings.node
    async with node_events(node.url, timeout_s=node.request_timeout_s, batch_size=node.batch_size) as source:
        task_status.started()
        async for events in source:
            figures.bus_messages += len(events)
            await batches.send(Batch(events, trio.current_time()))
