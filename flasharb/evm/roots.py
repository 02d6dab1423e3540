"""Commitments: bloom filter, Merkle-Patricia roots of lists and of worlds, receipts as they are hashed.

The tree is built bottom-up from all keys at once, which needs no database and hashes every node once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from eth_hash.auto import keccak

from flasharb.evm.result import LogEntry
from flasharb.evm.rlp import encode, encode_bytes, encode_int, encode_list
from flasharb.evm.source import EMPTY_CODE_HASH, Account

EMPTY_ROOT: Final = keccak(encode_bytes(b""))


def trie_root(items: Mapping[bytes, bytes]) -> bytes:
    """The Merkle-Patricia root of a mapping; values must not be empty."""
    if not items:
        return EMPTY_ROOT
    entries = sorted((_nibbles(key), value) for key, value in items.items())
    return keccak(encode(_node(entries, 0)))


def _nibbles(key: bytes) -> bytes:
    return bytes(n for byte in key for n in (byte >> 4, byte & 15))


def _compact(nibbles: bytes, leaf: bool) -> bytes:
    flag = 2 if leaf else 0
    padded = bytes([flag + 1]) + nibbles if len(nibbles) % 2 else bytes([flag, 0]) + nibbles
    return bytes(high << 4 | low for high, low in zip(padded[::2], padded[1::2], strict=True))


def _node(entries: Sequence[tuple[bytes, bytes]], depth: int) -> list[Any]:
    """The node over sorted entries that agree in their first ``depth`` nibbles."""
    first = entries[0][0]
    if len(entries) == 1:
        return [_compact(first[depth:], leaf=True), entries[0][1]]
    last, shared = entries[-1][0], depth
    while shared < len(first) and first[shared] == last[shared]:
        shared += 1
    if shared > depth:
        return [_compact(first[depth:shared], leaf=False), _reference(_node(entries, shared))]
    value = b""
    if len(first) == depth:
        value, entries = entries[0][1], entries[1:]
    branch: list[Any] = [b""] * 16
    start = 0
    for end in range(1, len(entries) + 1):
        if end == len(entries) or entries[end][0][depth] != entries[start][0][depth]:
            branch[entries[start][0][depth]] = _reference(_node(entries[start:end], depth + 1))
            start = end
    return [*branch, value]


def _reference(node: list[Any]) -> Any:
    encoded = encode(node)
    return node if len(encoded) < 32 else keccak(encoded)


def ordered_root(items: Iterable[bytes]) -> bytes:
    """The root of a list, as headers hold it for transactions, receipts and withdrawals."""
    return trie_root({encode_int(index): item for index, item in enumerate(items)})


def state_root(accounts: Mapping[bytes, Account | None]) -> bytes:
    """The state root of a complete world."""
    leaves = {}
    for address, account in accounts.items():
        if account is None:
            continue
        slots = {
            keccak(slot.to_bytes(32, "big")): encode_int(value) for slot, value in account.storage.items() if value
        }
        code_hash = keccak(account.code) if account.code else EMPTY_CODE_HASH
        numbers = encode_int(account.nonce), encode_int(account.balance)
        leaves[keccak(address)] = encode_list((*numbers, encode_bytes(trie_root(slots)), encode_bytes(code_hash)))
    return trie_root(leaves)


def logs_bloom(logs: Iterable[LogEntry]) -> bytes:
    """The 2048-bit bloom filter over addresses and topics, 256 bytes."""
    bits = 0
    for log in logs:
        bits |= _bits(log.address)
        for topic in log.topics:
            bits |= _bits(topic)
    return bits.to_bytes(256, "big")


@lru_cache(4096)
def _bits(value: bytes) -> int:
    digest = keccak(value)
    bits = 0
    for at in (0, 2, 4):
        bits |= 1 << (int.from_bytes(digest[at : at + 2], "big") & 2047)
    return bits


def receipt_bytes(type_id: int, status: int, cumulative_gas_used: int, logs: Sequence[LogEntry]) -> bytes:
    """A receipt (EIP-658) as the receipts root commits to it, with its type in front."""
    encoded = encode_list(
        (
            b"\x01" if status else b"\x80",
            encode_int(cumulative_gas_used),
            encode_bytes(logs_bloom(logs)),
            encode_list([encode(log) for log in logs]),
        )
    )
    return bytes([type_id]) + encoded if type_id else encoded
