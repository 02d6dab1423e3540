"""The tracker: every bundle ends in exactly one outcome, told by the chain alone."""

from __future__ import annotations

import trio

from flasharb.execution.inclusion import Miss
from flasharb.execution.outcome import FinalOutcome, Included, Missed, Reverted, Submitted
from flasharb.service.reports import Report
from flasharb.service.tracker import Sent, Tracker
from flasharb.strategy.trade import Trade
from flasharb.units import Hash32
from tests.support.service_fakes import WETH, FakeChain, header

SLOT_S = 12.0


def sent(number: int, max_block: int, nonce: int = 0) -> Sent:
    tx_hash = Hash32(bytes([number]) * 32)
    submitted = Submitted(number, tx_hash, Hash32(b"\xbb" * 32), max_block, nonce, 40, 100, (), 5)
    trade = Trade(number, WETH, (), 150, 0, 100_000, 100, max_block - 1)
    return Sent(submitted, trade, max_block, 40, 41)


class Bench:
    def __init__(self) -> None:
        self.chain = FakeChain()
        self.chain.grow(5, [])
        self.send, self._receive = trio.open_memory_channel[Sent](64)
        self._outcomes, self.outcomes = trio.open_memory_channel[Report](64)

    def start(self, nursery: trio.Nursery) -> None:
        nursery.start_soon(Tracker(self.chain, SLOT_S).run, self._receive, self._outcomes)

    def grow(self) -> None:
        self.chain.headers[self.chain.head + 1] = header(self.chain.head + 1)

    def decided(self) -> list[FinalOutcome]:
        found: list[FinalOutcome] = []
        while True:
            try:
                found.append(self.outcomes.receive_nowait())  # type: ignore[arg-type]  # the tracker gives outcomes only
            except (trio.WouldBlock, trio.EndOfChannel):
                return found


async def test_a_landed_bundle_is_final_after_a_block_on_top(autojump_clock: trio.testing.MockClock) -> None:
    """Its profit is what the balances around its block say, gas and bid already paid."""
    bench = Bench()
    bench.chain.balances = {5: 1000, 6: 1110}
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        await bench.send.send(sent(1, 6))
        bench.grow()
        bench.chain.include(Hash32(b"\x01" * 32), 6)
        await trio.sleep(SLOT_S)
        assert bench.decided() == []
        bench.grow()
        await trio.sleep(SLOT_S)
        (outcome,) = bench.decided()
        bench.send.close()
    assert isinstance(outcome, Included)
    assert (outcome.block_number, outcome.gross_profit, outcome.net_profit_wei) == (6, 150, 110)


async def test_a_bundle_that_a_reorganisation_took_back_is_not_included(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bench = Bench()
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        await bench.send.send(sent(1, 6))
        bench.grow()
        bench.chain.include(Hash32(b"\x01" * 32), 6)
        await trio.sleep(SLOT_S)
        bench.chain.receipts.clear()
        bench.chain.account_nonce = 0
        bench.grow()
        await trio.sleep(SLOT_S)
        (outcome,) = bench.decided()
        bench.send.close()
    assert isinstance(outcome, Missed)
    assert outcome.reason == Miss.NOT_INCLUDED


async def test_the_other_bundles_of_a_nonce_are_missed(autojump_clock: trio.testing.MockClock) -> None:
    bench = Bench()
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        await bench.send.send(sent(1, 6))
        await bench.send.send(sent(2, 6))
        bench.grow()
        bench.chain.include(Hash32(b"\x02" * 32), 6)
        bench.grow()
        await trio.sleep(SLOT_S)
        outcomes = {outcome.id: outcome for outcome in bench.decided()}
        bench.send.close()
    assert isinstance(outcomes[2], Included)
    missed = outcomes[1]
    assert isinstance(missed, Missed)
    assert missed.reason == Miss.NONCE_USED


async def test_a_revert_on_chain_costs_its_gas(autojump_clock: trio.testing.MockClock) -> None:
    bench = Bench()
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        await bench.send.send(sent(1, 6))
        bench.grow()
        bench.chain.include(Hash32(b"\x01" * 32), 6, status=0)
        bench.grow()
        await trio.sleep(SLOT_S)
        (outcome,) = bench.decided()
        bench.send.close()
    assert isinstance(outcome, Reverted)
    assert outcome.on_chain
    assert outcome.net_profit_wei == -100_000 * 10**9


async def test_an_orderly_stop_waits_for_the_last_fate(autojump_clock: trio.testing.MockClock) -> None:
    """The executor has ended; the tracker ends when the chain has decided, not before, and not never."""
    bench = Bench()
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        await bench.send.send(sent(1, 6))
        bench.send.close()
        await trio.sleep(5 * SLOT_S)
        assert bench.decided() == []
        bench.grow()
        bench.grow()
    (outcome,) = bench.decided()
    assert isinstance(outcome, Missed)


async def test_a_node_that_is_away_decides_nothing(autojump_clock: trio.testing.MockClock) -> None:
    bench = Bench()
    async with trio.open_nursery() as nursery:
        bench.start(nursery)
        await bench.send.send(sent(1, 6))
        bench.chain.failing = True
        bench.grow()
        bench.grow()
        await trio.sleep(5 * SLOT_S)
        assert bench.decided() == []
        bench.chain.failing = False
        await trio.sleep(SLOT_S)
        (outcome,) = bench.decided()
        bench.send.close()
    assert isinstance(outcome, Missed)
