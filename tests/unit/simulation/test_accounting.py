"""A real arbitrage against what our search had: found, or one reason of the fixed list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from flasharb.execution.outcome import DryRun, Missed, Outcome, Reverted, Submitted
from flasharb.market.filters import Cause, Excluded
from flasharb.market.prices import usd_prices
from flasharb.market.snapshot import Market
from flasharb.simulation.accounting import CAUSES, REASONS, Look, Verdict, account_for
from flasharb.simulation.missed import MissedReason, Reach, passed_over
from flasharb.simulation.receipts import Known, Seen, arbitrage_of, candidate_of, seen
from flasharb.strategy.profit import Costs
from flasharb.strategy.reasons import Reason
from flasharb.strategy.search import Findings
from flasharb.strategy.trade import Hop, Opportunity, Rejected, Trade, TradeHop
from flasharb.units import Address, Hash32
from tests.support.arbitrage_receipts import BOT, cycle, receipt, swap
from tests.support.service_fakes import CHEAP, CONTRACT, DEAR, TOKENS, USDC, WETH, pool, spec

POOLS = (pool(CHEAP, 1000, 2_000_000), pool(DEAR, 1000, 2_200_000))
SPECS = {one.spec.address: one.spec for one in POOLS}
REACH = Reach(SPECS, (WETH,), 3)
WAY = (Hop(DEAR, WETH, USDC), Hop(CHEAP, USDC, WETH))
HASH = Hash32(b"\xaa" * 32)
PROFIT = 10**17


def trade(gross_profit: int) -> Trade:
    hops = tuple(TradeHop(hop, spec(hop.pool), 10**18, 10**18) for hop in WAY)
    return Trade(5, WETH, hops, gross_profit, 0, 100_000, 0, 1)


def look(
    *trades: Trade, rejected: tuple[Rejected, ...] = (), excluded: Mapping[Address, Excluded] | None = None
) -> Look:
    market = Market.load(1, POOLS, TOKENS)
    found = Findings(
        (Opportunity(5, WAY, 1.1, 1),), trades, rejected, excluded or {}, Costs(1, WETH, usd_prices(Market(1), ()))
    )
    return Look(market, found)


def real(*, to: Address = BOT, moved: bool = False) -> Seen:
    one = receipt(1, cycle(10**18, 10**18 + PROFIT), to=to)
    candidate = candidate_of(one, Known(1, WETH, SPECS, {}))
    assert candidate is not None
    found = arbitrage_of(candidate, 0, WETH)
    assert found is not None
    before = (receipt(0, (swap(DEAR, (1, 0, 0, 1)),)),) if moved else ()
    return seen(candidate, found, (*before, one))


def verdict(ours: Look | None, outcome: Outcome | None = None, reach: Reach = REACH, *, moved: bool = False) -> Verdict:
    return account_for(real(moved=moved), ours, {} if outcome is None else {5: outcome}, reach, CONTRACT)


def test_our_own_transaction_is_found_whatever_else_is_known() -> None:
    """In gross terms: who is called counts, not the call data."""
    assert account_for(real(to=CONTRACT), None, {}, REACH, CONTRACT) == Verdict(None, "landed", True)


SENT = Submitted(5, HASH, HASH, 2, 0, 0, 0, (), 0)


@pytest.mark.parametrize(
    ("outcome", "missed"),
    [
        (SENT, None),
        (Missed(5, HASH, HASH, 2, "not_included"), None),
        (DryRun(5, 2, 1, 1, 1, WETH, 0, 1, 0), None),
        (Reverted(5, 2, "no", 1, on_chain=True), None),
        (Reverted(5, 2, "no", 1), MissedReason.SIMULATION_REFUSED),
        (Rejected(5, "second_opinion_differs", "", 1), MissedReason.SIMULATION_REFUSED),
        (Rejected(5, "state_unavailable", "", 1), MissedReason.UNKNOWN_STATE),
        (Rejected(5, Reason.BELOW_MIN_PROFIT, "", 1), MissedReason.BELOW_THRESHOLD),
        (Rejected(5, "token_quarantined", "", 1), MissedReason.TOKEN_FILTERED),
        (Rejected(5, "too_late", "", 1), MissedReason.TIMING),
        (None, MissedReason.TIMING),
    ],
)
def test_a_trade_that_was_as_good_is_found_if_it_went_as_far_as_it_could(
    outcome: Outcome | None, missed: MissedReason | None
) -> None:
    """As good: less by at most a part in a million."""
    assert verdict(look(trade(PROFIT - PROFIT // 10**6)), outcome).missed is missed


def test_less_profit_is_sizing_unless_the_block_itself_had_moved_a_pool() -> None:
    poorer = look(trade(PROFIT - PROFIT // 10**6 - 1))
    assert verdict(poorer, SENT).missed is MissedReason.SIZING
    assert verdict(poorer, SENT, moved=True).missed is MissedReason.TIMING


@pytest.mark.parametrize("reason", list(Reason))
def test_every_word_of_the_search_has_its_reason(reason: Reason) -> None:
    """The cycle was seen and dropped: the reason is that word's, and none is left to the default."""
    assert verdict(look(rejected=(Rejected(5, reason, "", 1),))).missed is REASONS[reason]


