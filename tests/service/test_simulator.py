"""The simulator with real worker processes: state comes in round trips, hostile contracts cost a worker at most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import trio

from flasharb.adapters.node import Node, RpcFailure
from flasharb.evm import BlockContext, Fork, UnsignedTransaction
from flasharb.feed.events import BlockHeader
from flasharb.pools.spec import PoolSpec
from flasharb.pools.untried import Untried
from flasharb.service.conflated import Conflated
from flasharb.service.facts import DELEGATION_PREFIX
from flasharb.service.requests import Probed
from flasharb.service.simulator import Head, Job, PoolTrial, Simulator, Unsimulated
from flasharb.service.workers import limited_command, open_workers
from flasharb.settings import Simulation as Settings
from flasharb.simulation.result import Simulation
from flasharb.units import Address, Hash32, hex0x
from tests.support.service_fakes import header

SETTINGS = Settings(gas_limit=10**14)
SENDER = Address(b"\x5e" * 20)
CONTRACT = Address(b"\xc0" * 20)
LOOP = Address(b"\x10" * 20)
DEEP = Address(b"\x11" * 20)
BIG = Address(b"\x12" * 20)
MOODY = Address(b"\x13" * 20)
POOL = Address(b"\xaa" * 20)
# SLOAD(0) + SLOAD(SLOAD(0)) -> SSTORE(7); returns nothing. The second slot is known only after the first.
CHAINED = bytes.fromhex("5f548054015f5260205ff3")
# SLOAD(NUMBER); returns nothing.
BY_BLOCK = bytes.fromhex("4354505f5ff3")
# JUMPDEST PUSH0 JUMP
FOREVER = bytes.fromhex("5b5f56")
# Calls itself with all its gas; returns one more than what the call returned: how deep it came.
RECURSIVE = bytes.fromhex("60205f5f5f5f305af1505f5160010160005260205ff3")
# MSTORE at 2**29: half a gigabyte of memory.
GREEDY = bytes.fromhex("5f6320000000525f5ff3")


class FakeNode(Node):
    """A node over a dictionary; ``asked`` are the calls of each request."""

    def __init__(self, storage: Mapping[tuple[Address, int], int], *, lists_access: bool = False) -> None:
        super().__init__("fake node", 10.0, 1000)
        self._storage = dict(storage)
        self._lists_access = lists_access
        self.asked: list[list[str]] = []
        self.codes = {hex0x(CONTRACT): CHAINED, hex0x(LOOP): FOREVER, hex0x(DEEP): RECURSIVE, hex0x(BIG): GREEDY}
        self.codes[hex0x(MOODY)] = BY_BLOCK

    async def _exchange(self, requests: list[dict[str, Any]], what: str) -> dict[int, Any]:
        self.asked.append([request["method"] for request in requests])
        return {request["id"]: self._reply(request) for request in requests}

    def _reply(self, request: dict[str, Any]) -> dict[str, Any]:
        method, params = request["method"], request["params"]
        if method == "eth_createAccessList":
            if not self._lists_access:
                return {"id": request["id"], "error": {"code": -32601, "message": "the method does not exist"}}
            slots = [f"{slot:#066x}" for address, slot in self._storage if address == CONTRACT]
            result: Any = {"accessList": [{"address": hex0x(CONTRACT), "storageKeys": slots}], "gasUsed": "0x0"}
        elif method == "eth_getBalance":
            result = hex(10**18 if params[0] == hex0x(SENDER) else 0)
        elif method == "eth_getTransactionCount":
            result = "0x0"
        elif method == "eth_getCode":
            result = hex0x(self.codes.get(params[0], b""))
        else:
            assert method == "eth_getStorageAt", method
            value = self._storage[Address(bytes.fromhex(params[0][2:])), int(params[1], 16)]
            result = f"{value:#066x}"
        return {"id": request["id"], "result": result}


def head(number: int, fork: Fork = Fork.CANCUN) -> Head:
    return Head(Hash32(bytes([number]) * 32), number, fork, Hash32(bytes([number - 1]) * 32))


def job(parent: int, to: Address = CONTRACT, gas_limit: int = 100_000) -> Job:
    transaction = UnsignedTransaction(
        sender=SENDER,
        to=to,
        data=b"",
        value=0,
        nonce=0,
        gas_limit=gas_limit,
        max_fee_per_gas=1,
        max_priority_fee_per_gas=0,
        chain_id=61_861,
    )
    context = BlockContext(
        chain_id=61_861,
        number=parent + 1,
        timestamp=1_000,
        coinbase=b"\xfe" * 20,
        gas_limit=10**13,
        base_fee_per_gas=1,
        prev_randao=bytes(32),
        excess_blob_gas=0,
    )
    return Job(head(parent), context, (transaction,), (), (POOL,))


def result_of(answer: Simulation | Unsimulated) -> int:
    assert isinstance(answer, Simulation), answer
    (executed,) = answer.transactions
    assert executed.status == 1, executed
    return int.from_bytes(executed.output, "big")


async def test_missing_state_is_fetched_until_there_is_an_answer() -> None:
    """A chain of slots, each known only when the one before is; the next block then needs one batch."""
    node = FakeNode({(CONTRACT, 0): 41, (CONTRACT, 41): 1})
    async with open_workers(1, 30.0) as workers:
        simulator = Simulator(workers, node, SETTINGS)
        assert result_of(await simulator.simulate(job(1))) == 42
        assert simulator.rounds > 2
        cold = simulator.rounds

        assert result_of(await simulator.simulate(job(1))) == 42
        assert simulator.rounds == cold, "the same block again needs nothing"

        assert result_of(await simulator.simulate(job(2))) == 42
        assert simulator.rounds == cold + 1, "another block needs one batch: the same places, read anew"


async def test_a_new_route_is_fetched_by_the_nodes_access_list() -> None:
    node = FakeNode({(CONTRACT, 0): 41, (CONTRACT, 41): 1}, lists_access=True)
    async with open_workers(1, 30.0) as workers:
        simulator = Simulator(workers, node, SETTINGS)
        assert result_of(await simulator.simulate(job(1))) == 42
        assert simulator.rounds == 1


async def test_a_node_without_access_lists_is_asked_for_one_once() -> None:
    node = FakeNode({(CONTRACT, 0): 41, (CONTRACT, 41): 1})
    async with open_workers(1, 30.0) as workers:
        simulator = Simulator(workers, node, SETTINGS)
        for parent in (1, 2, 3):
            simulator._touched.clear()
            await simulator.simulate(job(parent))
    assert sum("eth_createAccessList" in asked for asked in node.asked) == 1


async def test_a_looping_contract_costs_its_worker_and_a_named_reason() -> None:
    """Fault 27: with gas for hours, only the wall budget ends it; the next simulation has a new worker."""
    node = FakeNode({(CONTRACT, 0): 41, (CONTRACT, 41): 1})
    async with open_workers(1, 1.0) as workers:
        simulator = Simulator(workers, node, SETTINGS)
        answer = await simulator.simulate(job(1, LOOP, gas_limit=90_000_000_000))
        assert isinstance(answer, Unsimulated)
        assert answer.reason == "simulation_overrun"
        assert workers.replaced == 1
    async with open_workers(1, 30.0) as workers:
        assert result_of(await Simulator(workers, node, SETTINGS).simulate(job(1))) == 42


async def test_a_replaced_worker_is_told_everything_again() -> None:
    """The facts that the dead process knew are sent to the new one; nothing is taken for known."""
    node = FakeNode({(CONTRACT, 0): 41, (CONTRACT, 41): 1})
    async with open_workers(1, 5.0) as workers:
        simulator = Simulator(workers, node, SETTINGS)
        assert result_of(await simulator.simulate(job(1))) == 42
        rounds = simulator.rounds
        answer = await simulator.simulate(job(1, LOOP, gas_limit=90_000_000_000))
        assert isinstance(answer, Unsimulated)
        assert workers.replaced == 1
        rounds_of_loop = simulator.rounds - rounds
        assert result_of(await simulator.simulate(job(1))) == 42
        assert simulator.rounds == rounds + rounds_of_loop


async def test_a_transaction_that_no_block_could_hold_is_named() -> None:
    node = FakeNode({(CONTRACT, 0): 41, (CONTRACT, 41): 1})
    async with open_workers(1, 30.0) as workers:
        answer = await Simulator(workers, node, SETTINGS).simulate(job(1, gas_limit=90_000_000_000_000))
    assert isinstance(answer, Unsimulated)
    assert answer.reason == "invalid_transaction"


def test_the_fake_node_answers_as_a_node_does() -> None:
    """An unknown method is a failure value in a batch, as ``Node.batch`` promises."""
    assert RpcFailure(-32601, "the method does not exist").code == -32601


async def test_the_other_direction_is_remembered_too() -> None:
    """What is read alternates, as it does in a pool: after one block of each, no block lacks anything."""
    node = FakeNode({(CONTRACT, 0): 41, (CONTRACT, 41): 1, (CONTRACT, 43): 2})
    async with open_workers(1, 30.0) as workers:
        simulator = Simulator(workers, node, SETTINGS)
        for parent in (1, 2):
            node._storage[CONTRACT, 0] = 41 if parent % 2 else 43
            await simulator.simulate(job(parent))
        for parent in (3, 4, 5):
            node._storage[CONTRACT, 0] = 41 if parent % 2 else 43
            rounds = simulator.rounds
            assert result_of(await simulator.simulate(job(parent))) == (42 if parent % 2 else 45)
            assert simulator.rounds == rounds + 1


async def test_trades_of_one_block_do_not_ask_twice() -> None:
    node = FakeNode({(CONTRACT, 0): 41, (CONTRACT, 41): 1})
    async with open_workers(1, 30.0) as workers:
        simulator = Simulator(workers, node, SETTINGS)
        await simulator.simulate(job(1))
        rounds = simulator.rounds
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(simulator.simulate, job(2))
        assert simulator.rounds == rounds + 1


async def test_state_is_there_before_the_candidates_at_a_new_head() -> None:
    """``follow`` reads at each head what the newest simulations read; then a simulation asks for nothing."""
    node = FakeNode({(CONTRACT, 0): 41, (CONTRACT, 41): 1})
    async with open_workers(1, 30.0) as workers:
        simulator = Simulator(workers, node, SETTINGS)
        await simulator.simulate(job(1))
        rounds = simulator.rounds
        heads = Conflated[BlockHeader](lambda unread, newer: newer)
        heads.put(header(2))
        heads.close()
        await simulator.follow(heads, lambda one: head(one.number))
        assert simulator.rounds == rounds + 1
        assert result_of(await simulator.simulate(job(2))) == 42
        assert simulator.rounds == rounds + 1


async def test_a_changed_slot_is_seen_although_nothing_told_of_it() -> None:
    """No log, no hint: what the last block's state was is never taken for the next one's."""
    node = FakeNode({(CONTRACT, 0): 41, (CONTRACT, 41): 1, (CONTRACT, 43): 2})
    async with open_workers(1, 30.0) as workers:
        simulator = Simulator(workers, node, SETTINGS)
        assert result_of(await simulator.simulate(job(1))) == 42
        node._storage[CONTRACT, 41] = 7
        assert result_of(await simulator.simulate(job(2))) == 48
        node._storage[CONTRACT, 0] = 43
        assert result_of(await simulator.simulate(job(3))) == 45


def codes_asked(node: FakeNode) -> int:
    """How often code was asked for since the last question."""
    count = sum(asked.count("eth_getCode") for asked in node.asked)
    node.asked.clear()
    return count


async def test_code_that_cannot_change_is_asked_for_once() -> None:
    """The contract's stays known from block to block; that of accounts without any or with a delegation does not."""
    node = FakeNode({(CONTRACT, 0): 41, (CONTRACT, 41): 1})
    async with open_workers(1, 30.0) as workers:
        simulator = Simulator(workers, node, SETTINGS)
        assert result_of(await simulator.simulate(job(1))) == 42
        accounts = codes_asked(node)
        assert accounts == 3, "sender, contract, coinbase"
        assert result_of(await simulator.simulate(job(2))) == 42
        assert codes_asked(node) == accounts - 1
        node.codes[hex0x(SENDER)] = DELEGATION_PREFIX + CONTRACT
        await simulator.simulate(job(3))
        assert codes_asked(node) == accounts - 1
        await simulator.simulate(job(4))
        assert codes_asked(node) == accounts - 1


