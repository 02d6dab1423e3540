"""HTTP and WebSocket on one loopback port (hypercorn): ``/`` is the node, ``/relay`` the bundle relay.

A WebSocket connection has a bounded queue of outgoing messages; a client that does not read is disconnected.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import msgspec
import trio
from eth_hash.auto import keccak
from hypercorn.config import Config
from hypercorn.trio import serve

from flasharb.devnet.chain import Block
from flasharb.devnet.hexes import hex_bytes
from flasharb.devnet.relay import BundleRelay
from flasharb.devnet.rpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    PARSE_ERROR,
    LogFilter,
    Rpc,
    RpcError,
    matching_logs,
    parse_log_filter,
)
from flasharb.safe_json import decode_json

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

QUEUE_LENGTH: Final = 1024
MAX_BODY_BYTES: Final = 8_000_000
MAX_BATCH: Final = 2000
GRACE_S: Final = 0.5
TRY_AGAIN_LATER: Final = 1013


@dataclass(slots=True)
class Session:
    """The subscriptions of one WebSocket connection. A filter is for logs, None for new heads."""

    outgoing: trio.MemorySendChannel[bytes]
    scope: trio.CancelScope
    subscriptions: dict[str, LogFilter | None] = field(default_factory=dict)
    made: int = 0


class App:
    """The ASGI application."""

    def __init__(self, rpc: Rpc, relay: BundleRelay) -> None:
        self._rpc = rpc
        self._relay = relay
        self._sessions: list[Session] = []

    def announce(self, block: Block) -> None:
        """Tell every subscriber of a new head and its logs."""
        for session in list(self._sessions):
            try:
                for notification in _notifications(session, block):
                    session.outgoing.send_nowait(notification)
            except trio.WouldBlock:
                session.scope.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(receive, send)
        else:
            await self._http(scope, receive, send)

    # HTTP

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()
        more = True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                return
            body += event.get("body", b"")
            more = event.get("more_body", False)
            if len(body) > MAX_BODY_BYTES:
                await _reply(send, 413, "text/plain", b"request body too large\n")
                return
        if scope["path"] == "/relay":
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
            reply = await self._relay.handle(scope["method"], headers, bytes(body))
            await _reply(send, reply.status, reply.content_type, reply.body)
        elif scope["path"] != "/":
            await _reply(send, 404, "text/plain", b"the node is at /, the bundle relay at /relay\n")
        elif scope["method"] != "POST":
            await _reply(send, 405, "text/plain", b"JSON-RPC wants POST\n")
        else:
            await _reply(send, 200, "application/json", await self._answer(bytes(body), None))

    # WebSocket

    async def _websocket(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        outgoing, queue = trio.open_memory_channel[bytes](QUEUE_LENGTH)
        async with trio.open_nursery() as nursery:
            session = Session(outgoing, nursery.cancel_scope)
            self._sessions.append(session)
            try:
                nursery.start_soon(_write, queue, send)
                while (event := await receive())["type"] == "websocket.receive":
                    message = event.get("bytes") or (event.get("text") or "").encode()
                    await outgoing.send(await self._answer(message, session))
            finally:
                self._sessions.remove(session)
                nursery.cancel_scope.cancel()
        with trio.CancelScope(deadline=trio.current_time() + GRACE_S, shield=True):
            await send({"type": "websocket.close", "code": TRY_AGAIN_LATER})

    # JSON-RPC

    async def _answer(self, body: bytes, session: Session | None) -> bytes:
        try:
            request = decode_json(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return _encode_error(None, RpcError(PARSE_ERROR, "parse error"))
        if not isinstance(request, list):
            return msgspec.json.encode(await self._answer_one(request, session))
        if not request or len(request) > MAX_BATCH:
            return _encode_error(None, RpcError(INVALID_REQUEST, f"a batch has 1 to {MAX_BATCH} requests"))
        return msgspec.json.encode([await self._answer_one(item, session) for item in request])

    async def _answer_one(self, request: Any, session: Session | None) -> dict[str, Any]:
        request_id = request.get("id") if isinstance(request, dict) else None
        try:
            if not isinstance(request, dict) or not isinstance(request.get("method"), str):
                raise RpcError(INVALID_REQUEST, "invalid request")
            params = request.get("params") or []
            if not isinstance(params, list):
                raise RpcError(INVALID_PARAMS, "params must be a list")
            if request["method"] in ("eth_subscribe", "eth_unsubscribe"):
                result = _subscribe(request["method"], params, session)
            else:
                result = await self._rpc.handle(request["method"], params)
        except RpcError as error:
            return {"jsonrpc": "2.0", "id": request_id, "error": error.to_json()}
        return {"jsonrpc": "2.0", "id": request_id, "result": result}


def _subscribe(method: str, params: list[Any], session: Session | None) -> str | bool:
    if session is None:
        raise RpcError(-32000, "notifications not supported over HTTP")
    if method == "eth_unsubscribe":
        return session.subscriptions.pop(params[0] if params else "", ...) is not ...
    kind = params[0] if params else None
    if kind == "newHeads":
        wanted = None
    elif kind == "logs":
        try:
            wanted = parse_log_filter(params[1] if len(params) > 1 else {})
        except (ValueError, TypeError, AttributeError) as error:
            raise RpcError(INVALID_PARAMS, f"invalid argument: {error}") from None
    else:
        raise RpcError(INVALID_PARAMS, f"no {kind!r} subscription in eth namespace (newHeads, logs)")
    session.made += 1
    name = hex_bytes(keccak(f"{id(session)} {session.made}".encode())[:16])
    session.subscriptions[name] = wanted
    return name


def _notifications(session: Session, block: Block) -> Iterator[bytes]:
    # Heads before logs, so that a log never comes for a block that its reader has not heard of.
    for name, wanted in session.subscriptions.items():
        if wanted is None:
            yield _notification(name, block.header.to_json())
    for name, wanted in session.subscriptions.items():
        if wanted is not None:
            for log in matching_logs(block, wanted):
                yield _notification(name, log)


def _notification(subscription: str, result: dict[str, Any]) -> bytes:
    params = {"subscription": subscription, "result": result}
    return msgspec.json.encode({"jsonrpc": "2.0", "method": "eth_subscription", "params": params})


def _encode_error(request_id: object, error: RpcError) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "error": error.to_json()})


async def _write(queue: trio.MemoryReceiveChannel[bytes], send: Send) -> None:
    async for message in queue:
        await send({"type": "websocket.send", "text": message.decode()})


async def _reply(send: Send, status: int, content_type: str, body: bytes) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        event = await receive()
        await send({"type": event["type"] + ".complete"})
        if event["type"] == "lifespan.shutdown":
            return


async def serve_app(
    app: App, shutdown: trio.Event, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve on a free loopback port, reported as started; ends in order after ``shutdown``."""
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.graceful_timeout = GRACE_S
    config.keep_alive_timeout = 3600
    config.wsgi_max_body_size = MAX_BODY_BYTES
    config.websocket_max_message_size = MAX_BODY_BYTES
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.errorlog.setLevel(logging.WARNING)
    config.h11_max_incomplete_size = 65_536

    async with trio.open_nursery() as nursery:
        binds: list[str] = await nursery.start(
            partial(serve, app, config, shutdown_trigger=shutdown.wait, mode="asgi")  # type: ignore[arg-type]  # hypercorn's ASGI types are TypedDicts
        )
        task_status.started(int(binds[0].rsplit(":", 1)[1]))
