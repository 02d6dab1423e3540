"""Our machine against py-evm's own account database and computation, on random programs and transactions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from eth_account import Account as Signer
from eth_keys import keys
from hypothesis import given, settings
from hypothesis import strategies as st

from flasharb.evm import Account, DictState, Fork, InvalidTransaction, Machine, UnsignedTransaction
from tests.support.worlds import BOB, CHAIN_ID, CONTRACT, ETH, GWEI, OTHER, context

# Opcodes that touch what differs between the engines: storage, calls, creation, accounts, transient storage, hashing.
SNIPPETS = [
    bytes.fromhex(text)
    for text in (
        "6001600055",  # SSTORE 0 = 1
        "6000600055",  # SSTORE 0 = 0
        "6002600155",  # SSTORE 1 = 2
        "60005450",  # SLOAD 0
        "60015460025560025450",  # copy slot 1 to 2
        "60076000" + "5d" + "60005c600355",  # TSTORE, TLOAD, SSTORE 3
        "47600455",  # SELFBALANCE
        "6000526020600020600555",  # SHA3
        "60206000f3",  # RETURN
        "60206000fd",  # REVERT
        "fe",  # INVALID
        "5a600655",  # GAS
        "33600755",  # CALLER
        "60006000a0",  # LOG0
        "60016020600060206000a1",  # LOG1 with odd stack
        "73" + OTHER.hex() + "31600855",  # BALANCE
        "73" + OTHER.hex() + "3b50",  # EXTCODESIZE
        "73" + BOB.hex() + "3f600955",  # EXTCODEHASH
        "6000600060006000600073" + OTHER.hex() + "5af150",  # CALL
        "6000600060006000600373" + BOB.hex() + "5af150",  # CALL with value
        "600060006000600073" + OTHER.hex() + "5af450",  # DELEGATECALL
        "600060006000600073" + OTHER.hex() + "5afa50",  # STATICCALL
        "6000600060006000600073" + OTHER.hex() + "5af250",  # CALLCODE
        "60006000600060006000600060006000600060006000",  # many zeros
        "7f6001600055600160015560206000f300000000000000000000000000000000006000526020600060006000f050",  # CREATE
        "6000600060006000f550",  # CREATE2 of nothing
        "600160006000600060006000f5",  # CREATE2 again
        "73" + BOB.hex() + "ff",  # SELFDESTRUCT
        "600a56",  # JUMP to the middle
        "5b",
        "3d60003e",  # RETURNDATACOPY
    )
]
programs = st.one_of(st.lists(st.sampled_from(SNIPPETS), max_size=14).map(b"".join), st.binary(max_size=60))


KEY = b"\x33" * 32
SENDER = keys.PrivateKey(KEY).public_key.to_canonical_address()


def legacy(nonce: int, gas: int, data: bytes) -> bytes:
    """A call of the contract that every fork takes."""
    fields = {"nonce": nonce, "gas": gas, "gasPrice": 2 * GWEI, "to": CONTRACT, "value": 7, "data": data}
    return bytes(Signer.sign_transaction({**fields, "chainId": CHAIN_ID}, KEY).raw_transaction)


def outcome(engine: Any, fork: Fork, codes: tuple[bytes, bytes], gas: list[int], data: bytes) -> list[Any]:
    """Everything that two transactions and a call did."""
    world = DictState(
        {
            SENDER: Account(balance=ETH),
            BOB: Account(balance=1),
            CONTRACT: Account(nonce=1, balance=1000, code=codes[0], storage={0: 3, 1: 9}),
            OTHER: Account(nonce=1, balance=5, code=codes[1], storage={0: 1, 7: 7}),
        }
    )
    machine = Machine(world, context(fork), fork, engine)
    seen: list[Any] = []
    for nonce, limit in enumerate(gas):
        result = machine.apply(legacy(nonce, 21_000 + 40 * len(data) + limit, data))
        seen.append(_without_words(result))
        seen.append(_without_words(machine.call(OTHER, data, sender=BOB, gas=limit)))
    seen.append(machine.diff())
    return seen


def _without_words(result: Any) -> Any:
    """A failure that burns all gas may be called by another of its reasons."""
    return replace(result, error=None if result.error is None else result.error == "execution reverted")


@settings(max_examples=150)
@given(
    st.sampled_from(list(Fork)),
    st.tuples(programs, programs),
    st.lists(st.integers(0, 200_000), min_size=2, max_size=2),
    st.binary(max_size=40),
)
def test_both_engines_agree(fork: Fork, codes: tuple[bytes, bytes], gas: list[int], data: bytes) -> None:
    """Status, gas, output, logs, refunds and every changed account and slot."""
    assert outcome("py-evm", fork, codes, gas, data) == outcome("stock", fork, codes, gas, data)


@given(
    st.one_of(st.just(CONTRACT), st.just(BOB), st.just(b"")),
    programs,
    st.integers(0, 10**15),
    st.integers(21_000, 300_000),
    st.integers(0, 3 * GWEI),
    st.integers(0, 3 * GWEI),
    st.integers(0, 2),
    st.lists(st.tuples(st.sampled_from([CONTRACT, OTHER]), st.lists(st.integers(0, 5), max_size=3)), max_size=2),
)
def test_an_unsigned_transaction_executes_as_the_signed_one(
    to: bytes, data: bytes, value: int, gas: int, fee: int, tip: int, nonce: int, access: list[Any]
) -> None:
    """The same result, the same refusal, the same state, to the wei."""
    access_list = tuple((address, tuple(slots)) for address, slots in access)
    unsigned = UnsignedTransaction(SENDER, to or None, data, value, nonce, gas, fee, tip, access_list, CHAIN_ID)
    signed = Signer.sign_transaction(
        {
            "type": 2,
            "chainId": CHAIN_ID,
            "nonce": nonce,
            "gas": gas,
            "maxFeePerGas": fee,
            "maxPriorityFeePerGas": tip,
            "to": to,
            "value": value,
            "data": data,
            "accessList": [
                {"address": "0x" + a.hex(), "storageKeys": [f"{slot:#066x}" for slot in slots]} for a, slots in access
            ],
        },
        KEY,
    )
    assert _applied(unsigned) == _applied(bytes(signed.raw_transaction))


def _applied(transaction: bytes | UnsignedTransaction) -> Any:
    world = DictState(
        {
            SENDER: Account(nonce=1, balance=ETH // 1000),
            CONTRACT: Account(nonce=1, code=SNIPPETS[0] + SNIPPETS[18] + SNIPPETS[6], storage={0: 5}),
            OTHER: Account(nonce=1, code=SNIPPETS[4]),
        }
    )
    machine = Machine(world, context(), Fork.PRAGUE)
    try:
        result = machine.apply(transaction)
    except InvalidTransaction as error:
        return str(error), machine.diff()
    return result, machine.diff()
