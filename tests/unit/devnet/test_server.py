"""The ASGI application: routes, batches, subscriptions, and clients that do not read."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from flasharb.devnet.chain import Chain
from flasharb.devnet.relay import BundleRelay
from flasharb.devnet.rpc import EvmThread, Rpc
from flasharb.devnet.server import MAX_BATCH, MAX_BODY_BYTES, QUEUE_LENGTH, App
from flasharb.devnet.transactions import decode
from flasharb.units import hex0x
from tests.support.devnet import transfer


def app_of(chain: Chain) -> App:
    evm = EvmThread()
    return App(Rpc(chain, evm), BundleRelay(chain, evm))


async def http(app: App, body: bytes, path: str = "/", method: str = "POST") -> tuple[int, bytes]:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(event: Any) -> None:
        sent.append(event)

    await app({"type": "http", "path": path, "method": method, "headers": []}, receive, send)
    return sent[0]["status"], sent[1]["body"]


class Client:
    """The other end of a WebSocket connection."""

    def __init__(self) -> None:
        self.to_app, self._requests = trio.open_memory_channel[dict[str, Any]](100)
        self._answers, self.from_app = trio.open_memory_channel[dict[str, Any]](0)
        self.to_app.send_nowait({"type": "websocket.connect"})

    async def receive(self) -> dict[str, Any]:
        return await self._requests.receive()

    async def send(self, event: Any) -> None:
        await self._answers.send(event)

    async def ask(self, method: str, *params: Any) -> Any:
        body = msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        await self.to_app.send({"type": "websocket.receive", "text": body.decode(), "bytes": None})
        return await self.next()

    async def next(self) -> Any:
        with trio.fail_after(5):
            return msgspec.json.decode((await self.from_app.receive())["text"])


async def opened(app: App, nursery: trio.Nursery) -> Client:
    client = Client()
    nursery.start_soon(app, {"type": "websocket"}, client.receive, client.send)
    assert (await client.from_app.receive())["type"] == "websocket.accept"
    return client


async def test_routes(chain: Chain) -> None:
    app = app_of(chain)

    assert (await http(app, b"", "/nowhere"))[0] == 404
    assert (await http(app, b"", method="GET"))[0] == 405
    assert (await http(app, b"", "/relay", "GET"))[0] == 405
    assert (await http(app, bytes(MAX_BODY_BYTES + 1)))[0] == 413


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"\xff", -32700),
        (b"[]", -32600),
        (b"1", -32600),
        (b"{}", -32600),
        (b'{"method":1}', -32600),
        (b'{"method":"eth_chainId","params":{"a":1}}', -32602),
        (b"[" + b",".join([b"1"] * (MAX_BATCH + 1)) + b"]", -32600),
    ],
)
async def test_what_is_no_request_gets_an_error_reply(chain: Chain, body: bytes, code: int) -> None:
    status, reply = await http(app_of(chain), body)

    assert status == 200
    assert msgspec.json.decode(reply)["error"]["code"] == code


async def test_a_batch_is_answered_item_by_item(chain: Chain) -> None:
    body = b'[{"id":7,"method":"eth_chainId"},3,{"id":8,"method":"eth_nothing"}]'
    _, reply = await http(app_of(chain), body)
    answers = msgspec.json.decode(reply)

    assert answers[0] == {"jsonrpc": "2.0", "id": 7, "result": "0xf1a5"}
    assert [answer["error"]["code"] for answer in answers[1:]] == [-32600, -32601]


async def test_subscribers_hear_of_heads_and_then_of_the_logs_they_asked_for(
    chain: Chain, nursery: trio.Nursery
) -> None:
    app = app_of(chain)
    client = await opened(app, nursery)
    heads = (await client.ask("eth_subscribe", "newHeads"))["result"]
    every = (await client.ask("eth_subscribe", "logs", {}))["result"]
    block = chain.mine(0).block
    app.announce(block)
    notification = (await client.next())["params"]

    assert notification["subscription"] == heads
    assert notification["result"]["hash"] == hex0x(block.header.hash)
    assert (await client.ask("eth_unsubscribe", heads))["result"] is True
    assert (await client.ask("eth_unsubscribe", heads))["result"] is False
    assert (await client.ask("eth_subscribe", "syncing"))["error"]["code"] == -32602
    assert (await client.ask("eth_subscribe", "logs", {"address": "0x1"}))["error"]["code"] == -32602
    # No head any more, and an empty block has no logs.
    app.announce(chain.mine(0).block)
    assert every != heads
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(trio.WouldBlock):
        client.from_app.receive_nowait()


async def test_a_subscriber_that_does_not_read_is_disconnected(chain: Chain, nursery: trio.Nursery) -> None:
    app = app_of(chain)
    idle, eager = await opened(app, nursery), await opened(app, nursery)
    for client in (idle, eager):
        await client.ask("eth_subscribe", "newHeads")
    chain.add_transaction(decode(transfer(chain)))
    block = chain.mine(0).block
    for _ in range(QUEUE_LENGTH + 3):
        app.announce(block)
        assert (await eager.next())["method"] == "eth_subscription"

    with trio.fail_after(5):
        while (await idle.from_app.receive())["type"] != "websocket.close":
            pass
    app.announce(block)
    assert (await eager.next())["method"] == "eth_subscription"
