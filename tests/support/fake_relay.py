"""A relay on loopback that does exactly what a test scripts: real sockets, real HTTP, no mocks.

A behaviour is an async function ``(request, stream)``: it writes whatever bytes it likes, or none, and returning closes
the connection, unless it returns True (keep it for the next request). Requests are recorded before it runs.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h11
import trio
from eth_hash.auto import keccak

from flasharb.execution.bundle import bundle_hash


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def bundle_hash(self) -> str:
        """The hash that an honest relay would name."""
        [params] = json.loads(self.body)["params"]
        return "0x" + bundle_hash(bytes.fromhex(raw[2:]) for raw in params["txs"]).hex()

    @property
    def body_keccak(self) -> str:
        """keccak256 of the wire bytes."""
        return keccak(self.body).hex()


Behaviour = Callable[[Request, trio.SocketStream], Awaitable[object]]


def answer(status: int, body: bytes, *headers: tuple[str, str], length: int | None = None) -> bytes:
    """An HTTP/1.1 answer; ``length`` lies about the body's."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def acknowledgement(request: Request) -> bytes:
    """What an honest relay answers."""
    reply = {"jsonrpc": "2.0", "id": json.loads(request.body)["id"], "result": {"bundleHash": request.bundle_hash}}
    return answer(200, json.dumps(reply).encode(), ("Content-Type", "application/json"))


async def acknowledge(request: Request, stream: trio.SocketStream) -> bool:
    """The honest relay."""
    await stream.send_all(acknowledgement(request))
    return True


async def hang(request: Request, stream: trio.SocketStream) -> None:
    """Read the request and never answer."""
    await trio.sleep_forever()


def say(wire: bytes) -> Behaviour:
    """Answer the same bytes always, then close."""

    async def behaviour(request: Request, stream: trio.SocketStream) -> None:
        await stream.send_all(wire)

    return behaviour


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """The first request meets the first behaviour, and so on; the last one stays."""
    left = list(behaviours)

    async def behaviour(request: Request, stream: trio.SocketStream) -> object:
        return await (left.pop(0) if len(left) > 1 else left[0])(request, stream)

    return behaviour


@dataclass(slots=True)
class FakeRelay:
    """A running fake: its URL and the requests it got."""

    url: str
    requests: list[Request] = field(default_factory=list)
    connections: int = 0


@asynccontextmanager
async def fake_relay(behaviour: Behaviour) -> AsyncIterator[FakeRelay]:
    """Serve ``behaviour`` on a free port."""
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        relay = FakeRelay(f"http://127.0.0.1:{port}/")

        async def serve(stream: trio.SocketStream) -> None:
            relay.connections += 1
            async with stream:
                while (request := await _read(stream)) is not None:
                    relay.requests.append(request)
                    try:
                        if not await behaviour(request, stream):
                            return
                    except trio.BrokenResourceError:
                        return  # the client went away, as some tests want it to

        nursery.start_soon(trio.serve_listeners, serve, listeners)
        yield relay
        nursery.cancel_scope.cancel()


async def _read(stream: trio.SocketStream) -> Request | None:
    parser = h11.Connection(h11.SERVER)
    head, body = None, bytearray()
    while True:
        event = parser.next_event()
        if event is h11.NEED_DATA:
            try:
                parser.receive_data(await stream.receive_some(65_536))
            except trio.BrokenResourceError:
                return None
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            headers = {name.decode(): value.decode() for name, value in head.headers}
            return Request(head.method.decode(), head.target.decode(), headers, bytes(body))
        else:
            return None
