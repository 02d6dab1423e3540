"""Tokens before their first trade: tried out in a worker, quarantined for good, watched afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import trio

from flasharb.adapters.quarantine import Quarantine
from flasharb.evm import Fork
from flasharb.market.quarantine import Quarantined
from flasharb.pools.spec import PoolSpec
from flasharb.service.simulator import Head, Job, Simulator, TokenTrial, Unsimulated
from flasharb.service.vetting import QUARANTINED, SIMULATIONS_FAIL, UNTRIED, Vetting
from flasharb.service.workers import open_workers
from flasharb.settings import Simulation as Settings
from flasharb.simulation.result import Executed, Simulation
from flasharb.simulation.suspicion import LIMIT
from flasharb.simulation.token_check import Parties, TokenFault, Verdict
from flasharb.units import Address, Hash32
from tests.support.pool_bytecode import CONTEXT, SENDER
from tests.support.small_world import SmallWorld
from tests.support.state_node import StateNode

WETH, GOOD, BAD, POOL, OTHER = (Address(bytes([number]) * 20) for number in (1, 2, 3, 0xAA, 0xAB))
SPECS = {
    POOL: PoolSpec(POOL, "uniswap_v2", (WETH, GOOD), 3000),
    OTHER: PoolSpec(OTHER, "uniswap_v2", (GOOD, BAD), 3000),
}
OURS = (Address(b"\xc0" * 20), Address(b"\x5e" * 20))
LESS = Verdict(TokenFault.RECEIVER_GETS_LESS, "transfer of 100: receiver gets 99")


@dataclass
class FakeSimulator:
    """Knows verdicts, what simulations end with, and who (holder, token) holds too little to try."""

    verdicts: dict[Address, Verdict | Unsimulated] = field(default_factory=dict)
    reverts: str | None = None
    trials: list[TokenTrial] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    not_held: set[tuple[Address, Address]] = field(default_factory=set)

    async def check_token(self, trial: TokenTrial) -> Verdict | Unsimulated:
        self.trials.append(trial)
        await trio.lowlevel.checkpoint()
        if (trial.parties.holder, trial.token) in self.not_held:
            return Verdict(TokenFault.NOT_HELD, "holds 0")
        return self.verdicts.get(trial.token, Verdict(None))

    async def simulate(self, job: Job) -> Simulation | Unsimulated:
        self.jobs.append(job)
        await trio.lowlevel.checkpoint()
        return Simulation((Executed(None, int(not self.reverts), 1, 1, b"", self.reverts, (), {}, 0),))


@dataclass
class Bench:
    """A vetting over a fake simulator and a real file."""

    folder: Path
    simulator: FakeSimulator = field(default_factory=FakeSimulator)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.quarantine = Quarantine(self.folder, 1)
        self.vetting = Vetting(self.simulator, self.quarantine, SPECS, OURS, (WETH,), self.told.append)


def job(*route: Address, parent: int = 7) -> Job:
    return Job(Head(Hash32(parent.to_bytes(32, "big")), parent, Fork.PRAGUE), CONTEXT, (), (), route)


async def test_a_good_token_is_tried_out_once(tmp_path: Path) -> None:
    """With the pool as holder and us as executor; the base token never; trades at once share the trial."""
    bench = Bench(tmp_path)
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(bench.vetting.simulate, job(POOL))
    assert [(trial.token, trial.parties) for trial in bench.simulator.trials] == [(GOOD, Parties(POOL, *OURS))]
    assert len(bench.simulator.jobs) == 3


async def test_a_bad_token_is_never_simulated_again(tmp_path: Path) -> None:
    """Refused by name, told once, on the disk, known to the next run."""
    bench = Bench(tmp_path, FakeSimulator({BAD: LESS}))
    for _ in range(2):
        answer = await bench.vetting.simulate(job(POOL, OTHER))
        assert isinstance(answer, Unsimulated)
        assert answer.reason == QUARANTINED
        assert "receiver gets 99" in answer.detail
    assert bench.simulator.jobs == []
    assert len(bench.told) == 1

    again = Bench(tmp_path)
    assert again.quarantine.tokens == {BAD: Quarantined("receiver_gets_less", 7, LESS.evidence)}
    assert isinstance(await again.vetting.simulate(job(OTHER)), Unsimulated)
    assert [trial.token for trial in again.simulator.trials] == [GOOD]


async def test_a_share_is_tried_out_at_the_other_pool_of_the_route(tmp_path: Path) -> None:
    """A vault holds none of its own shares: whichever way the route goes, the pair sends the share."""
    vault = PoolSpec(BAD, "erc4626", (GOOD, BAD), 0)
    for route in ((BAD, OTHER), (OTHER, BAD)):
        bench = Bench(tmp_path)
        bench.vetting = Vetting(bench.simulator, bench.quarantine, SPECS | {BAD: vault}, OURS, (WETH, GOOD), print)
        assert isinstance(await bench.vetting.simulate(job(*route)), Simulation)
        assert [(trial.token, trial.parties.holder) for trial in bench.simulator.trials] == [(BAD, OTHER)]


async def test_what_cannot_be_tried_is_not_condemned(tmp_path: Path) -> None:
    """Pools that hold nothing, a worker that died: not now, but nothing is written."""
    for verdict in (Verdict(TokenFault.NOT_HELD, "holds 3"), Unsimulated("simulation_died", "status 9")):
        bench = Bench(tmp_path, FakeSimulator({GOOD: verdict}))
        answer = await bench.vetting.simulate(job(POOL, OTHER))
        assert isinstance(answer, Unsimulated)
        assert answer.reason == UNTRIED
        assert bench.quarantine.tokens == {}
        bench.simulator.verdicts.clear()
        assert isinstance(await bench.vetting.simulate(job(POOL, OTHER)), Simulation)


async def test_a_token_that_its_own_pool_does_not_hold_is_tried_out_by_the_next(tmp_path: Path) -> None:
    """The LP token of a Curve pool, on a route that goes through it."""
    bench = Bench(tmp_path)
    bench.simulator.not_held = {(POOL, GOOD)}
    assert isinstance(await bench.vetting.simulate(job(POOL, OTHER)), Simulation)
    tried = [(trial.token, trial.parties.holder) for trial in bench.simulator.trials]
    assert tried == [(GOOD, POOL), (GOOD, OTHER), (BAD, OTHER)]


async def test_a_token_that_is_not_on_the_way_need_not_be_held(tmp_path: Path) -> None:
    """The LP token of a Curve pool between whose coins the route goes, twice: tried again where it is on the way."""
    bench = Bench(tmp_path)
    bench.simulator.not_held = {(POOL, GOOD), (OTHER, GOOD)}
    assert isinstance(await bench.vetting.simulate(job(POOL, POOL)), Simulation)
    answer = await bench.vetting.simulate(job(POOL, OTHER))
    assert isinstance(answer, Unsimulated)
    assert answer.reason == UNTRIED


async def test_a_token_that_only_lets_simulations_fail_is_quarantined(tmp_path: Path) -> None:
    """It passed its trial, and K says otherwise, again and again; the other token trades well elsewhere."""
    bench = Bench(tmp_path)
    for _ in range(LIMIT):
        bench.simulator.reverts = "UniswapV2: K"
        assert isinstance(await bench.vetting.simulate(job(OTHER)), Simulation)
        bench.simulator.reverts = None
        await bench.vetting.simulate(job(POOL))
    assert bench.quarantine.tokens.keys() == {BAD}
    assert bench.quarantine.tokens[BAD].reason == SIMULATIONS_FAIL
    answer = await bench.vetting.simulate(job(OTHER))
    assert isinstance(answer, Unsimulated)


async def test_a_disk_that_refuses_does_not_let_the_token_through(tmp_path: Path) -> None:
    """The quarantine holds in memory; the run goes on."""
    bench = Bench(tmp_path / "below", FakeSimulator({GOOD: LESS}))
    (tmp_path / "below").write_text("a file where the directory should be")
    for _ in range(2):
        answer = await bench.vetting.simulate(job(POOL))
        assert isinstance(answer, Unsimulated)
        assert answer.reason == QUARANTINED


async def test_a_worker_tries_tokens_out_with_state_from_the_node() -> None:
    """End to end: a token with a fee is seen through, a plain one passes; all state comes in round trips."""
    world = SmallWorld()
    fee = world.deploy("FeeOnTransferToken")
    plain = world.deploy("DevToken", ["string", "string", "uint8", "address"], ["T", "T", 6, SENDER])
    for token in (fee, plain):
        world.send(token, "mint(address,uint256)", POOL, 10**20)
    async with open_workers(1, 30.0) as workers:
        simulator = Simulator(workers, StateNode(world.state), Settings())
        found = {}
        for token in (fee, plain):
            trial = TokenTrial(Head(Hash32(bytes(32)), 7, Fork.PRAGUE), CONTEXT, token, Parties(POOL, *OURS))
            verdict = await simulator.check_token(trial)
            assert isinstance(verdict, Verdict), verdict
            found[token] = verdict.fault
    assert found == {fee: TokenFault.RECEIVER_GETS_LESS, plain: None}
    assert simulator.rounds > 2
