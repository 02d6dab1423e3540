"""Decoding: every type against py-evm's decoder, and what must be refused."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import rlp
from eth.vm.forks.prague.transactions import PragueTransactionBuilder
from eth_account import Account as Signer
from eth_keys import keys
from hypothesis import given
from hypothesis import strategies as st

from flasharb.evm import InvalidTransaction
from flasharb.evm.transactions import SECP256K1_N, decode

KEY = b"\x46" * 32
SENDER = keys.PrivateKey(KEY).public_key.to_canonical_address()
TARGET = "0x3535353535353535353535353535353535353535"
COMMON: dict[str, Any] = {"nonce": 9, "gas": 100_000, "to": TARGET, "value": 10**18, "data": b"\x00\x01\x02"}
FEES = {"chainId": 1, "maxFeePerGas": 30, "maxPriorityFeePerGas": 3}
ACCESS = [{"address": TARGET, "storageKeys": ["0x" + "11" * 32, "0x" + "22" * 32]}]
AUTHORIZATION = Signer.sign_authorization({"chainId": 1, "address": TARGET, "nonce": 4}, b"\x11" * 32)
TRANSACTIONS = {
    "before EIP-155": {**COMMON, "gasPrice": 20},
    "legacy": {**COMMON, "gasPrice": 20, "chainId": 1},
    "creation": {**COMMON, "to": b"", "gasPrice": 20, "chainId": 1},
    "type 1": {**COMMON, "type": 1, "chainId": 1, "gasPrice": 20, "accessList": ACCESS},
    "type 2": {**COMMON, **FEES, "type": 2, "accessList": ACCESS},
    "type 3": {
        **COMMON,
        **FEES,
        "type": 3,
        "accessList": [],
        "maxFeePerBlobGas": 7,
        "blobVersionedHashes": ["0x01" + "ab" * 31],
    },
    "type 4": {**COMMON, **FEES, "type": 4, "accessList": [], "authorizationList": [AUTHORIZATION]},
}


def sign(fields: dict[str, Any]) -> bytes:
    return bytes(Signer.sign_transaction(fields, KEY).raw_transaction)


@pytest.mark.parametrize("name", TRANSACTIONS)
def test_every_field_is_as_py_evm_reads_it(name: str) -> None:
    """Sender, prices, gas, lists."""
    raw = sign(TRANSACTIONS[name])
    ours, theirs = decode(raw), PragueTransactionBuilder.decode(raw)
    assert ours.sender == SENDER == theirs.sender
    for field in (
        "nonce",
        "gas",
        "to",
        "value",
        "data",
        "max_fee_per_gas",
        "max_priority_fee_per_gas",
        "intrinsic_gas",
        "y_parity",
        "r",
        "s",
    ):
        assert getattr(ours, field) == getattr(theirs, field), field
    assert [(a, tuple(k)) for a, k in theirs.access_list] == list(ours.access_list)
    if ours.type_id == 3:
        assert ours.max_fee_per_blob_gas == theirs.max_fee_per_blob_gas == 7
        assert ours.blob_versioned_hashes == theirs.blob_versioned_hashes
    if ours.type_id == 4:
        assert ours.authorization_list == theirs.authorization_list


def tampered(raw: bytes, index: int, value: bytes) -> bytes:
    """The same transaction with one RLP field replaced."""
    fields = rlp.decode(raw[1:])
    fields[index] = value
    return raw[:1] + bytes(rlp.encode(fields))


TYPE_2 = sign(TRANSACTIONS["type 2"])
HIGH_S = (SECP256K1_N - int.from_bytes(rlp.decode(TYPE_2[1:])[-1], "big")).to_bytes(32, "big")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "no bytes"),
        (b"\x7f\xc0", "type 127"),
        (b"\x80", "not known"),
        (TYPE_2[:-1], "not RLP"),
        (TYPE_2 + b"\x00", "not RLP"),
        (b"\x02\xc0", "0 fields instead of 12"),
        (b"\x02\x80", "no list"),
        (tampered(TYPE_2, 1, b"\x00\x09"), "leading zeros"),
        (tampered(TYPE_2, 1, b"\xff" * 8), "nonce"),
        (tampered(TYPE_2, 4, b"\x01" * 9), "gas"),
        (tampered(TYPE_2, 5, b"\x01" * 19), "to is not 20 bytes"),
        (tampered(TYPE_2, 9, b"\x02"), "out of range"),
        (tampered(TYPE_2, 10, b""), "out of range"),
        (tampered(TYPE_2, 11, HIGH_S), "out of range"),
        (tampered(TYPE_2, 2, b"\xff"), "above the maximum fee"),
    ],
)
def test_malformed_transactions_are_refused_with_a_reason(raw: bytes, reason: str) -> None:
    """By the one exception that callers handle."""
    with pytest.raises(InvalidTransaction, match=reason):
        decode(raw)


@given(st.binary(max_size=200), st.integers(0, 4))
def test_no_bytes_raise_anything_else(junk: bytes, type_id: int) -> None:
    """Whatever comes from outside."""
    for raw in (junk, bytes([type_id]) + junk, bytes([type_id]) + bytes(rlp.encode([junk] * 12))):
        try:
            decode(raw)
        except InvalidTransaction:
            continue


@given(st.integers(0, len(TYPE_2) - 1), st.integers(1, 255))
def test_a_flipped_byte_never_keeps_the_sender(at: int, flip: int) -> None:
    """The signature covers everything."""
    raw = bytearray(TYPE_2)
    raw[at] ^= flip
    with contextlib.suppress(InvalidTransaction):
        assert decode(bytes(raw)).sender != SENDER
