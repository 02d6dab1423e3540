"""Factories' logs from nodes that answer only so much, only so often, or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import trio.testing

from flasharb.adapters.node import Node, RpcError, RpcFailure
from flasharb.adapters.pool_discovery import MOST_FAILURES, existing, factory_logs
from flasharb.errors import NodeError
from flasharb.pools.constant_product.creation import pair_created
from flasharb.pools.creation import FactoryLog
from flasharb.pools.protocols import DEPLOYMENTS
from flasharb.pools.register import creators
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address, hex0x

MAINNET = DEPLOYMENTS[1]
FACTORY = MAINNET["uniswap_v2"].factory


@dataclass
class FakeNode:
    """A log in each of the ``busy`` blocks; answers with at most ``most`` logs or ``widest`` blocks."""

    busy: frozenset[int] = frozenset()
    most: int = 10_000
    widest: int = 10**9
    failures: list[NodeError] = field(default_factory=list)
    ranges: list[tuple[int, int]] = field(default_factory=list)
    refused: int = 0
    shown_url: str = "fake"

    async def call(self, method: str, query: dict[str, Any]) -> Any:
        await trio.lowlevel.checkpoint()
        assert method == "eth_getLogs"
        assert hex0x(FACTORY) in query["address"]
        assert hex0x(pair_created(3000).topic) in query["topics"][0]
        if self.failures:
            raise self.failures.pop()
        first, last = int(query["fromBlock"], 16), int(query["toBlock"], 16)
        logs = [one for one in self.busy if first <= one <= last]
        if len(logs) > self.most or last - first + 1 > self.widest:
            self.refused += 1
            raise refusal("query returned more than 10000 results")
        self.ranges.append((first, last))
        return [self._log(one) for one in sorted(logs)]

    def _log(self, number: int) -> dict[str, Any]:
        topics = [hex0x(pair_created(3000).topic), "0x" + "00" * 32, "0x" + "00" * 32]
        return {"address": hex0x(FACTORY), "topics": topics, "data": "0x", "blockNumber": hex(number)}


def refusal(words: str, code: int = -32005) -> RpcError:
    return RpcError(f"fake: {words}", RpcFailure(code, words))


async def scan(node: Any, first: int, last: int, *, patient: bool = True) -> tuple[list[int], list[int]]:
    told: list[int] = []
    ends: list[int] = []

    async def take(end: int, logs: Any) -> None:
        await trio.lowlevel.checkpoint()
        ends.append(end)
        told.extend(log.block_number for log in logs)
        assert all(isinstance(log, FactoryLog) for log in logs)

    await factory_logs(node, creators(1, MAINNET), (first, last), take, patient=patient)
    return told, ends


@pytest.mark.parametrize(("most", "widest"), [(10_000, 10**9), (3, 10**9), (10_000, 100), (1, 1)])
async def test_every_log_is_told_once_whatever_the_node_bears(most: int, widest: int) -> None:
    """The ranges join up without gap or overlap, and the last one ends at the last block."""
    busy = frozenset({0, 1, 2, 3, 10, 77, 78, 79, 80, 500, 2_999})
    node = FakeNode(busy, most, widest)
    told, ends = await scan(node, 0, 3_000)
    assert told == sorted(busy)
    assert node.ranges[0][0] == 0
    assert all(after[0] == before[1] + 1 for before, after in zip(node.ranges, node.ranges[1:], strict=False))
    assert ends == [end for _, end in node.ranges]
    assert ends[-1] == 3_000


async def test_ranges_grow_where_little_happens(autojump_clock: trio.testing.MockClock) -> None:
    node = FakeNode()
    await scan(node, 0, 10**7)
    assert len(node.ranges) < 150
    assert node.refused == 0


async def test_a_node_that_wants_patience_gets_it(autojump_clock: trio.testing.MockClock) -> None:
    """The same range is asked for again, later."""
    node = FakeNode(frozenset({5}))
    node.failures = [refusal("Too Many Requests, slow down", 429), NodeError("fake: eth_getLogs: HTTP status 429")]
    told, _ = await scan(node, 0, 100)
    assert told == [5]
    assert node.ranges == [(0, 100)]
    assert trio.current_time() > 0


async def test_no_answer_is_tried_again_with_less_and_then_given_up(autojump_clock: trio.testing.MockClock) -> None:
    node = FakeNode(frozenset({5}))
    node.failures = [NodeError("no answer within 10 s")] * MOST_FAILURES
    told, ends = await scan(node, 0, 100)
    assert told == [5]
    assert len(ends) > 1
    node.failures = [NodeError("no answer within 10 s")] * (MOST_FAILURES + 1)
    with pytest.raises(NodeError, match="no answer"):
        await scan(node, 0, 100)


async def test_a_single_block_that_is_refused_is_a_failure() -> None:
    with pytest.raises(RpcError, match="more than"):
        await scan(FakeNode(frozenset({3}), most=0), 0, 10)


async def test_who_has_no_patience_still_gets_what_a_node_tells_of_fewer_blocks(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """After an outage a live run asks for more blocks than its node answers at once: it would never catch up else."""
    node = FakeNode(frozenset({5, 90}), widest=10)
    assert (await scan(node, 0, 100, patient=False))[0] == [5, 90]
    for failure in (refusal("Too Many Requests", 429), NodeError("no answer within 10 s")):
        node.failures = [failure]
        with pytest.raises(NodeError, match=str(failure)):
            await scan(node, 0, 100, patient=False)
    assert trio.current_time() == 0


async def nothing(_end: int, _logs: Any) -> None:
    await trio.lowlevel.checkpoint()


async def test_a_chain_without_factories_is_not_asked() -> None:
    node: Any = FakeNode()
    await factory_logs(node, creators(31_337, {}), (0, 10), nothing)
    assert node.ranges == []


class Codes:
    """Code at one address; refuses another."""

    shown_url = "fake"

    async def batch(self, calls: list[tuple[str, Any]]) -> list[Any]:
        await trio.lowlevel.checkpoint()
        answers: dict[str, Any] = {"0x" + "01" * 20: "0x60", "0x" + "03" * 20: RpcFailure(-1, "no")}
        return [answers.get(params[0], "0x") for _, params in calls]


async def test_only_pools_with_code_exist() -> None:
    node: Node = Codes()  # type: ignore[assignment]
    specs = [
        PoolSpec(Address(bytes([n]) * 20), "uniswap_v2", (Address(b"a" * 20), Address(b"b" * 20)), 3000)
        for n in (1, 2, 3)
    ]
    assert await existing(node, specs[:2]) == specs[:1]
    with pytest.raises(NodeError, match="eth_getCode"):
        await existing(node, specs)
