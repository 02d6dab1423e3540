"""Our transactions and signatures against eth_account, over the whole range of every field."""

from __future__ import annotations

from eth_account import Account
from eth_account.messages import encode_defunct
from hypothesis import given
from hypothesis import strategies as st

from flasharb.evm.rlp import encode_bytes, encode_int, encode_list
from flasharb.execution.signing import CURVE_ORDER, SigningKey, sign
from flasharb.execution.transaction import MAX_TRANSACTION_GAS, Transaction

keys = st.integers(1, CURVE_ORDER - 1).map(lambda number: number.to_bytes(32, "big"))
words = st.one_of(st.integers(0, 300), st.integers(0, 2**256 - 1))
addresses = st.binary(min_size=20, max_size=20)
access_lists = st.lists(
    st.tuples(addresses, st.lists(st.integers(0, 2**256 - 1), max_size=3).map(tuple)), max_size=3
).map(tuple)


@st.composite
def transactions(draw) -> Transaction:
    fee = draw(words)
    return Transaction(
        chain_id=draw(st.integers(1, 2**63)),
        nonce=draw(st.one_of(st.integers(0, 300), st.integers(0, 2**64 - 2))),
        max_priority_fee_per_gas=draw(st.integers(0, fee)),
        max_fee_per_gas=fee,
        gas_limit=draw(st.integers(21_000, MAX_TRANSACTION_GAS)),
        to=draw(st.one_of(st.none(), addresses)),
        value=draw(words),
        data=draw(st.one_of(st.binary(max_size=80), st.binary(min_size=200, max_size=400))),
        access_list=draw(access_lists),
    )


@given(transactions(), keys)
def test_signed_transaction_is_eth_accounts(transaction: Transaction, secret: bytes) -> None:
    """The same bytes, hash and sender as the reference client's for every field value."""
    reference = Account.sign_transaction(
        {
            "type": 2,
            "chainId": transaction.chain_id,
            "nonce": transaction.nonce,
            "maxPriorityFeePerGas": transaction.max_priority_fee_per_gas,
            "maxFeePerGas": transaction.max_fee_per_gas,
            "gas": transaction.gas_limit,
            "to": b"" if transaction.to is None else transaction.to,
            "value": transaction.value,
            "data": transaction.data,
            "accessList": [
                {"address": "0x" + account.hex(), "storageKeys": [f"0x{slot:064x}" for slot in slots]}
                for account, slots in transaction.access_list
            ],
        },
        secret,
    )

    signed = sign(transaction, SigningKey(secret))

    assert signed.raw == bytes(reference.raw_transaction)
    assert signed.hash == bytes(reference.hash)
    assert Account.recover_transaction(signed.raw) == Account.from_key(secret).address
    assert signed.sender == bytes.fromhex(Account.from_key(secret).address[2:])


@given(st.binary(max_size=300), keys)
def test_text_signature_is_eth_accounts(text: bytes, secret: bytes) -> None:
    """EIP-191 over any bytes: the same signature, with a low s and v of 27 or 28."""
    signature = SigningKey(secret).sign_text(text)

    assert signature == bytes(Account.sign_message(encode_defunct(primitive=text), secret).signature)
    assert int.from_bytes(signature[32:64], "big") <= CURVE_ORDER // 2
    assert signature[64] in {27, 28}


@given(st.recursive(st.binary(max_size=70), lambda inner: st.lists(inner, max_size=5), max_leaves=12))
def test_rlp_is_the_reference_librarys(item: object) -> None:
    """Nested lists and byte strings around the length borders."""
    import rlp

    def ours(one: object) -> bytes:
        return encode_bytes(one) if isinstance(one, bytes) else encode_list(map(ours, one))

    assert ours(item) == rlp.encode(item)


@given(words)
def test_rlp_whole_numbers(number: int) -> None:
    """No leading zeros, zero is the empty string."""
    import rlp

    assert encode_int(number) == rlp.encode(number)


@given(st.sampled_from([0, 1, 55, 56, 255, 256, 65_535, 65_536]))
def test_rlp_length_borders(length: int) -> None:
    """Where the prefix grows."""
    import rlp

    assert encode_bytes(bytes(length)) == rlp.encode(bytes(length))
    assert encode_list([encode_bytes(bytes(length))]) == rlp.encode([bytes(length)])
