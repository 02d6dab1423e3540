"""The JSON-RPC client against nodes that behave, misbehave and disappear, over real sockets."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Any

import pytest
import trio
import trio.testing
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from flasharb.adapters.node import Node, RpcError, RpcFailure, open_node, shown_url
from flasharb.errors import NodeError, UsageError

Answer = Callable[[Any], Any]


def result(request: dict[str, Any], value: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request["id"], "result": value}


def echo(request: Any) -> Any:
    """Answers every call with its method and parameters; ``fail`` with an error."""
    if isinstance(request, list):
        return [echo(one) for one in reversed(request)]
    if request["method"] == "fail":
        error = {"code": -32000, "message": "execution reverted", "data": "0x08c379a0"}
        return {"jsonrpc": "2.0", "id": request["id"], "error": error}
    return result(request, [request["method"], *request["params"]])


@asynccontextmanager
async def http_server(respond: Callable[[bytes], bytes]) -> AsyncIterator[str]:
    """Answers each request's body with the raw bytes of an HTTP response."""

    async def handler(stream: trio.SocketStream) -> None:
        data = b""
        async for part in stream:
            data += part
            while b"\r\n\r\n" in data:
                head, _, rest = data.partition(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                if len(rest) < length:
                    break
                body, data = rest[:length], rest[length:]
                try:
                    await stream.send_all(respond(body))
                except trio.BrokenResourceError:
                    return

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, handler, 0)
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/v3/secret-key"
        nursery.cancel_scope.cancel()


def http(body: bytes, status: str = "200 OK", headers: str = "content-type: application/json\r\n") -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body


def jsonrpc(answer: Answer) -> Callable[[bytes], bytes]:
    return lambda body: http(json.dumps(answer(json.loads(body))).encode())


@asynccontextmanager
async def ws_server(serve: Callable[[WebSocketConnection], Awaitable[None]]) -> AsyncIterator[str]:
    async def handler(request: WebSocketRequest) -> None:
        if "refuse" in request.path:
            await request.reject(403)
            return
        connection = await request.accept()
        try:
            await serve(connection)
        except ConnectionClosed:
            return

    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_websocket, handler, "127.0.0.1", 0, None)
        yield f"ws://127.0.0.1:{server.port}/v3/secret-key"
        nursery.cancel_scope.cancel()


async def answering(connection: WebSocketConnection) -> None:
    while True:
        await connection.send_message(json.dumps(echo(json.loads(await connection.get_message()))))


@asynccontextmanager
async def good_node(kind: str, **options: Any) -> AsyncIterator[Node]:
    server = http_server(jsonrpc(echo)) if kind == "http" else ws_server(answering)
    async with server as url, open_node(url, **options) as node:
        yield node


@pytest.mark.parametrize("kind", ["http", "ws"])
async def test_call_and_batch(kind: str) -> None:
    async with good_node(kind, batch_size=3) as node:
        assert await node.call("eth_x", 1, "0x2") == ["eth_x", 1, "0x2"]
        calls: list[tuple[str, tuple[int, ...]]] = [("eth_y", (n,)) for n in range(10)]
        calls[4] = ("fail", ())
        answers = await node.batch(calls)
        assert answers[4] == RpcFailure(-32000, "execution reverted", "0x08c379a0")
        assert [answers[n] for n in range(10) if n != 4] == [["eth_y", n] for n in range(10) if n != 4]
        assert await node.batch([]) == []


@pytest.mark.parametrize("kind", ["http", "ws"])
async def test_error_reply_is_told_with_code_and_data(kind: str) -> None:
    async with good_node(kind) as node:
        with pytest.raises(RpcError, match=r"fail: execution reverted \(code -32000\)") as caught:
            await node.call("fail")
        assert caught.value.failure.data == "0x08c379a0"


@pytest.mark.parametrize("kind", ["http", "ws"])
async def test_concurrent_calls_get_their_own_answers(kind: str) -> None:
    async with good_node(kind) as node:
        answers: dict[int, Any] = {}

        async def ask(number: int) -> None:
            answers[number] = await node.call("eth_x", number)

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(ask, number)
        assert answers == {number: ["eth_x", number] for number in range(50)}


