"""The node as a source against a scripted chain: gaps, reorganisations, losses, another chain."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from flasharb.adapters import node_source
from flasharb.errors import NodeError
from flasharb.feed.events import Event, FeedGap, Heartbeat, NewHead, V2Sync
from flasharb.feed.logs import V2_SYNC
from flasharb.units import Address

POOL = Address(b"\x11" * 20)


class NoPause(Random):
    """Jitter that makes every pause zero."""

    def uniform(self, a: float, b: float) -> float:
        return 0.0


def block_hash(number: int, branch: int) -> str:
    return "0x" + bytes([branch]).hex() * 16 + number.to_bytes(16, "big").hex()


class FakeNode:
    """A chain that the test extends, and replaces, as it likes. One log a block."""

    def __init__(self) -> None:
        self.chain_id = 5
        self.blocks: dict[str, dict[str, Any]] = {}
        self.canonical: dict[int, str] = {}
        self.connections: list[WebSocketConnection] = []
        self.early_logs = False
        self.logs_unknown_for = 0

    def extend(self, number: int, branch: int = 0, parent_branch: int | None = None) -> dict[str, Any]:
        named = block_hash(number, branch)
        block = {
            "number": hex(number),
            "hash": named,
            "parentHash": block_hash(number - 1, branch if parent_branch is None else parent_branch),
            "timestamp": hex(number * 12),
            "baseFeePerGas": "0x7",
            "gasUsed": "0x1",
            "gasLimit": "0x2",
            "miner": "0x" + "00" * 20,
        }
        self.blocks[named] = block
        self.canonical[number] = named
        for later in [n for n in self.canonical if n > number]:
            del self.canonical[later]
        return block

    def log(self, named: str) -> dict[str, Any]:
        number = int(self.blocks[named]["number"], 16)
        data = "0x" + (number.to_bytes(32, "big") * 2).hex()
        where = {"blockHash": named, "blockNumber": hex(number), "logIndex": "0x3", "removed": False}
        return {"address": "0x" + POOL.hex(), "topics": [V2_SYNC], "data": data, **where}

    async def announce(self, block: dict[str, Any]) -> None:
        for connection in self.connections:
            if self.early_logs:
                await self._notify(connection, "0xlogs", self.log(block["hash"]))
            await self._notify(connection, "0xheads", block)

    async def _notify(self, connection: WebSocketConnection, subscription: str, value: Any) -> None:
        params = {"subscription": subscription, "result": value}
        await connection.send_message(json.dumps({"jsonrpc": "2.0", "method": "eth_subscription", "params": params}))

    def _answer(self, method: str, params: list[Any]) -> Any:
        match method:
            case "eth_chainId":
                return hex(self.chain_id)
            case "eth_subscribe":
                return {"newHeads": "0xheads", "logs": "0xlogs"}[params[0]]
            case "eth_getBlockByNumber":
                return self.blocks[self.canonical[max(self.canonical)]]
            case "eth_getBlockByHash":
                return self.blocks.get(params[0])
            case "eth_getLogs":
                return [self.log(params[0]["blockHash"])]
        raise AssertionError(method)

    async def serve(self, request: WebSocketRequest) -> None:
        connection = await request.accept()
        self.connections.append(connection)
        try:
            while True:
                asked = json.loads(await connection.get_message())
                reply: dict[str, Any] = {"jsonrpc": "2.0", "id": asked["id"]}
                if asked["method"] == "eth_getLogs" and self.logs_unknown_for:
                    self.logs_unknown_for -= 1
                    reply["error"] = {"code": -32000, "message": "unknown block"}
                else:
                    reply["result"] = self._answer(asked["method"], asked["params"])
                await connection.send_message(json.dumps(reply))
        except ConnectionClosed:
            self.connections.remove(connection)

    async def hang_up(self) -> None:
        for connection in list(self.connections):
            await connection.aclose()


@asynccontextmanager
async def running(node: FakeNode) -> AsyncIterator[str]:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_websocket, node.serve, "127.0.0.1", 0, None)
        yield f"ws://127.0.0.1:{server.port}"
        nursery.cancel_scope.cancel()


Batches = trio.MemoryReceiveChannel[tuple[Event, ...]]


async def next_heads(batches: Batches, count: int) -> list[tuple[int, int]]:
    """Number and branch of the next heads; every batch must be whole."""
    found = []
    with trio.fail_after(10):
        for _ in range(count):
            batch = await batches.receive()
            head, *events, closing = batch
            assert isinstance(head, NewHead), batch
            number = head.header.number
            assert events == [V2Sync(POOL, number, number, number, 3)]
            assert closing == Heartbeat(number + 1, number * 12 * 10**9)
            found.append((number, head.header.hash[0]))
    return found


@pytest.fixture
def node() -> FakeNode:
    node = FakeNode()
    for number in range(1, 11):
        node.extend(number)
    return node


@pytest.mark.parametrize("early_logs", [False, True])
async def test_heads_come_with_their_logs_once_each(node: FakeNode, early_logs: bool) -> None:
    node.early_logs = early_logs
    async with running(node) as url, node_source.events(url, pools=[POOL]) as batches:
        assert await next_heads(batches, 1) == [(10, 0)]
        for number in (11, 12):
            await node.announce(node.extend(number))
        await node.announce(node.blocks[block_hash(12, 0)])
        await node.announce(node.extend(13))
        assert await next_heads(batches, 3) == [(11, 0), (12, 0), (13, 0)]


async def test_events_of_other_pools_are_left_out(node: FakeNode) -> None:
    async with running(node) as url, node_source.events(url, pools=[Address(bytes(20))]) as batches:
        head, closing = await batches.receive()
        assert isinstance(head, NewHead)
        assert isinstance(closing, Heartbeat)


async def test_heads_alone_for_those_who_have_a_bus(node: FakeNode) -> None:
    async with running(node) as url, node_source.events(url, with_logs=False) as batches:
        (head,) = await batches.receive()
        assert isinstance(head, NewHead)
        assert head.header.number == 10


async def test_missed_heads_are_fetched(node: FakeNode) -> None:
    async with running(node) as url, node_source.events(url) as batches:
        assert await next_heads(batches, 1) == [(10, 0)]
        for number in (11, 12, 13):
            node.extend(number)
        await node.announce(node.extend(14))
        assert await next_heads(batches, 4) == [(11, 0), (12, 0), (13, 0), (14, 0)]


async def test_reorganisation_is_told_in_order_from_the_fork(node: FakeNode) -> None:
    async with running(node) as url, node_source.events(url) as batches:
        assert await next_heads(batches, 1) == [(10, 0)]
        for number in (11, 12, 13):
            await node.announce(node.extend(number))
        assert len(await next_heads(batches, 3)) == 3
        node.extend(12, 7, 0)
        node.extend(13, 7)
        await node.announce(node.extend(14, 7))
        assert await next_heads(batches, 3) == [(12, 7), (13, 7), (14, 7)]
        # A shorter chain than before.
        await node.announce(node.extend(13, 9, 7))
        assert await next_heads(batches, 1) == [(13, 9)]


async def test_lost_connection_is_made_again_and_the_gap_filled(node: FakeNode) -> None:
    async with running(node) as url, node_source.events(url, random=NoPause()) as batches:
        assert await next_heads(batches, 1) == [(10, 0)]
        for number in (11, 12):
            node.extend(number)
        await node.hang_up()
        assert await next_heads(batches, 2) == [(11, 0), (12, 0)]
        await node.announce(node.extend(13))
        assert await next_heads(batches, 1) == [(13, 0)]


async def test_gap_that_is_too_wide_is_told(node: FakeNode) -> None:
    async with running(node) as url, node_source.events(url) as batches:
        assert await next_heads(batches, 1) == [(10, 0)]
        for number in range(11, 200):
            node.extend(number)
        await node.announce(node.extend(200))
        with trio.fail_after(10):
            (gap,) = await batches.receive()
        assert isinstance(gap, FeedGap)
        assert gap.pools is None
        assert await next_heads(batches, 1) == [(200, 0)]
        await node.announce(node.extend(201))
        assert await next_heads(batches, 1) == [(201, 0)]


async def test_node_that_is_behind_its_own_announcement_is_asked_again(node: FakeNode) -> None:
    async with running(node) as url, node_source.events(url) as batches:
        assert await next_heads(batches, 1) == [(10, 0)]
        node.logs_unknown_for = 2
        await node.announce(node.extend(11))
        assert await next_heads(batches, 1) == [(11, 0)]


async def test_quiet_subscription_is_found_out(node: FakeNode) -> None:
    async with running(node) as url, node_source.events(url, quiet_s=0.05) as batches:
        assert await next_heads(batches, 1) == [(10, 0)]
        node.extend(11)
        assert await next_heads(batches, 1) == [(11, 0)]


async def test_another_chain_ends_the_source(node: FakeNode) -> None:
    async def follow(url: str) -> None:
        async with node_source.events(url, random=NoPause()) as batches:
            await next_heads(batches, 1)
            node.chain_id = 6
            await node.hang_up()
            await trio.sleep_forever()

    async with running(node) as url:
        with trio.fail_after(10), pytest.raises(NodeError, match="now serves chain 6, before it was 5"):
            await follow(url)


async def test_announcement_from_before_the_start_is_ignored(node: FakeNode) -> None:
    async with running(node) as url, node_source.events(url) as batches:
        assert await next_heads(batches, 1) == [(10, 0)]
        await node.announce(node.blocks[block_hash(8, 0)])
        await node.announce(node.extend(11))
        assert await next_heads(batches, 1) == [(11, 0)]


async def test_nobody_there_at_first_is_an_error() -> None:
    with pytest.raises(NodeError, match="cannot connect"):
        async with node_source.events("ws://127.0.0.1:1"):
            pass
    with pytest.raises(NodeError, match=r"needs a ws:// or wss:// URL|ConnectError"):
        async with node_source.events("http://127.0.0.1:1"):
            pass
