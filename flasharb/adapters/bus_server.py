"""The serving side of a bus: a socket that gives every consumer the same messages."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, serve_websocket

from flasharb.adapters.bus import Address
from flasharb.adapters.nurseries import unwrapped
from flasharb.errors import BusError, UsageError

BACKLOG: Final = 64

Send = Callable[[bytes], Awaitable[None]]
Handler = Callable[[Send], Awaitable[None]]
"""Called once for each consumer; its connection is closed when the handler returns."""

GONE: Final = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, ConnectionClosed)
"""What says that a consumer has left."""


@asynccontextmanager
async def open_bus_server(address: Address, handler: Handler) -> AsyncIterator[Address]:
    """Listen at an address until the block is left; gives the address with the real port (port 0: any free one).

    A consumer that leaves ends its handler, nothing else. The file of a Unix socket is removed afterwards.

    Raises:
        BusError: the address is in use or cannot be bound.
    """
    with unwrapped():
        async with trio.open_nursery() as nursery:
            if address.transport == "websocket":
                place = await nursery.start(_serve_websocket, address, handler)
                yield Address("websocket", place)
            else:
                listener, place = await _listen(address)
                nursery.start_soon(_serve_streams, handler, listener)
                try:
                    yield Address(address.transport, place)
                finally:
                    if address.transport == "unix":
                        with contextlib.suppress(FileNotFoundError):
                            await trio.Path(address.place).unlink()
            nursery.cancel_scope.cancel()


async def _serve_streams(handler: Handler, listener: trio.SocketListener) -> None:
    async def one(stream: trio.SocketStream) -> None:
        with contextlib.suppress(*GONE):
            await handler(stream.send_all)

    await trio.serve_listeners(one, [listener])


async def _serve_websocket(
    address: Address, handler: Handler, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
) -> None:
    scheme, _, rest = address.place.partition("://")
    host, port = Address("tcp", rest.partition("/")[0]).host_and_port
    if scheme != "ws":
        raise UsageError(f"can only listen at ws://host:port, not at {scheme}://")

    async def one(request: WebSocketRequest) -> None:
        with contextlib.suppress(*GONE):
            connection = await request.accept()
            await handler(connection.send_message)
            await connection.aclose()

    try:
        async with trio.open_nursery() as nursery:
            server = await nursery.start(serve_websocket, one, host, port, None)
            task_status.started(f"ws://{host}:{server.port}")
    except OSError as problem:
        raise BusError(f"cannot listen at {address}: {problem.strerror}") from None


async def _listen(address: Address) -> tuple[trio.SocketListener, str]:
    try:
        if address.transport == "unix":
            return await _listen_unix(address), address.place
        host, port = address.host_and_port
        listener = (await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG))[0]
        return listener, f"{host}:{listener.socket.getsockname()[1]}"
    except OSError as problem:
        raise BusError(f"cannot listen at {address}: {problem.strerror or problem}") from None


async def _listen_unix(address: Address) -> trio.SocketListener:
    path = Path(address.place)
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode):  # noqa: ASYNC240  # one look at a local file, before anything runs
        try:
            async with await trio.open_unix_socket(path):
                raise BusError(f"cannot listen at {address}: somebody else does")
        except ConnectionRefusedError:
            # Left behind by a process that ended without tidying up.
            os.unlink(path)  # noqa: PTH108  # the same
    unix = trio.socket.socket(trio.socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        await unix.bind(address.place)
    except OSError:
        unix.close()
        raise
    unix.listen(BACKLOG)
    return trio.SocketListener(unix)