@pytest.mark.parametrize(
    "second",
    [
        Head(Hash32(b"\x02" * 32), 2, Fork.CANCUN, Hash32(b"\x77" * 32)),
        Head(Hash32(b"\x02" * 32), 2, Fork.CANCUN, None),
    ],
    ids=["a block on another branch", "a block whose parent is not known"],
)
async def test_code_is_asked_for_again_where_the_chain_may_have_moved(second: Head) -> None:
    node = FakeNode({(CONTRACT, 0): 41, (CONTRACT, 41): 1})
    async with open_workers(1, 30.0) as workers:
        simulator = Simulator(workers, node, SETTINGS)
        await simulator.simulate(job(1))
        accounts = codes_asked(node)
        await simulator.simulate(replace(job(2), head=second))
        assert codes_asked(node) == accounts


async def test_before_cancun_code_is_asked_for_in_each_block() -> None:
    """A contract could end itself in any transaction then."""
    node = FakeNode({(CONTRACT, 0): 41, (CONTRACT, 41): 1})
    async with open_workers(1, 30.0) as workers:
        simulator = Simulator(workers, node, SETTINGS)
        await simulator.simulate(replace(job(1), head=head(1, Fork.SHANGHAI)))
        accounts = codes_asked(node)
        await simulator.simulate(replace(job(2), head=head(2, Fork.CANCUN)))
        assert codes_asked(node) == accounts


