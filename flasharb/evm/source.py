"""Where the machine's values come from: the ``StateSource`` protocol, and a world held in dicts.

Unknown is never zero: a source that does not know a value raises ``MissingState``, which nothing swallows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from eth_hash.auto import keccak

EMPTY_CODE_HASH: Final = keccak(b"")


class AccountInfo(NamedTuple):
    """An account without its storage; ``balance`` in wei."""

    nonce: int
    balance: int
    code_hash: bytes = EMPTY_CODE_HASH


class MissingState(Exception):
    """State that was needed and is not known: accounts, (account, slot) pairs, codes by account, block hashes."""

    def __init__(
        self,
        *,
        accounts: Iterable[bytes] = (),
        slots: Iterable[tuple[bytes, int]] = (),
        codes: Iterable[bytes] = (),
        block_numbers: Iterable[int] = (),
    ) -> None:
        self.accounts = frozenset(accounts)
        self.slots = frozenset(slots)
        self.codes = frozenset(codes)
        self.block_numbers = frozenset(block_numbers)
        super().__init__(self._text())

    def _text(self) -> str:
        parts = [f"account 0x{a.hex()}" for a in sorted(self.accounts)]
        parts += [f"slot {s:#x} of 0x{a.hex()}" for a, s in sorted(self.slots)]
        parts += [f"code of 0x{a.hex()}" for a in sorted(self.codes)]
        parts += [f"hash of block {n}" for n in sorted(self.block_numbers)]
        return "unknown state: " + ", ".join(parts)

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions are rebuilt from args by default, which keyword-only arguments do not survive.
        return _rebuild_missing, (self.accounts, self.slots, self.codes, self.block_numbers)

    def within(self, other: MissingState) -> bool:
        """Whether ``other`` asks for all of this as well."""
        return (
            self.accounts <= other.accounts
            and self.slots <= other.slots
            and self.codes <= other.codes
            and self.block_numbers <= other.block_numbers
        )

    def __or__(self, other: MissingState) -> MissingState:
        """Everything that either of the two asks for."""
        return MissingState(
            accounts=self.accounts | other.accounts,
            slots=self.slots | other.slots,
            codes=self.codes | other.codes,
            block_numbers=self.block_numbers | other.block_numbers,
        )


def _rebuild_missing(
    accounts: frozenset[bytes],
    slots: frozenset[tuple[bytes, int]],
    codes: frozenset[bytes],
    block_numbers: frozenset[int],
) -> MissingState:
    return MissingState(accounts=accounts, slots=slots, codes=codes, block_numbers=block_numbers)


class StateSource(Protocol):
    """The state that a block starts from.

    A source may also have an attribute ``preimages`` (a dict): the machine then notes in it every 64-byte input that
    contracts hash, by its hash as a number, so that the source can tell whose mapping slot it is asked for.
    """

    def account(self, address: bytes) -> AccountInfo | None:
        """The account, None where it is known not to exist.

        Raises:
            MissingState: unknown.
        """
        ...

    def storage(self, address: bytes, slot: int) -> int:
        """The value of a slot; 0 where it is known to be unset.

        Raises:
            MissingState: unknown.
        """
        ...

    def code(self, code_hash: bytes) -> bytes:
        """The code with this hash.

        Raises:
            MissingState: unknown.
        """
        ...

    def block_hash(self, number: int) -> bytes:
        """The hash of an ancestor block.

        Raises:
            MissingState: unknown.
        """
        ...


@dataclass(slots=True)
class Account:
    """An account with its storage, for worlds held in memory. ``balance`` in wei; absent slots are zero."""

    nonce: int = 0
    balance: int = 0
    code: bytes = b""
    storage: dict[int, int] = field(default_factory=dict)


class AccountChange(NamedTuple):
    """What became of an account: ``account`` None where only slots are known, ``code`` None where it did not change.

    ``storage`` holds the changed slots; with ``storage_cleared`` all slots that are not in it are zero now.
    """

    account: AccountInfo | None
    code: bytes | None
    storage: Mapping[int, int]
    storage_cleared: bool


Diff = Mapping[bytes, AccountChange | None]
"""Changed accounts by address; None = the account exists no longer."""


class DictState:
    """A world in dicts.

    ``complete``: what is not in it does not exist, absent slots are zero. Otherwise what is not in it is unknown
    (``accounts`` may then hold None for an account known not to exist).
    """

    def __init__(
        self,
        accounts: Mapping[bytes, Account | None],
        complete: bool = True,
        block_hashes: Mapping[int, bytes] | None = None,
    ) -> None:
        self.accounts: dict[bytes, Account | None] = dict(accounts)
        self.complete = complete
        self.block_hashes: dict[int, bytes] = dict(block_hashes or {})
        self._codes: dict[bytes, bytes] = {EMPTY_CODE_HASH: b""}
        self._infos: dict[bytes, AccountInfo | None] = {}
        for address, account in self.accounts.items():
            self._index(address, account)

    def _index(self, address: bytes, account: Account | None) -> None:
        if account is None:
            self._infos[address] = None
            return
        code_hash = keccak(account.code) if account.code else EMPTY_CODE_HASH
        self._codes[code_hash] = account.code
        self._infos[address] = AccountInfo(account.nonce, account.balance, code_hash)

    def account(self, address: bytes) -> AccountInfo | None:
        try:
            return self._infos[address]
        except KeyError:
            if self.complete:
                return None
            raise MissingState(accounts=(address,)) from None

    def storage(self, address: bytes, slot: int) -> int:
        account = self.accounts.get(address)
        if account is not None and slot in account.storage:
            return account.storage[slot]
        if self.complete or (account is None and address in self.accounts):
            return 0
        raise MissingState(slots=((address, slot),))

    def code(self, code_hash: bytes) -> bytes:
        try:
            return self._codes[code_hash]
        except KeyError:
            raise LookupError(f"no code with hash 0x{code_hash.hex()} in this world") from None

    def block_hash(self, number: int) -> bytes:
        try:
            return self.block_hashes[number]
        except KeyError:
            raise MissingState(block_numbers=(number,)) from None

    def has_storage(self, address: bytes) -> bool:
        """Whether the account has a slot that is not zero."""
        account = self.accounts.get(address)
        return account is not None and any(account.storage.values())

    def set_account(self, address: bytes, account: Account | None) -> None:
        """Put an account in place of what was there."""
        self.accounts[address] = account
        self._index(address, account)

    def apply(self, diff: Diff) -> None:
        """Move this world on by the changes that a machine made to it."""
        for address, change in diff.items():
            if change is None:
                self.set_account(address, None)
                continue
            account = self.accounts.get(address) or Account()
            if change.account is not None:
                account.nonce, account.balance = change.account.nonce, change.account.balance
            if change.code is not None:
                account.code = change.code
            if change.storage_cleared:
                account.storage = {}
            for slot, value in change.storage.items():
                if value or not self.complete:
                    account.storage[slot] = value
                else:
                    account.storage.pop(slot, None)
            self.set_account(address, account)


class Loader:
    """Reads a source once per value, remembers what was read, and what was missing.

    py-evm's handling of set-code authorizations catches every exception; ``missing`` lets the machine find out that
    something was asked for in vain even so.
    """

    __slots__ = ("accounts", "block_hashes", "missing", "slots", "source")

    def __init__(self, source: StateSource) -> None:
        self.source = source
        self.accounts: dict[bytes, AccountInfo | None] = {}
        self.slots: dict[bytes, dict[int, int]] = {}
        self.block_hashes: dict[int, bytes] = {}
        self.missing: MissingState | None = None

    def account(self, address: bytes) -> AccountInfo | None:
        """The account at the start of the block."""
        try:
            return self.accounts[address]
        except KeyError:
            pass
        try:
            info = self.source.account(address)
        except MissingState as missing:
            self.missing = missing
            raise
        self.accounts[address] = info
        self.slots.setdefault(address, {})
        return info

    def slot(self, address: bytes, slot: int) -> int:
        """The slot at the start of the block."""
        known = self.slots.setdefault(address, {})
        try:
            return known[slot]
        except KeyError:
            pass
        info = self.account(address)
        if info is None or (info.nonce == 0 and info.code_hash == EMPTY_CODE_HASH):
            # Nothing was ever created there (a delegating account has a nonce), so nothing was ever stored there.
            value = 0
        else:
            try:
                value = self.source.storage(address, slot)
            except MissingState as missing:
                self.missing = missing
                raise
        known[slot] = value
        return value

    def has_storage(self, address: bytes) -> bool:
        """Whether the account has any storage; only a source that knows its whole world can tell, others say no."""
        known = getattr(self.source, "has_storage", None)
        return bool(known is not None and known(address))

    def code(self, address: bytes) -> bytes:
        """The code of an account at the start of the block."""
        info = self.account(address)
        if info is None or info.code_hash == EMPTY_CODE_HASH:
            return b""
        try:
            return self.source.code(info.code_hash)
        except MissingState:
            self.missing = MissingState(codes=(address,))
            raise self.missing from None

    def block_hash(self, number: int) -> bytes:
        """The hash of an ancestor block."""
        try:
            block_hash = self.source.block_hash(number)
        except MissingState as missing:
            self.missing = missing
            raise
        self.block_hashes[number] = block_hash
        return block_hash
