"""Osaka, BPO1 and BPO2 against the execution specs: vectors that EELS answered (``tests/support/eels_vectors.py``)."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from eth.vm.forks.prague.constants import DEPOSIT_EVENT_SIGNATURE_HASH as DEPOSIT_EVENT
from eth_hash.auto import keccak

from flasharb.adapters.chain import header_of
from flasharb.errors import UsageError
from flasharb.evm import Account, BlockContext, DictState, Fork, InvalidTransaction, LogEntry, Machine, fork_at
from flasharb.evm.blobs import blob_base_fee, excess_after
from flasharb.evm.compiled import compiled
from flasharb.evm.compiler import Compiler, block_source
from flasharb.evm.forks import FORK_TABLE, HOLESKY, HOODI, SEPOLIA
from flasharb.evm.osaka import OsakaComputation
from flasharb.evm.p256 import N, verify
from flasharb.evm.roots import receipt_bytes, state_root
from flasharb.evm.system import deposits_of
from flasharb.feed.events import BlockHeader
from flasharb.simulation.candidate import next_block
from flasharb.simulation.recorded import fork_of_header
from tests.conftest import REPOSITORY

ENGINES = ("interpreted", "compiled", "stock")


@cache
def vectors() -> dict[str, Any]:
    return json.loads((REPOSITORY / "tests" / "vectors" / "osaka.json").read_text())


def hexed(text: str) -> bytes:
    return bytes.fromhex(text)


def context(excess_blob_gas: int = 0) -> BlockContext:
    block = vectors()["block"]
    return BlockContext(
        chain_id=vectors()["chain_id"],
        number=block["number"],
        timestamp=block["timestamp"],
        coinbase=hexed(vectors()["coinbase"]),
        gas_limit=block["gas_limit"],
        base_fee_per_gas=block["base_fee"],
        prev_randao=hexed(block["prev_randao"]),
        excess_blob_gas=excess_blob_gas,
        parent_beacon_root=bytes(32),
    )


def machine(world: DictState, engine: str, fork: Fork = Fork.OSAKA, excess_blob_gas: int = 0) -> Machine:
    """Code compiled from its first entry on, or never, so that the vectors reach both."""
    name: Any = "stock" if engine == "stock" else "py-evm"
    compiler = Compiler(warm=1 if engine == "compiled" else 1 << 30)
    return Machine(world, context(excess_blob_gas), fork, name, compiler=compiler)


def shown(output: bytes) -> dict[str, str]:
    return {"output": output.hex()} if len(output) <= 64 else {"output_hash": keccak(output).hex()}


@pytest.mark.parametrize("engine", ENGINES)
def test_calls(engine: str) -> None:
    """CLZ, MODEXP and P256VERIFY give the specs' output and take the specs' gas, and fail where the specs fail."""
    wrong = []
    for call in vectors()["calls"]:
        to = hexed(call["to"])
        code = hexed(call.get("code", ""))
        world = DictState({b"\xc0" * 20: Account(nonce=1, code=code)})
        answer = machine(world, engine).call(to, hexed(call["data"]), gas=call["gas"])
        got = {"success": answer.success, "gas_used": answer.gas_used, **shown(answer.output)}
        if any(call[key] != value for key, value in got.items()):
            wrong.append((call, got))
    assert len(vectors()["calls"]) > 600
    assert wrong == []


def world() -> DictState:
    accounts = {}
    for address, fields in vectors()["world"].items():
        storage = {int(slot, 16): int(value, 16) for slot, value in fields["storage"].items()}
        accounts[hexed(address)] = Account(fields["nonce"], fields["balance"], hexed(fields["code"]), storage)
    return DictState(accounts)


# What the specs call a refusal, and a word of ours for the same.
REASONS = {
    "TransactionGasLimitExceededError": "since Osaka",
    "InsufficientMaxFeePerGasError": "below the base fee",
    "InsufficientTransactionGasError": "costs before execution",
    "BlobCountExceededError": "6 are the most",
    "NoBlobDataError": "without blobs",
    "InvalidBlobVersionedHashError": "unknown version",
    "DecodingError": "cannot create",
    "InsufficientMaxFeePerBlobGasError": "below the blob base fee",
}


@pytest.mark.parametrize("case", vectors()["transactions"], ids=lambda case: f"{case['fork']}-{case['name']}")
def test_transactions(case: dict[str, Any]) -> None:
    """Gas, receipt and state root of whole transactions, and what is refused, on all engines."""
    for engine in ENGINES:
        state = world()
        m = machine(state, engine, Fork(case["fork"]), case["excess_blob_gas"])
        raw = hexed(case["raw"])
        if "invalid" in case:
            with pytest.raises(InvalidTransaction, match=REASONS[case["invalid"]]):
                m.apply(raw)
            assert m.diff() == {}
            continue
        result = m.apply(raw)
        type_id = raw[0] if raw[0] < 0x80 else 0
        receipt = receipt_bytes(type_id, result.status, m.gas_used, result.logs)
        state.apply(m.diff())

        assert result.gas_used == case["gas_used"], engine
        assert keccak(receipt).hex() == case["receipt"], engine
        assert state_root(state.accounts).hex() == case["state_root"], engine


def test_blob_gas() -> None:
    """The next block's excess and its price, below and above the target, with EIP-7918's floor and without."""
    for case in vectors()["excess"]:
        fork = Fork(case["fork"])
        excess, used, base_fee = case["parent"]
        head = BlockHeader(7, bytes(32), bytes(32), 84, base_fee, 0, 2, bytes(20), used, excess)
        assert excess_after(fork, head) == case["excess"]
        assert blob_base_fee(fork, case["excess"]) == case["price"]
        following, _ = next_block(head, 1, 12, lambda number, timestamp, fork=fork: fork)
        assert following.excess_blob_gas == case["excess"]


def test_the_excess_follows_the_rules_of_the_new_block() -> None:
    """At BPO1's first block the parent is an Osaka block, and BPO1's target counts; before Cancun there is none."""
    head = BlockHeader(7, bytes(32), bytes(32), 84, 7, 0, 2, bytes(20), 131_072 * 9, 131_072 * 3)
    assert excess_after(Fork.OSAKA, head) == 131_072 * 6
    assert excess_after(Fork.BPO1, head) == 131_072 * 2
    assert excess_after(Fork.SHANGHAI, head) is None


def test_mainnet_blocks_of_today_are_accepted() -> None:
    """A block of 2026 has BPO2 rules, and the next one as well."""
    head = BlockHeader(24_300_000, bytes(32), bytes(32), 1_770_000_000, 7, 0, 2, bytes(20))
    _, fork = next_block(head, 1, 12, lambda number, timestamp: fork_at(1, number, timestamp))
    assert fork is Fork.BPO2
    assert all(row.fork is not None for row in FORK_TABLE[1])


@pytest.mark.parametrize("field", ["blockAccessListHash", "slotNumber"])
def test_a_header_of_a_later_fork_is_refused(field: str) -> None:
    """By what it holds, since its time is not known for every chain; also where the service meets it."""
    with pytest.raises(UsageError, match="amsterdam"):
        fork_of_header({"requestsHash": "0x", field: "0x1"})
    with pytest.raises(UsageError, match="amsterdam"):
        header_of({"number": "0x1", field: "0x1"})
    assert fork_of_header({"requestsHash": "0x", field: None}) is Fork.PRAGUE


def test_clz_is_no_instruction_before_osaka() -> None:
    """It ends the frame with all its gas."""
    state = DictState({b"\xc0" * 20: Account(nonce=1, code=hexed("5f1e00"))})
    for engine in ENGINES:
        for fork, fits in ((Fork.PRAGUE, False), (Fork.OSAKA, True)):
            answer = machine(state, engine, fork).call(b"\xc0" * 20, b"", gas=1000)
            assert answer.success is fits
            assert fits or answer.gas_used == 1000


def test_clz_of_a_constant_is_folded() -> None:
    """The compiler leaves nothing of it to run time."""
    opcodes = compiled(OsakaComputation).opcodes
    assert "bit_length" not in block_source(hexed("60051e5f5500"), frozenset(), opcodes, 0)
    assert "bit_length" in block_source(hexed("5f351e5f5500"), frozenset(), opcodes, 0)


def test_p256_takes_any_numbers() -> None:
    """Out of range is wrong, not an error."""
    for value in (-1, 0, 1, N, 1 << 256, 1 << 300):
        assert verify(value, (value, value), (value, value)) is False


def test_deposits_come_from_the_chains_own_contract() -> None:
    """Sepolia's and Holesky's stand elsewhere than mainnet's (EIP-6110)."""
    fields = bytes(range(200, 248)), bytes(range(32)), bytes(range(8)), bytes(range(96)), bytes(range(8))
    at = (192, 288, 352, 416, 544)
    data = bytearray(576)
    for start, field in zip(at, fields, strict=True):
        data[start : start + len(field)] = field
    places = {
        1: "00000000219ab540356cbb839cbe05303d7705fa",
        HOODI: "00000000219ab540356cbb839cbe05303d7705fa",
        SEPOLIA: "7f02c3e3c98b133055b8b348b2ac625669ed295d",
        HOLESKY: "42" * 20,
    }
    for chain_id, address in places.items():
        logs = [LogEntry(hexed(other), (DEPOSIT_EVENT,), bytes(data)) for other in dict.fromkeys(places.values())]
        logs.append(LogEntry(hexed(address), (bytes(32),), bytes(data)))
        assert deposits_of(logs, chain_id) == [b"".join(fields)]
