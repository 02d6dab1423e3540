"""The machine: what it accepts, what it undoes, what it never swallows."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any, ClassVar

import pytest
from eth_hash.auto import keccak
from eth_keys import keys

from flasharb.evm import Account, AccountInfo, DictState, Fork, InvalidTransaction, Machine, MissingState
from flasharb.evm.computation import opcodes_of
from tests.support.assembly import assemble
from tests.support.worlds import (
    ALICE,
    BOB,
    CHAIN_ID,
    COINBASE,
    CONTRACT,
    ETH,
    GWEI,
    OTHER,
    call_of,
    context,
    machine,
    world,
)

COUNTER = assemble("0 SLOAD 1 ADD DUP1 0 SSTORE 0 MSTORE 32 0 RETURN")
REVERTING = assemble("42 0 SSTORE 0x1234 0 MSTORE 32 0 REVERT")
ENGINES = ("py-evm", "stock")


def creation(runtime: bytes) -> bytes:
    """Init code that returns ``runtime``."""
    prefix = bytes.fromhex("61") + len(runtime).to_bytes(2, "big") + bytes.fromhex("80600a3d393df3")
    return prefix + runtime


@pytest.mark.parametrize("engine", ENGINES)
class TestBothEngines:
    """What must hold for ours and for py-evm unchanged."""

    def test_a_transaction_keeps_what_it_did_and_pays(self, engine: str) -> None:
        """State, balances and the fee recipient, to the wei."""
        m = machine({CONTRACT: Account(code=COUNTER, storage={0: 7})}, engine=engine)
        result = m.apply(call_of(tip=GWEI, value=5))
        assert (result.status, int.from_bytes(result.output, "big")) == (1, 8)
        assert m.storage(CONTRACT, 0) == 8
        assert m.balance(CONTRACT) == 5
        assert result.effective_gas_price == 2 * GWEI
        assert m.balance(ALICE) == 100 * ETH - 5 - result.gas_used * 2 * GWEI
        assert result.coinbase_payment == m.balance(COINBASE) == result.gas_used * GWEI
        assert m.nonce(ALICE) == 1
        assert m.gas_used == result.gas_used

    def test_a_revert_keeps_only_the_fee(self, engine: str) -> None:
        """With its data and a reason."""
        m = machine({CONTRACT: Account(code=REVERTING)}, engine=engine)
        result = m.apply(call_of(value=5))
        assert (result.status, result.error) == (0, "execution reverted")
        assert int.from_bytes(result.output, "big") == 0x1234
        assert (m.storage(CONTRACT, 0), m.balance(CONTRACT), m.nonce(ALICE)) == (0, 0, 1)

    def test_a_contract_acts_in_a_transaction_of_another(self, engine: str) -> None:
        """Caller and origin are as told, what was done is kept, what failed is not; no gas is paid."""
        who = assemble("CALLER 1 SSTORE ORIGIN 2 SSTORE 7 TLOAD 3 SSTORE 1 7 TSTORE")
        m = machine(
            {CONTRACT: Account(code=who), OTHER: Account(code=REVERTING), BOB: Account(code=COUNTER)}, engine=engine
        )
        before = m.balance(ALICE)
        assert m.act(BOB, CONTRACT, b"", origin=ALICE).success
        assert m.act(BOB, CONTRACT, b"", origin=ALICE).success
        assert (m.storage(CONTRACT, 1), m.storage(CONTRACT, 2)) == (
            int.from_bytes(BOB, "big"),
            int.from_bytes(ALICE, "big"),
        )
        # each is a transaction of its own: transient storage begins empty
        assert m.storage(CONTRACT, 3) == 0
        refused = m.act(BOB, OTHER, b"", origin=ALICE)
        assert (refused.success, int.from_bytes(refused.output, "big")) == (False, 0x1234)
        assert (m.storage(OTHER, 0), m.balance(ALICE), m.nonce(ALICE)) == (0, before, 0)

    def test_creation_gives_an_address_and_code(self, engine: str) -> None:
        """And the diff carries the code."""
        m = machine(engine=engine)
        result = m.apply(call_of(None, creation(COUNTER)))
        assert result.contract_address is not None
        assert m.code(result.contract_address) == COUNTER
        change = m.diff()[result.contract_address]
        assert change is not None
        assert (change.code, change.account) == (COUNTER, AccountInfo(1, 0, keccak(COUNTER)))

    def test_a_call_changes_nothing(self, engine: str) -> None:
        """Not even the warmth of the next one."""
        m = machine({CONTRACT: Account(code=COUNTER, storage={0: 7})}, engine=engine)
        first, second = m.call(CONTRACT, b"", sender=BOB), m.call(CONTRACT, b"", sender=BOB)
        assert first == second
        assert int.from_bytes(first.output, "big") == 8
        assert m.storage(CONTRACT, 0) == 7
        assert m.diff() == {}

    def test_missing_state_leaves_the_machine_as_it_was(self, engine: str) -> None:
        """And the same transaction goes through once the value is there."""
        world = DictState(
            {ALICE: Account(balance=ETH), CONTRACT: Account(nonce=1, code=COUNTER), COINBASE: None}, complete=False
        )
        m = Machine(world, context(), Fork.PRAGUE, engine)  # type: ignore[arg-type]
        with pytest.raises(MissingState) as missing:
            m.apply(call_of())
        assert missing.value.slots == {(CONTRACT, 0)}
        assert (m.nonce(ALICE), m.balance(ALICE), m.gas_used) == (0, ETH, 0)
        assert m.diff() == {}
        account = world.accounts[CONTRACT]
        assert account is not None
        account.storage[0] = 3
        assert m.apply(call_of()).status == 1
        assert m.storage(CONTRACT, 0) == 4

    def test_missing_state_of_an_authority_is_not_swallowed(self, engine: str) -> None:
        """py-evm's set-code loop catches every exception; a skipped authorization would be a wrong result."""
        key = keys.PrivateKey(b"\x11" * 32)
        authority = key.public_key.to_canonical_address()
        raw = set_code_transaction(key, delegate=CONTRACT)
        sender = keys.PrivateKey(b"\x22" * 32).public_key.to_canonical_address()
        known = {sender: Account(balance=ETH), CONTRACT: Account(nonce=1, code=b"\x00"), BOB: Account(), COINBASE: None}
        m = Machine(DictState(known, complete=False), context(), Fork.PRAGUE, engine)  # type: ignore[arg-type]
        with pytest.raises(MissingState) as missing:
            m.apply(raw)
        assert missing.value.accounts == {authority}
        assert (m.nonce(sender), m.diff()) == (0, {})
        whole = Machine(DictState(known), context(), Fork.PRAGUE, engine)  # type: ignore[arg-type]
        assert whole.apply(raw).status == 1
        assert whole.code(authority) == b"\xef\x01\x00" + CONTRACT
        assert whole.nonce(authority) == 1

    def test_mapping_preimages_are_noted(self, engine: str) -> None:
        """64-byte inputs only; that is how a source learns whose slot it is."""

        class Noting(DictState):
            preimages: ClassVar[dict[int, bytes]] = {}

        hashing = assemble("0xabcd 0 MSTORE 3 32 MSTORE 64 0") + b"\x20" + assemble("32 0") + b"\x20" + b"\x00"
        world = Noting({ALICE: Account(balance=ETH), CONTRACT: Account(code=hashing)})
        Machine(world, context(), Fork.PRAGUE, engine).call(CONTRACT, b"")  # type: ignore[arg-type]
        preimage = (0xABCD).to_bytes(32, "big") + (3).to_bytes(32, "big")
        assert world.preimages == {int.from_bytes(keccak(preimage), "big"): preimage}

    def test_block_hashes(self, engine: str) -> None:
        """The parent is in the context, others are the source's, beyond 256 there are none."""
        asking = assemble("0 CALLDATALOAD") + b"\x40" + assemble("0 MSTORE 32 0 RETURN")
        world = DictState({CONTRACT: Account(code=asking)}, block_hashes={90: b"\x5a" * 32})
        m = Machine(world, context(number=1000), Fork.PRAGUE, engine)  # type: ignore[arg-type]
        assert m.call(CONTRACT, (999).to_bytes(32, "big")).output == b"\x99" * 32
        assert m.call(CONTRACT, (90).to_bytes(32, "big")).output == bytes(32)
        with pytest.raises(MissingState) as missing:
            m.call(CONTRACT, (800).to_bytes(32, "big"))
        assert missing.value.block_numbers == {800}

    def test_selfdestruct_within_the_creating_transaction_deletes(self, engine: str) -> None:
        """Since Cancun only there (EIP-6780), and without a Python warning, which the tests would make an error."""
        m = machine({CONTRACT: Account(code=bytes([0x73]) + BOB + b"\xff", balance=9)}, engine=engine)
        created = m.apply(call_of(None, bytes([0x73]) + BOB + b"\xff", value=3))
        assert created.status == 1
        assert m.balance(BOB) == 3
        assert created.contract_address is not None
        assert created.contract_address not in m.diff()
        m.apply(call_of(CONTRACT, nonce=1))
        assert (m.balance(BOB), m.balance(CONTRACT)) == (12, 0)
        assert m.code(CONTRACT) != b""

    def test_selfdestruct_before_cancun_deletes_with_storage(self, engine: str) -> None:
        """And the slots read zero in the next transaction."""
        code = bytes([0x73]) + BOB + b"\xff"
        m = machine({CONTRACT: Account(code=code, balance=9, storage={1: 2})}, engine=engine, fork=Fork.LONDON)
        m.apply(call_of(CONTRACT))
        assert m.diff()[CONTRACT] is None
        assert (m.storage(CONTRACT, 1), m.code(CONTRACT), m.balance(BOB)) == (0, b"", 9)

    def test_an_empty_account_that_is_touched_disappears(self, engine: str) -> None:
        """EIP-161: the fee recipient that gets nothing does not come into being."""
        m = machine(engine=engine)
        m.apply(call_of(BOB))
        assert set(m.diff()) == {ALICE}

    def test_transient_storage_ends_with_the_transaction(self, engine: str) -> None:
        """TSTORE, then TLOAD in the next one."""
        # With call data: TSTORE(0, 7). Without: SSTORE(0, TLOAD(0)).
        start = assemble("CALLDATASIZE 12 JUMPI 0") + b"\x5c" + assemble("0 SSTORE STOP")
        body = start.ljust(12, b"\x00") + b"\x5b" + assemble("7 0") + b"\x5d\x00"
        m = machine({CONTRACT: Account(code=body, storage={0: 5})}, engine=engine)
        assert m.apply(call_of(data=b"\x01")).status == 1
        assert m.apply(call_of(nonce=1)).status == 1
        assert m.storage(CONTRACT, 0) == 0

    def test_withdrawals_are_paid_in_gwei(self, engine: str) -> None:
        """And a zero withdrawal creates nobody."""
        m = machine(engine=engine)
        m.begin_block()
        assert m.end_block([(BOB, 3), (OTHER, 0)]) == ()
        assert m.balance(BOB) == 3 * GWEI
        assert OTHER not in m.diff()

    def test_system_contracts_are_written_where_they_stand(self, engine: str) -> None:
        """EIP-4788 and EIP-2935, by the addresses and slots of the EIPs."""
        from eth.vm.forks.cancun.constants import BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CONTRACT_CODE
        from eth.vm.forks.prague.constants import HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CONTRACT_CODE

        m = machine(
            {
                BEACON_ROOTS_ADDRESS: Account(1, code=BEACON_ROOTS_CONTRACT_CODE),
                HISTORY_STORAGE_ADDRESS: Account(1, code=HISTORY_STORAGE_CONTRACT_CODE),
            },
            engine=engine,
        )
        m.begin_block()
        root = m.call(BEACON_ROOTS_ADDRESS, (1_000_000).to_bytes(32, "big"))
        assert root.output == b"\xbe" * 32
        parent = m.call(HISTORY_STORAGE_ADDRESS, (99).to_bytes(32, "big"))
        assert parent.output == b"\x99" * 32

    def test_the_call_data_floor_is_paid(self, engine: str) -> None:
        """EIP-7623: much data, little execution."""
        data = b"\x01" * 1000
        gas = machine(engine=engine).apply(call_of(BOB, data)).gas_used
        assert gas == 21_000 + 10 * 4 * 1000
        assert machine(engine=engine, fork=Fork.CANCUN).apply(call_of(BOB, data)).gas_used == 21_000 + 16 * 1000


