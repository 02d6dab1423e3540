"""Headers, receipts and their roots under Prague rules, as the yellow paper and the EIPs write them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import rlp
from eth_hash.auto import keccak
from trie.hexary import HexaryTrie

from flasharb.devnet.hexes import hex_bytes, hex_int
from flasharb.evm.result import LogEntry
from flasharb.units import Address, Hash32

EMPTY_OMMERS_HASH: Final = Hash32(keccak(rlp.encode([])))
EMPTY_TRIE_ROOT: Final = Hash32(keccak(rlp.encode(b"")))
EMPTY_REQUESTS_HASH: Final = Hash32(sha256().digest())
"""EIP-7685: the hash over no requests at all (a chain without validators has none)."""


@dataclass(frozen=True, slots=True)
class Header:
    """A Prague block header. What a proof-of-stake chain fixes (ommers, difficulty, nonce) is not a field."""

    parent_hash: Hash32
    coinbase: Address
    state_root: Hash32
    transactions_root: Hash32
    receipts_root: Hash32
    logs_bloom: bytes
    number: int
    gas_limit: int
    gas_used: int
    timestamp: int
    extra_data: bytes
    prev_randao: Hash32
    base_fee_per_gas: int
    parent_beacon_root: Hash32
    blob_gas_used: int = 0
    excess_blob_gas: int = 0
    withdrawals_root: Hash32 = EMPTY_TRIE_ROOT
    requests_hash: Hash32 = EMPTY_REQUESTS_HASH
    hash: Hash32 = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hash", Hash32(keccak(self.encode())))

    def encode(self) -> bytes:
        """The RLP whose keccak is the block hash."""
        encoded: bytes = rlp.encode(
            [
                self.parent_hash,
                EMPTY_OMMERS_HASH,
                self.coinbase,
                self.state_root,
                self.transactions_root,
                self.receipts_root,
                self.logs_bloom,
                quantity(0),
                quantity(self.number),
                quantity(self.gas_limit),
                quantity(self.gas_used),
                quantity(self.timestamp),
                self.extra_data,
                self.prev_randao,
                bytes(8),
                quantity(self.base_fee_per_gas),
                self.withdrawals_root,
                quantity(self.blob_gas_used),
                quantity(self.excess_blob_gas),
                self.parent_beacon_root,
                self.requests_hash,
            ]
        )
        return encoded

    def to_json(self) -> dict[str, Any]:
        """The header fields as JSON-RPC names them."""
        return {
            "hash": hex_bytes(self.hash),
            "parentHash": hex_bytes(self.parent_hash),
            "sha3Uncles": hex_bytes(EMPTY_OMMERS_HASH),
            "miner": hex_bytes(self.coinbase),
            "stateRoot": hex_bytes(self.state_root),
            "transactionsRoot": hex_bytes(self.transactions_root),
            "receiptsRoot": hex_bytes(self.receipts_root),
            "logsBloom": hex_bytes(self.logs_bloom),
            "difficulty": "0x0",
            "number": hex_int(self.number),
            "gasLimit": hex_int(self.gas_limit),
            "gasUsed": hex_int(self.gas_used),
            "timestamp": hex_int(self.timestamp),
            "extraData": hex_bytes(self.extra_data),
            "mixHash": hex_bytes(self.prev_randao),
            "nonce": hex_bytes(bytes(8)),
            "baseFeePerGas": hex_int(self.base_fee_per_gas),
            "withdrawalsRoot": hex_bytes(self.withdrawals_root),
            "blobGasUsed": hex_int(self.blob_gas_used),
            "excessBlobGas": hex_int(self.excess_blob_gas),
            "parentBeaconBlockRoot": hex_bytes(self.parent_beacon_root),
            "requestsHash": hex_bytes(self.requests_hash),
        }


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a transaction did, and where it stands in its block. ``log0`` is the block-wide index of its first log."""

    transaction_hash: Hash32
    index: int
    sender: Address
    to: Address | None
    type: int
    status: int
    gas_used: int
    cumulative_gas_used: int
    effective_gas_price: int
    contract_address: Address | None
    logs: tuple[LogEntry, ...]
    log0: int
    coinbase_delta: int
    bloom: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bloom", logs_bloom(self.logs))

    def encode(self) -> bytes:
        """The consensus encoding: the type byte of a typed transaction, then RLP."""
        body: bytes = rlp.encode(
            [
                quantity(self.status),
                quantity(self.cumulative_gas_used),
                self.bloom,
                [[log.address, list(log.topics), log.data] for log in self.logs],
            ]
        )
        return bytes([self.type]) + body if self.type else body


def quantity(value: int) -> bytes:
    """An integer as RLP wants it: big-endian without leading zeros."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def logs_bloom(logs: Iterable[LogEntry]) -> bytes:
    """The 2048-bit bloom filter over the addresses and topics of ``logs``."""
    bits = 0
    for log in logs:
        for item in (log.address, *log.topics):
            digest = keccak(item)
            for start in (0, 2, 4):
                bits |= 1 << (int.from_bytes(digest[start : start + 2], "big") & 2047)
    return bits.to_bytes(256, "big")


def joined_bloom(receipts: Iterable[Receipt]) -> bytes:
    """The bloom of a block: the union of its receipts' blooms."""
    bits = 0
    for receipt in receipts:
        bits |= int.from_bytes(receipt.bloom, "big")
    return bits.to_bytes(256, "big")


def list_root(items: Sequence[bytes]) -> Hash32:
    """The root of the trie that maps ``rlp(index)`` to each item: transactions, receipts."""
    trie = HexaryTrie({})
    for index, item in enumerate(items):
        trie[rlp.encode(quantity(index))] = item
    return Hash32(trie.root_hash)
