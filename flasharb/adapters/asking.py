"""Questions about contracts that ask back for state, answered by a node: all together, in a few rounds of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from eth_hash.auto import keccak

from flasharb.adapters.chain import header_of, read_bytes
from flasharb.adapters.node import Node, RpcFailure
from flasharb.errors import NodeError
from flasharb.pools.storage import Elsewhere, Needs
from flasharb.units import Address, Hash32, hex0x

Answer = TypeVar("Answer")
Place = str | dict[str, str]
"""A block as JSON-RPC wants it."""
_REVERTED: Final = 3
_FAILED: Final = ("revert", "invalid opcode", "invalid jump", "out of gas", "stack underflow")
"""Words by which nodes say that it was the contract that failed, and not they."""


@dataclass(frozen=True, slots=True)
class Question(Generic[Answer]):
    """About the contract ``at``, from its slots and what is known elsewhere; ``name`` stands in errors."""

    at: Address
    ask: Callable[[Mapping[int, int], Elsewhere], Answer | Needs]
    name: str


def place_of(block: int | Hash32) -> Place:
    """A block by number or hash."""
    return hex(block) if isinstance(block, int) else {"blockHash": hex0x(block)}


async def answers(node: Node, questions: Iterable[Question[Answer]], place: Place) -> list[Answer]:
    """The answers, in the order of the questions.

    Raises:
        NodeError: the node does not say what one of them needs.
    """
    asked = tuple(questions)
    seen = _Seen(node, place)
    settled: dict[int, Answer] = {}
    while True:
        missing: list[tuple[Question[Answer], Needs]] = []
        for index, question in enumerate(asked):
            if index not in settled:
                answer = question.ask(seen.slots.get(question.at, {}), seen.all())
                if isinstance(answer, Needs):
                    missing.append((question, answer))
                else:
                    settled[index] = answer
        if not missing:
            return [settled[index] for index in range(len(asked))]
        await seen.fetch(missing)


@dataclass(slots=True)
class _Seen:
    """What the node has said so far."""

    node: Node
    place: Place
    slots: dict[Address, dict[int, int]] = field(default_factory=dict)
    elsewhere: dict[tuple[Address, int], int] = field(default_factory=dict)
    codes: dict[Address, bytes] = field(default_factory=dict)
    code_hashes: dict[Address, Hash32] = field(default_factory=dict)
    returned: dict[tuple[Address, bytes], bytes] = field(default_factory=dict)
    timestamp: int | None = None

    def all(self) -> Elsewhere:
        """As questions are told it."""
        return Elsewhere(self.elsewhere, self.code_hashes, self.timestamp, self.codes, answers=self.returned)

    async def fetch(self, missing: Iterable[tuple[Question[Any], Needs]]) -> None:
        """Ask for all that is missing in one batch, the time beside it."""
        slots: dict[tuple[Address, int], str] = {}
        codes: dict[Address, str] = {}
        calls: dict[tuple[Address, bytes], str] = {}
        for question, needs in missing:
            slots |= dict.fromkeys(((question.at, slot) for slot in sorted(needs.slots)), question.name)
            slots |= dict.fromkeys(sorted(needs.elsewhere), question.name)
            codes |= dict.fromkeys(sorted(needs.code), question.name)
            calls |= dict.fromkeys(sorted(needs.calls), question.name)
            if needs.timestamp and self.timestamp is None:
                self.timestamp = await self._time()
        requests: list[tuple[str, tuple[Any, ...]]] = [
            *(("eth_getStorageAt", (hex0x(at), hex(slot), self.place)) for at, slot in slots),
            *(("eth_getCode", (hex0x(at), self.place)) for at in codes),
            *(("eth_call", ({"to": hex0x(at), "data": hex0x(data)}, self.place)) for at, data in calls),
        ]
        said = iter(await self.node.batch(requests))
        for (at, slot), name in slots.items():
            value = _value(next(said), f"{self.node.shown_url}: eth_getStorageAt slot {slot:#x} of {name}")
            self.elsewhere[at, slot] = value
            self.slots.setdefault(at, {})[slot] = value
        for at, name in codes.items():
            self.codes[at] = _code(next(said), f"{self.node.shown_url}: eth_getCode for {name}")
            self.code_hashes[at] = Hash32(keccak(self.codes[at]))
        for call, name in calls.items():
            self.returned[call] = _returned(next(said), f"{self.node.shown_url}: eth_call for {name}")

    async def _time(self) -> int:
        if isinstance(self.place, str):
            return header_of(await self.node.call("eth_getBlockByNumber", self.place, False)).timestamp
        return header_of(await self.node.call("eth_getBlockByHash", self.place["blockHash"], False)).timestamp


def _value(answer: Any, place: str) -> int:
    """A storage word, as a number."""
    if isinstance(answer, RpcFailure):
        raise NodeError(f"{place}: {answer}")
    try:
        value = int(answer, 16)
    except (TypeError, ValueError):
        raise NodeError(f"{place}: not a storage word: {answer!r:.80}") from None
    if not 0 <= value < 1 << 256:
        raise NodeError(f"{place}: not a storage word: {answer!r:.80}")
    return value


def _returned(answer: Any, place: str) -> bytes:
    """What a call returned; a contract that does not know the call reverts, which is an answer as well."""
    if not isinstance(answer, RpcFailure):
        return read_bytes(answer, place)
    if answer.code == _REVERTED or any(word in answer.message.lower() for word in _FAILED):
        return b""
    raise NodeError(f"{place}: {answer}")


def _code(answer: Any, place: str) -> bytes:
    if isinstance(answer, RpcFailure):
        raise NodeError(f"{place}: {answer}")
    return read_bytes(answer, place)