def set_code_transaction(key: Any, delegate: bytes) -> bytes:
    """A type-4 transaction of another sender to Bob, with one authorization by ``key``."""
    from eth_account import Account as Signer

    authorization = Signer.sign_authorization(
        {"chainId": CHAIN_ID, "address": "0x" + delegate.hex(), "nonce": 0}, key.to_bytes()
    )
    signed = Signer.sign_transaction(
        {
            "type": 4,
            "chainId": CHAIN_ID,
            "nonce": 0,
            "gas": 200_000,
            "maxFeePerGas": 2 * GWEI,
            "maxPriorityFeePerGas": 0,
            "to": BOB,
            "value": 0,
            "data": b"",
            "accessList": [],
            "authorizationList": [authorization],
        },
        b"\x22" * 32,
    )
    return bytes(signed.raw_transaction)


def test_the_floor_is_paid_where_refund_and_floor_meet() -> None:
    """py-evm's own receipts are too low there: they take the refund off the floor as well."""
    clearing = assemble(" ".join(f"0 {slot} SSTORE" for slot in range(12)) + " STOP")
    m = machine({CONTRACT: Account(code=clearing, storage=dict.fromkeys(range(12), 1))})
    data = b"\x01" * 2000
    result = m.apply(call_of(data=data))
    assert result.gas_used == 21_000 + 10 * 4 * 2000
    assert m.balance(ALICE) == 100 * ETH - result.gas_used * GWEI


