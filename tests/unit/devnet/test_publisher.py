"""Slow consumers cost themselves their connection and nobody else anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from flasharb.devnet.publisher import QUEUE_LENGTH, Broadcaster


@asynccontextmanager
async def served(broadcaster: Broadcaster) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(broadcaster.serve)
        yield
        broadcaster.close()


async def connected(broadcaster: Broadcaster, count: int) -> list[trio.SocketStream]:
    streams = [await trio.open_unix_socket(str(broadcaster.path)) for _ in range(count)]
    with trio.fail_after(5):
        while broadcaster.consumers < count:
            await trio.lowlevel.checkpoint()
    return streams


async def read_until_end(stream: trio.SocketStream) -> int:
    total = 0
    with trio.fail_after(10):
        while data := await stream.receive_some(1 << 20):
            total += len(data)
    return total


async def test_everybody_gets_every_unit_in_order(tmp_path: Path) -> None:
    broadcaster = Broadcaster(tmp_path / "bus.sock")
    async with served(broadcaster):
        streams = await connected(broadcaster, 3)
        for unit in (b"one", b"two"):
            broadcaster.publish(unit)
        for stream in streams:
            data = b""
            with trio.fail_after(5):
                while len(data) < 6:
                    data += await stream.receive_some(100)
            assert data == b"onetwo"
            await stream.aclose()
    assert not broadcaster.path.exists()


async def test_a_consumer_that_does_not_read_is_disconnected_and_the_others_are_served(tmp_path: Path) -> None:
    broadcaster = Broadcaster(tmp_path / "bus.sock")
    unit = bytes(100_000)
    count = 5 * QUEUE_LENGTH
    async with served(broadcaster):
        idle, eager = await connected(broadcaster, 2)
        received = 0
        for number in range(1, count + 1):
            broadcaster.publish(unit)
            with trio.fail_after(10):
                while received < number * len(unit):
                    received += len(await eager.receive_some(1 << 20))

        assert received == count * len(unit)
        assert broadcaster.dropped == 1
        assert broadcaster.consumers == 1
        # What it gets is bounded by its queue and the kernel's buffer, and then the end of the stream: a visible gap.
        assert await read_until_end(idle) < 2 * QUEUE_LENGTH * len(unit)
        await idle.aclose()
        await eager.aclose()


async def test_a_consumer_that_leaves_is_forgotten(tmp_path: Path) -> None:
    broadcaster = Broadcaster(tmp_path / "bus.sock")
    async with served(broadcaster):
        (stream,) = await connected(broadcaster, 1)
        await stream.aclose()
        with trio.fail_after(5):
            while broadcaster.consumers:
                await trio.lowlevel.checkpoint()
        broadcaster.publish(b"to nobody")

        assert broadcaster.dropped == 0


async def test_a_stale_socket_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "bus.sock"
    path.write_bytes(b"left by a killed run")
    broadcaster = Broadcaster(path)
    async with served(broadcaster):
        (stream,) = await connected(broadcaster, 1)
        await stream.aclose()