@pytest.mark.parametrize("kind", ["http", "ws"])
async def test_callers_meet_their_own_exceptions(kind: str) -> None:
    server = http_server(jsonrpc(echo)) if kind == "http" else ws_server(answering)
    async with server as url:
        with pytest.raises(KeyError, match="mine"):
            async with open_node(url):
                raise KeyError("mine")


@pytest.mark.parametrize(
    ("response", "text"),
    [
        (http(b"<html>busy</html>", "503 Service Unavailable", "content-type: text/html\r\n"), "HTTP status 503"),
        (http(b"", "301 Moved", "location: http://evil/\r\n"), "HTTP status 301"),
        (http(b"<html>"), "the reply is not JSON: '<html>'"),
        (http(b'{"jsonrpc":"2.0","id":1,"resu'), "the reply is not JSON"),
        (http(b"[" * 4000), "the reply is not JSON"),
        (http(b"\xff\xfe\x00"), "the reply is not JSON"),
        (http(b"7"), "not a JSON-RPC reply"),
        (http(b'{"jsonrpc":"2.0","id":999,"result":1}'), "leaves this call out"),
        (http(b'{"jsonrpc":"2.0","id":1}'), "neither result nor error"),
        (
            http(b'{"id":null,"error":{"code":-32005,"message":"too many"}}', "429 Too Many"),
            r"too many \(code -32005\)",
        ),
        (http(b'{"error":"go away"}'), "go away"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nshort", "no answer to eth_x within 0.3 s"),
        (b"no http at all\r\n\r\n", "RemoteProtocolError"),
        (http(b"x" * 5000), "more than 4096 bytes"),
        (http(gzip.compress(b" " * 1_000_000), headers="content-encoding: gzip\r\n"), "more than 4096 bytes"),
        (http(b"no gzip", headers="content-encoding: gzip\r\n"), "not the gzip it says"),
    ],
)
async def test_http_nodes_that_misbehave(response: bytes, text: str) -> None:
    async with http_server(lambda _: response) as url, open_node(url, timeout_s=0.3, max_response_bytes=4096) as node:
        with pytest.raises(NodeError, match=text) as caught:
            await node.call("eth_x")
    assert "secret" not in str(caught.value)
    assert str(caught.value).startswith("http://127.0.0.1:")


async def test_batch_that_is_refused_as_a_whole() -> None:
    refusal = http(b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}')
    async with http_server(lambda _: refusal) as url, open_node(url) as node:
        with pytest.raises(NodeError, match=r"2 calls \(eth_x, …\): batch too large"):
            await node.batch([("eth_x", ()), ("eth_y", ())])


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://127.0.0.1:1/secret", r"http://127\.0\.0\.1:1/…: eth_x: ConnectError"),
        ("ws://me:secret@127.0.0.1:1/", r"ws://127\.0\.0\.1:1: cannot connect"),
        ("ftp://127.0.0.1/secret", "begins with http"),
        ("ws:///secret", "URL without a host"),
        ("http://[secret", "malformed URL"),
        ("", "URL without a host"),
    ],
)
async def test_unusable_urls(url: str, text: str) -> None:
    with pytest.raises((NodeError, UsageError), match=text) as caught:
        async with open_node(url, timeout_s=2) as node:
            await node.call("eth_x")
    assert "secret" not in str(caught.value)


def test_shown_url_hides_what_may_be_a_key() -> None:
    assert shown_url("https://user:pw@node.example:8545/v3/KEY?token=KEY") == "https://node.example:8545/…"
    assert shown_url("http://127.0.0.1:8545") == "http://127.0.0.1:8545"
    assert shown_url("ws://[::1]:8546/") == "ws://[::1]:8546"


async def test_http_node_has_no_subscriptions() -> None:
    async with good_node("http") as node:
        with pytest.raises(NodeError, match="needs a ws:// or wss:// URL"):
            await node.subscribe("newHeads")


async def test_websocket_handshake_refused() -> None:
    async with ws_server(answering) as url:
        with pytest.raises(NodeError, match="WebSocket handshake refused with HTTP status 403"):
            async with open_node(url.replace("secret", "refuse")):
                pass


