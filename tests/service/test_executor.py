"""The executor: one outcome a trade, limits in the send path, the slot as a deadline that nobody outlives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import trio

from flasharb.evm import Fork
from flasharb.execution.bundle import Bundle
from flasharb.execution.outcome import DryRun, Missed, Reverted, Submitted
from flasharb.execution.program import Execution, decode
from flasharb.execution.replies import Acknowledged, Doubt, Refusal, Refused, Reply, Unknown
from flasharb.execution.signing import SigningKey
from flasharb.service.executor import TOO_LATE, Executor, Ground, Identity
from flasharb.service.figures import Figures
from flasharb.service.messages import Candidates
from flasharb.service.reports import Report
from flasharb.service.simulator import Job, Unsimulated
from flasharb.service.tracker import Sent
from flasharb.settings import DEVNET_CHAIN_ID, Pools, Settings, Strategy
from flasharb.simulation.result import Executed, Simulation
from flasharb.strategy.search import Search, Tokens
from flasharb.strategy.trade import Rejected, Trade
from flasharb.units import Address, Hash32
from tests.support.service_fakes import CHEAP, CONTRACT, DEAR, TOKENS, USDC, WETH, FakeChain, header, pool

SLOT_S = 12.0
GENESIS = Hash32(b"\x9e" * 32)
SETTINGS = Settings(
    strategy=Strategy(min_profit_usd=0.5, max_position_pct=0.5),
    pools=Pools(usd_tokens=("USDC",), min_liquidity_usd=0.0),
)
KEY = SigningKey(b"\x07" * 32)


@dataclass
class FakeSimulator:
    """Every trade earns what it promises, less the bid that its call data names, after ``delay_s``."""

    gross: int
    delay_s: float = 0.01
    gas_used: int = 130_000
    revert: str | None = None
    answer: Unsimulated | None = None
    jobs: list[Job] = field(default_factory=list)

    async def simulate(self, job: Job) -> Simulation | Unsimulated:
        self.jobs.append(job)
        await trio.sleep(self.delay_s)
        if self.answer is not None:
            return self.answer
        (transaction,) = job.transactions
        assert not isinstance(transaction, bytes)
        program = decode(transaction.data)
        assert isinstance(program, Execution)
        ok = self.revert is None
        gained = {CONTRACT: {WETH: self.gross - program.bid}}
        executed = Executed(
            None, int(ok), self.gas_used, 10**9, b"", self.revert, (), gained if ok else {}, program.bid
        )
        return Simulation((executed,))


@dataclass
class FakeRelays:
    """Answers ``reply`` after ``delay_s``, or when the deadline has come."""

    reply: Reply = field(default_factory=lambda: Acknowledged(Hash32(bytes(32))))
    delay_s: float = 0.01
    bundles: list[Bundle] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    async def send(self, bundle: Bundle, deadline: float = math.inf) -> tuple[tuple[str, Reply], ...]:
        self.bundles.append(bundle)
        self.log.append("send")
        with trio.move_on_at(deadline):
            await trio.sleep(self.delay_s)
            return (("fake", self.reply),)
        return (("fake", Unknown(Doubt.TIMED_OUT, "no answer")),)


class Bench:
    def __init__(
        self,
        simulator: FakeSimulator | None = None,
        relays: FakeRelays | None = None,
        *,
        key: SigningKey | None = KEY,
        devnet: bool = True,
        settings: Settings = SETTINGS,
    ) -> None:
        self.chain = FakeChain()
        self.chain.grow(9, [pool(CHEAP, 1000, 2_000_000), pool(DEAR, 1000, 2_200_000)])
        self.figures = Figures(head=5)
        self.relays = relays or FakeRelays()
        self.candidate = self.found(5)
        gross = self.candidate.trades[0].gross_profit
        self.simulator = simulator or FakeSimulator(gross)
        self.simulator.gross = gross
        identity = Identity(key.address if key else Address(b"\x5e" * 20), CONTRACT, WETH, key, self.relays)
        unknown = Hash32(bytes(32))
        ground = Ground(
            DEVNET_CHAIN_ID, GENESIS, GENESIS if devnet else unknown, False, lambda number, timestamp: Fork.PRAGUE
        )
        self.lines: list[tuple[str, Mapping[str, Any]]] = []
        self.executor = Executor(settings, identity, ground, self.chain, self.simulator, self.figures, self.write)
        self.send, self._candidates = trio.open_memory_channel[Candidates](0)
        self._reports, self._received = trio.open_memory_channel[Report](64)
        self._sent, self._tracked = trio.open_memory_channel[Sent](64)

    def found(self, number: int) -> Candidates:
        """What the real search finds in two pools that disagree by a tenth."""
        pools = (pool(CHEAP, 1000, 2_000_000), pool(DEAR, 1000, 2_200_000))
        market = replace(self.chain.empty_market(header(number)).inserting(pools, number), block=header(number))
        search = Search(SETTINGS, Tokens((WETH,), (USDC,), WETH))
        findings = search.update(market, None, 10**9)
        now = trio.current_time()
        trades = tuple(replace(one, id=one.id + 100 * number) for one in findings.trades)
        assert len(trades) == 1
        return Candidates(header(number), trades, findings.costs, now, now + SLOT_S)

    async def write(self, event: str, fields: Mapping[str, Any]) -> None:
        await trio.sleep(0.001)
        self.lines.append((event, fields))
        self.relays.log.append(event)

    def start(self, nursery: trio.Nursery) -> None:
        nursery.start_soon(self.executor.run, self._candidates, self._reports, self._sent)

    def reports(self) -> list[Report]:
        found = []
        while True:
            try:
                found.append(self._received.receive_nowait())
            except (trio.WouldBlock, trio.EndOfChannel):
                return found

    def tracked(self) -> list[Sent]:
        found = []
        while True:
            try:
                found.append(self._tracked.receive_nowait())
            except (trio.WouldBlock, trio.EndOfChannel):
                return found

    async def run_one(self) -> list[Report]:
        async with trio.open_nursery() as nursery:
            self.start(nursery)
            await self.send.send(self.candidate)
            self.send.close()
        return self.reports()


def trade_of(bench: Bench) -> Trade:
    return bench.candidate.trades[0]


async def test_a_good_trade_is_journaled_then_sent_then_tracked(autojump_clock: trio.testing.MockClock) -> None:
    bench = Bench()
    (report,) = await bench.run_one()

    assert isinstance(report, Submitted)
    assert bench.relays.log == ["intent", "send"]
    assert [bundle.target_block for bundle in bench.relays.bundles] == [6]
    (tracked,) = bench.tracked()
    assert tracked.submitted == report
    assert bench.figures.simulated == 1
    assert report.nonce == 0


async def test_what_is_simulated_last_is_what_is_signed(autojump_clock: trio.testing.MockClock) -> None:
    """Bid, minimum and deadline stand in the second simulation exactly as in the bundle."""
    bench = Bench()
    (report,) = await bench.run_one()
    assert isinstance(report, Submitted)
    probe, final = (job.transactions[0] for job in bench.simulator.jobs)
    assert not isinstance(probe, bytes)
    assert not isinstance(final, bytes)

    first, last = decode(probe.data), decode(final.data)
    assert isinstance(first, Execution)
    assert isinstance(last, Execution)
    assert (first.bid, first.minimum) == (0, 0)
    assert last.bid == report.bid_wei > 0
    assert last.minimum > 0
    assert last.deadline_block == 6
    (raw,) = bench.relays.bundles[0].transactions
    assert final.data in raw
    assert final.gas_limit.to_bytes(3, "big") in raw


async def test_a_dry_run_ends_before_the_journal(autojump_clock: trio.testing.MockClock) -> None:
    """Any chain but the devnet that we started, without --live: everything but sending."""
    bench = Bench(devnet=False)
    (report,) = await bench.run_one()

    assert isinstance(report, DryRun)
    assert report.net_profit_wei > 0
    assert bench.relays.bundles == []
    assert bench.lines == []


async def test_without_a_key_nothing_is_sent(autojump_clock: trio.testing.MockClock) -> None:
    bench = Bench(key=None)
    (report,) = await bench.run_one()
    assert isinstance(report, DryRun)
    assert bench.relays.bundles == []


async def test_a_revert_in_the_simulation_costs_nothing(autojump_clock: trio.testing.MockClock) -> None:
    bench = Bench(FakeSimulator(0, revert="ProfitTooLow"))
    (report,) = await bench.run_one()
    assert isinstance(report, Reverted)
    assert not report.on_chain
    assert report.net_profit_wei == 0
    assert bench.relays.bundles == []


async def test_a_simulation_without_result_is_a_named_rejection(autojump_clock: trio.testing.MockClock) -> None:
    bench = Bench(FakeSimulator(0, answer=Unsimulated("simulation_overrun", "more than 2 s")))
    (report,) = await bench.run_one()
    assert isinstance(report, Rejected)
    assert report.reason == "simulation_overrun"


async def test_a_trade_that_nobody_lends_for_is_a_named_rejection(autojump_clock: trio.testing.MockClock) -> None:
    """The one loan that is allowed has no lender on this chain: said before anything is simulated."""
    settings = replace(SETTINGS, mev=replace(SETTINGS.mev, loan_source="balancer_v2"))
    bench = Bench(settings=settings)
    (report,) = await bench.run_one()
    assert isinstance(report, Rejected)
    assert report.reason == "no_loan"
    assert bench.simulator.jobs == []


async def test_a_profit_that_gas_eats_is_rejected(autojump_clock: trio.testing.MockClock) -> None:
    bench = Bench(FakeSimulator(0, gas_used=2_000_000_000))
    (report,) = await bench.run_one()
    assert isinstance(report, Rejected)
    assert bench.relays.bundles == []


async def test_a_newer_block_ends_the_older_trades(autojump_clock: trio.testing.MockClock) -> None:
    bench = Bench(FakeSimulator(0, delay_s=5.0))
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        await bench.send.send(bench.candidate)
        await trio.sleep(1)
        bench.figures.head = 6
        await bench.send.send(bench.found(6))
        bench.send.close()
    outcomes = {report.id: report for report in bench.reports() if isinstance(report, Rejected | Submitted)}
    old = outcomes.pop(trade_of(bench).id)
    assert isinstance(old, Rejected)
    assert old.reason == TOO_LATE
    (new,) = outcomes.values()
    assert isinstance(new, Submitted)
    assert new.target_block == 7


async def test_the_end_of_the_slot_ends_its_trades(autojump_clock: trio.testing.MockClock) -> None:
    bench = Bench(FakeSimulator(0, delay_s=100.0))
    began = trio.current_time()
    (report,) = await bench.run_one()
    assert isinstance(report, Rejected)
    assert report.reason == TOO_LATE
    assert trio.current_time() - began <= SLOT_S + 0.1


async def test_a_hanging_relay_holds_nobody_up(autojump_clock: trio.testing.MockClock) -> None:
    """The next block's bundle goes out while the first relay call still hangs; the answer is "unknown", and tracked."""
    bench = Bench(relays=FakeRelays(delay_s=math.inf))
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        await bench.send.send(bench.candidate)
        await trio.sleep(1)
        bench.figures.head = 6
        second = bench.found(6)
        await bench.send.send(second)
        await trio.sleep(1)
        assert [bundle.target_block for bundle in bench.relays.bundles] == [6, 7]
        bench.send.close()
    assert len(bench.tracked()) == 2
    assert trio.current_time() <= second.deadline + 1


