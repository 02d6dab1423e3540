"""The message bus's transports: Unix socket, TCP, WebSocket (binary frames) and capture file; bytes in, bytes out.

Nothing here knows what the bytes mean: one read is one item. Connecting is subscribing. A lost connection is made
again with jittered, growing pauses; both the loss and the new connection are told as ``FeedGap``: with the first the
market stops being trustworthy, and only what is loaded after the second misses nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Final

import trio
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection

from flasharb.adapters.capture import open_capture
from flasharb.adapters.node import shown_url
from flasharb.adapters.nurseries import unwrapped
from flasharb.adapters.pauses import Pauses
from flasharb.adapters.websocket import open_websocket
from flasharb.errors import BusError, UsageError
from flasharb.feed.events import FeedGap
from flasharb.settings import MessageBus

READ_BYTES: Final = 262_144
"""More than a Unix socket holds by default: whatever has piled up is one batch."""
CONNECT_S: Final = 5.0
MAX_WEBSOCKET_BYTES: Final = 64 * 1024 * 1024
"""Largest WebSocket frame; it may hold many messages."""
PUBLISH_BUFFER: Final = 256
"""Signals waiting for the socket: an old signal is worth nothing, so there is no point in more."""
FLUSH_S: Final = 1.0

CONNECTION_ERRORS: Final = (
    OSError,
    trio.BrokenResourceError,
    trio.TooSlowError,
    ConnectionClosed,
    HandshakeError,
)
"""What is answered by connecting again; anything else is a bug and must be seen."""


class Link(ABC):
    """One live connection."""

    @abstractmethod
    async def receive(self) -> bytes:
        """The next bytes; empty at the end of the stream."""

    @abstractmethod
    async def send(self, data: bytes) -> None:
        """Write all of ``data``."""


class _StreamLink(Link):
    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream

    async def receive(self) -> bytes:
        return bytes(await self._stream.receive_some(READ_BYTES))

    async def send(self, data: bytes) -> None:
        await self._stream.send_all(data)


class _WebSocketLink(Link):
    def __init__(self, connection: WebSocketConnection) -> None:
        self._connection = connection

    async def receive(self) -> bytes:
        while True:
            message = await self._connection.get_message()
            # The bus is binary; a text frame (a greeting of some proxy) is no part of it, an empty one no end.
            if isinstance(message, bytes) and message:
                return message

    async def send(self, data: bytes) -> None:
        await self._connection.send_message(data)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a bus is. ``transport`` as in the settings; ``place`` a path, ``host:port`` or a URL."""

    transport: str
    place: str

    def __str__(self) -> str:
        return shown_url(self.place) if self.transport == "websocket" else f"{self.transport}:{self.place}"

    @property
    def host_and_port(self) -> tuple[str, int]:
        """Of a TCP address.

        Raises:
            UsageError: not ``host:port``.
        """
        host, _, port = self.place.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65_535:
            raise UsageError(f"not a TCP address: {self.place!r} (expected host:port)")
        return host.strip("[]"), int(port)


def parse_address(text: str) -> Address:
    """An address as people write it: ``unix:PATH`` or a path, ``tcp:HOST:PORT`` or ``HOST:PORT``, ``ws://…``.

    Raises:
        UsageError: none of these.
    """
    if text.startswith(("ws://", "wss://")):
        return Address("websocket", text)
    if text.startswith("unix:"):
        return Address("unix", text.removeprefix("unix:"))
    if text.startswith("tcp:"):
        address = Address("tcp", text.removeprefix("tcp:").removeprefix("//"))
    elif "/" not in text and text.rpartition(":")[2].isdigit():
        address = Address("tcp", text)
    elif text:
        return Address("unix", text)
    else:
        raise UsageError("an empty bus address (expected unix:PATH, HOST:PORT or ws://…)")
    _ = address.host_and_port
    return address


@asynccontextmanager
async def connect(address: Address) -> AsyncIterator[Link]:
    """One connection, without retries.

    Raises one of ``CONNECTION_ERRORS`` when there is nobody, and while it is in use.
    """
    if address.transport == "websocket":
        socket = open_websocket(address.place, connect_s=CONNECT_S, max_message_bytes=MAX_WEBSOCKET_BYTES)
        async with socket as connection:
            yield _WebSocketLink(connection)
        return
    with trio.fail_after(CONNECT_S):
        stream: trio.SocketStream = (
            await trio.open_unix_socket(address.place)
            if address.transport == "unix"
            else await trio.open_tcp_stream(*address.host_and_port)
        )
    async with stream:
        yield _StreamLink(stream)


class Bus:
    """An open bus: iterate for chunks of bytes, and a ``FeedGap`` wherever something may be missing."""

    def __init__(self, chunks: trio.MemoryReceiveChannel[bytes | FeedGap]) -> None:
        self._chunks = chunks
        self._link: Link | None = None

    def __aiter__(self) -> Bus:
        return self

    async def __anext__(self) -> bytes | FeedGap:
        try:
            return await self._chunks.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None

    async def send(self, data: bytes) -> bool:
        """Write to the relay (a recovery request); False when there is no connection to write to."""
        if self._link is None:
            return False
        try:
            await self._link.send(data)
        except CONNECTION_ERRORS:
            return False
        return True