def test_nothing_seen_is_not_explained_away() -> None:
    assert verdict(look()).missed is MissedReason.UNKNOWN_STATE
    assert verdict(look(), moved=True).missed is MissedReason.TIMING
    assert verdict(None).missed is MissedReason.TIMING


@pytest.mark.parametrize(
    ("reach", "missed"),
    [
        (replace(REACH, base_tokens=(USDC,)), MissedReason.TOKEN_FILTERED),
        (replace(REACH, max_hops=1), MissedReason.PATH_LENGTH),
        # The pools' addresses follow from no factory: what they are nobody knows.
        (replace(REACH, pools={}), MissedReason.UNKNOWN_STATE),
        (Reach({}, (WETH,), 3, {DEAR: Excluded(Cause.NOT_TRACKED, USDC)}), MissedReason.TOKEN_FILTERED),
        (Reach({}, (WETH,), 3, {DEAR: Excluded(Cause.NOT_EXECUTABLE, "no command")}), MissedReason.PROTOCOL),
    ],
)
def test_what_is_out_of_reach_is_so_even_if_nothing_was_searched(reach: Reach, missed: MissedReason) -> None:
    assert verdict(None, reach=reach).missed is missed


def test_a_pool_of_a_protocol_that_we_do_not_know_is_named() -> None:
    unknown = real()
    foreign = replace(unknown, swaps=tuple(replace(one, protocol="curve") for one in unknown.swaps))
    found = account_for(foreign, None, {}, replace(REACH, pools={}), CONTRACT)
    assert found.missed is MissedReason.PROTOCOL
    assert f"curve 0x{DEAR.hex()}" in found.detail


@pytest.mark.parametrize(
    ("cause", "missed"),
    [
        (Cause.BELOW_MIN_LIQUIDITY, MissedReason.BELOW_THRESHOLD),
        (Cause.NO_PRICE_FOR_LIQUIDITY, MissedReason.UNKNOWN_STATE),
        (Cause.DEPTH_UNKNOWN, MissedReason.UNKNOWN_STATE),
        (Cause.QUARANTINED, MissedReason.TOKEN_FILTERED),
    ],
)
def test_a_pool_that_the_search_left_out_says_why(cause: Cause, missed: MissedReason) -> None:
    found = verdict(look(excluded={CHEAP: Excluded(cause, "because")}), moved=True)
    assert found.missed is missed
    assert CHEAP.hex() in found.detail


def test_every_cause_has_its_reason() -> None:
    assert CAUSES.keys() == set(Cause)


def test_a_pool_without_state_says_why() -> None:
    ours = look()
    gone = Look(ours.market.withdrawing({CHEAP: "events were lost"}), ours.findings)
    found = verdict(gone)
    assert found == Verdict(MissedReason.UNKNOWN_STATE, f"0x{CHEAP.hex()}: events were lost")


@pytest.mark.parametrize(
    ("reach", "curtailed", "missed", "words"),
    [
        (replace(REACH, max_hops=1, longest=2), 0, MissedReason.PATH_LENGTH, "of cycles of more than 1 only the best"),
        (REACH, 7, MissedReason.UNKNOWN_STATE, "no cycle"),
    ],
)
def test_a_cycle_that_was_not_looked_at_for_its_length_is_named(
    reach: Reach, curtailed: int, missed: MissedReason, words: str
) -> None:
    """Only where its length is one of which not all are looked at; one that was looked at has a reason of its own."""
    unseen = look()
    unseen = replace(unseen, findings=replace(unseen.findings, opportunities=(), curtailed=curtailed))
    found = verdict(unseen, reach=reach)
    assert found.missed is missed
    assert words in found.detail


def test_cycles_passed_over_at_hubs_are_a_matter_of_length() -> None:
    """Cycles of four, where some were passed over; no other length."""
    pools = [DEAR, WETH, USDC, CONTRACT]
    ((missed, detail),) = passed_over(pools, replace(REACH, max_hops=4), 7)
    assert missed is MissedReason.PATH_LENGTH
    assert "7 times" in detail
    assert not list(passed_over(pools, replace(REACH, max_hops=4), 0))
    assert not list(passed_over(pools[:3], replace(REACH, max_hops=4), 7))