async def test_a_bundle_that_all_relays_refuse_is_missed_at_once(autojump_clock: trio.testing.MockClock) -> None:
    bench = Bench(relays=FakeRelays(reply=Refused(Refusal.PERMANENT, "unable to decode txs")))
    submitted, missed = await bench.run_one()
    assert isinstance(submitted, Submitted)
    assert isinstance(missed, Missed)
    assert missed.reason == "refused"
    assert bench.tracked() == []
    assert bench.chain.public == []
    assert "public: no_loss_bound" in missed.detail


def with_bound(usd: float) -> Settings:
    return replace(SETTINGS, mev=replace(SETTINGS.mev, max_public_loss_usd=usd))


async def test_fault_36_what_no_relay_took_goes_public_within_the_bound(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The same bytes as in the refused bundle, journaled before they leave, then tracked like a bundle."""
    relays = FakeRelays(reply=Refused(Refusal.PERMANENT, "unable to decode txs"))
    bench = Bench(relays=relays, settings=with_bound(50))
    (submitted,) = await bench.run_one()

    assert isinstance(submitted, Submitted)
    assert bench.chain.public == list(relays.bundles[0].transactions)
    assert relays.log == ["intent", "send", "public"]
    assert [one.submitted for one in bench.tracked()] == [submitted]


async def test_fault_36_a_possible_loss_above_the_bound_stays_private(autojump_clock: trio.testing.MockClock) -> None:
    relays = FakeRelays(reply=Refused(Refusal.PERMANENT, "unable to decode txs"))
    bench = Bench(relays=relays, settings=with_bound(0.000001))
    _, missed = await bench.run_one()

    assert isinstance(missed, Missed)
    assert "public: loss_above_bound" in missed.detail
    assert bench.chain.public == []


async def test_fault_36_nothing_goes_public_while_a_relay_may_have_it(autojump_clock: trio.testing.MockClock) -> None:
    relays = FakeRelays(reply=Unknown(Doubt.TIMED_OUT, "no answer"))
    bench = Bench(relays=relays, settings=with_bound(50))
    await bench.run_one()

    assert bench.chain.public == []
    assert len(bench.tracked()) == 1


async def test_a_node_that_fails_ends_the_trade_by_name(autojump_clock: trio.testing.MockClock) -> None:
    bench = Bench()
    bench.chain.failing = True
    (report,) = await bench.run_one()
    assert isinstance(report, Rejected)
    assert report.reason == "state_unavailable"


async def test_a_block_that_has_passed_is_not_sent_for(autojump_clock: trio.testing.MockClock) -> None:
    """The limits look at the newest head, not at the candidate's."""
    bench = Bench()
    bench.figures.head = 6
    (report,) = await bench.run_one()
    assert isinstance(report, Rejected)
    assert report.reason == "stale"
    assert bench.relays.bundles == []


async def test_a_journal_that_fails_stops_everything(autojump_clock: trio.testing.MockClock) -> None:
    """No line on the disk, no signature."""
    bench = Bench()

    async def failing(event: str, fields: Mapping[str, Any]) -> None:
        raise OSError("disk full")

    bench.executor._write = failing
    try:
        await bench.run_one()
    except* OSError:
        pass
    assert bench.relays.bundles == []


def test_the_tokens_of_these_tests_are_listed() -> None:
    assert {token.address for token in TOKENS} == {WETH, USDC}
