"""What a second opinion is compared in, and revm as one: its traps, and what it refuses to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner

from flasharb.adapters.blockfile import read_block
from flasharb.cli.loading import load_settings
from flasharb.cli.simulate import command as simulate_command
from flasharb.devnet.example import BLOCKS_FOLDER
from flasharb.errors import SettingsError, UsageError
from flasharb.evm import Account, BlockContext, DictState, Fork, MissingState, UnsignedTransaction
from flasharb.simulation import revm
from flasharb.simulation.fork_state import ForkState
from flasharb.simulation.opinion import DIFFERS, UNABLE, Case, Opinion, Unable, difference, unconfirmed, without_gas
from flasharb.simulation.recorded import RecordedState
from flasharb.simulation.result import Executed, Log, Simulation
from flasharb.simulation.revm import revm_objection, revm_opinion, stands_in
from flasharb.simulation.simulate import Run
from flasharb.units import Address, Hash32, hex0x
from tests.support.opinions import opinions_on

needs_revm = pytest.mark.skipif(revm.unavailable() is not None, reason="pyrevm has wheels for Python up to 3.12 only")

SENDER = Address(b"\x5e" * 20)
CONTRACT = Address(b"\xc0" * 20)
TOKEN = Address(b"\x70" * 20)
COINBASE = Address(b"\xfe" * 20)
ETHER = 10**18


def block(fork: Fork) -> BlockContext:
    return BlockContext(
        chain_id=1,
        number=100,
        timestamp=1_000,
        coinbase=COINBASE,
        gas_limit=30_000_000,
        base_fee_per_gas=7 if fork.since(Fork.LONDON) else 0,
        prev_randao=bytes(32),
        excess_blob_gas=0 if fork.since(Fork.CANCUN) else None,
    )


TRANSACTION = UnsignedTransaction(
    sender=SENDER,
    to=CONTRACT,
    data=b"",
    value=0,
    nonce=0,
    gas_limit=200_000,
    max_fee_per_gas=10,
    max_priority_fee_per_gas=2,
)


def run(code: bytes, fork: Fork = Fork.CANCUN, storage: Mapping[int, int] | None = None) -> tuple[Executed, Case]:
    """Ours, and the case for another opinion."""
    world = {SENDER: Account(0, ETHER), CONTRACT: Account(1, 0, code, dict(storage or {}))}
    ours = Run([TRANSACTION], DictState(world), block(fork), fork)
    answer = ours.step()
    assert isinstance(answer, Simulation), answer
    return answer.transactions[0], Case(TRANSACTION, block(fork), fork, ours.state_before(), ())


# The comparison


def executed(**changes: Any) -> Executed:
    """100,000 gas at 9 wei, of which the coinbase keeps 2; the contract paid it another 5 and got 40 of the token."""
    one = Executed(
        tx_hash=None,
        status=1,
        gas_used=100_000,
        effective_gas_price=9,
        output=b"out",
        revert_reason=None,
        logs=(Log(TOKEN, (Hash32(b"\x01" * 32),), b"data"),),
        balance_changes={
            SENDER: {None: -900_000},
            COINBASE: {None: 200_005},
            CONTRACT: {None: -5, TOKEN: 40},
        },
        coinbase_payment_wei=200_005,
    )
    return replace(one, **changes)


CASE = Case(TRANSACTION, block(Fork.CANCUN), Fork.CANCUN, {}, ((CONTRACT, TOKEN),))
SAME = Opinion(
    "other",
    1,
    b"out",
    (Log(TOKEN, (Hash32(b"\x01" * 32),), b"data"),),
    {COINBASE: {None: 5}, CONTRACT: {None: -5, TOKEN: 40}},
)


def test_gas_is_taken_out_of_the_balance_changes() -> None:
    assert without_gas(executed(), CASE) == SAME.changes
    assert difference(executed(), CASE, SAME) is None


def test_the_coinbase_may_be_the_sender() -> None:
    """What it pays itself cancels out, and the burnt base fee does not count."""
    case = replace(CASE, context=replace(CASE.context, coinbase=SENDER))
    changes = {SENDER: {None: -700_000 + 5}, CONTRACT: {None: -5}}
    assert without_gas(executed(balance_changes=changes), case) == {SENDER: {None: 5}, CONTRACT: {None: -5}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": 0, "output": b"no"}, "status: ours success, other failure with output 0x6e6f"),
        ({"output": b"else"}, "output: ours 0x6f7574, other 0x656c7365"),
        ({"logs": ()}, "logs: ours 1 ("),
        ({"changes": {COINBASE: {None: 5}, CONTRACT: {None: -5, TOKEN: 39}}}, "ours changes by 40, other by 39"),
        ({"changes": {CONTRACT: {None: -5, TOKEN: 40}}}, "in ETH: ours changes by 5, other by 0"),
        ({"changes": {**(SAME.changes or {}), TOKEN: {None: 1}}}, "in ETH: ours changes by 0, other by 1"),
    ],
)
def test_each_difference_is_named_with_both_values(change: dict[str, Any], words: str) -> None:
    found = unconfirmed(executed(), CASE, replace(SAME, **change))
    assert found is not None
    assert found.reason == DIFFERS
    assert words in found.detail


def test_words_and_gas_are_not_compared_and_what_is_not_told_is_not_either() -> None:
    failed = executed(status=0, output=b"", logs=(), balance_changes={}, gas_used=0, revert_reason="ran out of gas")
    assert difference(failed, CASE, Opinion("other", 0, b"", (), {})) is None
    assert difference(executed(), CASE, replace(SAME, logs=None, changes=None)) is None


def test_an_engine_that_cannot_say_confirms_nothing() -> None:
    found = unconfirmed(executed(), CASE, Unable("other", "it is away"))
    assert found is not None
    assert (found.reason, found.detail) == (UNABLE, "other: it is away")


# revm


@needs_revm
@pytest.mark.parametrize("fork", list(Fork))
def test_the_names_of_rule_sets_are_understood(fork: Fork) -> None:
    """A name that revm's binding does not know is silently another rule set; each of ours does what its rules say.

    BASEFEE since London, PUSH0 since Shanghai, TLOAD since Cancun: an invalid opcode before.
    """
    for since, code in ((Fork.LONDON, "4850"), (Fork.SHANGHAI, "5f50"), (Fork.CANCUN, "60015c50")):
        _, case = run(bytes.fromhex(code + "00"))
        opinion = revm_opinion(replace(case, context=block(fork), fork=fork))
        assert isinstance(opinion, Opinion)
        assert opinion.status == int(fork.since(since)), (fork, since)


@needs_revm
def test_every_opinion_has_an_evm_of_its_own() -> None:
    """A counter in storage: asked twice, revm counts to the same number."""
    ours, case = run(bytes.fromhex("60015f54015f555f545f5260205ff3"), storage={0: 41})
    assert [revm_objection(ours, case) for _ in range(2)] == [None, None]
    opinion = revm_opinion(case)
    assert isinstance(opinion, Opinion)
    assert int.from_bytes(opinion.output, "big") == 42


@needs_revm
def test_a_wrong_slot_in_one_of_the_two_is_a_difference() -> None:
    ours, case = run(bytes.fromhex("5f545f5260205ff3"), storage={0: 41})
    wrong = {**case.before, CONTRACT: replace(case.before[CONTRACT], storage={0: 40})}
    found = revm_objection(ours, replace(case, before=wrong))
    assert found is not None
    assert found.reason == DIFFERS
    assert found.detail == f"output: ours {41:#066x}, revm {40:#066x}"


@needs_revm
@pytest.mark.parametrize(
    ("code", "status"), [("60aa5f5260205ffd", 0), ("fe", 0), ("5b5f56", 0), ("60aa5f5260205ff3", 1)]
)
def test_reverts_and_halts_have_the_same_output(code: str, status: int) -> None:
    """REVERT with data, INVALID, a loop to the end of gas: the engines' words differ, the results do not."""
    ours, case = run(bytes.fromhex(code))
    assert ours.status == status
    assert revm_objection(ours, case) is None


