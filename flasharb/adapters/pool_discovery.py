"""Factories' creation logs from a node, in ranges that the node can answer; pools that exist among those that could."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final

import trio

from flasharb.adapters.chain import read_bytes, read_number
from flasharb.adapters.node import Node, RpcError, RpcFailure
from flasharb.adapters.pauses import Pauses
from flasharb.errors import NodeError
from flasharb.pools.creation import FactoryLog
from flasharb.pools.protocols import PROTOCOLS, Deployment
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address, hex0x

FIRST_SPAN: Final = 2_000
"""Blocks of the first request; most providers answer that many."""
LARGEST_SPAN: Final = 100_000
MOST_FAILURES: Final = 6
"""Requests in a row without an answer before the node counts as gone."""
_THROTTLED: Final = ("rate limit", "rate-limit", "too many requests", "throttl", "capacity", "status 429")

Take = Callable[[int, Sequence[FactoryLog]], None]
"""``take(last, logs)``: all logs up to block ``last`` have been told now."""


async def factory_logs(node: Node, deployments: Mapping[str, Deployment], blocks: tuple[int, int], take: Take) -> None:
    """Tell the creation logs of all factories in these blocks (both included), range by range, in order.

    A range that the node finds too large is halved, a node that asks for patience gets it.

    Raises:
        NodeError: no answer even to a single block, or after several attempts; what was told before holds.
    """
    places = {"address": sorted({hex0x(one.factory) for name, one in deployments.items() if PROTOCOLS[name].creation})}
    topics = sorted({hex0x(one.topic) for name in deployments if (one := PROTOCOLS[name].creation) is not None})
    if not topics:
        return
    first, last = blocks
    span, failures, pauses = FIRST_SPAN, 0, Pauses(Random())
    while first <= last:
        end = min(first + span - 1, last)
        try:
            query = {**places, "topics": [topics], "fromBlock": hex(first), "toBlock": hex(end)}
            answer = await node.call("eth_getLogs", query)
        except NodeError as error:
            failures += 1
            patience = throttled(error) or not isinstance(error, RpcError)
            hopeless = failures > MOST_FAILURES if patience else end == first
            if hopeless:
                raise
            if patience:
                await trio.sleep(pauses.next())
            if not throttled(error):
                # An answer that does not come may be too large as well.
                span = max(1, (end - first + 1) // 2)
            continue
        take(end, [_factory_log(one) for one in _listed(answer) if not one.get("removed")])
        failures = 0
        pauses.reset()
        first, span = end + 1, min(span + span // 4 + 1, LARGEST_SPAN)


def throttled(error: NodeError) -> bool:
    """Whether the node wants fewer requests, not smaller ones."""
    words = str(error).lower()
    return any(one in words for one in _THROTTLED)


async def existing(node: Node, specs: Sequence[PoolSpec]) -> list[PoolSpec]:
    """Those that have code now.

    Raises:
        NodeError: no answer for one of them.
    """
    answers = await node.batch([("eth_getCode", (hex0x(spec.address), "latest")) for spec in specs])
    found = []
    for spec, answer in zip(specs, answers, strict=True):
        if isinstance(answer, RpcFailure):
            raise NodeError(f"{node.shown_url}: eth_getCode {hex0x(spec.address)}: {answer}")
        if read_bytes(answer, "eth_getCode"):
            found.append(spec)
    return found


def _listed(answer: Any) -> list[dict[str, Any]]:
    if not isinstance(answer, list) or not all(isinstance(one, dict) for one in answer):
        raise NodeError(f"eth_getLogs: expected a list of logs, got {answer!r:.80}")
    return answer


def _factory_log(answer: dict[str, Any]) -> FactoryLog:
    topics = answer.get("topics")
    if not isinstance(topics, list):
        raise NodeError(f"eth_getLogs: a log without topics: {answer!r:.80}")
    return FactoryLog(
        Address(read_bytes(answer.get("address"), "address of a log")),
        tuple(read_bytes(topic, "topic of a log") for topic in topics),
        read_bytes(answer.get("data"), "data of a log"),
        read_number(answer.get("blockNumber"), "blockNumber of a log"),
    )
