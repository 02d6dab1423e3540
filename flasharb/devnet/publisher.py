"""The Unix stream sockets: the market-data bus (connecting is subscribing), the signal bus (everybody hears everybody).

Every consumer has a bounded queue. One that does not keep up is disconnected: a gap that it sees, never lost bytes that
it does not see, and never memory that grows.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

import trio

from flasharb.feed.reframer import Reframer
from flasharb.feed.wire import encode_frame

QUEUE_LENGTH: Final = 64
"""Units (whole blocks on the bus, whole messages on the signal socket) that may wait for a slow consumer."""
READ_BYTES: Final = 65_536


class Broadcaster:
    """A Unix stream socket that sends the same units to every consumer."""

    def __init__(self, path: Path, make_reader: Callable[[], Callable[[bytes], list[bytes]]] | None = None) -> None:
        """``make_reader`` gives each connection what turns its bytes into units for everybody; None: ignored."""
        self.path = path
        self.dropped = 0
        self._make_reader = make_reader
        self._consumers: dict[trio.MemorySendChannel[bytes], trio.CancelScope] = {}
        self._scope = trio.CancelScope()

    @property
    def consumers(self) -> int:
        """How many are connected."""
        return len(self._consumers)

    def publish(self, unit: bytes) -> None:
        """Queue a unit for every consumer; who has no room for it is disconnected."""
        for channel, scope in list(self._consumers.items()):
            try:
                channel.send_nowait(unit)
            except trio.WouldBlock:
                self.dropped += 1
                del self._consumers[channel]
                scope.cancel()

    def close(self) -> None:
        """Disconnect everybody and end :meth:`serve`."""
        self._scope.cancel()

    async def serve(self, task_status: trio.TaskStatus[list[trio.SocketListener]] = trio.TASK_STATUS_IGNORED) -> None:
        """Accept consumers until closed; the socket file goes away at the end."""
        self.path.unlink(missing_ok=True)
        listening = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        await listening.bind(os.fspath(self.path))
        listening.listen(64)
        try:
            with self._scope:
                await trio.serve_listeners(self._serve_one, [trio.SocketListener(listening)], task_status=task_status)
        finally:
            self.path.unlink(missing_ok=True)

    async def _serve_one(self, stream: trio.SocketStream) -> None:
        sender, receiver = trio.open_memory_channel[bytes](QUEUE_LENGTH)
        async with trio.open_nursery() as nursery:
            self._consumers[sender] = nursery.cancel_scope
            try:
                nursery.start_soon(self._read, stream, nursery.cancel_scope)
                async for unit in receiver:
                    await stream.send_all(unit)
            except trio.BrokenResourceError:
                # The consumer is gone.
                nursery.cancel_scope.cancel()
            finally:
                self._consumers.pop(sender, None)

    async def _read(self, stream: trio.SocketStream, scope: trio.CancelScope) -> None:
        reader = self._make_reader() if self._make_reader is not None else None
        try:
            while data := await stream.receive_some(READ_BYTES):
                for unit in reader(data) if reader is not None else ():
                    self.publish(unit)
        except trio.BrokenResourceError:
            pass
        scope.cancel()


def whole_messages() -> Callable[[bytes], list[bytes]]:
    """A reader for one producer: its bytes in, its sound messages out, so that two producers never interleave."""
    reframer = Reframer()
    return lambda data: [encode_frame(frame) for frame in reframer.feed(data)]