@needs_revm
@pytest.mark.parametrize(("opcode", "name"), [("48", "BASEFEE"), ("606340", "BLOCKHASH")])
def test_what_the_binding_makes_up_is_refused_by_name(opcode: str, name: str) -> None:
    """Base fee and block hashes are not the block's in there: never confirmed, and not taken for a disagreement."""
    code = bytes.fromhex(opcode + "5f5260205ff3")
    world = DictState({SENDER: Account(0, ETHER), CONTRACT: Account(1, 0, code)}, block_hashes={99: b"\x99" * 32})
    context = replace(block(Fork.CANCUN), parent_hash=b"\x99" * 32)
    ours = Run([TRANSACTION], world, context, Fork.CANCUN)
    answer = ours.step()
    assert isinstance(answer, Simulation)
    found = revm_objection(answer.transactions[0], Case(TRANSACTION, context, Fork.CANCUN, ours.state_before(), ()))
    assert found is not None
    assert found.reason == UNABLE
    assert name in found.detail


@needs_revm
def test_a_delegated_account_is_refused_by_name() -> None:
    """Prague's delegations do not exist in there: the call of one fails."""
    code = b"\xef\x01\x00" + TOKEN
    world = {
        SENDER: Account(0, ETHER),
        CONTRACT: Account(1, 0, code),
        TOKEN: Account(1, 0, bytes.fromhex("60aa5f5260205ff3")),
    }
    ours = Run([TRANSACTION], DictState(world), block(Fork.PRAGUE), Fork.PRAGUE)
    answer = ours.step()
    assert isinstance(answer, Simulation)
    assert answer.transactions[0].status == 1
    case = Case(TRANSACTION, block(Fork.PRAGUE), Fork.PRAGUE, ours.state_before(), ())
    found = revm_objection(answer.transactions[0], case)
    assert found is not None
    assert found.reason == UNABLE
    assert "EIP-7702" in found.detail


