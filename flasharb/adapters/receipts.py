"""A block's receipts from a node: all at once where it offers that, else one by one in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import trio

from flasharb.adapters.chain import read_bytes, read_number
from flasharb.adapters.node import Node, RpcError, RpcFailure
from flasharb.errors import NodeError
from flasharb.simulation.receipts import BlockReceipt
from flasharb.simulation.result import Log
from flasharb.units import Address, Hash32, hex0x

METHOD_NOT_FOUND: Final = -32601


class ReceiptsUnavailable(NodeError):
    """The node gives receipts in no way that is known here; asking again is of no use."""


class Receipts:
    """Asks one node, and remembers which way of asking it knows."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._at_once = True

    async def of_block(self, number: int, block_hash: Hash32) -> tuple[BlockReceipt, ...]:
        """All receipts of a block, in order.

        Raises:
            ReceiptsUnavailable: the node offers neither way.
            NodeError: no answer, or of another block than the one with this hash.
        """
        answers = await self._fetch(number)
        receipts = []
        for answer in answers:
            if not isinstance(answer, dict):
                raise NodeError(f"{self._node.shown_url}: a receipt of block {number} is not there")
            if read_bytes(answer.get("blockHash"), "blockHash of a receipt") != block_hash:
                raise NodeError(f"{self._node.shown_url}: block {number} is not {hex0x(block_hash)} any more")
            receipts.append(receipt_of(answer))
            # A block has hundreds, and others wait for the processor.
            await trio.lowlevel.checkpoint()
        return tuple(receipts)

    async def values(self, transactions: Sequence[Hash32]) -> tuple[int, ...]:
        """The ether that each transaction sends, in wei.

        Raises:
            NodeError: no answer for one of them.
        """
        answers = await self._node.batch([("eth_getTransactionByHash", (hex0x(one),)) for one in transactions])
        values = []
        for tx_hash, answer in zip(transactions, answers, strict=True):
            if not isinstance(answer, dict):
                why = answer if isinstance(answer, RpcFailure) else "not there"
                raise NodeError(f"{self._node.shown_url}: transaction {hex0x(tx_hash)}: {why}")
            values.append(read_number(answer.get("value"), "value of a transaction"))
        return tuple(values)

    async def _fetch(self, number: int) -> list[Any]:
        if self._at_once:
            try:
                answer = await self._node.call("eth_getBlockReceipts", hex(number))
            except RpcError as error:
                if not lacks_method(error.failure):
                    raise
                self._at_once = False
            else:
                if not isinstance(answer, list):
                    raise NodeError(f"{self._node.shown_url}: eth_getBlockReceipts: no receipts of block {number}")
                return answer
        return await self._fetch_each(number)

    async def _fetch_each(self, number: int) -> list[Any]:
        block = await self._node.call("eth_getBlockByNumber", hex(number), False)
        hashes = block.get("transactions") if isinstance(block, dict) else None
        if not isinstance(hashes, list):
            raise NodeError(f"{self._node.shown_url}: eth_getBlockByNumber: no block {number}")
        answers = await self._node.batch([("eth_getTransactionReceipt", (one,)) for one in hashes])
        for answer in answers:
            if isinstance(answer, RpcFailure):
                kind = ReceiptsUnavailable if lacks_method(answer) else NodeError
                raise kind(f"{self._node.shown_url}: eth_getTransactionReceipt: {answer}")
        return answers


def lacks_method(failure: RpcFailure) -> bool:
    """Whether the node says that it does not have the method at all; providers have many words for it."""
    words = failure.message.lower()
    return failure.code == METHOD_NOT_FOUND or (
        "method" in words and any(one in words for one in ("not found", "not exist", "not support", "not available"))
    )


def receipt_of(answer: dict[str, Any]) -> BlockReceipt:
    """A JSON-RPC receipt.

    Raises:
        NodeError: a field is missing or not hex.
    """
    to, logs = answer.get("to"), answer.get("logs")
    if not isinstance(logs, list):
        raise NodeError(f"a receipt without logs: {answer!r:.80}")
    return BlockReceipt(
        tx_hash=Hash32(read_bytes(answer.get("transactionHash"), "transactionHash")),
        index=read_number(answer.get("transactionIndex"), "transactionIndex"),
        sender=_address(answer.get("from"), "sender of a receipt"),
        to=None if to is None else _address(to, "target of a receipt"),
        status=read_number(answer.get("status"), "status"),
        gas_used=read_number(answer.get("gasUsed"), "gasUsed"),
        effective_gas_price=read_number(answer.get("effectiveGasPrice"), "effectiveGasPrice"),
        logs=tuple(_log(log) for log in logs),
    )


def _log(answer: Any) -> Log:
    if not isinstance(answer, dict) or not isinstance(answer.get("topics"), list):
        raise NodeError(f"a receipt's log is none: {answer!r:.80}")
    topics = tuple(Hash32(read_bytes(topic, "topic of a log")) for topic in answer["topics"])
    if any(len(topic) != 32 for topic in topics):
        raise NodeError(f"a topic of a log has not 32 bytes: {answer!r:.80}")
    return Log(_address(answer.get("address"), "address of a log"), topics, read_bytes(answer.get("data"), "log data"))


def _address(text: Any, what: str) -> Address:
    raw = read_bytes(text, what)
    if len(raw) != 20:
        raise NodeError(f"{what}: expected 20 bytes, got {len(raw)}")
    return Address(raw)