async def test_a_worker_that_held_many_codes_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flasharb.service.simulator.KEPT_CODES", 0)
    node = FakeNode({(CONTRACT, 0): 41, (CONTRACT, 41): 1})
    async with open_workers(1, 30.0) as workers:
        simulator = Simulator(workers, node, SETTINGS)
        for number in (1, 1, 2, 3):
            assert result_of(await simulator.simulate(job(number))) == 42


async def test_a_trial_that_reads_other_slots_in_each_block_is_not_remembered_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every later block would read all of them beforehand, for as long as the run lasts."""
    monkeypatch.setattr("flasharb.service.simulator.KEPT_LACKING", 8)
    node = FakeNode({(MOODY, number): 0 for number in range(41)})
    spec = PoolSpec(MOODY, "erc4626", (POOL, MOODY), 0, facts=Untried())
    largest = []
    async with open_workers(1, 30.0) as workers:
        simulator = Simulator(workers, node, SETTINGS)
        for parent in range(1, 40):
            node.asked.clear()
            answer = await simulator.probe(PoolTrial(head(parent), job(parent).context, spec, CONTRACT))
            assert answer == Probed("no vault: asset() gives no address")
            largest.append(max(asked.count("eth_getStorageAt") for asked in node.asked))
    assert max(largest[:4]) > 1, "what earlier trials read is read beforehand"
    assert max(largest) <= 8


async def test_more_gas_than_the_budget_is_not_run_at_all() -> None:
    node = FakeNode({(CONTRACT, 0): 41, (CONTRACT, 41): 1})
    async with open_workers(1, 30.0) as workers:
        answer = await Simulator(workers, node, Settings(gas_limit=99_999)).simulate(job(1))
    assert answer == Unsimulated("over_gas_budget", "asks for 100000 gas, simulation.gas_limit is 99999")


async def test_the_deepest_recursion_is_a_result() -> None:
    """Fault 27: 1024 frames deep in a worker with the limits of the service, and the worker lives on."""
    node = FakeNode({})
    async with open_workers(1, 60.0, limited_command(2048, 60.0)) as workers:
        answer = await Simulator(workers, node, SETTINGS).simulate(job(1, DEEP, gas_limit=10**12))
        assert result_of(answer) == 1025
        assert workers.replaced == 0


async def test_exploding_memory_costs_its_worker_and_a_named_reason() -> None:
    """Fault 27: half a gigabyte of EVM memory, paid for with gas, in a worker that may have less."""
    node = FakeNode({(CONTRACT, 0): 41, (CONTRACT, 41): 1})
    async with open_workers(1, 60.0, limited_command(512, 60.0)) as workers:
        simulator = Simulator(workers, node, SETTINGS)
        answer = await simulator.simulate(job(1, BIG, gas_limit=10**12))
        assert answer == Unsimulated("simulation_exhausted", "its worker ran out of memory")
        assert result_of(await simulator.simulate(job(1))) == 42
        assert workers.replaced == 1
