"""The flat account database: whatever is written can be undone exactly, and nothing is inherited by accident."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from eth.abc import AccountDatabaseAPI
from eth_hash.auto import keccak
from eth_utils.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from flasharb.evm import Account, AccountInfo, DictState, MissingState
from flasharb.evm.flat import FlatAccountDB
from flasharb.evm.source import EMPTY_CODE_HASH

A, B, NEW = b"\x01" * 20, b"\x02" * 20, b"\x03" * 20
ADDRESSES = (A, B, NEW)


def database(*, complete: bool = True) -> FlatAccountDB:
    return FlatAccountDB(
        DictState({A: Account(1, 50, b"\x60\x00", {1: 11, 2: 22}), B: Account(0, 7)}, complete)  # no storage
    )


def seen(db: FlatAccountDB) -> dict[str, Any]:
    """Everything that can be asked about the three accounts."""
    return {
        "accounts": [
            (
                db.get_balance(a),
                db.get_nonce(a),
                db.get_code(a),
                db.get_code_hash(a),
                db.account_exists(a),
                db.account_is_empty(a),
                db.account_has_code_or_nonce(a),
                db.is_address_warm(a),
            )
            for a in ADDRESSES
        ],
        "slots": [
            (db.get_storage(a, s), db.get_storage(a, s, from_journal=False), db.is_storage_warm(a, s))
            for a in ADDRESSES
            for s in range(4)
        ],
        "transient": [db.get_transient(a, s) for a in ADDRESSES for s in range(2)],
    }


operations = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "set_storage",
                "set_balance",
                "set_nonce",
                "increment_nonce",
                "set_code",
                "delete_code",
                "delete_account",
                "delete_storage",
                "touch_account",
                "mark_address_warm",
                "mark_storage_warm",
                "set_transient",
            ]
        ),
        st.sampled_from(ADDRESSES),
        st.integers(0, 3),
        st.integers(0, 5),
    ),
    max_size=25,
)


def perform(db: FlatAccountDB, steps: list[tuple[str, bytes, int, int]]) -> None:
    for name, address, slot, value in steps:
        arguments: tuple[Any, ...] = {
            "set_storage": (address, slot, value),
            "set_balance": (address, value),
            "set_nonce": (address, value),
            "set_code": (address, bytes([value]) * slot),
            "mark_storage_warm": (address, slot),
            "set_transient": (address, slot % 2, bytes([value])),
        }.get(name, (address,))
        getattr(db, name)(*arguments)


@given(operations, operations, operations)
def test_discard_restores_every_answer(before: Any, undone: Any, inner: Any) -> None:
    """Nested checkpoints: undoing the outer one undoes the inner ones, committed or not."""
    db = database()
    perform(db, before)
    expected = seen(db)
    checkpoint = db.record()
    perform(db, undone)
    db.commit(db.record())
    perform(db, inner)
    db.discard(checkpoint)
    assert seen(db) == expected


@given(operations, operations)
def test_rewind_and_replay_come_back_to_now(before: Any, later: Any) -> None:
    """Looking back changes neither the past nor the present, and the log still undoes everything."""
    db = database()
    start = seen(db)
    perform(db, before)
    past, checkpoint = seen(db), db.record()
    perform(db, later)
    now = seen(db)
    undone = db.rewind(checkpoint)
    assert seen(db) == past
    db.replay(undone)
    assert seen(db) == now
    db.discard(0)
    assert seen(db) == start


@given(operations, operations)
def test_changes_turn_the_old_world_into_the_new_one(first: Any, second: Any) -> None:
    """What ``changes`` reports, applied to the source, gives the same answers, over two transactions."""
    db = database()
    source = copy.deepcopy(db.loader.source)
    perform(db, first)
    db.lock_changes()
    db.clear_transient()
    perform(db, second)
    assert isinstance(source, DictState)
    source.apply(db.changes())
    for address in ADDRESSES:
        account = source.account(address)
        assert (account is not None) == db.account_exists(address)
        assert account is None or account == AccountInfo(
            db.get_nonce(address), db.get_balance(address), db.get_code_hash(address)
        )
        assert account is None or source.code(account.code_hash) == db.get_code(address)
        if account is not None:
            assert [source.storage(address, s) for s in range(4)] == [db.get_storage(address, s) for s in range(4)]


def test_every_function_of_the_interface_is_our_own() -> None:
    """py-evm issue 1960: one inherited function reads and writes another place than the overridden ones."""
    functions = [
        name
        for name, value in vars(AccountDatabaseAPI).items()
        if not name.startswith("__") and (callable(value) or isinstance(value, property))
    ]
    assert len(functions) > 20
    assert [name for name in functions if name not in vars(FlatAccountDB)] == []


def test_increment_nonce_is_seen_by_get_nonce_and_undone() -> None:
    """The trap of the issue itself."""
    db = database()
    checkpoint = db.record()
    db.increment_nonce(A)
    db.increment_nonce(A)
    assert db.get_nonce(A) == 3
    db.discard(checkpoint)
    assert db.get_nonce(A) == 1


def test_the_original_value_is_the_one_at_the_start_of_the_transaction() -> None:
    """Net gas metering compares with it."""
    db = database()
    db.set_storage(A, 1, 5)
    db.set_storage(A, 1, 6)
    assert (db.get_storage(A, 1), db.get_storage(A, 1, from_journal=False)) == (6, 11)
    db.lock_changes()
    assert (db.get_storage(A, 1), db.get_storage(A, 1, from_journal=False)) == (6, 6)


def test_a_deleted_account_has_no_storage_and_gets_it_back_on_revert() -> None:
    """Slots that were never read before the deletion included."""
    db = database()
    checkpoint = db.record()
    db.delete_account(A)
    assert not db.account_exists(A)
    assert (db.get_storage(A, 1), db.get_storage(A, 2)) == (0, 0)
    db.discard(checkpoint)
    assert (db.get_storage(A, 1), db.get_storage(A, 2), db.get_code(A)) == (11, 22, b"\x60\x00")


def test_warmth_ends_with_the_transaction_and_old_undo_entries_do_no_harm() -> None:
    """Reverting past a transaction's start must not fail on the dicts of that transaction."""
    db = database()
    checkpoint = db.record()
    db.mark_address_warm(A)
    db.mark_storage_warm(A, 1)
    db.set_storage(A, 1, 3)
    db.lock_changes()
    assert not db.is_address_warm(A)
    assert not db.is_storage_warm(A, 1)
    db.mark_address_warm(A)
    db.discard(checkpoint)
    assert not db.is_address_warm(A)
    assert db.get_storage(A, 1) == 11


