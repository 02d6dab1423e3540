"""State, transactions and headers of a block, asked of a node.

Everything is asked at one block number, so that the answers belong together. What the node refuses is a
``StateUnavailable`` that says what and why: unknown state is never taken as zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flasharb.adapters.node import Node, RpcFailure
from flasharb.errors import NodeError, StateUnavailable, UsageError
from flasharb.evm import AccountInfo, BlockContext, Fork, MissingState, fork_at
from flasharb.evm.forks import FORK_TABLE
from flasharb.evm.source import EMPTY_CODE_HASH
from flasharb.simulation.discovery import Lockstep, named_by
from flasharb.simulation.fork_state import Supplied
from flasharb.simulation.recorded import Withdrawal, context_of, fork_of_header
from flasharb.simulation.result import Simulation
from flasharb.simulation.simulate import Run
from flasharb.units import Address, Hash32, hex0x

MAX_ROUNDS: Final = 2_000
"""Fetches for one simulation; more than any block needs, so that a node that lies cannot keep us busy for ever."""

_ACCOUNT_METHODS: Final = ("eth_getBalance", "eth_getTransactionCount", "eth_getCode")


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


async def fetch_missing(node: Node, missing: MissingState, block: int, state: Supplied) -> None:
    """Ask for what is missing at the end of block ``block`` and supply it to ``state``.

    Raises:
        StateUnavailable: the node refuses some of it.
        NodeError: the node does not answer.
    """
    refused = await fetch_available(node, missing, block, state)
    if refused is not None:
        raise refused.error


@dataclass(frozen=True, slots=True)
class Refused:
    """What a node would not tell, and the error to raise for it."""

    missing: MissingState
    error: StateUnavailable


async def fetch_available(node: Node, missing: MissingState, block: int, state: Supplied) -> Refused | None:
    """Like ``fetch_missing``, but what the node refuses is returned, and the rest supplied.

    Raises:
        NodeError: the node does not answer.
    """
    tag = hex(block)
    accounts = sorted(missing.accounts | missing.codes)
    slots, numbers = sorted(missing.slots), sorted(missing.block_numbers)
    calls: list[tuple[str, Sequence[Any]]] = [
        (method, (hex0x(address), tag)) for address in accounts for method in _ACCOUNT_METHODS
    ]
    calls += [("eth_getStorageAt", (hex0x(address), f"{slot:#066x}", tag)) for address, slot in slots]
    calls += [("eth_getBlockByNumber", (hex(number), False)) for number in numbers]
    answers = await node.batch(calls)
    refused = MissingState()
    for index, address in enumerate(accounts):
        told = answers[3 * index : 3 * index + 3]
        if any(isinstance(one, RpcFailure) for one in told):
            refused |= MissingState(accounts=(address,), codes=(address,))
        else:
            supply_account(state, address, _number(told[0]), _number(told[1]), _bytes(told[2]))
    rest = answers[3 * len(accounts) :]
    for (address, slot), value in zip(slots, rest, strict=False):
        if isinstance(value, RpcFailure):
            refused |= MissingState(slots=((address, slot),))
        else:
            state.supply_slot(address, slot, _number(value))
    for number, header in zip(numbers, rest[len(slots) :], strict=True):
        if isinstance(header, dict):
            state.supply_block_hash(number, _bytes(header.get("hash")))
        else:
            refused |= MissingState(block_numbers=(number,))
    if not (refused.accounts or refused.slots or refused.block_numbers):
        return None
    return Refused(refused, _unavailable(node, calls, answers, block))


def supply_account(state: Supplied, address: bytes, balance: int, nonce: int, code: bytes) -> None:
    """An account as JSON-RPC shows it: one that has nothing at all does not exist (EIP-161)."""
    code_hash = state.supply_code(code)
    empty = not balance and not nonce and code_hash == EMPTY_CODE_HASH
    state.supply_account(address, None if empty else AccountInfo(nonce, balance, code_hash))


def _unavailable(
    node: Node, calls: Sequence[tuple[str, Sequence[Any]]], answers: Sequence[Any], block: int
) -> StateUnavailable:
    refused = [
        (call, answer)
        for call, answer in zip(calls, answers, strict=True)
        if isinstance(answer, RpcFailure) or answer is None
    ]
    (method, params), failure = refused[0]
    others = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
    what = " ".join(map(str, params[:-1]))
    reason = "is not there" if failure is None else failure
    return StateUnavailable(f"{node.shown_url}: {method} {what} at block {block}: {reason}{others}")


def _number(value: Any) -> int:
    try:
        if isinstance(value, str) and value.startswith("0x"):
            return int(value, 16)
    except ValueError:
        pass
    raise NodeError(f"the node answered {value!r:.60} where a 0x number belongs")


def _bytes(value: Any) -> bytes:
    try:
        if isinstance(value, str) and value.startswith("0x"):
            return bytes.fromhex(value[2:])
    except ValueError:
        pass
    raise NodeError(f"the node answered {value!r:.60} where 0x bytes belong")


async def fetch_block(node: Node, number: int, first: int | None = None) -> NodeBlock:
    """A block with its raw transactions; with ``first``, only so many of them.

    Raises:
        StateUnavailable: the node does not have it, or does not give raw transactions.
        NodeError: the node does not answer.
    """
    chain_id = _number(await node.call("eth_chainId"))
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
        _header(document),
        tuple(_bytes(raw) for raw in raws),
        None if withdrawals is None else tuple(map(_withdrawal, withdrawals)),
    )


async def fetch_header(node: Node, number: int) -> Mapping[str, str] | None:
    """The header of a block; None when the node does not have it."""
    document = await node.call("eth_getBlockByNumber", hex(number), False)
    return _header(document) if isinstance(document, dict) else None


_NOT_OF_THE_HEADER: Final = frozenset({"size", "totalDifficulty"})


def _header(document: Mapping[str, Any]) -> Mapping[str, str]:
    return {
        key: value.lower()
        for key, value in document.items()
        if isinstance(value, str) and key not in _NOT_OF_THE_HEADER
    }


def _withdrawal(document: Mapping[str, Any]) -> Withdrawal:
    return Withdrawal(
        _number(document.get("index")),
        _number(document.get("validatorIndex")),
        Address(_bytes(document.get("address"))),
        _number(document.get("amount")),
    )


async def locate(node: Node, tx_hash: Hash32) -> tuple[int, int] | None:
    """(block number, index) of a mined transaction; None when the node does not know it or it is pending."""
    document = await node.call("eth_getTransactionByHash", hex0x(tx_hash))
    if not isinstance(document, dict) or document.get("blockNumber") is None:
        return None
    return _number(document["blockNumber"]), _number(document.get("transactionIndex"))


async def prefetch(node: Node, run: Lockstep, named: MissingState, block: int, state: Supplied) -> None:
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
        answer = await fetch_available(node, missing, block, state)
        if answer is not None:
            refused = answer.missing if refused is None else refused | answer.missing
        missing = run.step(refused)


async def simulate_on_node(node: Node, run: Run, block: int, state: Supplied) -> Simulation:
    """Run a simulation to its end, fetching what it lacks at the end of block ``block``.

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
            await fetch_missing(node, answer, block, state)
        except StateUnavailable:
            if not run.measure_all:
                raise
            run.measure_all = False
    raise StateUnavailable(f"{node.shown_url}: still something missing after {MAX_ROUNDS} fetches")


__all__ = [
    "NodeBlock",
    "fetch_available",
    "fetch_block",
    "fetch_header",
    "fetch_missing",
    "locate",
    "named_by",
    "prefetch",
    "simulate_on_node",
    "supply_account",
]
