"""What the system before this one got wrong (its design's lesson 12): each stays mended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flasharb.pools import ends
from flasharb.settings import Mev, Pools, Settings, Strategy
from flasharb.strategy.detect import Detector
from flasharb.strategy.limits import UNLIMITED, Limits
from flasharb.strategy.search import Search, Tokens
from flasharb.strategy.size import size
from flasharb.strategy.terms import Measured, terms
from flasharb.strategy.trade import Rejected, Trade
from tests.support.market_samples import DAI, USDC, WETH, market, v2, v3

CHEAP = v2("cheap", (USDC.address, 2_000_000 * 10**6), (WETH.address, 1000 * 10**18))
DEAR = v2("dear", (USDC.address, 2_040_000 * 10**6), (WETH.address, 1000 * 10**18))
TOKENS = Tokens((WETH.address,), (USDC.address, DAI.address), WETH.address)
EVERYTHING = Pools(min_liquidity_usd=0)


def test_a_two_percent_gap_gains_what_it_is_worth() -> None:
    """The old formula had a wrong dimension and 'optimised' this into a loss of 30,892 USD."""
    snapshot = market(CHEAP, DEAR)
    (opportunity,) = Detector(2, [USDC.address]).update(snapshot, None)
    trade = size(snapshot, opportunity, UNLIMITED)
    assert isinstance(trade, Trade)
    # x* = (sqrt(RinA·RoutA·RinB·RoutB·fA·fB) - RinA·RinB) / (fA·(RinB + fB·RoutA)), in USD
    rin_a, rout_a, rin_b, rout_b, fee = 2_000_000.0, 1000.0, 1000.0, 2_040_000.0, 0.997
    best = ((rin_a * rout_a * rin_b * rout_b) ** 0.5 * fee - rin_a * rin_b) / (fee * (rin_b + fee * rout_a))
    assert trade.amount_in / 1e6 == pytest.approx(best, rel=1e-6)
    assert trade.gross_profit / 1e6 == pytest.approx(48.11, abs=0.01)


@pytest.mark.parametrize("first_is_cheap", [True, False])
def test_a_concentrated_hop_depends_on_its_input_in_both_directions(first_is_cheap: bool) -> None:
    """The old maths ignored the input in one direction."""
    pool = v3("p", (WETH.address, DAI.address), 0, [(-6000, 6000, 10**22)])
    other = v2("q", (WETH.address, 10**22), (DAI.address, 102 * 10**20 if first_is_cheap else 98 * 10**20))
    for zero_for_one in (True, False):
        small, large = pool.amount_out(*ends(zero_for_one), 10**18), pool.amount_out(*ends(zero_for_one), 2 * 10**18)
        assert 1.9 * small < large < 2 * small
    snapshot = market(pool, other)
    (opportunity,) = Detector(2, [WETH.address]).update(snapshot, None)
    trade = size(snapshot, opportunity, UNLIMITED)
    assert isinstance(trade, Trade)
    assert trade.gross_profit > 10**16
    assert trade.hops[0].hop.zero_for_one != trade.hops[1].hop.zero_for_one


def test_slippage_tolerance_says_nothing_about_fees() -> None:
    """30 + 30 basis points of pool fees do not exceed a tolerance of 50: it is about the simulated profit alone."""
    settings = Settings(strategy=Strategy(slippage_tolerance_bps=50, min_profit_usd=0.5), pools=EVERYTHING)
    search = Search(settings, TOKENS)
    (trade,) = search.update(market(CHEAP, DEAR), None, 10**9).trades
    assert {CHEAP.spec.fee_pips, DEAR.spec.fee_pips} == {3000}
    costs = search.update(market(CHEAP, DEAR), (), 10**9).costs
    agreed = terms(trade, Measured(trade.gross_profit, 132_000), costs, settings)
    assert not isinstance(agreed, Rejected)
    assert agreed.min_profit == trade.gross_profit - trade.gross_profit * 50 // 10_000


def only_trade(settings: Settings, base_fee: int = 10**9) -> Trade | Rejected:
    """What the search makes of the two-percent gap under these settings."""
    found = Search(settings, TOKENS).update(market(CHEAP, DEAR), None, base_fee)
    results: list[Trade | Rejected] = [*found.trades, *found.rejected]
    assert len(results) == 1
    return results[0]


def reason(settings: Settings, base_fee: int = 10**9) -> str:
    result = only_trade(settings, base_fee)
    assert isinstance(result, Rejected)
    return result.reason


def test_declared_limits_are_used() -> None:
    """Each limit of the template decides: a value on the other side of the trade rejects or bounds it."""
    loose = Settings(strategy=Strategy(max_position_pct=1), pools=EVERYTHING)
    trade = only_trade(loose)
    assert isinstance(trade, Trade)
    bounded = only_trade(replace(loose, strategy=Strategy(max_position_pct=0.001)))
    assert isinstance(bounded, Trade)
    assert bounded.amount_in <= 10**18, "0.1 % of 1000 WETH"
    assert bounded.hops[1].amount_in == 2000 * 10**6, "0.1 % of the second pool's 2,000,000 USDC, used up"
    assert reason(replace(loose, strategy=Strategy(max_position_pct=1, min_profit_usd=25))) == "below_min_profit"
    assert reason(replace(loose, mev=Mev(max_gas_price_gwei=0.5))) == "gas_price_above_cap"
    found = Search(replace(loose, strategy=Strategy(max_trades_per_block=1, max_hops=2)), TOKENS)
    assert len(found.update(market(CHEAP, DEAR), None, 10**9).trades) == 1
    thin = Search(replace(loose, pools=Pools(min_liquidity_usd=3_000_000)), TOKENS)
    findings = thin.update(market(CHEAP, DEAR), None, 10**9)
    assert findings.opportunities == ()
    assert set(findings.excluded) == {CHEAP.spec.address, DEAR.spec.address}


def test_a_position_limit_that_leaves_nothing_is_named() -> None:
    tiny = v2("tiny", (USDC.address, 10), (WETH.address, 10))
    snapshot = market(tiny, v2("tiny too", (USDC.address, 1000), (WETH.address, 10)))
    opportunities = Detector(2, [WETH.address]).update(snapshot, None)
    result = size(snapshot, opportunities[0], Limits.of(Strategy(max_position_pct=0.05)))
    assert isinstance(result, Rejected)
    assert result.reason == "position_too_small"
