"""The bus over real sockets: every transport, losses, reconnections, publishing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random

import pytest
import trio

from flasharb.adapters.bus import Address, Bus, open_bus, open_publisher, parse_address
from flasharb.adapters.bus_server import Send, open_bus_server
from flasharb.errors import BusError, UsageError
from flasharb.feed.events import FeedGap
from flasharb.feed.messages import encode
from flasharb.feed.records import Heartbeat
from flasharb.feed.stream import bus_decoder
from flasharb.settings import MessageBus


class NoPause(Random):
    """Jitter that makes every pause zero."""

    def uniform(self, a: float, b: float) -> float:
        return 0.0


def beat(number: int) -> bytes:
    return encode(Heartbeat(1, number), source=4, timestamp_ns=10**18)


def settings_for(address: Address) -> MessageBus:
    return MessageBus(transport=address.transport, address=address.place)


def unused(transport: str, folder: Path) -> Address:
    place = {"unix": str(folder / "bus.sock"), "tcp": "127.0.0.1:0", "websocket": "ws://127.0.0.1:0"}
    return Address(transport, place[transport])


async def block_numbers(bus: Bus, count: int) -> list[int]:
    decoder = bus_decoder()
    found: list[int] = []
    with trio.fail_after(10):
        async for chunk in bus:
            assert isinstance(chunk, bytes)
            found += [event.block_number for event in decoder.feed(chunk)]  # type: ignore[union-attr]
            if len(found) >= count:
                break
    return found


@pytest.mark.parametrize("transport", ["unix", "tcp", "websocket"])
async def test_every_transport_carries_the_stream(transport: str, tmp_path: Path) -> None:
    data = b"".join(beat(n) for n in range(5000))

    async def handler(send: Send) -> None:
        # Cut where no message ends.
        for start in range(0, len(data), 1237):
            await send(data[start : start + 1237])
        await trio.sleep_forever()

    server = open_bus_server(unused(transport, tmp_path), handler)
    async with server as address, open_bus(settings_for(address)) as bus:
        assert await block_numbers(bus, 5000) == list(range(5000))
    assert not (tmp_path / "bus.sock").exists()


async def test_capture_file_ends(tmp_path: Path) -> None:
    file = tmp_path / "some.bus"
    file.write_bytes(b"".join(beat(n) for n in range(3000)))
    async with open_bus(MessageBus(transport="capture", address=str(file))) as bus:
        chunks = [chunk async for chunk in bus]
    assert b"".join(chunk for chunk in chunks if isinstance(chunk, bytes)) == file.read_bytes()
    assert len(chunks) > 1


@pytest.mark.parametrize("transport", ["unix", "tcp", "websocket"])
async def test_lost_connection_is_told_and_made_again(transport: str, tmp_path: Path) -> None:
    connections = 0

    async def handler(send: Send) -> None:
        nonlocal connections
        connections += 1
        await send(beat(connections))
        if connections == 3:
            await trio.sleep_forever()

    server = open_bus_server(unused(transport, tmp_path), handler)
    async with server as address, open_bus(settings_for(address), random=NoPause()) as bus:
        seen: list[bytes | FeedGap] = []
        with trio.fail_after(10):
            async for item in bus:
                seen.append(item)
                if item == beat(3):
                    break
    assert [item for item in seen if isinstance(item, bytes)] == [beat(1), beat(2), beat(3)]
    gaps = [item.reason for item in seen if isinstance(item, FeedGap)]
    assert ["lost: the relay closed the connection" in gap for gap in gaps] == [True, False, True, False]
    assert all("connected again" in gap for gap in gaps[1::2])
    assert [isinstance(item, FeedGap) for item in seen] == [False, True, True, False, True, True, False]


async def test_relay_that_comes_back_later_is_found(tmp_path: Path) -> None:
    address = Address("unix", str(tmp_path / "bus.sock"))

    async def once(send: Send) -> None:
        await send(beat(1))

    async def patient(send: Send) -> None:
        await send(beat(2))
        await trio.sleep_forever()

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()

            async def first(*, task_status: trio.TaskStatus[None]) -> None:
                with scope:
                    async with open_bus_server(address, once):
                        task_status.started()
                        await trio.sleep_forever()

            await nursery.start(first)
            async with open_bus(settings_for(address), random=NoPause()) as bus:
                assert await anext(bus) == beat(1)
                scope.cancel()
                gap = await anext(bus)
                assert isinstance(gap, FeedGap)
                async with open_bus_server(address, patient):
                    async for item in bus:
                        if item == beat(2):
                            break


async def test_nobody_there_at_first_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BusError, match=r"cannot reach the bus at unix:.*gone.sock: No such file"):
        async with open_bus(MessageBus(transport="unix", address=str(tmp_path / "gone.sock"))):
            pass
    with pytest.raises(BusError, match=r"cannot reach the bus at tcp:127\.0\.0\.1:1"):
        async with open_bus(MessageBus(transport="tcp", address="127.0.0.1:1")):
            pass
    with pytest.raises(BusError, match=r"cannot reach the bus at ws://127\.0\.0\.1:1/…: "):
        async with open_bus(MessageBus(transport="websocket", address="ws://127.0.0.1:1/secret")):
            pass
    with pytest.raises(UsageError, match="cannot read the capture file"):
        async with open_bus(MessageBus(transport="capture", address=str(tmp_path / "gone.bus"))):
            pass
    with pytest.raises(UsageError, match="node_source"):
        async with open_bus(MessageBus(transport="node")):
            pass


async def test_errors_of_the_body_come_out_as_they_are(tmp_path: Path) -> None:
    async def handler(send: Send) -> None:
        await trio.sleep_forever()

    async with open_bus_server(unused("unix", tmp_path), handler) as address:
        with pytest.raises(KeyError):
            async with open_bus(settings_for(address)):
                raise KeyError("mine")


@asynccontextmanager
async def echoing_relay(path: Path) -> AsyncIterator[trio.MemoryReceiveChannel[bytes]]:
    """A relay that sends everything back to its sender, as the real ones do, and shows what it got."""
    send, receive = trio.open_memory_channel[bytes](1000)

    async def handler(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            async for data in stream:
                await send.send(bytes(data))
                await stream.send_all(data)

    listener = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    await listener.bind(str(path))
    listener.listen()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, handler, [trio.SocketListener(listener)])
        yield receive
        nursery.cancel_scope.cancel()


async def test_publisher_writes_and_reads_its_echo_away(tmp_path: Path) -> None:
    path = tmp_path / "signals.sock"
    expected = b"".join(beat(n) for n in range(2_000))
    got = bytearray()
    async with echoing_relay(path) as received:
        with trio.fail_after(30):
            async with open_publisher(f"unix:{path}") as publisher:
                sent = 0
                while sent < 2_000:
                    if publisher.publish(beat(sent)):
                        sent += 1
                    else:
                        await trio.lowlevel.checkpoint()
                    while received.statistics().current_buffer_used:
                        got += received.receive_nowait()
            while len(got) < len(expected):
                got += await received.receive()
    assert got == expected
    assert publisher.sent == 2_000


async def test_publisher_without_a_relay_drops_and_never_waits(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_publisher(str(tmp_path / "nobody.sock"), random=Random(1)) as publisher:
        taken = sum(publisher.publish(beat(n)) for n in range(300))
    assert taken == 256
    assert publisher.dropped == 44
    assert publisher.sent == 0


async def test_messages_go_to_the_relay_too(tmp_path: Path) -> None:
    path = tmp_path / "bus.sock"
    async with echoing_relay(path) as received, open_bus(MessageBus(transport="unix", address=str(path))) as bus:
        assert await bus.send(b"request")
        assert await received.receive() == b"request"
        assert await anext(bus) == b"request"


async def test_second_listener_is_refused_and_a_dead_socket_file_is_not(tmp_path: Path) -> None:
    async def handler(send: Send) -> None:
        await trio.sleep_forever()

    address = unused("unix", tmp_path)
    async with open_bus_server(address, handler):
        with pytest.raises(BusError, match="somebody else does"):
            async with open_bus_server(address, handler):
                pass
    dead = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    await dead.bind(address.place)
    dead.close()
    async with open_bus_server(address, handler):
        pass


@pytest.mark.parametrize(
    ("text", "transport", "place"),
    [
        ("unix:/run/bus.sock", "unix", "/run/bus.sock"),
        ("/run/bus.sock", "unix", "/run/bus.sock"),
        ("bus.sock", "unix", "bus.sock"),
        ("tcp:relay:7000", "tcp", "relay:7000"),
        ("127.0.0.1:7000", "tcp", "127.0.0.1:7000"),
        ("[::1]:7000", "tcp", "[::1]:7000"),
        ("wss://relay/key", "websocket", "wss://relay/key"),
    ],
)
def test_addresses(text: str, transport: str, place: str) -> None:
    assert parse_address(text) == Address(transport, place)


@pytest.mark.parametrize("text", ["", "tcp:relay", "relay:99999", "tcp::7"])
def test_wrong_addresses_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_address(text)