def test_initcode_of_a_delegating_sender_is_charged_once() -> None:
    """CREATE from the code of a delegating sender: py-evm charges its initcode a second time."""
    creating = Account(code=assemble("64 0 0 CREATE STOP"))
    delegating = Account(balance=ETH, code=b"\xef\x01\x00" + CONTRACT)
    own = machine({ALICE: delegating, CONTRACT: creating}).apply(call_of(ALICE))
    others = machine({BOB: delegating, CONTRACT: creating}).apply(call_of(BOB))
    # The sender is warm, Bob is warm as the target: the two differ in nothing but who delegates.
    assert own.gas_used == others.gas_used


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"nonce": 1}, "nonce 1"),
        ({"gas_limit": 20_999}, "below the 21000"),
        ({"gas_limit": 30_000_001}, "left in the block"),
        ({"max_fee_per_gas": GWEI - 1, "max_priority_fee_per_gas": 0}, "below the base fee"),
        ({"max_priority_fee_per_gas": 3 * GWEI}, "above the maximum fee"),
        ({"value": 100 * ETH}, "may have to pay"),
        ({"chain_id": 1}, "for chain 1"),
        ({"sender": CONTRACT}, "is a contract"),
        ({"to": b"\x01"}, "not 20 bytes"),
        ({"to": None, "data": bytes(49_153), "gas_limit": 5_000_000}, "initcode"),
        ({"value": 1 << 256}, "out of range"),
        ({"data": b"\x01" * 1000, "gas_limit": 40_000}, "below the 61000"),
    ],
)
def test_transactions_that_no_block_could_hold(change: dict[str, Any], reason: str) -> None:
    """Each with its reason, and nothing happens."""
    m = machine({CONTRACT: Account(balance=ETH, code=COUNTER)})
    transaction = dataclasses.replace(call_of(), **change)
    with pytest.raises(InvalidTransaction, match=reason):
        m.apply(transaction)
    assert m.diff() == {}


