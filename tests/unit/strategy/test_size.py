"""Where the input is bounded by what is known or by what is there, and what each rejection means."""

from __future__ import annotations

import pytest

from flasharb.pools import Pool, UnknownRange, V3Pool, ends, v3_pool
from flasharb.strategy.limits import UNLIMITED, Limits
from flasharb.strategy.optimum import optimum
from flasharb.strategy.route import Route
from flasharb.strategy.size import size
from flasharb.strategy.trade import Cycle, Hop, Opportunity, Rejected, Trade
from tests.support.market_samples import DAI, WETH, address_of, market, v2, v3

ETHER = 10**18
CHEAP = v2("cheap", (WETH.address, 10**6 * ETHER), (DAI.address, 2 * 10**6 * ETHER), fee_pips=0)
"""A deep pool that gives two DAI for each WETH."""

POSITIONS = [(-887_220, 887_220, 10**22)]


def cycle(first: Pool, second: Pool) -> Cycle:
    return (
        Hop(first.spec.address, WETH.address, DAI.address),
        Hop(second.spec.address, DAI.address, WETH.address),
    )


def sized(first: Pool, second: Pool, limits: Limits = UNLIMITED) -> Trade | Rejected:
    return size(market(first, second), Opportunity(1, cycle(first, second), 2.0, 100), limits)


def knowing(words: tuple[int, int]) -> V3Pool:
    """A pool at price one of which only some bitmap words are loaded."""
    pool = v3("v", (WETH.address, DAI.address), 0, POSITIONS, tick_spacing=1, words=words)
    assert pool.liquidity == 10**22
    return pool


def test_the_input_ends_where_the_ticks_end() -> None:
    """Two DAI are worth one WETH in one pool and two in the other: the whole known range is used, and no more."""
    whole, known = sized(CHEAP, knowing((-40, 40))), knowing((-1, 0))
    trade = sized(CHEAP, known)
    assert isinstance(trade, Trade)
    assert isinstance(whole, Trade)
    assert trade.gross_profit < whole.gross_profit
    used = trade.hops[1].amount_in
    zero_for_one = trade.hops[1].hop.zero_for_one
    assert known.amount_out(*ends(zero_for_one), used) == trade.hops[1].amount_out
    with pytest.raises(UnknownRange):
        known.amount_out(*ends(zero_for_one), used + used // 10**6 + 1)


def test_a_range_that_gains_nothing_is_named() -> None:
    """The price stands at the end of what is known: no input can be quoted."""
    edge = 255 * 60 if DAI.address > WETH.address else -256 * 60
    pool = v3("edge", (WETH.address, DAI.address), edge, POSITIONS, words=(-1, 0))
    blind = v3_pool(pool.spec, pool.sqrt_price_x96, pool.tick, pool.liquidity, {}, (5, 5))
    result = sized(CHEAP, blind)
    assert isinstance(result, Rejected)
    assert result.reason == "range_unknown"


def test_a_pool_that_runs_dry_bounds_the_input() -> None:
    dry = v3("dry", (WETH.address, DAI.address), 0, [(-600, 600, 10**22)])
    trade = sized(CHEAP, dry)
    assert isinstance(trade, Trade)
    assert trade.gross_profit > 0
    assert trade.amount_in < 10**21


def test_a_pool_that_left_the_market_is_named() -> None:
    pool = knowing((-1, 0))
    result = size(market(CHEAP), Opportunity(9, cycle(CHEAP, pool), 2.0, 99), UNLIMITED)
    assert result == Rejected(9, "pool_gone", "a pool of the cycle is not in the market", 100)


def test_a_losing_cycle_is_named() -> None:
    twin = v2("twin", (WETH.address, 10**6 * ETHER), (DAI.address, 2 * 10**6 * ETHER), fee_pips=0)
    result = sized(CHEAP, twin)
    assert isinstance(result, Rejected)
    assert result.reason == "no_profit"
    empty = v2("empty", (WETH.address, 0), (DAI.address, 0))
    assert isinstance(sized(CHEAP, knowing((-1, 0)), Limits(0)), Rejected)
    assert optimum(Route.through(market(CHEAP, empty), cycle(CHEAP, empty)) or pytest.fail("no route")).amount_in == 0


def test_gain_lost_in_rounding_is_no_profit() -> None:
    """At the margin a gain of ten per cent; in whole units of a coarse token, nothing."""
    first = v2("first", (WETH.address, 10), (DAI.address, 11), fee_pips=0)
    second = v2("second", (WETH.address, 10), (DAI.address, 10), fee_pips=0)
    result = sized(first, second)
    assert isinstance(result, Rejected)
    assert result.reason == "no_profit"


def test_no_liquidity_at_the_price_leaves_no_position() -> None:
    """A V3 pool's input-side reserve at the current price is its virtual reserve: without liquidity, none."""
    gap = v3("gap", (WETH.address, DAI.address), 0, [(600, 1200, 10**22), (-1200, -600, 10**22)])
    assert isinstance(sized(CHEAP, gap), Trade)
    bounded = sized(CHEAP, gap, Limits(10**11))
    assert isinstance(bounded, Rejected)
    assert bounded.reason == "position_too_small"
    assert gap.spec.address == address_of("gap")
