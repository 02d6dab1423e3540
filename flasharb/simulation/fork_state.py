"""State that is fed step by step: from a recorded block, from a node's answers, and from what we create ourselves.

A value that nobody supplied is missing, never zero, with one exception, *known by construction*: an account that we
create on the fork cannot have been used by anybody, so its own storage, and the slots that mappings of other contracts
keep under its address, are zero unless the file or node says otherwise. A mapping slot is recognised by its preimage:
the machine notes every 64-byte input that contracts hash, and a slot belongs to a fresh address when one word of its
preimage is that address, or is itself such a slot (a mapping in a mapping).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from eth_hash.auto import keccak

from flasharb.evm import AccountInfo, MissingState, StateSource
from flasharb.evm.source import EMPTY_CODE_HASH

_PADDING: Final = bytes(12)
_MAX_NESTING: Final = 8


class Supplied(Protocol):
    """What can be told state values as the chain has them."""

    def supply_account(self, address: bytes, account: AccountInfo | None) -> None: ...
    def supply_slot(self, address: bytes, slot: int, value: int) -> None: ...
    def supply_code(self, code: bytes) -> bytes: ...
    def supply_block_hash(self, number: int, block_hash: bytes) -> None: ...


class ForkState:
    """A ``StateSource`` over an optional ``base``; what is supplied here is asked before the base."""

    def __init__(self, base: StateSource | None = None, codes: dict[bytes, bytes] | None = None) -> None:
        """``codes``: codes by hash, where several states are to share them; a hash has one code for ever."""
        self.base = base
        self.preimages: dict[int, bytes] = {}
        self._accounts: dict[bytes, AccountInfo | None] = {}
        self._slots: dict[tuple[bytes, int], int] = {}
        self._codes = codes if codes is not None else {}
        self._codes[EMPTY_CODE_HASH] = b""
        self._block_hashes: dict[int, bytes] = {}
        self._fresh: set[bytes] = set()

    # Feeding

    def supply_account(self, address: bytes, account: AccountInfo | None) -> None:
        """An account as the chain has it; None = it does not exist."""
        self._accounts[address] = account

    def supply_slot(self, address: bytes, slot: int, value: int) -> None:
        """A storage slot as the chain has it."""
        self._slots[address, slot] = value

    def supply_code(self, code: bytes) -> bytes:
        """Some account's code; returns its hash."""
        code_hash = keccak(code) if code else EMPTY_CODE_HASH
        self._codes[code_hash] = code
        return code_hash

    def supply_block_hash(self, number: int, block_hash: bytes) -> None:
        """The hash of an ancestor."""
        self._block_hashes[number] = block_hash

    def create_account(
        self,
        address: bytes,
        *,
        balance: int = 0,
        nonce: int = 0,
        code: bytes = b"",
        storage: Mapping[int, int] | None = None,
    ) -> None:
        """An account of our own that nobody has used before: all of it is known, ``balance`` in wei.

        Raises:
            ValueError: the base knows the account already, so it is not fresh.
        """
        if self.base is not None and self._known_to_base(address):
            raise ValueError(f"0x{address.hex()} is in use on this chain: it cannot be created as a fresh account")
        self._accounts[address] = AccountInfo(nonce, balance, self.supply_code(code))
        for slot, value in (storage or {}).items():
            self._slots[address, slot] = value
        self._fresh.add(address)

    def _known_to_base(self, address: bytes) -> bool:
        assert self.base is not None
        try:
            return self.base.account(address) is not None
        except MissingState:
            return False

    # Answering

    def account(self, address: bytes) -> AccountInfo | None:
        if address in self._accounts:
            return self._accounts[address]
        if self.base is None:
            raise MissingState(accounts=(address,))
        return self.base.account(address)

    def storage(self, address: bytes, slot: int) -> int:
        value = self._slots.get((address, slot))
        if value is not None:
            return value
        if address in self._fresh:
            return 0
        if self.base is not None:
            try:
                return self.base.storage(address, slot)
            except MissingState:
                pass
        if self._belongs_to_fresh(slot, _MAX_NESTING):
            return 0
        raise MissingState(slots=((address, slot),))

    def code(self, code_hash: bytes) -> bytes:
        code = self._codes.get(code_hash)
        if code is not None:
            return code
        if self.base is None:
            raise MissingState(codes=(code_hash,))
        return self.base.code(code_hash)

    def block_hash(self, number: int) -> bytes:
        known = self._block_hashes.get(number)
        if known is not None:
            return known
        if self.base is None:
            raise MissingState(block_numbers=(number,))
        return self.base.block_hash(number)

    def _belongs_to_fresh(self, slot: int, nesting: int) -> bool:
        preimage = self.preimages.get(slot)
        if preimage is None or not self._fresh:
            return False
        for word in (preimage[:32], preimage[32:]):
            if word[:12] == _PADDING and word[12:] in self._fresh:
                return True
            if nesting and self._belongs_to_fresh(int.from_bytes(word, "big"), nesting - 1):
                return True
        return False