@asynccontextmanager
async def open_bus(settings: MessageBus, *, random: Random | None = None) -> AsyncIterator[Bus]:
    """Connect to the configured bus; a capture file ends, a live bus goes on until the block is left.

    ``random`` jitters the pauses before a reconnection.

    Raises:
        BusError: the first connection fails.
        UsageError: an address that is none, or an unreadable capture file.
    """
    if settings.transport == "node":
        raise UsageError("message_bus.transport is node: events come from adapters.node_source, there is no bus")
    send, receive = trio.open_memory_channel[bytes | FeedGap](0)
    bus = Bus(receive)
    with unwrapped():
        async with trio.open_nursery() as nursery:
            if settings.transport == "capture":
                await nursery.start(_read_capture, settings.address, send)
            else:
                address = Address(settings.transport, settings.address)
                await nursery.start(_read_live, address, bus, send, random or Random())
            yield bus
            nursery.cancel_scope.cancel()


async def _read_capture(
    path: str,
    chunks: trio.MemorySendChannel[bytes | FeedGap],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    async with chunks, open_capture(path) as capture:
        task_status.started()
        async for chunk in capture:
            await chunks.send(chunk)


async def _read_live(
    address: Address,
    bus: Bus,
    chunks: trio.MemorySendChannel[bytes | FeedGap],
    random: Random,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    pauses = Pauses(random)
    connected_before = False
    async with chunks:
        while True:
            try:
                async with connect(address) as link:
                    bus._link = link
                    if connected_before:
                        await chunks.send(FeedGap(f"bus {address} connected again"))
                    else:
                        task_status.started()
                        connected_before = True
                    why = await _forward(link, chunks, pauses)
            except CONNECTION_ERRORS as problem:
                if not connected_before:
                    raise BusError(f"cannot reach the bus at {address}: {_text(problem)}") from None
                why = _text(problem)
            if bus._link is not None:
                bus._link = None
                await chunks.send(FeedGap(f"bus {address} lost: {why}"))
            await trio.sleep(pauses.next())


async def _forward(link: Link, chunks: trio.MemorySendChannel[bytes | FeedGap], pauses: Pauses) -> str:
    """Pass everything on; returns why it ended."""
    while data := await link.receive():
        pauses.reset()
        await chunks.send(data)
    return "the relay closed the connection"


def _text(problem: BaseException) -> str:
    if isinstance(problem, trio.TooSlowError):
        return f"no connection within {CONNECT_S:g} s"
    if isinstance(problem, ConnectionClosed):
        return "the relay closed the connection"
    text = getattr(problem, "strerror", None) or str(problem)
    return text or type(problem).__name__


# Publishing


class Publisher:
    """Messages to a relay, as well as it goes: publishing never waits, and a relay that is away costs messages."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.dropped = 0
        """Messages that could not be handed over."""
        self.sent = 0
        self._send, self._receive = trio.open_memory_channel[bytes](PUBLISH_BUFFER)
        self._pending: bytes | None = None

    def publish(self, message: bytes) -> bool:
        """Put a message on its way; False when it had to be dropped."""
        try:
            self._send.send_nowait(message)
        except trio.WouldBlock:
            self.dropped += 1
            return False
        return True

    async def run(self, random: Random) -> None:
        """Write what is published, reconnecting as needed, until the publisher is closed and all is written."""
        pauses = Pauses(random)
        while True:
            try:
                with unwrapped():
                    async with connect(self.address) as link, trio.open_nursery() as nursery:
                        nursery.start_soon(_discard, link)
                        await self._write(link, pauses)
                        nursery.cancel_scope.cancel()
                        return
            except CONNECTION_ERRORS:
                await trio.sleep(pauses.next())

    async def _write(self, link: Link, pauses: Pauses) -> None:
        while True:
            if self._pending is None:
                try:
                    self._pending = await self._receive.receive()
                except trio.EndOfChannel:
                    return
            await link.send(self._pending)
            self._pending = None
            self.sent += 1
            pauses.reset()

    def close(self) -> None:
        """No more messages; ``run`` ends when those waiting are written."""
        self._send.close()


async def _discard(link: Link) -> None:
    """Relays echo to everybody, the sender included: unread, the echo would fill the socket and block the relay."""
    while await link.receive():
        pass
    raise trio.BrokenResourceError("the relay closed the connection")


@asynccontextmanager
async def open_publisher(place: str, *, random: Random | None = None) -> AsyncIterator[Publisher]:
    """A publisher to the relay at ``place`` (as in ``parse_address``), which need not be there yet.

    Leaving the block gives waiting messages one second to be written.

    Raises:
        UsageError: not an address.
    """
    publisher = Publisher(parse_address(place))
    done = trio.Event()

    async def run() -> None:
        await publisher.run(random or Random())
        done.set()

    with unwrapped():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            yield publisher
            publisher.close()
            with trio.move_on_after(FLUSH_S):
                await done.wait()
            nursery.cancel_scope.cancel()
