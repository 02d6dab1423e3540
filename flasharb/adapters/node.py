"""JSON-RPC to an Ethereum node, over HTTP (httpx) or WebSocket (trio-websocket).

A WebSocket node has one reader task; calls wait for their id, subscriptions are memory channels. Every way in which a
node can fail to answer ends in ``NodeError`` with a text that says where and why; a URL is only ever shown without
credentials, path and query, because providers put API keys there.

A service asks for its WebSocket to be made again when it is lost (``reconnect_to``). What was under way then fails and
is not asked again here: whether an answer is still wanted is for those who asked. Until the connection stands, calls
fail at once.
"""

from __future__ import annotations

import base64
import itertools
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, Final
from urllib.parse import unquote, urlsplit
from zlib import decompressobj
from zlib import error as zlib_error

import httpx
import msgspec
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, HandshakeError, WebSocketConnection

from flasharb.adapters.nurseries import unwrapped
from flasharb.adapters.pauses import Pauses
from flasharb.adapters.websocket import open_websocket
from flasharb.errors import NodeError, UsageError
from flasharb.safe_json import decode_json

LOG: Final = logging.getLogger(__name__)

MAX_RESPONSE_BYTES: Final = 256 * 1024 * 1024
"""Largest reply that is read (a block with all its logs or a trace has tens of megabytes)."""
SUBSCRIPTION_BUFFER: Final = 10_000
"""Notifications that may wait (a block's logs come at once); a consumer further behind loses the subscription."""
LONGEST_PAUSE_S: Final = 5.0
"""Between two attempts to reach a lost node: a slot or less, because nothing can be traded without it."""
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class RpcFailure:
    """A JSON-RPC error reply."""

    code: int
    message: str
    data: Any = None

    def __str__(self) -> str:
        return f"{self.message} (code {self.code})"


class RpcError(NodeError):
    """The node answered with an error; ``failure`` has its code and data (a revert's output, for instance)."""

    def __init__(self, text: str, failure: RpcFailure) -> None:
        super().__init__(text)
        self.failure = failure


