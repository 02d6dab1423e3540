"""All accounts of the chain: the head's, the tries that prove them, and the way back to recent blocks.

The head is a plain dictionary of accounts. Each block leaves an undo record (what its changes replaced), so the state
at an earlier block is the head seen through the undo records of the blocks after it. Readers may run in a worker thread
while a block is committed: a reader takes the head's value first and looks through the undo records after that, a
commit adds its undo record first and changes the head after that; so a reader never sees a later block's value.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import rlp
from eth_hash.auto import keccak
from trie.exceptions import MissingTrieNode
from trie.hexary import HexaryTrie

from flasharb.devnet.block import EMPTY_TRIE_ROOT, quantity
from flasharb.evm.source import EMPTY_CODE_HASH, AccountInfo, MissingState
from flasharb.units import Address, Hash32

STATE_HISTORY: Final = 128
"""Blocks whose state can be asked for, as in a full node."""


@dataclass(slots=True)
class Account:
    """An account that exists. ``storage`` holds no zeros."""

    nonce: int = 0
    balance: int = 0
    code_hash: bytes = EMPTY_CODE_HASH
    storage: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AccountAfter:
    """An account after a block: its fields, and the slots that changed (zero: cleared)."""

    nonce: int
    balance: int
    code_hash: bytes
    slots: Mapping[int, int]


Changes = Mapping[Address, AccountAfter | None]
"""What a block changed; None: the account no longer exists."""


@dataclass(frozen=True, slots=True)
class _Undo:
    """What the changes of one block replaced."""

    accounts: Mapping[Address, AccountInfo | None]
    slots: Mapping[tuple[Address, int], int]


class BlockUnavailable(LookupError):
    """The state of that block is older than the history, or the block does not exist yet."""


class _Nodes(dict[bytes, bytes]):
    """Nodes of a trie by their hash. What the newest state no longer needs stays as long as an older one may."""

    def __init__(self) -> None:
        super().__init__()
        self._unneeded: OrderedDict[bytes, int] = OrderedDict()
        self._blocks = 0

    def __setitem__(self, key: bytes, node: bytes) -> None:
        self._unneeded.pop(key, None)
        super().__setitem__(key, node)

    def __delitem__(self, key: bytes) -> None:
        if key not in self:
            raise KeyError(key)
        self._unneeded[key] = self._blocks
        self._unneeded.move_to_end(key)

    def end_block(self) -> None:
        """Drop what has not been needed for the whole history."""
        self._blocks += 1
        while self._unneeded and next(iter(self._unneeded.values())) < self._blocks - STATE_HISTORY:
            super().__delitem__(self._unneeded.popitem(last=False)[0])


@dataclass(frozen=True, slots=True)
class Proof:
    """An account under a state root, its nodes from the root down, and (value, nodes) of each slot that was asked."""

    nonce: int
    balance: int
    storage_root: bytes
    code_hash: bytes
    nodes: tuple[bytes, ...]
    slots: tuple[tuple[int, tuple[bytes, ...]], ...]


class StateTries:
    """The account trie and the storage tries, kept up to date by what changed, and proofs of recent states."""

    def __init__(self, accounts: Mapping[Address, Account]) -> None:
        self._accounts = HexaryTrie(_Nodes(), prune=True)
        self._storage: dict[Address, HexaryTrie] = {}
        self.apply(
            {
                address: AccountAfter(account.nonce, account.balance, account.code_hash, account.storage)
                for address, account in accounts.items()
            }
        )

    def apply(self, changes: Changes) -> Hash32:
        """Bring the tries to the state after ``changes``; returns the state root."""
        for address, change in changes.items():
            key = keccak(address)
            if change is None:
                self._storage.pop(address, None)
                if key in self._accounts:
                    self._accounts[key] = b""
                continue
            storage_root = self._apply_slots(address, change.slots)
            self._accounts[key] = rlp.encode(
                [quantity(change.nonce), quantity(change.balance), storage_root, change.code_hash]
            )
        for trie in (self._accounts, *self._storage.values()):
            trie.db.end_block()
        return Hash32(self._accounts.root_hash)

    def prove(self, state_root: Hash32, address: Address, slots: Sequence[int]) -> Proof:
        """What proves an account and slots of it, or that they are not there, under the state root of a recent block.

        Raises:
            BlockUnavailable: the nodes of that state are gone.
        """
        try:
            leaf, nodes = _proof(HexaryTrie(self._accounts.db, state_root), keccak(address))
            if not leaf:
                empty = tuple((0, ()) for _ in slots)
                return Proof(0, 0, EMPTY_TRIE_ROOT, EMPTY_CODE_HASH, nodes, empty)
            nonce, balance, root, code_hash = rlp.decode(leaf)
            database = self._storage[address].db if root != EMPTY_TRIE_ROOT else {}
            proven = []
            for slot in slots:
                value, way = _proof(HexaryTrie(database, root), keccak(slot.to_bytes(32, "big")))
                proven.append((int.from_bytes(rlp.decode(value), "big") if value else 0, way))
        except (MissingTrieNode, KeyError):
            raise BlockUnavailable(f"the state with root 0x{state_root.hex()} is not available any more") from None
        return Proof(
            int.from_bytes(nonce, "big"), int.from_bytes(balance, "big"), root, code_hash, nodes, tuple(proven)
        )

    def _apply_slots(self, address: Address, slots: Mapping[int, int]) -> bytes:
        trie = self._storage.get(address)
        if trie is None:
            if not slots:
                return EMPTY_TRIE_ROOT
            trie = self._storage[address] = HexaryTrie(_Nodes(), prune=True)
        for slot, value in slots.items():
            key = keccak(slot.to_bytes(32, "big"))
            if value:
                trie[key] = rlp.encode(quantity(value))
            elif key in trie:
                trie[key] = b""
        root: bytes = trie.root_hash
        return root


def _proof(trie: HexaryTrie, key: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """The value at a key (empty: none) and the nodes on the way; short nodes stand inside the ones above them."""
    way: Any = trie.get_proof if trie.root_hash != EMPTY_TRIE_ROOT else lambda key: ()
    encoded = [rlp.encode(node) for node in way(key)]
    return trie.get(key), tuple(node for at, node in enumerate(encoded) if at == 0 or len(node) >= 32)


class Ledger:
    """The accounts at the head and, through :meth:`at`, at recent blocks."""

    def __init__(
        self, accounts: dict[Address, Account], codes: dict[bytes, bytes], head: int, genesis_hash: Hash32
    ) -> None:
        self.accounts = accounts
        self.codes = codes
        self.head = head
        self.block_hashes: dict[int, Hash32] = {head: genesis_hash}
        self._undo: OrderedDict[int, _Undo] = OrderedDict()

    @property
    def oldest(self) -> int:
        """The oldest block whose state is known."""
        return self.head - len(self._undo)

    def at(self, block_number: int) -> StateAt:
        """The state after block ``block_number``.

        Raises:
            BlockUnavailable: too old, or in the future.
        """
        if not self.oldest <= block_number <= self.head:
            raise BlockUnavailable(
                f"state of block {block_number} is not available (known: {self.oldest} to {self.head})"
            )
        return StateAt(self, block_number)

    def commit(self, block_number: int, block_hash: Hash32, changes: Changes, codes: Mapping[bytes, bytes]) -> None:
        """Make ``changes`` the head's state; ``codes`` are those of new contracts."""
        assert block_number == self.head + 1
        old_accounts: dict[Address, AccountInfo | None] = {}
        old_slots: dict[tuple[Address, int], int] = {}
        for address, change in changes.items():
            account = self.accounts.get(address)
            old_accounts[address] = _info(account)
            slots = change.slots if change is not None else (account.storage if account is not None else {})
            for slot in slots:
                old_slots[address, slot] = account.storage.get(slot, 0) if account is not None else 0
        self._undo[block_number] = _Undo(old_accounts, old_slots)
        self.codes.update(codes)
        self.block_hashes[block_number] = block_hash
        self.head = block_number
        for address, change in changes.items():
            self._write(address, change)
        if len(self._undo) > STATE_HISTORY:
            self._undo.popitem(last=False)

    def _write(self, address: Address, change: AccountAfter | None) -> None:
        if change is None:
            self.accounts.pop(address, None)
            return
        account = self.accounts.get(address)
        storage = dict(account.storage) if account is not None else {}
        for slot, value in change.slots.items():
            if value:
                storage[slot] = value
            else:
                storage.pop(slot, None)
        # A new object: a reader in another thread that holds the old one keeps seeing one consistent account.
        self.accounts[address] = Account(change.nonce, change.balance, change.code_hash, storage)

    def undone_account(self, address: Address, after: int) -> tuple[bool, AccountInfo | None]:
        """Whether a block after ``after`` changed the account, and what the first such block replaced."""
        for number in range(after + 1, self.head + 1):
            undo = self._undo.get(number)
            if undo is not None and address in undo.accounts:
                return True, undo.accounts[address]
        return False, None

    def undone_slot(self, address: Address, slot: int, after: int) -> int | None:
        """What the first block after ``after`` that changed the slot replaced; None if none did."""
        for number in range(after + 1, self.head + 1):
            undo = self._undo.get(number)
            if undo is not None and (address, slot) in undo.slots:
                return undo.slots[address, slot]
        return None


class StateAt:
    """The state after one block, as :class:`flasharb.evm.StateSource` asks for it. Everything is known."""

    def __init__(self, ledger: Ledger, block_number: int) -> None:
        self._ledger = ledger
        self.block_number = block_number

    def account(self, address: bytes) -> AccountInfo | None:
        current = _info(self._ledger.accounts.get(Address(address)))
        changed, old = self._ledger.undone_account(Address(address), self.block_number)
        return old if changed else current

    def storage(self, address: bytes, slot: int) -> int:
        account = self._ledger.accounts.get(Address(address))
        current = account.storage.get(slot, 0) if account is not None else 0
        old = self._ledger.undone_slot(Address(address), slot, self.block_number)
        return current if old is None else old

    def code(self, code_hash: bytes) -> bytes:
        return b"" if code_hash == EMPTY_CODE_HASH else self._ledger.codes[code_hash]

    def block_hash(self, number: int) -> bytes:
        try:
            return self._ledger.block_hashes[number]
        except KeyError:
            raise MissingState(block_numbers=(number,)) from None


def _info(account: Account | None) -> AccountInfo | None:
    return None if account is None else AccountInfo(account.nonce, account.balance, account.code_hash)