async def subscribed(connection: WebSocketConnection) -> None:
    """Acknowledges a subscription and sends three notifications right behind."""
    request = json.loads(await connection.get_message())
    assert request["method"] == "eth_subscribe"
    await connection.send_message(json.dumps(result(request, "0xabc")))
    for number in range(3):
        params = {"subscription": "0xabc", "result": [request["params"], number]}
        await connection.send_message(json.dumps({"jsonrpc": "2.0", "method": "eth_subscription", "params": params}))
    other = {"jsonrpc": "2.0", "method": "eth_subscription", "params": {"subscription": "0xother", "result": 1}}
    await connection.send_message(json.dumps(other))
    request = json.loads(await connection.get_message())
    await connection.send_message(json.dumps(result(request, "done")))


async def test_subscription_delivers_and_ends_with_the_connection() -> None:
    async with ws_server(subscribed) as url, open_node(url) as node:
        heads = await node.subscribe("newHeads", {"a": 1})
        assert await node.call("eth_x") == "done"
        with trio.fail_after(5):
            assert [item async for item in heads] == [[["newHeads", {"a": 1}], number] for number in range(3)]
        with pytest.raises(NodeError, match=r"closed the connection|connection lost"):
            await node.call("eth_x")


async def test_subscription_refused() -> None:
    async def refuse(connection: WebSocketConnection) -> None:
        request = json.loads(await connection.get_message())
        error = {"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32601, "message": "no such thing"}}
        await connection.send_message(json.dumps(error))
        await trio.sleep_forever()

    async with ws_server(refuse) as url, open_node(url) as node:
        with pytest.raises(RpcError, match="eth_subscribe newHeads: no such thing"):
            await node.subscribe("newHeads")


async def test_connection_lost_while_waiting() -> None:
    async def hang_up(connection: WebSocketConnection) -> None:
        await connection.get_message()

    async with ws_server(hang_up) as url, open_node(url) as node:
        with trio.fail_after(5), pytest.raises(NodeError, match=r"eth_x: (the node closed|connection lost)"):
            await node.call("eth_x")


async def test_websocket_message_that_is_not_json_ends_the_connection() -> None:
    async def babble(connection: WebSocketConnection) -> None:
        await connection.get_message()
        await connection.send_message("<html>")
        await trio.sleep_forever()

    async with ws_server(babble) as url, open_node(url) as node:
        with trio.fail_after(5), pytest.raises(NodeError, match="not JSON: '<html>'"):
            await node.call("eth_x")


async def test_silent_websocket_node_times_out_and_others_go_on() -> None:
    async def selective(connection: WebSocketConnection) -> None:
        while True:
            request = json.loads(await connection.get_message())
            if request["method"] != "never":
                await connection.send_message(json.dumps(echo(request)))

    async with ws_server(selective) as url, open_node(url, timeout_s=0.2) as node:
        with pytest.raises(NodeError, match=r"no answer to never within 0\.2 s"):
            await node.call("never")
        assert await node.call("eth_x") == ["eth_x"]


async def test_half_open_connection_is_found_out() -> None:
    """A peer that reads nothing and answers no ping."""

    async def stuck(stream: trio.SocketStream) -> None:
        import base64
        import hashlib

        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive_some()
        key = head.lower().split(b"sec-websocket-key: ")[1].split(b"\r\n")[0]
        start = head.lower().index(b"sec-websocket-key: ") + 19
        key = head[start : start + len(key)]
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        await stream.send_all(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: "
            + accept
            + b"\r\n\r\n"
        )
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, stuck, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        async with open_node(f"ws://127.0.0.1:{port}", timeout_s=0.1) as node:
            with trio.fail_after(5):
                while True:
                    with pytest.raises(NodeError) as caught:
                        await node.call("eth_x")
                    if "no pong within 0.1 s" in str(caught.value):
                        break
        nursery.cancel_scope.cancel()


async def test_cancelled_caller_leaves_the_connection_usable() -> None:
    async with good_node("ws") as node:
        for _ in range(20):
            with trio.CancelScope() as scope:
                scope.cancel()
                await node.call("eth_x", "y" * 10_000)
        assert await node.call("eth_x") == ["eth_x"]


class Reopening:
    """A WebSocket node on one port that can be closed and opened again, as another chain if need be."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._scope = trio.CancelScope()
        self.port = 0
        self.asked: list[str] = []
        self.asked_never = trio.Event()

    async def open(self, chain_id: int = 1) -> None:
        self._scope = trio.CancelScope()
        await self._nursery.start(self._serve, chain_id)

    def close(self) -> None:
        self._scope.cancel()

    async def _serve(self, chain_id: int, *, task_status: trio.TaskStatus[None]) -> None:
        async def handler(request: WebSocketRequest) -> None:
            connection = await request.accept()
            try:
                await self._answer(connection, chain_id)
            except ConnectionClosed:
                return

        with self._scope:
            async with trio.open_nursery() as nursery:
                server = await nursery.start(serve_websocket, handler, "127.0.0.1", self.port, None)
                self.port = server.port
                task_status.started()

    async def _answer(self, connection: WebSocketConnection, chain_id: int) -> None:
        while True:
            request = json.loads(await connection.get_message())
            self.asked.append(request["method"])
            if request["method"] == "eth_chainId":
                await connection.send_message(json.dumps(result(request, hex(chain_id))))
            elif request["method"] == "never":
                self.asked_never.set()
            else:
                await connection.send_message(json.dumps(echo(request)))


@asynccontextmanager
async def kept_node(reopening: Reopening) -> AsyncIterator[Node]:
    async with open_node(f"ws://127.0.0.1:{reopening.port}", timeout_s=5, reconnect_to=1, random=Random(1)) as node:
        yield node


async def until_it_answers(node: Node) -> int:
    """How many calls failed before one was answered."""
    with trio.fail_after(20):
        for failed in itertools.count():
            try:
                assert await node.call("eth_x") == ["eth_x"]
            except NodeError:
                await trio.sleep(0.01)
            else:
                return failed
    raise AssertionError("unreachable")


async def test_a_lost_websocket_is_made_again_and_nothing_is_asked_twice() -> None:
    async with trio.open_nursery() as nursery:
        server = Reopening(nursery)
        await server.open()
        async with kept_node(server) as node:
            assert await node.call("eth_x") == ["eth_x"]

            async def in_flight() -> None:
                with pytest.raises(NodeError, match="never: "):
                    await node.call("never")

            async with trio.open_nursery() as calling:
                calling.start_soon(in_flight)
                with trio.fail_after(5):
                    await server.asked_never.wait()
                server.close()
            with trio.fail_after(0.5), pytest.raises(NodeError, match="eth_y: "):
                await node.call("eth_y")

            await server.open()
            await until_it_answers(node)
            assert server.asked.count("never") == 1
            assert "eth_y" not in server.asked
        nursery.cancel_scope.cancel()


async def test_a_node_that_comes_back_as_another_chain_is_not_asked(caplog: pytest.LogCaptureFixture) -> None:
    async with trio.open_nursery() as nursery:
        server = Reopening(nursery)
        await server.open()
        async with kept_node(server) as node:
            server.close()
            await trio.testing.wait_all_tasks_blocked(0.01)
            await server.open(chain_id=5)
            with trio.fail_after(20):
                while "eth_chainId is '0x5'" not in caplog.text:
                    with pytest.raises(NodeError):
                        await node.call("eth_x")
                    await trio.sleep(0.01)
            server.close()
            await trio.testing.wait_all_tasks_blocked(0.01)
            await server.open()
            await until_it_answers(node)
        nursery.cancel_scope.cancel()
    assert "eth_chainId is '0x5' now, before it was '0x1'" in caplog.text
    assert "connected again" in caplog.text


async def test_the_first_connection_of_a_kept_node_is_not_waited_for() -> None:
    async with trio.open_nursery() as nursery:
        server = Reopening(nursery)
        await server.open()
        server.close()
        await trio.testing.wait_all_tasks_blocked(0.01)
        with pytest.raises(NodeError, match="cannot connect"):
            async with kept_node(server):
                pass
        nursery.cancel_scope.cancel()
