"""State at the end of one block, asked of a node: what a simulation lacks goes out in one batch.

Everything is asked at one block, so that the answers belong together. What the node refuses is a
``StateUnavailable`` that says what and why: unknown state is never taken as zero.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flasharb.adapters.node import Node, RpcFailure
from flasharb.errors import NodeError, StateUnavailable
from flasharb.evm import AccountInfo, MissingState
from flasharb.evm.source import EMPTY_CODE_HASH
from flasharb.simulation.fork_state import Supplied
from flasharb.units import Hash32, hex0x

_ACCOUNT_METHODS: Final = ("eth_getBalance", "eth_getTransactionCount")


@dataclass(frozen=True, slots=True)
class Refused:
    """What a node would not tell, and the error to raise for it."""

    missing: MissingState
    error: StateUnavailable


class StateReader(ABC):
    """Tells the state at the end of one block."""

    def __init__(self, node: Node) -> None:
        self.node = node

    @abstractmethod
    async def fetch_available(self, missing: MissingState, state: Supplied) -> Refused | None:
        """Ask for what is missing and supply it to ``state``; what the node refuses is returned.

        Raises:
            NodeError: the node does not answer.
        """

    async def fetch(self, missing: MissingState, state: Supplied) -> None:
        """Ask for what is missing and supply it to ``state``.

        Raises:
            StateUnavailable: the node refuses some of it.
            NodeError: the node does not answer.
        """
        refused = await self.fetch_available(missing, state)
        if refused is not None:
            raise refused.error


class NodeReader(StateReader):
    """Takes the node's word. ``block``: a number, or a hash (EIP-1898), which a reorganisation cannot move.

    ``codes``: accounts whose code is known to be what it was, so that it need not be asked for again.
    """

    def __init__(self, node: Node, block: int | Hash32, codes: Mapping[bytes, bytes] | None = None) -> None:
        super().__init__(node)
        self._block = block
        self._codes = codes if codes is not None else {}

    async def fetch_available(self, missing: MissingState, state: Supplied) -> Refused | None:
        tag = hex(self._block) if isinstance(self._block, int) else {"blockHash": hex0x(self._block)}
        accounts = sorted(missing.accounts | missing.codes)
        slots, numbers = sorted(missing.slots), sorted(missing.block_numbers)
        calls: list[tuple[str, Sequence[Any]]] = []
        spans: list[slice] = []
        for address in accounts:
            methods = _ACCOUNT_METHODS if address in self._codes else (*_ACCOUNT_METHODS, "eth_getCode")
            spans.append(slice(len(calls), len(calls) + len(methods)))
            calls += [(method, (hex0x(address), tag)) for method in methods]
        told_of_accounts = len(calls)
        calls += [("eth_getStorageAt", (hex0x(address), f"{slot:#066x}", tag)) for address, slot in slots]
        calls += [("eth_getBlockByNumber", (hex(number), False)) for number in numbers]
        answers = await self.node.batch(calls)
        refused = MissingState()
        for address, span in zip(accounts, spans, strict=True):
            told = answers[span]
            if any(isinstance(one, RpcFailure) for one in told):
                refused |= MissingState(accounts=(address,), codes=(address,))
            else:
                code = read_bytes(told[2]) if len(told) == 3 else self._codes[address]
                supply_account(state, address, read_number(told[0]), read_number(told[1]), code)
        rest = answers[told_of_accounts:]
        for (address, slot), value in zip(slots, rest, strict=False):
            if isinstance(value, RpcFailure):
                refused |= MissingState(slots=((address, slot),))
            else:
                state.supply_slot(address, slot, read_number(value))
        for number, header in zip(numbers, rest[len(slots) :], strict=True):
            if isinstance(header, dict):
                state.supply_block_hash(number, read_bytes(header.get("hash")))
            else:
                refused |= MissingState(block_numbers=(number,))
        if not (refused.accounts or refused.slots or refused.block_numbers):
            return None
        return Refused(refused, unavailable(self.node, calls, answers, self._block))


def supply_account(state: Supplied, address: bytes, balance: int, nonce: int, code: bytes) -> None:
    """An account as JSON-RPC shows it: one that has nothing at all does not exist (EIP-161)."""
    code_hash = state.supply_code(code)
    empty = not balance and not nonce and code_hash == EMPTY_CODE_HASH
    state.supply_account(address, None if empty else AccountInfo(nonce, balance, code_hash))


def unavailable(
    node: Node, calls: Sequence[tuple[str, Sequence[Any]]], answers: Sequence[Any], block: int | Hash32
) -> StateUnavailable:
    """Says which of the calls the node refused, and why."""
    refused = [
        (call, answer)
        for call, answer in zip(calls, answers, strict=True)
        if isinstance(answer, RpcFailure) or answer is None
    ]
    (method, params), failure = refused[0]
    others = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
    what = " ".join(map(str, params[:-1]))
    place = block if isinstance(block, int) else hex0x(block)
    reason = "is not there" if failure is None else failure
    return StateUnavailable(f"{node.shown_url}: {method} {what} at block {place}: {reason}{others}")


def read_number(value: Any) -> int:
    """A JSON-RPC quantity."""
    try:
        if isinstance(value, str) and value.startswith("0x"):
            return int(value, 16)
    except ValueError:
        pass
    raise NodeError(f"the node answered {value!r:.60} where a 0x number belongs")


def read_bytes(value: Any) -> bytes:
    """JSON-RPC data."""
    try:
        if isinstance(value, str) and value.startswith("0x"):
            return bytes.fromhex(value[2:])
    except ValueError:
        pass
    raise NodeError(f"the node answered {value!r:.60} where 0x bytes belong")
