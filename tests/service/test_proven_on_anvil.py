"""State that is proven, and a second opinion, with anvil as the node: an honest one confirms a real arbitrage through
FlashArb, and every lie about the state that it runs on is found out and named.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner

from flasharb.adapters.blockfile import read_block
from flasharb.adapters.node import Node, open_node
from flasharb.adapters.proven import reader_at
from flasharb.cli.record import command as record_command
from flasharb.cli.simulate import command as simulate_command
from flasharb.devnet.example import BLOCKS_FOLDER
from flasharb.devnet.world import load_world
from flasharb.errors import StateDisproved, StateUnavailable
from flasharb.evm import MissingState
from flasharb.service.facts import AccountFact, BlockHashFact, CodeFact, FactLog, SlotFact
from flasharb.service.simulator import Head, Job, Simulator, Unsimulated
from flasharb.service.workers import Workers, open_workers
from flasharb.settings import Simulation as Settings
from flasharb.simulation.recorded import RecordedBlock
from flasharb.simulation.result import Simulation
from flasharb.units import Address, Hash32, address, hex0x
from tests.support.anvil_world import genesis_before
from tests.support.lying_node import Liar, Lie, honest, lying_node
from tests.support.node_tools import running_anvil

pytestmark = pytest.mark.node

WETH = address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")
POOL = address("0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640")
LIQUIDITY = 4
"""The slot of a V3 pool's liquidity."""
NOBODY = Address(b"\x77" * 20)


def example() -> RecordedBlock:
    (path,) = BLOCKS_FOLDER.glob("*.json.gz")
    return read_block(path)


BLOCK = example()
FLASHARB = BLOCK.receipts[0].to
assert FLASHARB is not None


@dataclass
class House:
    """The devnet's world on anvil, one empty block after its genesis, and a node in front of it that may lie."""

    node: Node
    liar: Liar
    head: Hash32
    workers: Workers

    def job(self) -> Job:
        """The arbitrage of the recorded example, on top of the head."""
        context = replace(BLOCK.context, parent_hash=self.head)
        assert FLASHARB is not None
        return Job(Head(self.head, 1, BLOCK.fork), context, BLOCK.transactions[:1], ((FLASHARB, WETH),), (POOL,), True)

    async def simulate(self, **settings: Any) -> Simulation | Unsimulated:
        return await Simulator(self.workers, self.node, Settings(**settings)).simulate(self.job())


@asynccontextmanager
async def house(tmp_path: Path) -> AsyncIterator[House]:
    genesis = trio.Path(tmp_path / "genesis.json")
    await genesis.write_text(json.dumps(genesis_before(load_world(), BLOCK)))
    options = ["--init", str(genesis), "--hardfork", "prague", "--no-mining", "--accounts", "0"]
    async with (
        running_anvil(*options) as place,
        lying_node(f"http://{place}") as liar,
        open_node(liar.url, timeout_s=60, batch_size=500) as node,
        open_workers(1, 60.0) as workers,
    ):
        # anvil's genesis block does not have the root of its state.
        await node.call("evm_mine")
        head = await node.call("eth_getBlockByNumber", "0x1", False)
        yield House(node, liar, Hash32(bytes.fromhex(head["hash"][2:])), workers)


async def facts(node: Node, head: Hash32, *, proven: bool) -> set[Any]:
    """Everything that the example's transactions need, an account and a slot that are not there, and a block hash."""
    wanted = MissingState(
        accounts=[*BLOCK.pre_state, NOBODY],
        slots=[(one, slot) for one, known in BLOCK.pre_state.items() if known is not None for slot in known.storage]
        + [(POOL, 2**255), (NOBODY, 1)],
        block_numbers=[0],
    )
    log = FactLog()
    reader = await reader_at(node, head, proven=proven)
    await reader.fetch(wanted, log)
    return set(log.since(0))


async def test_what_is_proven_is_what_the_node_says(tmp_path: Path) -> None:
    """Account by account and slot by slot the same facts, those that prove an absence and an ancestor's hash too."""
    async with house(tmp_path) as one:
        proven = await facts(one.node, one.head, proven=True)
        plain = await facts(one.node, one.head, proven=False)
    assert proven == plain
    assert {AccountFact, BlockHashFact, CodeFact, SlotFact} == {type(fact) for fact in proven}
    assert AccountFact(NOBODY, None) in proven
    assert {SlotFact(POOL, 2**255, 0), SlotFact(NOBODY, 1, 0)} <= proven
    assert sum(isinstance(fact, SlotFact) and fact.value > 0 for fact in proven) >= 30