def test_the_whole_upfront_cost_must_be_there() -> None:
    """The maximum fee counts, not the effective one (py-evm checks the latter)."""
    poor = {ALICE: Account(balance=500_000 * 2 * GWEI - 1)}
    with pytest.raises(InvalidTransaction, match="may have to pay"):
        machine(poor).apply(call_of())


def test_the_block_fills_up() -> None:
    """Gas used so far counts; making room forgets it."""
    m = machine()
    for nonce in range(2):
        m.apply(call_of(BOB, nonce=nonce, gas=29_950_000))
    with pytest.raises(InvalidTransaction, match="left in the block"):
        m.apply(call_of(BOB, nonce=2, gas=29_990_000))
    m.make_room()
    assert m.apply(call_of(BOB, nonce=2, gas=29_990_000)).status == 1


def test_snapshots_span_transactions() -> None:
    """Ours can go back over several."""
    m = machine({CONTRACT: Account(code=COUNTER)})
    m.apply(call_of())
    at = m.snapshot()
    m.apply(call_of(nonce=1))
    m.apply(call_of(nonce=2))
    m.revert(at)
    assert (m.storage(CONTRACT, 0), m.nonce(ALICE)) == (1, 1)
    assert m.apply(call_of(nonce=1)).status == 1
    assert m.storage(CONTRACT, 0) == 2


def test_rewound_looks_back_and_returns() -> None:
    """Calls on the state before a transaction, after it."""
    m = machine({CONTRACT: Account(code=COUNTER)})
    at = m.snapshot()
    m.apply(call_of())
    with m.rewound(at):
        assert int.from_bytes(m.call(CONTRACT, b"").output, "big") == 1
    assert int.from_bytes(m.call(CONTRACT, b"").output, "big") == 2
    assert m.nonce(ALICE) == 1


