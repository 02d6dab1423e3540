"""Transactions and headers of a block, asked of a node, and simulations run to their end on its state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flasharb.adapters.node import Node, RpcFailure
from flasharb.adapters.readers import StateReader, read_bytes, read_number
from flasharb.errors import StateUnavailable, UsageError
from flasharb.evm import BlockContext, Fork, MissingState, fork_at
from flasharb.evm.forks import FORK_TABLE
from flasharb.simulation.discovery import Lockstep
from flasharb.simulation.fork_state import Supplied
from flasharb.simulation.recorded import Withdrawal, context_of, fork_of_header
from flasharb.simulation.result import Simulation
from flasharb.simulation.simulate import Run
from flasharb.units import Address, Hash32, hex0x

MAX_ROUNDS: Final = 2_000
"""Fetches for one simulation; more than any block needs, so that a node that lies cannot keep us busy for ever."""


@dataclass(frozen=True, slots=True)
class NodeBlock:
    """A block as a node gives it, with the raw bytes of its transactions."""

    chain_id: int
    header: Mapping[str, str]
    transactions: tuple[bytes, ...]
    withdrawals: tuple[Withdrawal, ...] | None

    @property
    def number(self) -> int:
        """The block number."""
        return int(self.header["number"], 16)

    @property
    def context(self) -> BlockContext:
        """What the block's transactions can ask about it."""
        return context_of(self.header, self.chain_id)

    @property
    def fork(self) -> Fork:
        """The block's rules: by the schedule of its chain, for other chains by the fields of the header.

        Raises:
            UsageError: rules that are not supported.
        """
        return self.rules(self.number, self.context.timestamp)

    def rules(self, number: int, timestamp: int) -> Fork:
        """The rules of this block, or of one that follows it at ``timestamp``.

        Raises:
            UsageError: rules that are not supported.
        """
        by_fields = fork_of_header(self.header)
        if self.chain_id not in FORK_TABLE:
            return by_fields
        try:
            return fork_at(self.chain_id, number, timestamp)
        except ValueError as error:
            raise UsageError(str(error)) from None


async def fetch_block(node: Node, number: int, first: int | None = None) -> NodeBlock:
    """A block with its raw transactions; with ``first``, only so many of them.

    Raises:
        StateUnavailable: the node does not have it, or does not give raw transactions.
        NodeError: the node does not answer.
    """
    chain_id = read_number(await node.call("eth_chainId"))
    document = await node.call("eth_getBlockByNumber", hex(number), False)
    if not isinstance(document, dict):
        raise StateUnavailable(f"{node.shown_url}: block {number} is not there")
    hashes = (document.get("transactions") or [])[:first]
    calls = [("eth_getRawTransactionByHash", (tx_hash,)) for tx_hash in hashes]
    raws = await node.batch(calls) if calls else []
    for tx_hash, raw in zip(hashes, raws, strict=True):
        if isinstance(raw, RpcFailure) or not isinstance(raw, str):
            reason = raw if isinstance(raw, RpcFailure) else "it is not there"
            raise StateUnavailable(f"{node.shown_url}: raw transaction {tx_hash}: {reason}")
    withdrawals = document.get("withdrawals")
    return NodeBlock(
        chain_id,
        header_of(document),
        tuple(read_bytes(raw) for raw in raws),
        None if withdrawals is None else tuple(map(_withdrawal, withdrawals)),
    )


async def fetch_header(node: Node, number: int) -> Mapping[str, str] | None:
    """The header of a block; None when the node does not have it."""
    document = await node.call("eth_getBlockByNumber", hex(number), False)
    return header_of(document) if isinstance(document, dict) else None


_NOT_OF_THE_HEADER: Final = frozenset({"size", "totalDifficulty"})


def header_of(document: Mapping[str, Any]) -> Mapping[str, str]:
    """The fields of a JSON-RPC block that belong to its header."""
    return {
        key: value.lower()
        for key, value in document.items()
        if isinstance(value, str) and key not in _NOT_OF_THE_HEADER
    }


def _withdrawal(document: Mapping[str, Any]) -> Withdrawal:
    return Withdrawal(
        read_number(document.get("index")),
        read_number(document.get("validatorIndex")),
        Address(read_bytes(document.get("address"))),
        read_number(document.get("amount")),
    )


async def locate(node: Node, tx_hash: Hash32) -> tuple[int, int] | None:
    """(block number, index) of a mined transaction; None when the node does not know it or it is pending."""
    document = await node.call("eth_getTransactionByHash", hex0x(tx_hash))
    if not isinstance(document, dict) or document.get("blockNumber") is None:
        return None
    return read_number(document["blockNumber"]), read_number(document.get("transactionIndex"))


async def prefetch(reader: StateReader, run: Lockstep, named: MissingState, state: Supplied) -> None:
    """Fetch in few batches what a list of transactions will need: what they name, then in lockstep.

    What the node refuses is left for the execution to ask again, if it needs it at all.

    Raises:
        NodeError: the node does not answer.
    """
    refused: MissingState | None = None
    missing: MissingState | None = named
    for _ in range(MAX_ROUNDS):
        if missing is None:
            return
        answer = await reader.fetch_available(missing, state)
        if answer is not None:
            refused = answer.missing if refused is None else refused | answer.missing
        missing = run.step(refused)


async def simulate_on_node(reader: StateReader, run: Run, state: Supplied) -> Simulation:
    """Run a simulation to its end, fetching what it lacks.

    Balances that only transfer events asked for, and that the node refuses to tell, are left unmeasured.

    Raises:
        StateUnavailable: the node refuses state that the transactions need.
        NodeError: the node does not answer.
    """
    run.measure_all = True
    for _ in range(MAX_ROUNDS):
        answer = run.step()
        if isinstance(answer, Simulation):
            return answer
        try:
            await reader.fetch(answer, state)
        except StateUnavailable:
            if not run.measure_all:
                raise
            run.measure_all = False
    raise StateUnavailable(f"{reader.node.shown_url}: still something missing after {MAX_ROUNDS} fetches")
