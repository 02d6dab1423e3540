"""Merkle proofs against py-trie's trees: every true value is proven, no changed node or value is."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import rlp
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st
from trie.hexary import HexaryTrie

from flasharb.evm import Account
from flasharb.evm.roots import state_root
from flasharb.evm.source import EMPTY_CODE_HASH
from flasharb.simulation.proofs import (
    MAX_NODE_BYTES,
    BadProof,
    ProvenAccount,
    proven_account,
    proven_slot,
    proven_value,
)

SLOTS = st.dictionaries(st.integers(0, 40) | st.integers(0, 2**256 - 1), st.integers(1, 2**256 - 1), max_size=40)


def storage_trie(slots: dict[int, int]) -> HexaryTrie:
    trie = HexaryTrie({})
    for slot, value in slots.items():
        trie[keccak(slot.to_bytes(32, "big"))] = rlp.encode(value)
    return trie


def nodes_of(trie: HexaryTrie, key: bytes) -> list[bytes]:
    """A proof as nodes give it: nodes that are shorter than a hash stand inside the one above."""
    encoded = [rlp.encode(node) for node in trie.get_proof(key)]
    return [node for index, node in enumerate(encoded) if index == 0 or len(node) >= 32]


@given(SLOTS, st.integers(0, 40))
def test_every_slot_of_a_tree_is_proven_and_every_absence_too(slots: dict[int, int], other: int) -> None:
    trie = storage_trie(slots)
    for slot in (*slots, other):
        proof = nodes_of(trie, keccak(slot.to_bytes(32, "big")))
        assert proven_slot(trie.root_hash, slot, proof) == slots.get(slot, 0)


@given(SLOTS.filter(bool), st.data())
def test_no_other_root_node_or_order_proves_anything_else(slots: dict[int, int], data: st.DataObject) -> None:
    """One bit of one node flipped, or a node left out: an error, never another value."""
    trie = storage_trie(slots)
    slot = data.draw(st.sampled_from(sorted(slots)))
    proof = nodes_of(trie, keccak(slot.to_bytes(32, "big")))
    assert proven_slot(trie.root_hash, slot, reversed(proof)) == slots[slot]
    at = data.draw(st.integers(0, len(proof) - 1))
    bit = data.draw(st.integers(0, 8 * len(proof[at]) - 1))
    changed = bytearray(proof[at])
    changed[bit // 8] ^= 1 << bit % 8
    for bad in ([*proof[:at], bytes(changed), *proof[at + 1 :]], proof[:at] + proof[at + 1 :]):
        with pytest.raises(BadProof):
            proven_slot(trie.root_hash, slot, bad)
    with pytest.raises(BadProof):
        proven_slot(keccak(trie.root_hash), slot, proof)


@given(SLOTS.filter(lambda slots: len(slots) > 1), st.data())
def test_the_proof_of_one_slot_is_none_of_another_with_a_value(slots: dict[int, int], data: st.DataObject) -> None:
    """A node cannot pass another slot's proof off as an absence."""
    trie = storage_trie(slots)
    one, other = data.draw(st.lists(st.sampled_from(sorted(slots)), min_size=2, max_size=2, unique=True))
    proof = nodes_of(trie, keccak(one.to_bytes(32, "big")))
    with contextlib.suppress(BadProof):
        assert proven_slot(trie.root_hash, other, proof) == slots[other]


def test_accounts_under_a_state_root() -> None:
    storage = {1: 2, 3: 4}
    world = {bytes([n]) * 20: Account(n, n * 10**18, bytes([n]), storage if n == 7 else {}) for n in range(1, 30)}
    trie = HexaryTrie({})
    for address, account in world.items():
        slots = storage_trie(account.storage)
        leaf = [account.nonce, account.balance, slots.root_hash, keccak(account.code)]
        trie[keccak(address)] = rlp.encode(leaf)
    assert trie.root_hash == state_root(world)
    seven = b"\x07" * 20
    assert proven_account(trie.root_hash, seven, nodes_of(trie, keccak(seven))) == ProvenAccount(
        7, 7 * 10**18, storage_trie(storage).root_hash, keccak(b"\x07")
    )
    assert proven_account(trie.root_hash, b"\xff" * 20, nodes_of(trie, keccak(b"\xff" * 20))) is None


def test_an_empty_tree_proves_that_there_is_nothing() -> None:
    root = HexaryTrie({}).root_hash
    assert proven_account(root, bytes(20), []) is None
    assert proven_slot(root, 0, [b"\x80"]) == 0


def rooted(node: Any) -> tuple[bytes, list[bytes]]:
    encoded = rlp.encode(node)
    return keccak(encoded), [encoded]


KEY = keccak(bytes(32))


@pytest.mark.parametrize(
    "node",
    [
        [b"", b"", b""],
        [b"\x20" + KEY, b""],
        [b"\x20" + KEY, [b"x"]],
        [b"\x50" + KEY, b"x"],
        [b"", b"x"],
        b"just bytes",
        [b"\x00", [b"\x20" + KEY, b"x"]],
        [b"\x00" + KEY, [b""] * 17],
    ],
    ids=["three items", "no value", "a list as value", "unknown flag", "no path", "bytes", "no step", "below the end"],
)
def test_what_is_no_node_of_such_a_tree_proves_nothing(node: Any) -> None:
    root, nodes = rooted(node)
    with pytest.raises(BadProof):
        proven_value(root, KEY, nodes)


def test_leaves_that_are_no_account_or_value() -> None:
    address = bytes(20)
    fields = [b"", b"", bytes(32), EMPTY_CODE_HASH]
    for leaf in (
        b"\xc0",
        rlp.encode(fields[:3]),
        rlp.encode([*fields[:3], b"short"]),
        rlp.encode([fields, *fields[1:]]),
    ):
        root, nodes = rooted([b"\x20" + keccak(address), leaf])
        with pytest.raises(BadProof):
            proven_account(root, address, nodes)
    for leaf in (rlp.encode(bytes([1]) * 33), rlp.encode([b"1"]), b"\xff"):
        root, nodes = rooted([b"\x20" + KEY, leaf])
        with pytest.raises(BadProof):
            proven_slot(root, 0, nodes)


def test_a_nest_of_lists_and_a_huge_node_are_refused() -> None:
    """What a hostile node could send to overflow the stack or eat time."""
    nest = b"\xc0"
    while len(nest) < MAX_NODE_BYTES - 3:
        size = len(nest)
        nest = (bytes([0xC0 + size]) if size < 56 else b"\xf9" + size.to_bytes(2, "big")) + nest
    for node in (nest, rlp.encode([b"\x20" + KEY, bytes([1]) * 2 * MAX_NODE_BYTES])):
        with pytest.raises(BadProof):
            proven_value(keccak(node), KEY, [node])
