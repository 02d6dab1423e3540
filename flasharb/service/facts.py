"""The state of one block as far as the node has told it, in the order in which it was told.

A log instead of a table, so that what a worker process lacks is a slice: it has the first n facts, here are the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from eth_hash.auto import keccak

from flasharb.evm import AccountInfo
from flasharb.simulation.fork_state import ForkState

DELEGATION_PREFIX: Final = b"\xef\x01\x00"


@lru_cache(2048)
def _code_hash(code: bytes) -> bytes:
    """Hashing 24 kB takes 0.1 ms, and the same codes come again in each block."""
    code_hash: bytes = keccak(code)
    return code_hash


@dataclass(frozen=True, slots=True)
class AccountFact:
    """``info`` None: the account does not exist."""

    address: bytes
    info: AccountInfo | None


@dataclass(frozen=True, slots=True)
class SlotFact:
    """The value of a storage slot."""

    address: bytes
    slot: int
    value: int


@dataclass(frozen=True, slots=True)
class CodeFact:
    """A contract's code, with its hash."""

    code: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class BlockHashFact:
    """The hash of an ancestor."""

    number: int
    hash: bytes


Fact = AccountFact | SlotFact | CodeFact | BlockHashFact


class FactLog:
    """Facts about the end of one block; told by the node's adapter, read by the workers' requests."""

    def __init__(self) -> None:
        self._facts: list[Fact] = []
        self.accounts: set[bytes] = set()
        self.slots: set[tuple[bytes, int]] = set()
        self._codes: dict[bytes, bytes] = {}
        self._code_hashes: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._facts)

    def since(self, count: int) -> Sequence[Fact]:
        """The facts after the first ``count``."""
        return self._facts[count:]

    def supply_account(self, address: bytes, account: AccountInfo | None) -> None:
        self.accounts.add(address)
        self._facts.append(AccountFact(address, account))
        if account is not None:
            self._code_hashes[address] = account.code_hash

    def supply_slot(self, address: bytes, slot: int, value: int) -> None:
        self.slots.add((address, slot))
        self._facts.append(SlotFact(address, slot, value))

    def supply_code(self, code: bytes) -> bytes:
        code_hash = _code_hash(code)
        if code_hash not in self._codes:
            self._codes[code_hash] = code
            self._facts.append(CodeFact(code, code_hash))
        return code_hash

    def supply_block_hash(self, number: int, block_hash: bytes) -> None:
        self._facts.append(BlockHashFact(number, block_hash))

    def lasting_codes(self) -> dict[bytes, bytes]:
        """Codes by account that no block by Cancun's rules or later can change.

        Since EIP-6780 only a contract that is created in the same transaction can end itself; what still changes is
        the code of accounts without any, and of those that delegate (EIP-7702).
        """
        return {
            address: code
            for address, code_hash in self._code_hashes.items()
            if (code := self._codes.get(code_hash)) and not code.startswith(DELEGATION_PREFIX)
        }


def tell(state: ForkState, facts: Sequence[Fact]) -> None:
    """Hand facts on."""
    for fact in facts:
        match fact:
            case AccountFact(address, info):
                state.supply_account(address, info)
            case SlotFact(address, slot, value):
                state.supply_slot(address, slot, value)
            case CodeFact(code, _):
                state.supply_code(code)
            case BlockHashFact(number, block_hash):
                state.supply_block_hash(number, block_hash)
