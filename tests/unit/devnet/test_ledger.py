"""The incremental tries and the history of the ledger, against the plain reading of the same changes."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flasharb.devnet import ledger
from flasharb.devnet.ledger import STATE_HISTORY, Account, AccountAfter, BlockUnavailable, Ledger, StateTries
from flasharb.evm import Account as EvmAccount
from flasharb.evm import AccountInfo, MissingState, roots
from flasharb.evm.source import EMPTY_CODE_HASH
from flasharb.simulation.proofs import proven_account, proven_slot
from flasharb.units import Address, Hash32

ADDRESSES = [Address(bytes([n]) * 20) for n in range(1, 6)]
GENESIS = Hash32(bytes(32))

changes = st.dictionaries(
    st.sampled_from(ADDRESSES),
    st.none()
    | st.builds(
        AccountAfter,
        nonce=st.integers(0, 3),
        balance=st.integers(1, 2**70),
        code_hash=st.just(EMPTY_CODE_HASH),
        slots=st.dictionaries(st.integers(0, 6), st.integers(0, 2) | st.integers(2**200, 2**256 - 1), max_size=5),
    ),
    max_size=4,
)
World = dict[Address, Account]


def _applied(world: World, block: dict[Address, AccountAfter | None]) -> World:
    after = copy.deepcopy(world)
    for address, change in block.items():
        if change is None:
            after.pop(address, None)
            continue
        storage = (after[address].storage if address in after else {}) | dict(change.slots)
        kept = {slot: value for slot, value in storage.items() if value}
        after[address] = Account(change.nonce, change.balance, change.code_hash, kept)
    return after


def _root(world: World) -> bytes:
    return roots.state_root({a: EvmAccount(x.nonce, x.balance, b"", x.storage) for a, x in world.items()})


@settings(max_examples=60)
@given(st.lists(changes, min_size=1, max_size=6))
def test_every_state_root_is_that_of_the_state_built_anew(blocks: list[dict[Address, AccountAfter | None]]) -> None:
    world: World = {}
    tries = StateTries(world)
    for block in blocks:
        world = _applied(world, block)

        assert tries.apply(block) == _root(world)


@settings(max_examples=60)
@given(st.lists(changes, min_size=1, max_size=6))
def test_every_recent_state_stays_provable(blocks: list[dict[Address, AccountAfter | None]]) -> None:
    """By the service's own verification, accounts and slots that are there and that are not; or it is said to be gone,
    which happens only to accounts that ended since.
    """
    tries, worlds = StateTries({}), [World()]
    for block in blocks:
        tries.apply(block)
        worlds.append(_applied(worlds[-1], block))
    ended = {address for block in blocks for address, change in block.items() if change is None}
    for world in worlds:
        root = Hash32(_root(world))
        for address in ADDRESSES:
            account = world.get(address)
            try:
                proof = tries.prove(root, address, range(7))
            except BlockUnavailable:
                assert address in ended
                continue
            proven = proven_account(root, address, proof.nodes)
            if account is None:
                assert proven is None
                continue
            assert proven == (account.nonce, account.balance, proof.storage_root, account.code_hash)
            for slot, (value, nodes) in enumerate(proof.slots):
                assert proven_slot(proof.storage_root, slot, nodes) == value == account.storage.get(slot, 0)


def test_what_proves_old_states_is_dropped_after_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "STATE_HISTORY", 2)
    tries, roots_seen, sizes = StateTries({}), [], []
    for balance in range(1, 30):
        roots_seen.append(tries.apply({ADDRESSES[0]: AccountAfter(0, balance, EMPTY_CODE_HASH, {1: balance})}))
        sizes.append(len(tries._accounts.db) + len(tries._storage[ADDRESSES[0]].db))
    assert sizes[-1] == sizes[5]
    for root in roots_seen[-3:]:
        tries.prove(root, ADDRESSES[0], [1])
    with pytest.raises(BlockUnavailable):
        tries.prove(roots_seen[-5], ADDRESSES[0], [1])


@settings(max_examples=60)
@given(st.lists(changes, min_size=1, max_size=6))
def test_every_recent_state_stays_readable(blocks: list[dict[Address, AccountAfter | None]]) -> None:
    worlds: list[World] = [{}]
    book = Ledger({}, {}, 0, GENESIS)
    for number, block in enumerate(blocks, start=1):
        book.commit(number, Hash32(bytes([number]) * 32), block, {})
        worlds.append(_applied(worlds[-1], block))
    for number, world in enumerate(worlds):
        state = book.at(number)
        for address in ADDRESSES:
            account = world.get(address)
            expected = None if account is None else AccountInfo(account.nonce, account.balance, account.code_hash)

            assert state.account(address) == expected
            for slot in range(7):
                assert state.storage(address, slot) == (account.storage.get(slot, 0) if account is not None else 0)


def test_states_beyond_the_history_are_refused() -> None:
    book = Ledger({}, {}, 0, GENESIS)
    for number in range(1, STATE_HISTORY + 3):
        book.commit(number, Hash32(bytes(32)), {}, {})

    assert book.oldest == 2
    book.at(2)
    for number in (1, STATE_HISTORY + 3):
        with pytest.raises(BlockUnavailable, match=f"state of block {number} is not available"):
            book.at(number)


def test_block_hashes_are_known_or_missing_never_zero() -> None:
    book = Ledger({}, {}, 0, GENESIS)
    book.commit(1, Hash32(b"\x01" * 32), {}, {})

    assert book.at(1).block_hash(1) == b"\x01" * 32
    with pytest.raises(MissingState):
        book.at(1).block_hash(2)
