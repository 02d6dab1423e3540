"""A node as the source of events, so that nobody needs a bus: heads and logs by subscription over WebSocket.

Every head becomes one batch: ``NewHead``, the pool events of that block in log order, and a ``Heartbeat`` that closes
it. That the events are complete is proven by ``eth_getLogs`` for exactly this block's hash; what the subscription
delivered is merged in by log index. Heads that were missed (a reconnection, a subscription that went quiet) are
fetched by walking back along the parent hashes, so a reorganisation shows itself as ``NewHead``s with other hashes for
numbers already told, in order from the fork. Only when the walk leads too far is a ``FeedGap`` told instead.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final

import trio

from flasharb.adapters.chain import chain_id, header_of
from flasharb.adapters.node import Node, RpcError, open_node
from flasharb.adapters.nurseries import unwrapped
from flasharb.adapters.pauses import Pauses
from flasharb.errors import NodeError
from flasharb.feed.events import BlockHeader, Event, FeedGap, Heartbeat, NewHead, PoolEvent, PoolLog
from flasharb.feed.logs import POOL_TOPICS, MalformedLog, event_of
from flasharb.pools.protocols import LOG_TOPICS
from flasharb.units import Address, Hash32, hex0x

MAX_WALK: Final = 128
"""Missed blocks that are fetched one by one; after a longer absence loading the pools anew is quicker."""
KEPT_HEADERS: Final = 256
MAX_FILTERED_ADDRESSES: Final = 500
"""Providers refuse longer address lists; beyond, the filter has only topics and we choose ourselves."""
LOG_ATTEMPTS: Final = 6
"""Behind a load balancer, the node asked may not have the block yet that another one announced."""
BATCH_BUFFER: Final = 16
"""Batches (blocks) that may wait for the updater; further ones wait in the socket."""

Batch = tuple[Event, ...]


@asynccontextmanager
async def events(
    url: str,
    *,
    pools: Collection[Address] | None = None,
    with_logs: bool = True,
    timeout_s: float = 10.0,
    batch_size: int = 100,
    quiet_s: float = 30.0,
    random: Random | None = None,
) -> AsyncIterator[trio.MemoryReceiveChannel[Batch]]:
    """Follow the chain of the node at a ``ws(s)://`` URL, beginning with its present head.

    Args:
        pools: only events of these; None: of every contract that emits them.
        with_logs: False gives batches of one ``NewHead`` each (a bus has the events).
        quiet_s: without a head for so long, the node is asked.
        random: jitters the pauses before reconnections.

    Raises:
        NodeError: the first connection or subscription fails; later, only when the node turns to another chain.
    """
    send, receive = trio.open_memory_channel[Batch](BATCH_BUFFER)
    follower = _Follower(send, frozenset(pools) if pools is not None else None, with_logs, quiet_s)
    with unwrapped():
        async with trio.open_nursery() as nursery:
            await nursery.start(_follow, follower, url, timeout_s, batch_size, random or Random())
            yield receive
            nursery.cancel_scope.cancel()


async def _follow(
    follower: _Follower,
    url: str,
    timeout_s: float,
    batch_size: int,
    random: Random,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    pauses = Pauses(random)
    chain: int | None = None
    async with follower.batches:
        while True:
            try:
                async with open_node(url, timeout_s=timeout_s, batch_size=batch_size) as node:
                    found = await chain_id(node)
                    if chain is not None and found != chain:
                        raise WrongChain(f"{node.shown_url} now serves chain {found}, before it was {chain}")
                    async with _subscribed(follower, node):
                        if chain is None:
                            chain = found
                            task_status.started()
                        pauses.reset()
                        await follower.follow(node)
            except WrongChain:
                raise
            except NodeError:
                if chain is None:
                    raise
            await trio.sleep(pauses.next())


class WrongChain(NodeError):
    """The node serves another chain than before: going on would mix two worlds."""


@asynccontextmanager
async def _subscribed(follower: _Follower, node: Node) -> AsyncIterator[None]:
    follower.heads = await node.subscribe("newHeads")
    follower.logs = await node.subscribe("logs", follower.log_filter) if follower.with_logs else None
    try:
        yield
    finally:
        follower.heads.close()
        if follower.logs is not None:
            follower.logs.close()


class _Follower:
    """Our view of the chain, kept over reconnections."""

    def __init__(
        self,
        batches: trio.MemorySendChannel[Batch],
        pools: frozenset[Address] | None,
        with_logs: bool,
        quiet_s: float,
    ) -> None:
        self.batches = batches
        self.with_logs = with_logs
        self.heads: trio.MemoryReceiveChannel[Any] | None = None
        self.logs: trio.MemoryReceiveChannel[Any] | None = None
        self.log_filter: dict[str, Any] = {"topics": [[*POOL_TOPICS, *map(hex0x, LOG_TOPICS)]]}
        if pools is not None and len(pools) <= MAX_FILTERED_ADDRESSES:
            self.log_filter["address"] = sorted(hex0x(pool) for pool in pools)
        self._pools = pools
        self._quiet_s = quiet_s
        self._chain: dict[int, BlockHeader] = {}
        self._early: dict[str, dict[int, PoolEvent]] = {}

    async def follow(self, node: Node) -> None:
        """Pass on every block until a subscription ends."""
        assert self.heads is not None
        await self._advance(node, await _latest(node))
        while True:
            head: Any = None
            with trio.move_on_after(self._quiet_s):
                try:
                    head = await self.heads.receive()
                except trio.EndOfChannel:
                    return
            await self._advance(node, await _latest(node) if head is None else header_of(head))

    async def _advance(self, node: Node, head: BlockHeader) -> None:
        """Tell the blocks that lead from what we told before to ``head``."""
        known = self._chain.get(head.number)
        if known is not None and known.hash == head.hash:
            return
        if self._chain and head.number < min(self._chain):
            # Announced before we began; were it a deep reorganisation, the next head would say so.
            return
        path = [head]
        while self._chain and not self._continues(path[-1]):
            if len(path) == MAX_WALK or path[-1].number <= min(self._chain):
                await self.batches.send((FeedGap(f"more than {len(path)} blocks of the node were missed"),))
                self._chain.clear()
                path = [head]
                break
            parent = await node.call("eth_getBlockByHash", hex0x(path[-1].parent_hash), False)
            path.append(header_of(parent))
        for header in reversed(path):
            await self._tell(node, header)

    def _continues(self, header: BlockHeader) -> bool:
        parent = self._chain.get(header.number - 1)
        return parent is not None and parent.hash == header.parent_hash

    async def _tell(self, node: Node, header: BlockHeader) -> None:
        batch: Batch = (NewHead(header),)
        if self.with_logs:
            closing = Heartbeat(header.number + 1, header.timestamp * 1_000_000_000)
            batch = (*batch, *await self._events(node, header), closing)
        for number in [number for number in self._chain if number >= header.number]:
            del self._chain[number]
        self._chain[header.number] = header
        self._chain.pop(header.number - KEPT_HEADERS, None)
        await self.batches.send(batch)

    async def _events(self, node: Node, header: BlockHeader) -> list[PoolEvent]:
        """Every pool event of one block, in log order."""
        block_hash = hex0x(header.hash)
        proven = await self._proven_logs(node, block_hash)
        self._take_early()
        by_index = self._early.pop(block_hash, {})
        for log in proven:
            self._sort_in(by_index, log)
        while len(self._early) > KEPT_HEADERS:
            self._early.pop(next(iter(self._early)))
        return [event for _, event in sorted(by_index.items())]

    async def _proven_logs(self, node: Node, block_hash: str) -> list[Any]:
        for attempt in range(LOG_ATTEMPTS):
            try:
                logs = await node.call("eth_getLogs", {**self.log_filter, "blockHash": block_hash})
            except RpcError:
                if attempt == LOG_ATTEMPTS - 1:
                    raise
                await trio.sleep(0.05 * 2**attempt)
            else:
                if not isinstance(logs, list):
                    raise NodeError(f"{node.shown_url}: eth_getLogs: expected a list, got {type(logs).__name__}")
                return logs
        raise AssertionError("the last attempt returns or raises")

    def _take_early(self) -> None:
        """What the subscription has delivered so far, without waiting for more."""
        while self.logs is not None:
            try:
                log = self.logs.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel):
                return
            block_hash = log.get("blockHash") if isinstance(log, dict) else None
            if not isinstance(block_hash, str):
                raise NodeError("a log notification without a block hash")
            if log.get("removed"):
                self._early.pop(block_hash, None)
            else:
                self._sort_in(self._early.setdefault(block_hash, {}), log)

    def _sort_in(self, by_index: dict[int, PoolEvent], log: Any) -> None:
        try:
            event = event_of(log, LOG_TOPICS)
        except MalformedLog as problem:
            raise NodeError(f"the node sent a {problem}") from None
        if event is None or (self._pools is not None and event.pool not in self._pools):
            return
        assert event.log_index is not None
        by_index[event.log_index] = event


async def pool_logs(node: Node, block_hash: Hash32, emitters: Collection[Address]) -> tuple[PoolEvent, ...]:
    """The logs of one block by these contracts that some protocol's rules follow, in order.

    Raises:
        NodeError: the node does not answer, or says what is no log.
    """
    wanted: dict[str, Any] = {"topics": [[hex0x(topic) for topic in LOG_TOPICS]], "blockHash": hex0x(block_hash)}
    if len(emitters) <= MAX_FILTERED_ADDRESSES:
        wanted["address"] = sorted(hex0x(emitter) for emitter in emitters)
    logs = await node.call("eth_getLogs", wanted)
    if not isinstance(logs, list):
        raise NodeError(f"{node.shown_url}: eth_getLogs: expected a list, got {type(logs).__name__}")
    try:
        events = [event_of(log, LOG_TOPICS) for log in logs]
    except MalformedLog as problem:
        raise NodeError(f"the node sent a {problem}") from None
    # Without addresses in the filter others' logs come too.
    ours = [one for one in events if isinstance(one, PoolLog) and (one.emitter or one.pool) in emitters]
    return tuple(sorted(ours, key=lambda one: one.log_index or 0))


async def _latest(node: Node) -> BlockHeader:
    return header_of(await node.call("eth_getBlockByNumber", "latest", False))
