"""Choosing among trades, and a block's search from end to end."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from flasharb.feed.events import V2Sync
from flasharb.market.filters import Cause
from flasharb.market.quarantine import Quarantined
from flasharb.pools import Pool
from flasharb.settings import Pools, Settings, Strategy
from flasharb.strategy.search import Search, Tokens
from flasharb.strategy.select import choose, pools_of
from flasharb.strategy.trade import Hop, Trade, TradeHop
from flasharb.units import Address
from tests.support.market_samples import DAI, USDC, USDT, WBTC, WETH, address_of, closed, market, v2

TOKENS = Tokens((WETH.address, USDC.address), (USDC.address, USDT.address, DAI.address), WETH.address)


def trade(number: int, net: int, *pools: str) -> Trade:
    one = v2("any", (WETH.address, 1), (DAI.address, 1)).spec
    hops = tuple(TradeHop(Hop(address_of(pool), WETH.address, DAI.address), one, 1, 1) for pool in pools)
    return Trade(number, WETH.address, hops, net, 0, 0, net, 100)


def test_the_best_goes_first_and_keeps_its_pools() -> None:
    chosen, others = choose([trade(1, 5, "a", "b"), trade(2, 9, "b", "c"), trade(3, 4, "d", "e"), trade(4, 3, "c")], 4)
    assert [one.id for one in chosen] == [2, 3]
    assert [(one.id, one.reason) for one in others] == [(1, "conflicts_with_better"), (4, "conflicts_with_better")]
    assert "trade 2" in others[0].detail


def test_no_more_than_asked_for() -> None:
    chosen, others = choose([trade(n, n, f"p{n}") for n in range(1, 6)], 2)
    assert [one.id for one in chosen] == [5, 4]
    assert {one.reason for one in others} == {"over_block_limit"}


@given(
    st.lists(st.tuples(st.integers(1, 50), st.sets(st.sampled_from("abcdefgh"), min_size=2, max_size=3))),
    st.integers(1, 5),
)
def test_every_trade_is_chosen_or_named_once(drawn: list[tuple[int, set[str]]], most: int) -> None:
    trades = [trade(n, net, *sorted(pools)) for n, (net, pools) in enumerate(drawn)]
    chosen, others = choose(trades, most)
    ended = [*(one.id for one in chosen), *(one.id for one in others)]
    assert sorted(ended) == [one.id for one in trades]
    assert len(chosen) <= most
    used = [pool for taken in chosen for pool in pools_of(taken)]
    assert len(used) == len(set(used))
    assert choose(reversed(trades), most)[0] == chosen or len({one.net_profit_wei_estimate for one in trades}) < len(
        trades
    )


def world() -> list[Pool]:
    """Three pools between the majors at one price, and one that is two per cent off."""
    return [
        v2("eth usdc", (WETH.address, 1000 * 10**18), (USDC.address, 3_000_000 * 10**6)),
        v2("eth usdc too", (WETH.address, 900 * 10**18), (USDC.address, 2_754_000 * 10**6), protocol="sushiswap_v2"),
        v2("eth dai", (WETH.address, 800 * 10**18), (DAI.address, 2_400_000 * 10**18)),
        v2("usdc dai", (USDC.address, 5_000_000 * 10**6), (DAI.address, 5_000_000 * 10**18), 500),
    ]


def test_every_opportunity_ends_as_trade_or_rejection() -> None:
    findings = Search(Settings(strategy=Strategy(max_hops=3)), TOKENS).update(market(*world()), None, 10**9)
    assert findings.opportunities
    ended = [*(one.id for one in findings.trades), *(one.id for one in findings.rejected)]
    assert sorted(ended) == sorted(one.id for one in findings.opportunities)
    assert findings.trades[0].net_profit_wei_estimate > 0
    best = findings.trades[0]
    assert len(best.paths) == 2, "the price that is off is taken from by both pools at the right one"
    assert sum(path[0].amount_in for path in best.paths) == best.amount_in
    alone = [one for one in findings.rejected if one.reason == "conflicts_with_better"]
    assert alone, "the other cycles through its pools"
    assert {one.reason for one in findings.rejected} <= {"conflicts_with_better", "below_min_profit"}


def test_a_cycle_that_nets_too_little_alone_ends_once_where_its_split_is_chosen() -> None:
    """The least profit lies between what the best cycle nets and what it nets together with another."""
    snapshot = market(*world())
    single = Search(Settings(strategy=Strategy(min_profit_usd=0.0, max_paths=1)), TOKENS).update(snapshot, None, 10**9)
    both = Search(Settings(strategy=Strategy(min_profit_usd=0.0)), TOKENS).update(snapshot, None, 10**9)
    nets = [found.trades[0].net_profit_wei_estimate / 10**18 * 3000 for found in (single, both)]
    assert nets[0] * 1.01 < nets[1] * 0.99
    between = Strategy(min_profit_usd=(nets[0] + nets[1]) / 2)
    findings = Search(Settings(strategy=between), TOKENS).update(snapshot, None, 10**9)
    (chosen,) = findings.trades
    assert len(chosen.paths) == 2
    ended = [chosen.id, *(one.id for one in findings.rejected)]
    assert sorted(ended) == sorted(one.id for one in findings.opportunities)


def test_an_open_opportunity_is_reported_again_with_a_new_id() -> None:
    search = Search(Settings(), TOKENS)
    snapshot = market(*world())
    first = search.update(snapshot, None, 10**9)
    later = snapshot.apply(closed(101))
    second = search.update(later, later.touched, 10**9)
    assert [replace(one, id=0, block_number=0) for one in second.trades] == [
        replace(one, id=0, block_number=0) for one in first.trades
    ]
    assert {one.block_number for one in second.trades} | {one.block_number for one in second.rejected} == {101}
    assert not {one.id for one in first.opportunities} & {one.id for one in second.opportunities}


def test_a_changed_pool_is_sized_anew_and_a_closed_gap_is_gone() -> None:
    search = Search(Settings(strategy=Strategy(max_hops=2)), TOKENS)
    snapshot = market(*world())
    first = search.update(snapshot, None, 10**9).trades[0]
    wide = snapshot.apply(closed(101, V2Sync(address_of("eth usdc too"), 2_800_000 * 10**6, 900 * 10**18, 101)))
    assert USDC.address < WETH.address, "reserve0 is USDC"
    second = search.update(wide, wide.touched, 10**9).trades[0]
    assert second.gross_profit > first.gross_profit
    shut = wide.apply(closed(102, V2Sync(address_of("eth usdc too"), 2_700_000 * 10**6, 900 * 10**18, 102)))
    assert search.update(shut, shut.touched, 10**9).opportunities == ()


def test_running_and_fresh_searches_agree() -> None:
    """The sizes kept from the block before are those that a fresh search works out."""
    running = Search(Settings(), TOKENS)
    snapshot = market(*world())
    running.update(snapshot, None, 10**9)
    for number, usdc in enumerate((2_760_000, 2_640_000, 2_700_000, 2_790_000), start=101):
        snapshot = snapshot.apply(
            closed(number, V2Sync(address_of("eth usdc too"), usdc * 10**6, 900 * 10**18, number))
        )
        found = running.update(snapshot, snapshot.touched, 10**9)
        fresh = Search(Settings(), TOKENS).update(snapshot, None, 10**9)
        assert [replace(one, id=0) for one in found.trades] == [replace(one, id=0) for one in fresh.trades]


def test_thin_and_unpriced_pools_are_left_out_and_named() -> None:
    thin = v2("thin", (WETH.address, 10**18), (USDC.address, 9_000 * 10**6))
    unpriced = v2("unpriced", (USDT.address, 10**12), (WBTC.address, 0))
    search = Search(Settings(pools=Pools(min_liquidity_usd=10_000)), TOKENS)
    findings = search.update(market(*world(), thin, unpriced), None, 10**9)
    assert {at: left.cause.value for at, left in findings.excluded.items()} == {
        thin.spec.address: "below_min_liquidity",
        unpriced.spec.address: "depth_unknown",
    }
    used = {hop.pool for one in findings.opportunities for hop in one.cycle}
    assert not used & set(findings.excluded)


def test_a_base_token_that_is_not_eth_pays_gas_at_the_market_price() -> None:
    only_usdc = Tokens((USDC.address,), (USDC.address, DAI.address), WETH.address)
    (found,) = Search(Settings(strategy=Strategy(max_hops=2)), only_usdc).update(market(*world()), None, 10**9).trades
    assert found.base_token == USDC.address
    # 0.5 of (gain in USDC / price - gas): the reference price is the pools' own
    gross_wei = found.gross_profit * 10**12 // 3000
    assert abs(found.net_profit_wei_estimate * 2 + found.gas_estimate * 10**9 - gross_wei) < gross_wei // 40


def test_pools_with_a_quarantined_token_are_left_out() -> None:
    """From the block on in which the token is known to be bad, with the cause; nothing is found through them."""
    bad: dict[Address, Quarantined] = {}
    search = Search(Settings(strategy=Strategy(max_hops=2)), TOKENS, quarantine=lambda: bad)
    snapshot = market(*world())
    before = search.update(snapshot, None, 10**9)
    token = next(hop.token_out for trade in before.trades for hop in [trade.hops[0].hop])
    bad[token] = Quarantined("receiver_gets_less", 1, "")
    after = search.update(snapshot, frozenset(), 10**9)

    assert before.trades
    assert {pool: one.cause for pool, one in after.excluded.items()} == dict.fromkeys(
        snapshot.pools_of(token), Cause.QUARANTINED
    )
    left = {hop.hop.pool for trade in after.trades for hop in trade.hops}
    assert not left & after.excluded.keys()


def test_trades_that_lose_keep_no_other_from_being_chosen() -> None:
    """A backtest also offers what would not pay for its gas: it is left, and what pays is taken."""
    chosen, others = choose([trade(1, 10, "a"), trade(2, -7, "b"), trade(3, -8, "c")], 4)
    assert [one.id for one in chosen] == [1]
    assert [one.id for one in others] == [2, 3]
