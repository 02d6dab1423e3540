"""Raw transactions are read as the reference library writes them, and damaged ones are refused."""

from __future__ import annotations

from typing import Any

import pytest
import rlp
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from flasharb.devnet.transactions import (
    UndecodableTransaction,
    address_of,
    decode,
    sign_dynamic_fee,
)
from flasharb.units import Address, checksum

KEY = bytes(range(1, 33))
TO = Address(bytes.fromhex("00000000000000000000000000000000000000aa"))
COMMON: dict[str, Any] = {"nonce": 7, "gas": 50_000, "to": checksum(TO), "value": 5, "data": "0xdeadbeef"}
LEGACY = COMMON | {"gasPrice": 9}
ACCESS = LEGACY | {
    "type": 1,
    "chainId": 61861,
    "accessList": [{"address": checksum(TO), "storageKeys": ["0x" + "00" * 31 + "05"]}],
}
DYNAMIC = COMMON | {"type": 2, "chainId": 61861, "maxFeePerGas": 9, "maxPriorityFeePerGas": 2}


@pytest.mark.parametrize(
    ("fields", "kind", "chain_id", "fees"),
    [
        (LEGACY, 0, None, (9, 9)),
        (LEGACY | {"chainId": 61861}, 0, 61861, (9, 9)),
        (ACCESS, 1, 61861, (9, 9)),
        (DYNAMIC, 2, 61861, (2, 9)),
    ],
)
def test_reads_what_eth_account_signs(
    fields: dict[str, Any], kind: int, chain_id: int | None, fees: tuple[int, int]
) -> None:
    signed = Account.sign_transaction(fields, KEY)
    transaction = decode(bytes(signed.raw_transaction))

    assert transaction.hash == bytes(signed.hash)
    assert transaction.sender == address_of(KEY)
    assert checksum(transaction.sender) == Account.from_key(KEY).address
    assert (transaction.type, transaction.chain_id, transaction.nonce, transaction.value) == (kind, chain_id, 7, 5)
    assert (transaction.max_priority_fee_per_gas, transaction.max_fee_per_gas) == fees
    assert (transaction.to, transaction.data) == (TO, bytes.fromhex("deadbeef"))
    assert transaction.access_list == (((TO, (5,)),) if kind == 1 else ())
    assert transaction.to_json()["v"] == hex(signed.v)
    assert transaction.to_json()["r"] == hex(signed.r)


def test_signs_as_eth_account_signs() -> None:
    raw = sign_dynamic_fee(
        KEY, chain_id=61861, nonce=7, fees=(2, 9), gas_limit=50_000, to=TO, data=b"\xde\xad\xbe\xef", value=5
    )

    assert raw == bytes(Account.sign_transaction(DYNAMIC, KEY).raw_transaction)


def test_a_creation_has_no_recipient() -> None:
    fields = {name: value for name, value in DYNAMIC.items() if name != "to"}

    assert decode(bytes(Account.sign_transaction(fields, KEY).raw_transaction)).to is None


RAW = bytes(Account.sign_transaction(DYNAMIC, KEY).raw_transaction)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "not a signed transaction"),
        (b"\x03" + RAW[1:], "transaction type 3 not supported"),
        (RAW + b"\x00", "not a signed transaction"),
        (RAW[:-1], "not a signed transaction"),
        (b"\x02" + rlp.encode([b""] * 11), "wrong number of transaction fields"),
        (b"\x02" + rlp.encode([*rlp.decode(RAW[1:])[:9], b"\x02", b"\x01", b"\x01"]), "y parity is 2"),
        (b"\x02" + rlp.encode([b"\x00\x01", *rlp.decode(RAW[1:])[1:]]), "leading zeros"),
        (b"\x02" + rlp.encode([*rlp.decode(RAW[1:])[:5], b"\x01", *rlp.decode(RAW[1:])[6:]]), "an address of 1 bytes"),
    ],
)
def test_refuses_what_is_no_transaction(raw: bytes, words: str) -> None:
    with pytest.raises(UndecodableTransaction, match=words):
        decode(raw)


def test_refuses_the_other_signature_of_the_same_transaction() -> None:
    fields = rlp.decode(RAW[1:])
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = (order - int.from_bytes(fields[-1], "big")).to_bytes(32, "big")
    parity = b"" if fields[-3] else b"\x01"
    with pytest.raises(UndecodableTransaction, match="signature is out of range"):
        decode(b"\x02" + rlp.encode([*fields[:-3], parity, fields[-2], high]))


@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
def test_a_flipped_byte_never_passes_for_the_same_transaction(position: int, flip: int) -> None:
    damaged = bytearray(RAW)
    damaged[position] ^= flip
    try:
        transaction = decode(bytes(damaged))
    except UndecodableTransaction:
        return

    assert transaction.hash != decode(RAW).hash
    assert transaction.sender != address_of(KEY)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_transaction_or_refused(raw: bytes) -> None:
    try:
        transaction = decode(raw)
    except UndecodableTransaction:
        return

    assert transaction.raw == raw
