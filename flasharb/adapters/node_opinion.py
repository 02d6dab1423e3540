"""The configured node as a second opinion: it runs the transaction on its own state, in the same block.

``eth_simulateV1`` tells success, output, logs and, asked with ``traceTransfers``, every movement of ETH; balances of
tokens are asked in the same simulated block before and after. A node without it is asked by ``eth_call``, which tells
success and output only (FlashArb reverts unless its profit is there, so success says most of it).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from flasharb.adapters.node import Node, RpcFailure
from flasharb.adapters.readers import read_bytes, read_number
from flasharb.errors import NodeError
from flasharb.evm import UnsignedTransaction
from flasharb.evm.transactions import Transaction
from flasharb.simulation.measure import BALANCE_GAS, BALANCE_OF, Pair
from flasharb.simulation.opinion import Case, Opinion, Unable, transaction_of, without_zeros
from flasharb.simulation.result import Log
from flasharb.units import Address, Hash32, hex0x

UNKNOWN_METHOD: Final = frozenset({-32601, -32600})
_ETH: Final = Address(b"\xee" * 20)
"""Under this address ``traceTransfers`` shows movements of ETH as if they were transfers of a token."""
_REVERT_CODES: Final = frozenset({3, -32000, -32003, -32015})


async def node_opinion(node: Node, parent: Hash32, case: Case) -> Opinion | Unable:
    """What the node says that the transaction does on top of block ``parent``.

    Raises:
        NodeError: the node does not answer.
    """
    tx = transaction_of(case.transaction)
    if isinstance(tx, Transaction) and tx.type_id in (3, 4):
        return Unable(node.shown_url, f"transactions of type {tx.type_id} are not compared")
    questions = [_balance_call(pair) for pair in case.pairs]
    earlier = [_call(transaction_of(raw)) for raw in case.earlier]
    simulated = {
        "blockOverrides": _overrides(case),
        "calls": [*earlier, *questions, _call(tx), *questions],
    }
    request = {"blockStateCalls": [simulated], "traceTransfers": True, "validation": False}
    (answer,) = await node.batch([("eth_simulateV1", (request, hex0x(parent)))])
    if isinstance(answer, RpcFailure):
        if answer.code in UNKNOWN_METHOD:
            return await _by_call(node, parent, case)
        return Unable(node.shown_url, f"eth_simulateV1: {answer}")
    try:
        results = answer[0]["calls"][len(earlier) :]
        before, result, after = results[: len(questions)], results[len(questions)], results[len(questions) + 1 :]
        return _opinion(node.shown_url, case, before, result, after)
    except (LookupError, TypeError, AttributeError):
        raise NodeError(f"{node.shown_url}: eth_simulateV1: not a simulated block: {answer!r:.80}") from None


def _overrides(case: Case) -> dict[str, str]:
    context = case.context
    return {
        "number": hex(context.number),
        "time": hex(context.timestamp),
        "gasLimit": hex(context.gas_limit),
        "feeRecipient": hex0x(context.coinbase),
        "prevRandao": hex0x(context.prev_randao),
        "baseFeePerGas": hex(context.base_fee_per_gas),
    }


def _call(tx: Transaction | UnsignedTransaction) -> dict[str, Any]:
    call: dict[str, Any] = {
        "from": hex0x(tx.sender),
        "input": hex0x(tx.data),
        "value": hex(tx.value),
        "gas": hex(tx.gas if isinstance(tx, Transaction) else tx.gas_limit),
        "maxFeePerGas": hex(tx.max_fee_per_gas),
        "maxPriorityFeePerGas": hex(tx.max_priority_fee_per_gas),
    }
    if tx.to:
        call["to"] = hex0x(tx.to)
    if tx.access_list:
        call["accessList"] = [
            {"address": hex0x(address), "storageKeys": [f"{slot:#066x}" for slot in slots]}
            for address, slots in tx.access_list
        ]
    return call


def _balance_call(pair: Pair) -> dict[str, str]:
    account, token = pair
    return {"to": hex0x(token), "input": hex0x(BALANCE_OF + bytes(12) + account), "gas": hex(BALANCE_GAS)}


def _opinion(engine: str, case: Case, before: list[Any], result: Mapping[str, Any], after: list[Any]) -> Opinion:
    status = read_number(result["status"])
    logs = list(_logs(result.get("logs") or ()))
    changes: dict[Address, dict[Address | None, int]] = {}
    for log in logs:
        if log.address == _ETH:
            wei = int.from_bytes(log.data, "big")
            for topic, sign in ((log.topics[1], -1), (log.topics[2], 1)):
                held = changes.setdefault(Address(topic[12:]), {})
                held[None] = held.get(None, 0) + sign * wei
    for (account, token), one, other in zip(case.pairs, before, after, strict=True):
        held_before, held_after = _balance(one), _balance(other)
        if held_before is not None and held_after is not None:
            changes.setdefault(account, {})[token] = held_after - held_before
    return Opinion(
        engine=engine,
        status=status,
        output=_output(result),
        logs=tuple(log for log in logs if log.address != _ETH) if status else (),
        changes=without_zeros(changes),
    )


def _output(result: Mapping[str, Any]) -> bytes:
    """Return data; nodes put what a revert returned there or into the error."""
    output = read_bytes(result.get("returnData") or "0x")
    error = result.get("error")
    if not output and isinstance(error, dict) and isinstance(error.get("data"), str):
        return read_bytes(error["data"])
    return output


def _balance(result: Mapping[str, Any]) -> int | None:
    output = read_bytes(result.get("returnData") or "0x")
    return int.from_bytes(output[:32], "big") if read_number(result["status"]) and len(output) >= 32 else None


def _logs(logs: Any) -> Iterator[Log]:
    for log in logs:
        topics = tuple(Hash32(read_bytes(topic)) for topic in log["topics"])
        yield Log(Address(read_bytes(log["address"])), topics, read_bytes(log["data"]))


async def _by_call(node: Node, parent: Hash32, case: Case) -> Opinion | Unable:
    if case.earlier:
        return Unable(node.shown_url, "without eth_simulateV1 it cannot run the earlier transactions of the block")
    call = {key: value for key, value in _call(transaction_of(case.transaction)).items() if not key.startswith("max")}
    (answer,) = await node.batch([("eth_call", (call, {"blockHash": hex0x(parent)}))])
    if not isinstance(answer, RpcFailure):
        return Opinion(node.shown_url, 1, read_bytes(answer), None, None)
    if answer.code in _REVERT_CODES:
        output = read_bytes(answer.data) if isinstance(answer.data, str) else b""
        return Opinion(node.shown_url, 0, output, None, None)
    return Unable(node.shown_url, f"eth_call: {answer}")
