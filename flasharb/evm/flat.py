"""The account database of the fast machine: dicts and one undo log.

py-evm keeps accounts RLP-encoded in a journal over a trie. A simulation needs neither trie nor encoding: every value
lives in a plain dict, every write first notes ``(dict, key, old value)`` in the log, and a revert plays the log back.
Values that were never asked for are loaded from the source at the first read; loading is no write, so a revert keeps
them. Warmth and original values belong to one transaction: they get fresh dicts when the next one starts, and log
entries about the old dicts do no harm.

Every function of py-evm's interface is overridden, the ones that have a default there as well: a database that
implements ``set_nonce`` but inherits ``increment_nonce`` reads and writes different places.
"""

from __future__ import annotations

from typing import Any, Final

from eth.abc import AccountDatabaseAPI, MetaWitnessAPI
from eth_hash.auto import keccak
from eth_utils.exceptions import ValidationError

from flasharb.evm.source import EMPTY_CODE_HASH, AccountChange, AccountInfo, Loader, StateSource

_ABSENT: Final = object()
_NO_ROOT: Final = bytes(32)


class FlatAccountDB(AccountDatabaseAPI):
    """Accounts, storage, transient storage and warmth in dicts over a lazily read source."""

    def __init__(self, source: StateSource) -> None:
        self.loader = Loader(source)
        self.balances: dict[bytes, int] = {}
        self.nonces: dict[bytes, int] = {}
        self.code_hashes: dict[bytes, bytes] = {}
        self.codes: dict[bytes, bytes] = {}
        self.existing: dict[bytes, bool] = {}
        self.slots: dict[bytes, dict[int, int]] = {}
        self.wiped: dict[bytes, bool] = {}
        self.originals: dict[tuple[bytes, int], int] = {}
        self.transient: dict[tuple[bytes, int], bytes] = {}
        self.warm_addresses: dict[bytes, bool] = {}
        self.warm_slots: dict[tuple[bytes, int], bool] = {}
        self.log: list[tuple[dict[Any, Any], Any, Any]] = []

    def _write(self, values: dict[Any, Any], key: Any, value: Any) -> None:
        self.log.append((values, key, values.get(key, _ABSENT)))
        values[key] = value

    def _load(self, address: bytes) -> None:
        info = self.loader.account(address)
        self.existing[address] = info is not None
        self.nonces[address], self.balances[address], self.code_hashes[address] = info or (0, 0, EMPTY_CODE_HASH)

    # Storage

    def get_storage(self, address: bytes, slot: int, from_journal: bool = True) -> int:
        try:
            value = self.slots[address][slot]
        except KeyError:
            value = self._load_slot(address, slot)
        return value if from_journal else self.originals.get((address, slot), value)

    def _load_slot(self, address: bytes, slot: int) -> int:
        value = 0 if address in self.wiped else self.loader.slot(address, slot)
        self.slots.setdefault(address, {})[slot] = value
        return value

    def set_storage(self, address: bytes, slot: int, value: int) -> None:
        old = self.get_storage(address, slot)
        if (address, slot) not in self.originals:
            self._write(self.originals, (address, slot), old)
        slots = self.slots[address]
        self.log.append((slots, slot, old))
        slots[slot] = value

    def overwrite_slot(self, address: bytes, slot: int, value: int) -> None:
        """Set a slot whose old value may be unknown: block processing does so, no opcode can."""
        self._write(self.slots.setdefault(address, {}), slot, value)

    def delete_storage(self, address: bytes) -> None:
        # A new dict, not an emptied one: the log holds the old one.
        self._write(self.slots, address, {})
        self._write(self.wiped, address, True)

    def get_transient(self, address: bytes, slot: int) -> bytes:
        """A transient slot as TSTORE left it; empty when it was not set in this transaction."""
        return self.transient.get((address, slot), b"")

    def set_transient(self, address: bytes, slot: int, value: bytes) -> None:
        """Set a transient slot."""
        self._write(self.transient, (address, slot), value)

    def clear_transient(self) -> None:
        """Forget all transient slots, at the end of a transaction."""
        self.transient = {}

    # Accounts

    def get_balance(self, address: bytes) -> int:
        try:
            return self.balances[address]
        except KeyError:
            self._load(address)
            return self.balances[address]

    def set_balance(self, address: bytes, balance: int) -> None:
        if balance < 0:
            raise ValidationError(f"balance of 0x{address.hex()} below zero: {balance}")
        self._ensure(address)
        self._write(self.balances, address, balance)

    def get_nonce(self, address: bytes) -> int:
        try:
            return self.nonces[address]
        except KeyError:
            self._load(address)
            return self.nonces[address]

    def set_nonce(self, address: bytes, nonce: int) -> None:
        self._ensure(address)
        self._write(self.nonces, address, nonce)

    def increment_nonce(self, address: bytes) -> None:
        self.set_nonce(address, self.get_nonce(address) + 1)

    def _ensure(self, address: bytes) -> None:
        """Load the account before a write, and note that it exists from now on."""
        if address not in self.existing:
            self._load(address)
        if not self.existing[address]:
            self._write(self.existing, address, True)

    def get_code(self, address: bytes) -> bytes:
        try:
            return self.codes[address]
        except KeyError:
            pass
        if self.get_code_hash(address) == EMPTY_CODE_HASH:
            code = b""
        else:
            code = self.loader.code(address)
        self.codes[address] = code
        return code

    def set_code(self, address: bytes, code: bytes) -> None:
        self._ensure(address)
        self._write(self.codes, address, code)
        self._write(self.code_hashes, address, keccak(code) if code else EMPTY_CODE_HASH)

    def get_code_hash(self, address: bytes) -> Any:
        try:
            return self.code_hashes[address]
        except KeyError:
            self._load(address)
            return self.code_hashes[address]

    def delete_code(self, address: bytes) -> None:
        self.set_code(address, b"")

    def account_has_code_or_nonce(self, address: bytes) -> bool:
        # py-evm asks this to find out whether a contract can be created there; old storage forbids it too (EIP-7610).
        return self._has_code_or_nonce(address) or (address not in self.wiped and self.loader.has_storage(address))

    def _has_code_or_nonce(self, address: bytes) -> bool:
        return self.get_nonce(address) != 0 or self.get_code_hash(address) != EMPTY_CODE_HASH

    def delete_account(self, address: bytes) -> None:
        if address not in self.existing:
            self._load(address)
        self.delete_storage(address)
        self._write(self.balances, address, 0)
        self._write(self.nonces, address, 0)
        self._write(self.codes, address, b"")
        self._write(self.code_hashes, address, EMPTY_CODE_HASH)
        self._write(self.existing, address, False)

    def account_exists(self, address: bytes) -> bool:
        try:
            return self.existing[address]
        except KeyError:
            self._load(address)
            return self.existing[address]

    def touch_account(self, address: bytes) -> None:
        self._ensure(address)

    def account_is_empty(self, address: bytes) -> bool:
        return not self._has_code_or_nonce(address) and self.balances[address] == 0

    # Warmth (EIP-2929)

    def is_storage_warm(self, address: bytes, slot: int) -> bool:
        return (address, slot) in self.warm_slots

    def mark_storage_warm(self, address: bytes, slot: int) -> None:
        key = (address, slot)
        if key not in self.warm_slots:
            self.log.append((self.warm_slots, key, _ABSENT))
            self.warm_slots[key] = True

    def is_address_warm(self, address: bytes) -> bool:
        return address in self.warm_addresses

    def mark_address_warm(self, address: bytes) -> None:
        if address not in self.warm_addresses:
            self.log.append((self.warm_addresses, address, _ABSENT))
            self.warm_addresses[address] = True

    # Undo

    def record(self) -> Any:
        return len(self.log)

    def discard(self, checkpoint: Any) -> None:
        log = self.log
        while len(log) > checkpoint:
            values, key, old = log.pop()
            if old is _ABSENT:
                del values[key]
            else:
                values[key] = old

    def rewind(self, checkpoint: int) -> list[tuple[dict[Any, Any], Any, Any, Any]]:
        """Undo back to ``checkpoint``, and return what ``replay`` needs to do it all again."""
        undone = []
        log = self.log
        while len(log) > checkpoint:
            values, key, old = log.pop()
            undone.append((values, key, old, values[key]))
            if old is _ABSENT:
                del values[key]
            else:
                values[key] = old
        return undone

    def replay(self, undone: list[tuple[dict[Any, Any], Any, Any, Any]]) -> None:
        """Do again what ``rewind`` undid; nothing but reads may have happened since."""
        for values, key, old, new in reversed(undone):
            self.log.append((values, key, old))
            values[key] = new

    def commit(self, checkpoint: Any) -> None:
        """Nothing to do: the log keeps what an outer revert would need."""

    def lock_changes(self) -> None:
        """A new transaction starts: everything is cold, and what stands in storage now is the original."""
        self.originals = {}
        self.warm_addresses = {}
        self.warm_slots = {}

    # What changed

    def changes(self) -> dict[bytes, AccountChange | None]:
        """Every account that differs from the source, by address."""
        changed = {}
        for address in self.existing.keys() | self.slots.keys():
            change = self._change(address)
            if change is not _ABSENT:
                changed[address] = change
        return changed

    def _change(self, address: bytes) -> Any:
        cleared = address in self.wiped
        if cleared and address not in self.existing:
            self._load(address)
        unread = 0 if cleared else None
        before_slots = {} if cleared else self.loader.slots.get(address, {})
        slots = {k: v for k, v in self.slots.get(address, {}).items() if v != before_slots.get(k, unread)}
        if address not in self.existing:
            return AccountChange(None, None, slots, cleared) if slots else _ABSENT
        before = self.loader.account(address)
        if not self.existing[address]:
            return None if before is not None else _ABSENT
        now = AccountInfo(self.nonces[address], self.balances[address], self.code_hashes[address])
        cleared = cleared and before is not None
        if now == before and not slots and not cleared:
            return _ABSENT
        before_hash = before.code_hash if before is not None else EMPTY_CODE_HASH
        code = self.codes[address] if now.code_hash != before_hash else None
        return AccountChange(now, code, slots, cleared)

    # The trie, which this database does not have

    @property
    def state_root(self) -> Any:
        return _NO_ROOT

    @state_root.setter
    def state_root(self, value: Any) -> None:
        pass

    def has_root(self, state_root: bytes) -> bool:
        return False

    def make_state_root(self) -> Any:
        raise NotImplementedError("a flat database has no trie; see flasharb.evm.roots.state_root")

    def persist(self) -> MetaWitnessAPI:
        raise NotImplementedError("a flat database has nothing to persist; read changes()")
