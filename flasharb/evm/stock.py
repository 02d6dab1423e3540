"""py-evm's own account database, fed from a source: the second opinion's state.

Journals, tries, caches and warmth stay py-evm's; only what a missing trie node would have been is asked of the source.
A revert reaches back to the start of the running transaction, as py-evm's does.
"""

from __future__ import annotations

from typing import Any

import rlp
from eth.constants import BLANK_ROOT_HASH
from eth.db.account import AccountDB
from eth.db.atomic import AtomicDB
from eth.db.backends.base import BaseDB
from eth.db.cache import CacheDB
from eth.db.journal import JournalDB
from eth.db.storage import AccountStorageDB, StorageLookup
from eth.rlp.accounts import Account
from eth.vm.interrupt import MissingBytecode

from flasharb.evm.source import AccountChange, AccountInfo, Loader, StateSource


class _AccountLookup(BaseDB):
    """Reads accounts of the source where py-evm reads its account trie."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def __getitem__(self, address: bytes) -> bytes:
        info = self._loader.account(address)
        if info is None:
            raise KeyError(address)
        account = Account(nonce=info.nonce, balance=info.balance, code_hash=info.code_hash)
        encoded: bytes = rlp.encode(account, sedes=Account)
        return encoded

    def _exists(self, address: bytes) -> bool:
        return self._loader.account(address) is not None

    def __setitem__(self, address: bytes, value: bytes) -> None:
        raise NotImplementedError("the source is read only")

    def __delitem__(self, address: bytes) -> None:
        raise NotImplementedError("the source is read only")


class _SlotLookup(StorageLookup):
    """Reads slots of the source where py-evm reads an account's storage trie."""

    def __init__(self, db: Any, address: Any, loader: Loader) -> None:
        super().__init__(db, BLANK_ROOT_HASH, address)
        self._loader = loader

    def __getitem__(self, key: bytes) -> bytes:
        if self._historical_write_tries:
            # Wiped since: what the source says belongs to the storage before.
            return b""
        value = self._loader.slot(self._address, int.from_bytes(key, "big"))
        encoded: bytes = rlp.encode(value) if value else b""
        return encoded

    @property
    def wiped(self) -> bool:
        """Whether the storage was emptied as a whole."""
        return bool(self._historical_write_tries)


class LoadingAccountDB(AccountDB):
    """``AccountDB`` over a source instead of a trie."""

    def __init__(self, source: StateSource) -> None:
        super().__init__(AtomicDB(), BLANK_ROOT_HASH)
        self.loader = Loader(source)
        self._trie_cache = CacheDB(_AccountLookup(self.loader))
        self._journaltrie = JournalDB(self._trie_cache)
        self._written: dict[Any, set[int]] = {}

    def _get_address_store(self, address: Any) -> Any:
        store = self._account_stores.get(address)
        if store is None:
            self._get_account(address)
            store = AccountStorageDB(self._raw_store_db, BLANK_ROOT_HASH, address)
            store._storage_lookup = _SlotLookup(self._raw_store_db, address, self.loader)
            store._storage_cache = CacheDB(store._storage_lookup)
            store._locked_changes = JournalDB(store._storage_cache)
            store._journal_storage = JournalDB(store._locked_changes)
            self._account_stores[address] = store
        return store

    def get_code(self, address: Any) -> bytes:
        try:
            return super().get_code(address)
        except MissingBytecode:
            return self.loader.code(address)

    def set_storage(self, address: Any, slot: int, value: int) -> None:
        super().set_storage(address, slot, value)
        self._written.setdefault(address, set()).add(slot)

    def overwrite_slot(self, address: Any, slot: int, value: int) -> None:
        """Set a slot whose old value may be unknown: block processing does so, no opcode can."""
        self.loader.slots.setdefault(address, {})[slot] = value
        self._written.setdefault(address, set()).add(slot)

    def changes(self) -> dict[bytes, AccountChange | None]:
        """Every account that differs from the source, by address."""
        changed: dict[bytes, AccountChange | None] = {}
        for address in list(self.loader.accounts):
            before = self.loader.accounts[address]
            if not self.account_exists(address):  # type: ignore[arg-type]  # py-evm's Address is bytes
                if before is not None:
                    changed[address] = None
                continue
            now = self._get_account(address)  # type: ignore[arg-type]  # py-evm's Address is bytes
            info = AccountInfo(now.nonce, now.balance, now.code_hash)
            slots, cleared = self._changed_slots(address)
            cleared = cleared and before is not None
            if info != before or slots or cleared:
                code = None if before is not None and before.code_hash == info.code_hash else self.get_code(address)
                changed[address] = AccountChange(info, code or None if before is None else code, slots, cleared)
        return changed

    def _changed_slots(self, address: bytes) -> tuple[dict[int, int], bool]:
        store = self._account_stores.get(address)  # type: ignore[call-overload]  # py-evm's Address is bytes
        if store is None:
            return {}, False
        written = self._written.get(address, ())
        cleared = store._storage_lookup.wiped
        before = {} if cleared else self.loader.slots.get(address, {})
        now = {slot: store.get(slot) for slot in written}
        return {slot: value for slot, value in now.items() if value != before.get(slot, 0)}, cleared
