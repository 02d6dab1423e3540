"""Roots and blooms against independent implementations."""

from __future__ import annotations

import rlp
from eth_bloom import BloomFilter
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st
from trie import HexaryTrie

from flasharb.evm import Account, LogEntry
from flasharb.evm.roots import EMPTY_ROOT, logs_bloom, ordered_root, receipt_bytes, state_root, trie_root

values = st.binary(min_size=1, max_size=60)


@given(st.dictionaries(st.binary(max_size=6), values, max_size=40))
def test_any_mapping_has_the_root_of_a_real_trie(items: dict[bytes, bytes]) -> None:
    """Keys of all lengths, some the beginning of others."""
    trie = HexaryTrie({})
    for key, value in items.items():
        trie[key] = value
    assert trie_root(items) == trie.root_hash


@given(st.lists(values, max_size=300))
def test_lists(items: list[bytes]) -> None:
    """As headers commit to transactions and receipts."""
    trie = HexaryTrie({})
    for index, item in enumerate(items):
        trie[rlp.encode(index)] = item
    assert ordered_root(items) == trie.root_hash


def test_worlds() -> None:
    """Storage tries inside account leaves; zero slots and absent accounts are not there."""
    code = b"\x60\x00"
    accounts = {b"\x01" * 20: Account(1, 2, code, {3: 4, 5: 0}), b"\x02" * 20: None, b"\x03" * 20: Account()}
    storage, world = HexaryTrie({}), HexaryTrie({})
    storage[keccak((3).to_bytes(32, "big"))] = rlp.encode(4)
    world[keccak(b"\x01" * 20)] = rlp.encode([1, 2, storage.root_hash, keccak(code)])
    world[keccak(b"\x03" * 20)] = rlp.encode([0, 0, EMPTY_ROOT, keccak(b"")])
    assert state_root(accounts) == world.root_hash
    assert state_root({}) == EMPTY_ROOT


@given(
    st.lists(st.tuples(st.binary(min_size=20, max_size=20), st.lists(st.binary(min_size=32, max_size=32), max_size=4)))
)
def test_blooms(entries: list[tuple[bytes, list[bytes]]]) -> None:
    """Addresses and topics, as eth-bloom has them."""
    expected = BloomFilter()
    for address, topics in entries:
        expected.add(address)
        expected.extend(topics)
    logs = [LogEntry(address, tuple(topics), b"") for address, topics in entries]
    assert logs_bloom(logs) == int(expected).to_bytes(256, "big")


def test_receipts_carry_their_type_in_front() -> None:
    """EIP-2718; legacy ones none."""
    log = LogEntry(b"\x01" * 20, (b"\x02" * 32,), b"\x03")
    body = rlp.encode([b"\x01", 21_000, logs_bloom([log]), [[log.address, list(log.topics), log.data]]])
    assert receipt_bytes(0, 1, 21_000, [log]) == body
    assert receipt_bytes(2, 1, 21_000, [log]) == b"\x02" + body
    assert rlp.decode(receipt_bytes(0, 0, 21_000, []))[0] == b""