class Node(ABC):
    """A node to ask. Made by ``open_node``; safe for any number of tasks at once."""

    def __init__(self, shown_url: str, timeout_s: float, batch_size: int) -> None:
        self.shown_url = shown_url
        """The URL without anything secret, for messages."""
        self.timeout_s = timeout_s
        self._batch_size = batch_size
        self._ids = itertools.count(1)

    async def call(self, method: str, *params: Any) -> Any:
        """The result of one call.

        Raises:
            NodeError: no answer, or one that is not JSON-RPC.
            RpcError: the node answered with an error.
        """
        (answer,) = await self._ask([(method, params)])
        if isinstance(answer, RpcFailure):
            raise RpcError(f"{self.shown_url}: {method}: {answer}", answer)
        return answer

    async def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """The results of many calls, in order; a call that the node refused gives an ``RpcFailure`` in its place.

        Raises:
            NodeError: no answer, or one that is not a JSON-RPC batch.
        """
        answers: list[Any] = []
        for start in range(0, len(calls), self._batch_size):
            answers += await self._ask(calls[start : start + self._batch_size])
        return answers

    async def subscribe(self, kind: str, *params: Any) -> trio.MemoryReceiveChannel[Any]:
        """``eth_subscribe``: the notifications, until the connection is lost or the consumer lags too far behind.

        Close the channel to end it.

        Raises:
            NodeError: the node refuses, or is not reached by WebSocket.
        """
        raise NodeError(f"{self.shown_url}: subscription to {kind} needs a ws:// or wss:// URL")

    @abstractmethod
    async def _exchange(self, requests: list[dict[str, Any]], what: str) -> dict[int, Any]:
        """Send requests, return the replies by id."""

    async def _ask(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        requests: list[dict[str, Any]] = [
            {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
            for method, params in calls
        ]
        what = calls[0][0] if len(calls) == 1 else f"{len(calls)} calls ({calls[0][0]}, …)"
        try:
            with trio.fail_after(self.timeout_s):
                replies = await self._exchange(requests, what)
        except trio.TooSlowError:
            raise NodeError(f"{self.shown_url}: no answer to {what} within {self.timeout_s:g} s") from None
        return [self._result(replies.get(request["id"]), request) for request in requests]

    def _result(self, reply: Any, request: dict[str, Any]) -> Any:
        method = request["method"]
        if reply is None:
            raise NodeError(f"{self.shown_url}: {method}: the node's reply leaves this call out")
        if not isinstance(reply, dict):
            raise NodeError(f"{self.shown_url}: {method}: not a JSON-RPC reply: {reply!r:.80}")
        error = reply.get("error")
        if error is not None:
            return _failure(error)
        if "result" not in reply:
            raise NodeError(f"{self.shown_url}: {method}: a reply with neither result nor error")
        return reply["result"]


@asynccontextmanager
async def open_node(
    url: str,
    *,
    timeout_s: float = 10.0,
    batch_size: int = 100,
    max_response_bytes: int = MAX_RESPONSE_BYTES,
    reconnect_to: int | None = None,
    random: Random | None = None,
) -> AsyncIterator[Node]:
    """A connection to the node at an ``http(s)://`` or ``ws(s)://`` URL.

    Args:
        url: where the node is.
        timeout_s: longest wait for one request, or for a connection.
        batch_size: most calls in one request.
        max_response_bytes: largest reply that is read.
        reconnect_to: a lost WebSocket is made again as long as the block lasts, and the node must then serve the chain
            with this id. None: a lost one stays lost (HTTP connects for each request anyway).
        random: jitters the pauses before reconnections.

    Raises:
        UsageError: an unusable URL.
        NodeError: by WebSocket the node cannot be reached (HTTP connects at the first call).
    """
    shown = shown_url(url)
    scheme = url.partition("://")[0].lower()
    if "(" in shown:
        raise UsageError(f"{shown}: a node's URL is http://host:port/… or ws://host:port/…")
    if scheme in ("http", "https"):
        async with _open_http(url, shown, timeout_s, batch_size, max_response_bytes) as http:
            yield http
    elif scheme in ("ws", "wss"):
        open_line = partial(_open_line, url, shown, timeout_s, max_response_bytes)
        if reconnect_to is None:
            async with open_line() as line:
                yield _WebSocketNode(line, timeout_s, batch_size)
        else:
            node_on = partial(_WebSocketNode, timeout_s=timeout_s, batch_size=batch_size)
            pauses = Pauses(random or Random(), LONGEST_PAUSE_S)
            with unwrapped():
                async with trio.open_nursery() as nursery:
                    yield await nursery.start(_keep_connected, open_line, node_on, reconnect_to, pauses)
                    nursery.cancel_scope.cancel()
    else:
        raise UsageError(f"{shown}: a node's URL begins with http://, https://, ws:// or wss://")


def shown_url(url: str) -> str:
    """The URL as it may be printed: without user, password, path and query."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "node (malformed URL)"
    if not host:
        return "node (URL without a host)"
    place = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}"
    return f"{place}/…" if parts.path not in ("", "/") or parts.query else place


def _failure(error: Any) -> RpcFailure:
    if isinstance(error, dict):
        code = error.get("code")
        return RpcFailure(
            code if isinstance(code, int) else 0, str(error.get("message", error))[:500], error.get("data")
        )
    return RpcFailure(0, str(error)[:500])


def _parse(body: bytes | str, shown: str, what: str) -> Any:
    try:
        return decode_json(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        start = body[:60] if isinstance(body, str) else body[:60].decode("utf-8", "replace")
        raise NodeError(f"{shown}: {what}: the reply is not JSON: {start!r}") from None


def _by_id(document: Any) -> dict[int, Any]:
    replies = document if isinstance(document, list) else [document]
    return {reply["id"]: reply for reply in replies if isinstance(reply, dict) and type(reply.get("id")) is int}


# HTTP


class _HttpNode(Node):
    def __init__(
        self, shown: str, timeout_s: float, batch_size: int, post: Callable[[bytes], Awaitable[_Reply]]
    ) -> None:
        super().__init__(shown, timeout_s, batch_size)
        self._post = post

    async def _exchange(self, requests: list[dict[str, Any]], what: str) -> dict[int, Any]:
        alone = len(requests) == 1
        try:
            status, body = await self._post(msgspec.json.encode(requests[0] if alone else requests))
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as problem:
            raise NodeError(f"{self.shown_url}: {what}: {type(problem).__name__}: {problem}") from None
        if status != 200:
            failure = _refusal(body)
            if not (alone and failure):
                raise NodeError(f"{self.shown_url}: {what}: HTTP status {status}{f': {failure}' if failure else ''}")
        document = _parse(body, self.shown_url, what)
        replies = _by_id(document)
        if not replies:
            failure = _refusal(body)
            if failure is None:
                raise NodeError(f"{self.shown_url}: {what}: not a JSON-RPC reply: {document!r:.80}")
            if not alone:
                raise NodeError(f"{self.shown_url}: {what}: {failure}")
            # Some nodes answer a refused request with a null id.
            return {requests[0]["id"]: document}
        return replies


_Reply = tuple[int, bytes]
"""HTTP status and body"""


def _refusal(body: bytes) -> RpcFailure | None:
    """The JSON-RPC error in a body, where there is one."""
    try:
        document = decode_json(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    if isinstance(document, dict) and document.get("error") is not None:
        return _failure(document["error"])
    return None


_HEADERS: Final = {"content-type": "application/json", "accept-encoding": "gzip"}


class _Body:
    """Collects a reply's body, uncompressed, up to a limit that no compression can get around."""

    def __init__(self, encoding: str, max_bytes: int) -> None:
        self.data = bytearray()
        self.problem: str | None = None
        self._max_bytes = max_bytes
        self._unzip = decompressobj(wbits=31) if encoding.lower() in ("gzip", "x-gzip") else None
        if self._unzip is None and encoding.lower() not in ("", "identity"):
            self.problem = f"the reply has an encoding that was not asked for: {encoding[:20]}"

    def take(self, part: bytes) -> None:
        """Add the next bytes as they came; ``problem`` tells when the reply is of no use."""
        if self.problem:
            return
        room = self._max_bytes + 1 - len(self.data)
        try:
            self.data += self._unzip.decompress(part, room) if self._unzip else part
        except zlib_error:
            self.problem = "the reply is not the gzip it says it is"
        if len(self.data) > self._max_bytes:
            self.problem = f"the reply has more than {self._max_bytes} bytes"


@asynccontextmanager
async def _open_http(
    url: str, shown: str, timeout_s: float, batch_size: int, max_response_bytes: int
) -> AsyncIterator[_HttpNode]:
    # A proxy of the environment is right for a node out there and wrong for one on this machine.
    trust_env = urlsplit(url).hostname not in _LOOPBACK
    async with httpx.AsyncClient(timeout=None, follow_redirects=False, trust_env=trust_env) as client:  # noqa: S113  # ended by cancel scopes

        async def post(content: bytes) -> _Reply:
            async with client.stream("POST", url, content=content, headers=_HEADERS) as response:
                body = _Body(response.headers.get("content-encoding", ""), max_response_bytes)
                with trio.CancelScope() as scope:
                    async for part in response.aiter_raw():
                        body.take(part)
                        if body.problem:
                            # Not break: that would leave httpx's generators half run, and their connection open.
                            scope.cancel()
                if body.problem:
                    raise NodeError(f"{shown}: {body.problem}")
                return response.status_code, bytes(body.data)

        yield _HttpNode(shown, timeout_s, batch_size, post)


# WebSocket


class _Waiter:
    """One request under way. ``channel`` is set for a subscription: the reader connects it with the reply."""

    __slots__ = ("channel", "done", "reply")

    def __init__(self, channel: trio.MemorySendChannel[Any] | None = None) -> None:
        self.done = trio.Event()
        self.reply: Any = None
        self.channel = channel


class _WebSocketNode(Node):
    """A node at the other end of one connection."""

    def __init__(self, line: _Line, timeout_s: float, batch_size: int) -> None:
        super().__init__(line.shown_url, timeout_s, batch_size)
        self.line = line

    async def subscribe(self, kind: str, *params: Any) -> trio.MemoryReceiveChannel[Any]:
        send, receive = trio.open_memory_channel[Any](SUBSCRIPTION_BUFFER)
        number = next(self._ids)
        request = {"jsonrpc": "2.0", "id": number, "method": "eth_subscribe", "params": [kind, *params]}
        what = f"eth_subscribe {kind}"
        try:
            with trio.fail_after(self.timeout_s):
                replies = await self.line.send([request], {number: _Waiter(send)}, what)
        except trio.TooSlowError:
            raise NodeError(f"{self.shown_url}: no answer to {what} within {self.timeout_s:g} s") from None
        answer = self._result(replies.get(number), request)
        if isinstance(answer, RpcFailure):
            raise RpcError(f"{self.shown_url}: {what}: {answer}", answer)
        return receive

    async def _exchange(self, requests: list[dict[str, Any]], what: str) -> dict[int, Any]:
        return await self.line.send(requests, {request["id"]: _Waiter() for request in requests}, what)


async def _keep_connected(
    open_line: Callable[[], AbstractAsyncContextManager[_Line]],
    node_on: Callable[[_Line], _WebSocketNode],
    chain_id: int,
    pauses: Pauses,
    *,
    task_status: trio.TaskStatus[_WebSocketNode],
) -> None:
    """Give the started node a new connection whenever it has lost the one before, until cancelled."""
    node: _WebSocketNode | None = None
    told = ""
    while True:
        try:
            async with open_line() as line:
                if node is None:
                    node = node_on(line)
                    task_status.started(node)
                else:
                    await _check_chain(node_on(line), chain_id)
                    node.line = line
                    LOG.warning("%s: connected again", line.shown_url)
                pauses.reset()
                why = await line.wait_lost()
        except NodeError as problem:
            if node is None:
                raise
            why = str(problem)
        if why != told:
            LOG.warning("%s; connecting again", why)
        told = why
        await trio.sleep(pauses.next())


async def _check_chain(node: Node, expected: int) -> None:
    answer = await node.call("eth_chainId")
    if answer != hex(expected):
        raise NodeError(f"{node.shown_url}: eth_chainId is {answer!r:.40} now, before it was {hex(expected)!r}")


class _Line:
    """One WebSocket connection: once it is lost, it stays lost."""

    def __init__(self, shown_url: str, timeout_s: float, connection: WebSocketConnection) -> None:
        self.shown_url = shown_url
        self._timeout_s = timeout_s
        self._connection = connection
        self._waiting: dict[int, _Waiter] = {}
        self._subscriptions: dict[str, trio.MemorySendChannel[Any]] = {}
        self._lost: str | None = None
        self._ended = trio.Event()

    async def wait_lost(self) -> str:
        """Wait until the connection is of no use any more; returns where and why."""
        await self._ended.wait()
        return f"{self.shown_url}: {self._lost}"

    async def send(self, requests: list[dict[str, Any]], waiters: dict[int, _Waiter], what: str) -> dict[int, Any]:
        """Send requests and wait for their replies, by id.

        Raises:
            NodeError: the connection is lost.
        """
        self._check(what)
        self._waiting |= waiters
        try:
            payload = msgspec.json.encode(requests[0] if len(requests) == 1 else requests).decode()
            await self._write(payload)
            for waiter in waiters.values():
                await waiter.done.wait()
        finally:
            for number in waiters:
                self._waiting.pop(number, None)
        if any(waiter.reply is None for waiter in waiters.values()):
            self._check(what)
        return {number: waiter.reply for number, waiter in waiters.items()}

    async def _write(self, payload: str) -> None:
        # Shielded: half a message, left by a cancelled caller, would ruin the connection for all the others.
        with trio.move_on_after(self._timeout_s, shield=True) as patience:
            try:
                await self._connection.send_message(payload)
            except ConnectionClosed as closed:
                self.lose(_why_closed(closed))
        if patience.cancelled_caught:
            self.lose(f"the node took no request within {self._timeout_s:g} s")

    def _check(self, what: str) -> None:
        if self._lost is not None:
            raise NodeError(f"{self.shown_url}: {what}: {self._lost}")

    def lose(self, why: str) -> None:
        """The connection is of no use any more: end every wait and every subscription."""
        if self._lost is None:
            self._lost = why
        self._ended.set()
        for waiter in self._waiting.values():
            waiter.done.set()
        for channel in self._subscriptions.values():
            channel.close()
        self._subscriptions.clear()

    async def read(self) -> None:
        """The reader task: hand every message to whom it belongs."""
        try:
            while True:
                self._take(_parse(await self._connection.get_message(), self.shown_url, "message"))
        except ConnectionClosed as closed:
            self.lose(_why_closed(closed))
        except NodeError as problem:
            self.lose(str(problem))

    async def keep_alive(self) -> None:
        """Find out about a connection that is only half open: nobody else would, without traffic."""
        while self._lost is None:
            await trio.sleep(self._timeout_s)
            try:
                with trio.fail_after(self._timeout_s):
                    await self._connection.ping()
            except trio.TooSlowError:
                self.lose(f"connection lost: no pong within {self._timeout_s:g} s")
            except ConnectionClosed as closed:
                self.lose(_why_closed(closed))

    def _take(self, message: Any) -> None:
        for item in message if isinstance(message, list) else [message]:
            if not isinstance(item, dict):
                continue
            if item.get("method") == "eth_subscription":
                self._notify(item.get("params"))
            else:
                self._answer(item)

    def _answer(self, reply: dict[str, Any]) -> None:
        number = reply.get("id")
        waiter = self._waiting.get(number) if isinstance(number, int) else None
        if waiter is None:
            return
        waiter.reply = reply
        waiter.done.set()
        subscription = reply.get("result")
        if waiter.channel is not None and isinstance(subscription, str):
            # Here and not in the waiting task: the first notification may be the very next message.
            self._subscriptions[subscription] = waiter.channel

    def _notify(self, params: Any) -> None:
        if not isinstance(params, dict):
            return
        subscription = params.get("subscription")
        channel = self._subscriptions.get(subscription) if isinstance(subscription, str) else None
        if channel is None:
            return
        try:
            channel.send_nowait(params.get("result"))
        except (trio.WouldBlock, trio.BrokenResourceError):
            # Too far behind, or not interested any more: end it rather than lose one notification silently.
            channel.close()
            del self._subscriptions[subscription]  # type: ignore[arg-type]  # it was found there


def _why_closed(closed: ConnectionClosed) -> str:
    reason = closed.reason
    if reason is None:
        return "connection lost"
    return (
        f"the node closed the connection ({reason.code} {reason.name}{f': {reason.reason}' if reason.reason else ''})"
    )


def _authorization(url: str) -> list[tuple[bytes, bytes]]:
    parts = urlsplit(url)
    if parts.username is None:
        return []
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return [(b"Authorization", b"Basic " + base64.b64encode(pair.encode()))]


@asynccontextmanager
async def _open_line(url: str, shown: str, timeout_s: float, max_response_bytes: int) -> AsyncIterator[_Line]:
    socket = open_websocket(url, connect_s=timeout_s, max_message_bytes=max_response_bytes, headers=_authorization(url))
    async with AsyncExitStack() as stack:
        with _connection_errors(shown, timeout_s):
            connection = await stack.enter_async_context(socket)
        line = _Line(shown, timeout_s, connection)
        with unwrapped():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(line.read)
                nursery.start_soon(line.keep_alive)
                try:
                    yield line
                finally:
                    line.lose("the connection was closed by us")
                    nursery.cancel_scope.cancel()


@contextmanager
def _connection_errors(shown: str, timeout_s: float) -> Iterator[None]:
    try:
        yield
    except ConnectionRejected as rejected:
        raise NodeError(f"{shown}: WebSocket handshake refused with HTTP status {rejected.status_code}") from None
    except trio.TooSlowError:
        raise NodeError(f"{shown}: no connection within {timeout_s:g} s") from None
    except (OSError, HandshakeError, ConnectionClosed, trio.BrokenResourceError, ValueError) as problem:
        raise NodeError(f"{shown}: cannot connect: {type(problem).__name__}: {problem}".rstrip(": ")) from None