@pytest.mark.parametrize("settings", [{"verify_state": True}, {"second_opinion": "node"}, {"second_opinion": "revm"}])
async def test_an_honest_node_confirms_the_arbitrage(settings: dict[str, Any], tmp_path: Path) -> None:
    """Same gas, logs and profit as recorded; with proofs, no plain state call is made at all."""
    if settings.get("second_opinion") == "revm":
        pytest.importorskip("pyrevm", reason="pyrevm has wheels for Python up to 3.12")
    async with house(tmp_path) as one:
        answer = await one.simulate(**settings)
        asked = set(one.liar.asked)
    assert isinstance(answer, Simulation), answer
    (executed,) = answer.transactions
    assert (executed.status, executed.gas_used) == (1, BLOCK.receipts[0].gas_used)
    assert FLASHARB is not None
    assert executed.balance_changes[FLASHARB][WETH] > 0
    if "verify_state" in settings:
        assert "eth_getProof" in asked
        assert not asked & {"eth_getStorageAt", "eth_getBalance", "eth_getTransactionCount"}
    assert ("eth_simulateV1" in asked) == (settings.get("second_opinion") == "node")


def told_more(result: dict[str, Any], key: str) -> dict[str, Any]:
    return {**result, key: hex(int(result[key], 16) + 1)}


def one_slot(method: str, params: list[Any], result: Any) -> Any:
    """The pool's liquidity, one unit more."""
    if method != "eth_getProof" or int(params[0], 16) != int.from_bytes(POOL, "big"):
        return result
    proofs = [told_more(one, "value") if int(one["key"], 16) == LIQUIDITY else one for one in result["storageProof"]]
    return {**result, "storageProof": proofs}


def one_balance(method: str, params: list[Any], result: Any) -> Any:
    pool = method == "eth_getProof" and int(params[0], 16) == int.from_bytes(POOL, "big")
    return told_more(result, "balance") if pool else result


def one_bit_of_a_node(method: str, params: list[Any], result: Any) -> Any:
    """The last node of one storage proof."""
    if method != "eth_getProof" or int(params[0], 16) != int.from_bytes(POOL, "big"):
        return result
    proofs = []
    for one in result["storageProof"]:
        if int(one["key"], 16) == LIQUIDITY:
            *nodes, last = one["proof"]
            one = {**one, "proof": [*nodes, f"{last[:-1]}{int(last[-1], 16) ^ 1:x}"]}
        proofs.append(one)
    return {**result, "storageProof": proofs}


def one_code(method: str, params: list[Any], result: Any) -> Any:
    pool = method == "eth_getCode" and int(params[0], 16) == int.from_bytes(POOL, "big")
    return result[:-2] + "ff" if pool else result


def another_root(method: str, params: list[Any], result: Any) -> Any:
    return {**result, "stateRoot": "0x" + "12" * 32} if method == "eth_getBlockByHash" else result


LIES: list[tuple[Lie, list[str]]] = [
    (one_slot, ["slot 0x4 of 0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640", "the node says 0x", "proves 0x"]),
    (one_balance, ["account 0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640", "balance 1,", "balance 0,"]),
    (one_bit_of_a_node, ["slot 0x4 of", "proves nothing", "no node with the hash"]),
    (one_code, ["code of 0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640", "bytes with hash"]),
    (another_root, ["the header that the node gives for block", "hashes to"]),
]


