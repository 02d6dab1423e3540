"""What the service asks a node about the chain, in our own types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flasharb.adapters.node import Node, RpcFailure
from flasharb.errors import NodeError
from flasharb.execution.inclusion import Receipt
from flasharb.feed.events import BlockHeader
from flasharb.simulation.recorded import refuse_later_rules
from flasharb.units import Address, Hash32, checksum, hex0x

BALANCE_OF: Final = bytes.fromhex("70a08231")
DECIMALS: Final = bytes.fromhex("313ce567")
LATEST_ROUND: Final = bytes.fromhex("feaf968c")


@dataclass(frozen=True, slots=True)
class Account:
    """What an address holds: ETH in wei and each token in its smallest unit."""

    wei: int
    tokens: Mapping[Address, int]


@dataclass(frozen=True, slots=True)
class Landing:
    """The node's word on our transactions at one head. ``nonce`` is the account's there."""

    head: int
    nonce: int
    receipts: tuple[Receipt | None, ...]


async def chain_id(node: Node) -> int:
    """The chain that the node serves."""
    return read_number(await node.call("eth_chainId"), "eth_chainId")


async def genesis_hash(node: Node) -> Hash32:
    """The hash of block 0.

    Raises:
        NodeError: the node does not have it.
    """
    block = await node.call("eth_getBlockByNumber", "0x0", False)
    if not isinstance(block, dict):
        raise NodeError("the node has no block 0: its chain cannot be told")
    return Hash32(read_bytes(block.get("hash"), "hash of block 0"))


async def send_publicly(node: Node, raw: bytes) -> None:
    """Hand a signed transaction to the node for the public mempool.

    Raises:
        NodeError: the node did not take it.
    """
    await node.call("eth_sendRawTransaction", hex0x(raw))


async def head_number(node: Node) -> int:
    """The number of the newest block."""
    return read_number(await node.call("eth_blockNumber"), "eth_blockNumber")


async def header(node: Node, number: int | None = None) -> BlockHeader | None:
    """The header of a block (None: the newest), or None where the node does not have it yet."""
    block = await node.call("eth_getBlockByNumber", "latest" if number is None else hex(number), False)
    return None if block is None else header_of(block)


def header_of(block: Any) -> BlockHeader:
    """A JSON-RPC block as a header.

    Raises:
        NodeError: a field is missing or not hex (a chain before London has no base fee).
        UsageError: the block was made by rules of a fork that is not supported.
    """
    if not isinstance(block, dict):
        raise NodeError(f"eth_getBlockByNumber: expected a block, got {type(block).__name__}")
    refuse_later_rules(block)
    return BlockHeader(
        number=read_number(block.get("number"), "block number"),
        hash=Hash32(read_bytes(block.get("hash"), "block hash")),
        parent_hash=Hash32(read_bytes(block.get("parentHash"), "parentHash")),
        timestamp=read_number(block.get("timestamp"), "timestamp"),
        base_fee_per_gas=read_number(block.get("baseFeePerGas"), "baseFeePerGas"),
        gas_used=read_number(block.get("gasUsed"), "gasUsed"),
        gas_limit=read_number(block.get("gasLimit"), "gasLimit"),
        coinbase=Address(read_bytes(block.get("miner"), "miner")),
        blob_gas_used=read_number(block.get("blobGasUsed", "0x0"), "blobGasUsed"),
        excess_blob_gas=read_number(block.get("excessBlobGas", "0x0"), "excessBlobGas"),
    )


async def confirmed_nonce(node: Node, account: Address, block_hash: Hash32) -> int:
    """The nonce of an account at the end of the block with this hash (never ``pending``)."""
    answer = await node.call("eth_getTransactionCount", hex0x(account), {"blockHash": hex0x(block_hash)})
    return read_number(answer, "eth_getTransactionCount")


async def landing(node: Node, account: Address, transactions: Sequence[Hash32]) -> Landing:
    """Head, nonce and receipts in one request."""
    calls: list[tuple[str, Sequence[Any]]] = [
        ("eth_blockNumber", ()),
        ("eth_getTransactionCount", (hex0x(account), "latest")),
        *(("eth_getTransactionReceipt", (hex0x(one),)) for one in transactions),
    ]
    answers = await _all(node, calls)
    head, nonce = read_number(answers[0], "eth_blockNumber"), read_number(answers[1], "eth_getTransactionCount")
    return Landing(head, nonce, tuple(None if one is None else _receipt(one) for one in answers[2:]))


async def holdings(node: Node, accounts: Mapping[Address, Iterable[Address]], number: int) -> dict[Address, Account]:
    """What accounts hold at the end of block ``number``: ETH, and the tokens named for each."""
    wanted = {account: tuple(tokens) for account, tokens in accounts.items()}
    calls: list[tuple[str, Sequence[Any]]] = []
    for account, tokens in wanted.items():
        calls.append(("eth_getBalance", (hex0x(account), hex(number))))
        for token in tokens:
            data = BALANCE_OF + account.rjust(32, b"\0")
            calls.append(("eth_call", ({"to": hex0x(token), "data": hex0x(data)}, hex(number))))
    answers = iter(await _all(node, calls))
    held: dict[Address, Account] = {}
    for account, tokens in wanted.items():
        wei = read_number(next(answers), "eth_getBalance")
        held[account] = Account(wei, {token: _word(next(answers), "balanceOf") for token in tokens})
    return held


async def code(node: Node, address: Address) -> bytes:
    """The code at an address now; empty where there is none."""
    return read_bytes(await node.call("eth_getCode", hex0x(address), "latest"), "eth_getCode")


async def accessed(
    node: Node, sender: Address, to: Address, data: bytes, number: int
) -> tuple[frozenset[Address], frozenset[tuple[Address, int]]]:
    """The accounts and slots that a call on the state of block ``number`` uses (``eth_createAccessList``).

    Raises:
        RpcError: the node does not offer this, or refuses the call.
    """
    request = {"from": hex0x(sender), "to": hex0x(to), "data": hex0x(data)}
    answer = await node.call("eth_createAccessList", request, hex(number))
    entries = answer.get("accessList") if isinstance(answer, dict) else None
    if not isinstance(entries, list):
        raise NodeError(f"eth_createAccessList: expected an access list, got {answer!r:.80}")
    accounts: set[Address] = set()
    slots: set[tuple[Address, int]] = set()
    for entry in entries:
        account = Address(read_bytes(entry.get("address"), "address of an access list"))
        accounts.add(account)
        slots.update((account, read_number(slot, "slot of an access list")) for slot in entry.get("storageKeys") or ())
    return frozenset(accounts), frozenset(slots)


async def feed_answer(node: Node, feed: Address, number: int) -> tuple[int, int]:
    """A Chainlink feed's latest answer at the end of block ``number``, and its decimals.

    Raises:
        NodeError: there is no such feed.
    """
    calls: list[tuple[str, Sequence[Any]]] = [
        ("eth_call", ({"to": hex0x(feed), "data": hex0x(data)}, hex(number))) for data in (LATEST_ROUND, DECIMALS)
    ]
    answers = await _all(node, calls)
    round_data = read_bytes(answers[0], "latestRoundData()")
    if len(round_data) != 160:
        raise NodeError(f"{checksum(feed)} is no Chainlink feed: latestRoundData() gave {len(round_data)} bytes")
    return int.from_bytes(round_data[32:64], "big", signed=True), _word(answers[1], "decimals()")


async def _all(node: Node, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
    answers = await node.batch(calls)
    for (method, _), answer in zip(calls, answers, strict=True):
        if isinstance(answer, RpcFailure):
            raise NodeError(f"{method}: {answer}")
    return list(answers)


def _receipt(answer: Any) -> Receipt:
    if not isinstance(answer, dict):
        raise NodeError("eth_getTransactionReceipt: expected a receipt")
    return Receipt(
        tx_hash=Hash32(read_bytes(answer.get("transactionHash"), "transactionHash")),
        block_number=read_number(answer.get("blockNumber"), "blockNumber"),
        block_hash=Hash32(read_bytes(answer.get("blockHash"), "blockHash")),
        status=read_number(answer.get("status"), "status"),
        gas_used=read_number(answer.get("gasUsed"), "gasUsed"),
        effective_gas_price=read_number(answer.get("effectiveGasPrice"), "effectiveGasPrice"),
    )


def read_number(text: Any, what: str) -> int:
    """A JSON-RPC quantity; ``what`` names it where it is none."""
    try:
        return int(text, 16)
    except (TypeError, ValueError):
        raise NodeError(f"{what}: expected a hex number, got {text!r:.80}") from None


def _word(text: Any, what: str) -> int:
    raw = read_bytes(text, what)
    if len(raw) != 32:
        raise NodeError(f"{what}: expected 32 bytes, got {len(raw)}")
    return int.from_bytes(raw, "big")


def read_bytes(text: Any, what: str) -> bytes:
    """JSON-RPC data; ``what`` names it where it is none."""
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except (AttributeError, ValueError):
        raise NodeError(f"{what}: expected hex bytes, got {text!r:.80}") from None