def test_deep_recursion_ends() -> None:
    """A contract that calls itself as deep as it can neither breaks Python nor the machine."""
    calling = assemble("0 0 0 0 0") + b"\x30" + assemble("GAS CALL STOP")
    m = machine({CONTRACT: Account(code=calling)})
    assert m.call(CONTRACT, b"", gas=30_000_000).success


def test_a_loop_ends_by_gas() -> None:
    """All of it is used, nothing is kept."""
    m = machine({CONTRACT: Account(code=assemble("again: @again JUMP"))})
    result = m.apply(call_of(gas=200_000))
    assert (result.status, result.gas_used) == (0, 200_000)
    assert result.error is not None
    assert "OutOfGas" in result.error


def test_the_trace_is_the_call_tree() -> None:
    """Kinds, depth and the failure inside a success."""
    inner = assemble("0 0 REVERT")
    kinds = {0xF1: "0 0 0 0 0", 0xF2: "0 0 0 0 0", 0xF4: "0 0 0 0", 0xFA: "0 0 0 0"}
    outer = b"".join(
        assemble(zeros) + b"\x73" + OTHER + assemble("GAS") + bytes([opcode]) for opcode, zeros in kinds.items()
    )
    m = machine({CONTRACT: Account(code=outer), OTHER: Account(code=inner)})
    trace = m.apply(call_of(), trace=True).trace
    assert trace is not None
    assert [call.kind for call in trace.calls] == ["call", "callcode", "delegatecall", "staticcall"]
    assert [call.error for call in trace.calls] == ["execution reverted"] * 4
    assert [call.address for call in trace.calls] == [OTHER, CONTRACT, CONTRACT, OTHER]
    assert all(call.code_address == OTHER for call in trace.calls)


def test_missing_state_survives_a_process_boundary() -> None:
    """Workers send it back."""
    missing = MissingState(accounts=[ALICE], slots=[(BOB, 3)], codes=[OTHER], block_numbers=[7])
    again = pickle.loads(pickle.dumps(missing))
    assert (again.accounts, again.slots, again.codes, again.block_numbers) == (
        missing.accounts,
        missing.slots,
        missing.codes,
        missing.block_numbers,
    )
    assert str(again) == str(missing)


@pytest.mark.parametrize(("modulus", "result"), [(2, 1), (1, 0), (0, 0)])
def test_modexp_of_nothing_to_the_power_of_nothing(modulus: int, result: int) -> None:
    """One modulo the modulus, as the official tests have it."""
    data = bytes(64) + (1).to_bytes(32, "big") + bytes([modulus])
    assert machine().call(bytes(19) + b"\x05", data).output == bytes([result])


def test_a_cancun_block_needs_its_blob_gas() -> None:
    """Else BLOBBASEFEE would be made up."""
    with pytest.raises(ValueError, match="excess_blob_gas"):
        Machine(DictState({}), dataclasses.replace(context(), excess_blob_gas=None), Fork.CANCUN)


def test_nothing_is_patched() -> None:
    """py-evm's own classes keep their opcodes."""
    from eth.vm.forks.prague.computation import PragueComputation

    before = dict(PragueComputation.opcodes)
    assert opcodes_of(PragueComputation)[0x20] is not before[0x20]
    machine().apply(call_of(BOB))
    assert PragueComputation.opcodes == before


@pytest.mark.parametrize("engine", ENGINES)
def test_a_destroyed_contract_that_is_paid_later_has_lost_its_storage(engine: str) -> None:
    """The difference says so, even where no slot was written: before Cancun, in a later transaction of the block."""
    code = bytes.fromhex("73" + OTHER.hex() + "ff")
    m = machine({CONTRACT: Account(nonce=1, code=code, storage={4: 9})}, fork=Fork.LONDON, engine=engine)
    assert m.apply(call_of()).status == 1
    assert m.diff()[CONTRACT] is None
    m.apply(call_of(value=1, nonce=1))
    change = m.diff()[CONTRACT]
    assert change is not None
    assert change.storage_cleared
    assert change.code == b""
    state = world({CONTRACT: Account(nonce=1, code=code, storage={4: 9})})
    state.apply(m.diff())
    assert state.accounts[CONTRACT] == Account(balance=1)