async def test_every_lie_is_found_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The candidate is rejected; account or slot, what the node says and what is proven stand in reason and log."""
    async with house(tmp_path) as one:
        for lie, words in LIES:
            one.liar.lie = lie
            answer = await one.simulate(verify_state=True)
            assert isinstance(answer, Unsimulated), (lie, answer)
            assert answer.reason == "state_disproved"
            for word in words:
                assert word in answer.detail
            assert any("STATE DISPROVED" in told and answer.detail in told for told in caplog.messages)
        one.liar.lie = honest
        answer = await one.simulate(verify_state=True)
        assert isinstance(answer, Simulation), answer


async def test_a_wrong_slot_in_one_of_the_two_is_not_signed(tmp_path: Path) -> None:
    """Ours runs on a slot that the node tells wrongly, the node on its own true state: both values are named."""

    def lie(method: str, params: list[Any], result: Any) -> Any:
        wrong = method == "eth_getStorageAt" and int(params[0], 16) == int.from_bytes(POOL, "big")
        return f"{int(result, 16) + 1:#066x}" if wrong and int(params[1], 16) == LIQUIDITY else result

    async with house(tmp_path) as one:
        one.liar.lie = lie
        assert isinstance(await one.simulate(), Simulation)
        answer = await one.simulate(second_opinion="node")
    assert isinstance(answer, Unsimulated), answer
    assert answer.reason == "second_opinion_differs"
    assert answer.detail.startswith("logs: ours 9 (")
    assert f"http://127.0.0.1:{one.liar.url.rpartition(':')[2]} 9 (" in answer.detail


async def test_a_node_without_proofs_is_unavailable_state_not_a_guess(tmp_path: Path) -> None:
    async with house(tmp_path) as one:
        one.liar.refused = {"eth_getProof"}
        with pytest.raises(StateUnavailable, match="eth_getProof"):
            await one.simulate(verify_state=True)


async def test_a_node_without_simulate_v1_is_asked_by_eth_call(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Success and output are compared; that it is no more is said."""
    async with house(tmp_path) as one:
        one.liar.refused = {"eth_simulateV1"}
        answer = await one.simulate(second_opinion="node")
        assert isinstance(answer, Simulation), answer
        assert "eth_call" in one.liar.asked
        assert "it confirms success and output only" in caplog.text
        one.liar.lie = lambda method, params, result: "0x01" if method == "eth_call" else result
        answer = await one.simulate(second_opinion="node")
    assert isinstance(answer, Unsimulated), answer
    assert answer.detail.startswith("output: ours 0x, ")


def invoke(command: Any, *arguments: str) -> Any:
    """A verb of the command line with --json: its object."""
    result = CliRunner().invoke(command, [*arguments, "--json"], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    assert result.return_value == 0, result.output
    return json.loads(result.stdout)


async def test_the_command_line_proves_and_asks_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mined block's last transaction, after the ones before it: proven, confirmed by the node; and a proven record.

    Then one balance is told wrongly, and both verbs refuse with exit code 3.
    """
    monkeypatch.setenv("FLASHARB_SIMULATION_VERIFY_STATE", "true")
    monkeypatch.setenv("FLASHARB_SIMULATION_SECOND_OPINION", "node")
    file = tmp_path / "2.json.gz"
    async with house(tmp_path) as one:
        await one.node.call("anvil_setNextBlockBaseFeePerGas", BLOCK.header["baseFeePerGas"])
        for raw in BLOCK.transactions:
            await one.node.call("eth_sendRawTransaction", hex0x(raw))
        await one.node.call("evm_mine")
        mined = await one.node.call("eth_getBlockByNumber", "0x2", False)
        assert len(mined["transactions"]) == len(BLOCK.transactions) > 1
        last = mined["transactions"][-1]
        simulating = (last, "--rpc", one.liar.url, "--engine", "both")
        recording = ("--rpc", one.liar.url, "--block", "2", "--out", str(file))
        told = await trio.to_thread.run_sync(lambda: invoke(simulate_command, *simulating))
        assert (told["tx_hash"], told["status"], told["index"]) == (last, 1, len(BLOCK.transactions) - 1)
        await trio.to_thread.run_sync(lambda: invoke(record_command, *recording))
        asked = set(one.liar.asked)
        assert {"eth_getProof", "eth_simulateV1"} <= asked
        assert not asked & {"eth_getStorageAt", "eth_getBalance", "eth_getTransactionCount"}
        one.liar.lie = one_balance
        for command, arguments in ((simulate_command, simulating), (record_command, recording)):
            with pytest.raises(StateDisproved, match="account 0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640"):
                await trio.to_thread.run_sync(invoke, command, *arguments)
    assert StateDisproved.exit_code == 3
    assert read_block(file).number == 2
