"""Real mainnet blocks: they verify, the state after is reproduced, arbitrages are seen, gaps are never filled."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from flasharb.adapters.blockfile import read_block
from flasharb.cli.record import command as record_command
from flasharb.cli.simulate import command as simulate_command
from flasharb.cli.verify import command as verify_command
from flasharb.errors import FlasharbError
from flasharb.evm import Fork, Machine, MissingState
from flasharb.simulation.fork_state import ForkState
from flasharb.simulation.recorded import RecordedState
from flasharb.simulation.simulate import Options, Run
from flasharb.simulation.verify import verify
from tests.conftest import SHARED
from tests.support.replay import replayed

MAINNET = SHARED / "mainnet"
BLOCKS = sorted(MAINNET.glob("*.json.gz"))
SMALL = ("18884864", "19923400", "20852412", "22615247")
ONE_A_FORK = ("16146267", "18884864", "19923400", "20852412", "22615247", "22944300")
BEACON_ROOTS = bytes.fromhex("000f3df6d732807ef1319fb7b8bb8522d0beac02")
REQUEST_CONTRACTS = tuple(
    bytes.fromhex(text)
    for text in ("00000961ef480eb55e80d19ad83579a64c007002", "0000bbddc7ce488642fb579f8b00f3a590007251")
)
WETH = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
ARBITRAGES = json.loads((MAINNET / "arbs.json").read_text()) if MAINNET.is_dir() else []

pytestmark = [
    pytest.mark.mainnet,
    pytest.mark.skipif(not MAINNET.is_dir(), reason=f"no recorded mainnet blocks at {MAINNET}"),
]

UNLISTED = {18885292: {"0xdcef968d416a41cdac0ed8702fac8128a64241a2"}}
"""Pools that an entry leaves out although money went through them: here FRAXBP, whose share was redeemed for a coin."""


def invoke(command: Any, *arguments: str) -> Any:
    """Run a command with --json; its object, after checking the exit code 0."""
    result = CliRunner().invoke(command, [*arguments, "--json"], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    assert result.return_value == 0, result.output
    return msgspec.json.decode(result.stdout)


@pytest.mark.parametrize("fork", [Fork.OSAKA, Fork.BPO1, Fork.BPO2])
def test_a_prague_block_verifies_by_newer_rules(fork: Fork) -> None:
    """It has no transaction that they changed: everything but their novelties is as it was."""
    block = read_block(MAINNET / "22944300.json.gz")
    for engine in ("py-evm", "stock"):
        assert verify(replace(block, fork=fork), engine).ok  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("path", BLOCKS, ids=lambda path: path.name[:8])
def test_the_block_verifies(path: Path) -> None:
    """Gas used, receipts root, logs bloom, and every receipt; all fourteen forks' blocks."""
    answer = invoke(verify_command, str(path))
    (report,) = answer["files"]
    assert answer["ok"]
    assert report["gas_used_ok"]
    assert report["receipts_root_ok"]
    assert report["logs_bloom_ok"]
    assert report["mismatches"] == []
    assert report["transactions"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("number", SMALL)
def test_py_evm_unchanged_agrees(number: str) -> None:
    """The second opinion, with py-evm's own account database."""
    assert verify(read_block(MAINNET / f"{number}.json.gz"), "stock").ok


@pytest.mark.slow
@pytest.mark.parametrize("number", ONE_A_FORK)
def test_the_state_after_the_block_is_the_recorded_one(number: str) -> None:
    """Every balance, nonce, code hash and slot that the block changes, withdrawals included where they are known."""
    block = read_block(MAINNET / f"{number}.json.gz")
    machine = Machine(RecordedState(block), block.context, block.fork)
    machine.begin_block()
    for raw in block.transactions:
        machine.apply(raw)
    known = [(w.address, w.amount) for w in block.withdrawals or () if w.address in block.pre_state]
    machine.end_block(known, collect_requests=False)
    ours = machine.diff()
    compared = 0
    for address, expected in block.post_diff.items():
        if address in REQUEST_CONTRACTS or (address == BEACON_ROOTS and block.pre_state.get(address) is None):
            # Not known before the block in some files, which then leave out what became of them.
            continue
        got = ours.get(address)
        if expected is None:
            assert got is None, address.hex()
            continue
        assert got is not None, address.hex()
        if got.account is not None:
            assert got.account == (expected.nonce, expected.balance, expected.code_hash), address.hex()
        assert dict(got.storage) == dict(expected.storage), address.hex()
        compared += 1
    assert compared > 20
    system_writes = {a for a, change in ours.items() if change is not None and change.account is None}
    assert ours.keys() - block.post_diff.keys() <= system_writes


@pytest.mark.slow
@pytest.mark.parametrize("entry", ARBITRAGES, ids=lambda entry: f"{entry['block']}-{entry['index']}")
def test_each_known_arbitrage_from_its_file(entry: dict[str, Any]) -> None:
    """Gas and the gross profit in WETH, to the wei."""
    answer = invoke(simulate_command, entry["tx"], "--fork", str(MAINNET / f"{entry['block']}.json.gz"))
    check(answer, entry)


@pytest.mark.slow
@pytest.mark.parametrize(
    "entry", [e for e in ARBITRAGES if e["index"] <= 17], ids=lambda e: f"{e['block']}-{e['index']}"
)
def test_each_known_arbitrage_over_a_strict_node(entry: dict[str, Any]) -> None:
    """The same over JSON-RPC, from a node that answers unknown state with an error."""
    with replayed(MAINNET / f"{entry['block']}.json.gz") as url:
        answer = invoke(simulate_command, entry["tx"], "--rpc", url)
    check(answer, entry)


def check(answer: dict[str, Any], entry: dict[str, Any]) -> None:
    """What ``arbs.json`` says."""
    assert answer["tx_hash"] == entry["tx"]
    assert (answer["block_number"], answer["index"], answer["status"]) == (entry["block"], entry["index"], 1)
    assert answer["gas_used"] == entry["gas_used"]
    assert int(answer["effective_gas_price"]) == entry["effective_gas_price"]
    arbitrage = answer["arbitrage"]
    assert arbitrage["token"] == WETH
    assert arbitrage["gross_profit"] == entry["gross_profit"][WETH.lower()]["raw"]
    assert int(arbitrage["net_profit_wei"]) == pytest.approx(entry["net_profit_eth_if_weth"] * 1e18, rel=1e-6)
    assert {leg["pool"] for leg in entry["legs"]} | UNLISTED.get(entry["block"], set()) == {
        pool.lower() for pool in arbitrage["path"]
    }
    swaps = {(swap["pool"].lower(), swap["amount_in"], swap["amount_out"]): swap for swap in answer["swaps"]}
    for leg in entry["legs"]:
        swap = swaps[leg["pool"], leg["amount_in"], leg["amount_out"]]
        assert (swap["token_in"].lower(), swap["token_out"].lower()) == (leg["token_in"], leg["token_out"])


def test_both_engines_on_a_real_arbitrage() -> None:
    """Exit code 0 says that they agree in everything."""
    entry = ARBITRAGES[1]
    answer = invoke(simulate_command, entry["tx"], "--fork", str(MAINNET / "13217637.json.gz"), "--engine", "both")
    assert answer["engine"] == "both"
    check(answer, entry)


def test_a_backrun_alone_reverts() -> None:
    """Without the transaction that it follows there is nothing to gain."""
    entry = ARBITRAGES[0]
    result = CliRunner().invoke(
        simulate_command,
        [entry["tx"], "--fork", str(MAINNET / "13217637.json.gz"), "--alone", "--json"],
        standalone_mode=False,
    )
    answer = msgspec.json.decode(result.stdout)
    assert result.return_value == 1
    assert (answer["status"], answer["arbitrage"]) == (0, None)
    assert answer["gas_used"] == entry["standalone_on_parent_state"]["gas"]
    assert answer["revert_reason"]


def test_a_leg_of_a_sandwich_cannot_run_alone() -> None:
    """Its nonce is not there yet: an error that says so, exit code 1."""
    entry = next(e for e in ARBITRAGES if e["block"] == 18884864)
    result = CliRunner().invoke(
        simulate_command, [entry["tx"], "--fork", str(MAINNET / "18884864.json.gz"), "--alone"], standalone_mode=False
    )
    assert isinstance(result.exception, FlasharbError)
    assert result.exception.exit_code == 1
    assert "nonce" in str(result.exception)


@pytest.mark.slow
def test_a_dropped_slot_is_missing_and_never_profit() -> None:
    """Fault 26: every slot that the arbitrage reads, dropped one at a time, makes the simulation say so."""
    entry = next(e for e in ARBITRAGES if e["block"] == 17666333)
    block = read_block(MAINNET / "17666333.json.gz")
    target = block.transactions[entry["index"]]
    whole = Machine(RecordedState(block), block.context, block.fork)
    whole.apply(target)
    read = [(address, slot) for address, slots in whole.touched.items() for slot in slots]
    assert len(read) >= 5
    for address, slot in random.Random(26).sample(read, min(12, len(read))):
        account = block.pre_state[address]  # type: ignore[index]  # Address is bytes
        assert account is not None
        storage = {key: value for key, value in account.storage.items() if key != slot}
        gap = replace(block, pre_state={**block.pre_state, address: replace(account, storage=storage)})
        for engine in ("py-evm", "stock"):
            options = Options(engine=engine)  # type: ignore[arg-type]
            run = Run([target], ForkState(RecordedState(gap)), block.context, Fork(block.fork), (), options)
            answer = run.step()
            assert isinstance(answer, MissingState)
            assert answer.slots == {(address, slot)}


def test_a_dropped_slot_makes_verification_fail() -> None:
    """With the name of what is missing, and at the right transaction."""
    block = read_block(MAINNET / "22615247.json.gz")
    whole = Machine(RecordedState(block), block.context, block.fork)
    whole.begin_block()
    whole.apply(block.transactions[0])
    address, slot = next((a, s) for a, slots in whole.touched.items() for s in slots)
    account = block.pre_state[address]  # type: ignore[index]  # Address is bytes
    assert account is not None
    storage = {key: value for key, value in account.storage.items() if key != slot}
    answer = verify(replace(block, pre_state={**block.pre_state, address: replace(account, storage=storage)}))
    assert not answer.ok
    assert answer.mismatches[0].field == "execution"
    assert f"0x{address.hex()}" in answer.mismatches[0].got


@pytest.mark.slow
def test_recording_a_block_from_a_node(tmp_path: Path) -> None:
    """The file verifies by itself and agrees with the record that the node was made from."""
    path = tmp_path / "recorded.json.gz"
    source = read_block(MAINNET / "22615247.json.gz")
    with replayed(MAINNET / "22615247.json.gz") as url:
        summary = invoke(record_command, "--rpc", url, "--block", "22615247", "--out", str(path))
    block = read_block(path)
    assert summary["transactions"] == len(source.transactions)
    assert verify(block).ok
    assert block.receipts == source.receipts
    assert block.transactions == source.transactions
    for address, account in block.pre_state.items():
        recorded = source.pre_state[address]
        assert (account is None) == (recorded is None)
        if account is not None and recorded is not None:
            assert account.balance == recorded.balance
            assert account.storage.items() <= recorded.storage.items()