@needs_revm
def test_contract_creations_are_refused_by_name() -> None:
    ours, case = run(b"\x00")
    found = revm_objection(ours, replace(case, transaction=replace(TRANSACTION, to=None)))
    assert found is not None
    assert found.detail == "revm: contract creations are not compared"


@pytest.mark.parametrize(
    ("code", "found"),
    [("48", True), ("604848", True), ("6048", False), ("614848", False), ("7f48", False), ("", False), ("0a48", True)],
)
def test_an_opcode_in_the_data_of_a_push_is_none(code: str, found: bool) -> None:
    """The data may be cut off by the end of the code, and may hold any byte, a line's end too."""
    assert stands_in(0x48, bytes.fromhex(code)) == found


@needs_revm
def test_the_devnets_candidates_are_confirmed() -> None:
    """FlashArb's arbitrage of the recorded example and the traders' swaps, each after the ones before it."""
    (path,) = BLOCKS_FOLDER.glob("*.json.gz")
    found = opinions_on(read_block(path))
    assert len(found) == 3
    assert set(found.values()) == {None}


def test_without_the_package_the_configuration_says_how_to_mend_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revm, "pyrevm", None)
    environ = {"FLASHARB_SIMULATION_SECOND_OPINION": "revm"}
    with pytest.raises(SettingsError, match=r"simulation.second_opinion.*pip install 'flasharb\[second-opinion\]'"):
        load_settings(None, environ)
    ours, case = run(b"\x00")
    found = revm_objection(ours, case)
    assert found is not None
    assert found.reason == UNABLE


# simulate --engine both


def both(monkeypatch: pytest.MonkeyPatch, opinion: str, *arguments: str) -> Any:
    (path,) = BLOCKS_FOLDER.glob("*.json.gz")
    tx_hash = hex0x(read_block(path).transaction_hashes[0])
    monkeypatch.setenv("FLASHARB_SIMULATION_SECOND_OPINION", opinion)
    command = [tx_hash, "--fork", str(path), "--engine", "both", *arguments]
    return CliRunner().invoke(simulate_command, command, standalone_mode=False)


@pytest.mark.parametrize("opinion", ["none", pytest.param("revm", marks=needs_revm)])
def test_engine_both_asks_the_configured_second_opinion(opinion: str, monkeypatch: pytest.MonkeyPatch) -> None:
    result = both(monkeypatch, opinion)
    assert result.exception is None
    assert result.return_value == 0
    assert "CONFIRM" not in result.stderr


@needs_revm
def test_engine_both_says_what_is_not_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, both values on stderr, and our result as ever on stdout."""
    honest = Run.state_before

    def wrong(self: Run) -> dict[bytes, Account]:
        state = honest(self)
        flasharb = max(state, key=lambda one: len(state[one].storage))
        slot = next(iter(state[flasharb].storage))
        state[flasharb].storage[slot] += 1
        return state

    monkeypatch.setattr(Run, "state_before", wrong)
    result = both(monkeypatch, "revm", "--json")
    assert result.return_value == 1
    assert "THE SECOND OPINION DOES NOT CONFIRM THIS" in result.stderr
    assert '"status":1' in result.stdout


def test_engine_both_with_the_node_needs_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    result = both(monkeypatch, "node")
    assert isinstance(result.exception, UsageError)
    assert "node.url" in str(result.exception)


def test_state_before_is_what_the_transaction_found() -> None:
    """After all transactions of a block, for the last one: the values that the earlier ones left, of all touched."""
    (path,) = BLOCKS_FOLDER.glob("*.json.gz")
    recorded = read_block(path)
    whole = Run(recorded.transactions, ForkState(RecordedState(recorded)), recorded.context, recorded.fork)
    assert not isinstance(whole.step(), MissingState)
    before = Run(recorded.transactions[:-1], ForkState(RecordedState(recorded)), recorded.context, recorded.fork)
    assert not isinstance(before.step(), MissingState)
    state = whole.state_before()
    assert state
    for address, account in state.items():
        if address not in before._machine.touched:
            continue
        assert before._machine.balance(address) == account.balance
        assert before._machine.nonce(address) == account.nonce
        for slot, value in account.storage.items():
            assert before._machine.storage(address, slot) == value
