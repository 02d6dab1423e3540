"""A block's receipts from nodes that offer them at once, one by one, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from flasharb.adapters.node import open_node
from flasharb.adapters.receipts import Receipts, ReceiptsUnavailable
from flasharb.errors import NodeError
from flasharb.units import hex0x
from tests.service.test_node import http_server, jsonrpc, result
from tests.support.arbitrage_receipts import as_json, cycle, receipt
from tests.support.service_fakes import block_hash

BLOCK = (receipt(0, cycle(5, 7)), receipt(1, (), to=None, status=0))
HASH = block_hash(9)


class FakeNode:
    """Block 9, told by the methods it has."""

    def __init__(self, *methods: str) -> None:
        self.methods = methods
        self.asked: list[str] = []
        self.receipts: list[Any] = [as_json(one, HASH) for one in BLOCK]
        self.refusal: dict[str, Any] = {"code": -32601, "message": "the method does not exist/is not available"}

    def answer(self, request: Any) -> Any:
        if isinstance(request, list):
            return [self.answer(one) for one in request]
        method, params = request["method"], request["params"]
        self.asked.append(method)
        if method not in self.methods:
            return {"jsonrpc": "2.0", "id": request["id"], "error": self.refusal}
        if method == "eth_getBlockReceipts":
            return result(request, self.receipts)
        if method == "eth_getBlockByNumber":
            return result(request, {"transactions": [hex0x(one.tx_hash) for one in BLOCK]})
        if method == "eth_getTransactionByHash":
            return result(request, {"value": "0x11"} if params[0] == hex0x(BLOCK[0].tx_hash) else None)
        (found,) = [one for one in self.receipts if one["transactionHash"] == params[0]]
        return result(request, found)


ONE_BY_ONE = ("eth_getBlockByNumber", "eth_getTransactionReceipt")


async def test_all_at_once_where_the_node_offers_it() -> None:
    node = FakeNode("eth_getBlockReceipts")
    async with http_server(jsonrpc(node.answer)) as url, open_node(url) as line:
        assert await Receipts(line).of_block(9, HASH) == BLOCK
    assert node.asked == ["eth_getBlockReceipts"]


@pytest.mark.parametrize(
    "refusal",
    [
        {"code": -32601, "message": "the method eth_getBlockReceipts does not exist/is not available"},
        {"code": -32000, "message": "Method not supported"},
        {"code": -32600, "message": "method not found on this plan"},
    ],
)
async def test_one_by_one_elsewhere_and_the_node_is_asked_only_once(refusal: dict[str, Any]) -> None:
    node = FakeNode(*ONE_BY_ONE)
    node.refusal = refusal
    async with http_server(jsonrpc(node.answer)) as url, open_node(url) as line:
        receipts = Receipts(line)
        assert await receipts.of_block(9, HASH) == BLOCK
        assert await receipts.of_block(9, HASH) == BLOCK
    assert node.asked.count("eth_getBlockReceipts") == 1


async def test_neither_way_is_a_failure_of_its_own() -> None:
    node = FakeNode("eth_getBlockByNumber")
    async with http_server(jsonrpc(node.answer)) as url, open_node(url) as line:
        with pytest.raises(ReceiptsUnavailable, match="eth_getTransactionReceipt"):
            await Receipts(line).of_block(9, HASH)


async def test_a_refusal_for_another_reason_is_not_taken_for_good() -> None:
    """A node that is busy offers the method all the same."""
    node = FakeNode()
    node.refusal = {"code": -32005, "message": "rate limit exceeded"}
    async with http_server(jsonrpc(node.answer)) as url, open_node(url) as line:
        receipts = Receipts(line)
        with pytest.raises(NodeError, match="rate limit") as caught:
            await receipts.of_block(9, HASH)
        assert not isinstance(caught.value, ReceiptsUnavailable)
        node.methods = ("eth_getBlockReceipts",)
        assert await receipts.of_block(9, HASH) == BLOCK


async def test_receipts_of_another_block_are_refused() -> None:
    """The head was reorganised between the header and the receipts."""
    node = FakeNode("eth_getBlockReceipts")
    async with http_server(jsonrpc(node.answer)) as url, open_node(url) as line:
        with pytest.raises(NodeError, match=r"is not 0x.* any more"):
            await Receipts(line).of_block(9, block_hash(9, "other"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("logs", None),
        ("from", "0x12"),
        ("transactionIndex", "first"),
        ("logs", [{"address": hex0x(bytes(20)), "topics": ["0x12"], "data": "0x"}]),
        ("logs", [{"address": hex0x(bytes(20)), "topics": None, "data": "0x"}]),
    ],
)
async def test_a_damaged_receipt_is_a_failure_of_the_node(key: str, value: Any) -> None:
    node = FakeNode("eth_getBlockReceipts")
    node.receipts[0] |= {key: value}
    async with http_server(jsonrpc(node.answer)) as url, open_node(url) as line:
        with pytest.raises(NodeError):
            await Receipts(line).of_block(9, HASH)


async def test_values_of_transactions_are_told_or_refused() -> None:
    node = FakeNode("eth_getTransactionByHash")
    async with http_server(jsonrpc(node.answer)) as url, open_node(url) as line:
        receipts = Receipts(line)
        assert await receipts.values((BLOCK[0].tx_hash,)) == (0x11,)
        with pytest.raises(NodeError, match="not there"):
            await receipts.values((BLOCK[1].tx_hash,))