def test_unknown_values_are_missing_not_zero() -> None:
    """In a world that is not complete, each kind of value says what is missing."""
    db = database(complete=False)
    with pytest.raises(MissingState) as account:
        db.get_balance(NEW)
    assert account.value.accounts == {NEW}
    with pytest.raises(MissingState) as slot:
        db.get_storage(A, 9)
    assert slot.value.slots == {(A, 9)}
    with pytest.raises(MissingState):
        db.set_storage(A, 9, 1)
    with pytest.raises(MissingState):
        db.touch_account(NEW)


def test_missing_code_names_the_account() -> None:
    """A source knows codes by hash; who needs it must be told whose it is."""

    class Codeless(DictState):
        def code(self, code_hash: bytes) -> bytes:
            raise MissingState(codes=(code_hash,))

    db = FlatAccountDB(Codeless({A: Account(1, 0, b"\x60\x00")}))
    assert db.get_code_hash(A) == keccak(b"\x60\x00")
    with pytest.raises(MissingState) as missing:
        db.get_code(A)
    assert missing.value.codes == {A}


def test_an_account_that_was_never_created_has_no_storage() -> None:
    """Known without asking: its slots are in no file."""
    db = database(complete=False)
    assert db.get_storage(B, 5) == 0


def test_overwriting_needs_no_old_value() -> None:
    """The system writes at the start of a block."""
    db = database(complete=False)
    checkpoint = db.record()
    db.overwrite_slot(A, 77, 1)
    assert db.get_storage(A, 77) == 1
    assert db.changes()[A].storage == {77: 1}  # type: ignore[union-attr]
    db.discard(checkpoint)
    with pytest.raises(MissingState):
        db.get_storage(A, 77)


def test_a_balance_below_zero_is_refused() -> None:
    """A bug above must not become a rich account below."""
    with pytest.raises(ValidationError):
        database().set_balance(A, -1)


def test_deleting_code_leaves_the_empty_hash() -> None:
    """EIP-7702 does so for a delegation to the zero address."""
    db = database()
    db.delete_code(A)
    assert (db.get_code(A), db.get_code_hash(A)) == (b"", EMPTY_CODE_HASH)
