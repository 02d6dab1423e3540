"""Sizing only what may be among a block's best trades chooses the trades that sizing everything chooses."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from flasharb.market import Market
from flasharb.market.prices import usd_prices
from flasharb.pools import Pool
from flasharb.settings import Mev, Settings, Strategy
from flasharb.strategy.candidates import Sizes
from flasharb.strategy.detect import Detector
from flasharb.strategy.limits import UNLIMITED, Limits
from flasharb.strategy.profit import Costs, estimate
from flasharb.strategy.prospect import most_gain
from flasharb.strategy.select import choose, never_chosen_below
from flasharb.strategy.size import size
from flasharb.strategy.trade import Cycle, Opportunity, Rejected, Trade
from flasharb.units import WAD, Address
from tests.support.market_samples import market, numbered, v2, v3

TOKENS = [numbered((n + 1) << 64) for n in range(9)]
WHOLE = (-887_220, 887_220)


def random_market(random: Random) -> Market:
    """A hundred pools or so among nine tokens, so that hundreds of cycles are open."""
    pools: list[Pool] = []
    for n in range(random.randrange(40, 130)):
        a, b = random.sample(TOKENS, 2)
        fee, name = random.choice([100, 500, 3000]), str(n)
        if random.random() < 0.8:
            deep = 10 ** random.uniform(16, 21)
            reserve = int(deep * random.gauss(1, 0.01))
            pools.append(v2(name, (a, int(deep)), (b, reserve), fee))
        else:
            position = (*WHOLE, int(10 ** random.uniform(16, 21)))
            pools.append(v3(name, (a, b), random.randrange(-200, 200), [position], fee))
    return market(*pools)


def everything(snapshot: Market, found: list[Opportunity], limits: Limits, fee: int = 0) -> list[Trade | Rejected]:
    return [size(snapshot, one, limits, fee) for one in found]


def nets(sized: list[Trade | Rejected], costs: Costs, chosen: Settings) -> list[int]:
    """What the chosen trades net."""
    trades = [estimate(one, costs, chosen.strategy, chosen.mev) for one in sized if isinstance(one, Trade)]
    best, _ = choose([one for one in trades if isinstance(one, Trade)], chosen.strategy.max_trades_per_block)
    return [one.net_profit_wei_estimate for one in best]


@given(st.integers(0, 2**32), st.integers(1, 12), st.sampled_from([0, 5_000, 10_000]), st.integers(1, 4))
@settings(max_examples=25)
def test_the_same_trades_are_chosen(seed: int, most: int, bid_share_bps: int, max_paths: int) -> None:
    random = Random(seed)
    snapshot = random_market(random)
    found = Detector(3, TOKENS[:1]).update(snapshot, None)
    chosen = Settings(
        strategy=Strategy(min_profit_usd=0, max_trades_per_block=most, max_paths=max_paths),
        mev=Mev(bid_share_bps=bid_share_bps),
    )
    costs = Costs(random.choice([1, 10**6, 10**9, 10**10]), TOKENS[0], usd_prices(snapshot, (), TOKENS[0]))
    limits = Limits.of(chosen.strategy)
    sized = Sizes(chosen, limits, 0).of(snapshot, found, costs)
    assert sorted(one.id for one in sized) == [one.id for one in found]
    assert nets(sized, costs, chosen) == nets(everything(snapshot, found, limits), costs, chosen)


def test_what_is_left_out_would_not_be_chosen() -> None:
    """Cycles that promise more than they hold stand first; better trades behind them are sized, worse ones are not.

    With the threshold a tenth too high the better ones would be left out.
    """
    pools: list[Pool] = []

    def cycle(token: Address, gap: float, depth: int, *, promising: bool) -> None:
        if promising:
            wide = [(*WHOLE, depth)]
            pools.append(v3(f"low {token.hex()}", (TOKENS[0], token), 0, wide, 100))
            pools.append(v3(f"high {token.hex()}", (TOKENS[0], token), round(gap * 10_000), wide, 100))
        else:
            pools.append(v2(f"low {token.hex()}", (TOKENS[0], depth), (token, depth), 100))
            pools.append(v2(f"high {token.hex()}", (TOKENS[0], depth), (token, int(depth * (1 + gap))), 100))

    def at(n: int) -> Address:
        return numbered((n + 100) << 64)

    for n in range(40):
        cycle(at(n), 0.02, 10**20, promising=True)
    cycle(at(40), 0.02, 105 * 10**18, promising=False)
    cycle(at(41), 0.02, 10**19, promising=False)
    snapshot = market(*pools)
    found = Detector(2, TOKENS[:1]).update(snapshot, None)
    chosen = Settings(strategy=Strategy(min_profit_usd=0, max_trades_per_block=1, max_paths=1))
    costs = Costs(1, TOKENS[0], usd_prices(snapshot, (), TOKENS[0]))
    sized = Sizes(chosen, Limits.of(chosen.strategy), 0).of(snapshot, found, costs)
    through = {one.id: one.cycle[0].token_out for one in found}
    outcomes = {through[one.id]: one for one in sized}
    better, worse = outcomes[at(40)], outcomes[at(41)]
    others = [one.gross_profit for one in sized if isinstance(one, Trade) and one is not better]
    assert isinstance(better, Trade)
    assert len(others) == 40
    assert max(others) < better.gross_profit < 1.1 * max(others)
    assert isinstance(worse, Rejected)


@given(st.integers(0, 2**32), st.sampled_from([0, 10**13, 5 * 10**14]))
@settings(max_examples=25)
def test_no_size_gains_more_than_the_bound(seed: int, loan_fee_wad: int) -> None:
    """With and without a position limit, with and without a loan's fee."""
    snapshot = random_market(Random(seed))
    found = Detector(3, TOKENS[:2]).update(snapshot, None)[:60]
    for limits in (UNLIMITED, Limits.of(Strategy())):
        for opportunity, sized in zip(found, everything(snapshot, found, limits, loan_fee_wad), strict=True):
            if isinstance(sized, Trade):
                pools = [snapshot.pools[hop.pool] for hop in opportunity.cycle]
                bound = most_gain(opportunity, pools, limits, 1 + loan_fee_wad / WAD)
                assert sized.gross_profit - sized.loan_fee <= bound


@given(
    st.lists(st.tuples(st.integers(1, 50), st.sets(st.sampled_from("abcdefgh"), min_size=1, max_size=3)), max_size=12),
    st.lists(st.sets(st.sampled_from("abcdefghij"), min_size=1, max_size=3), max_size=4),
    st.integers(1, 4),
)
def test_trades_that_net_no_more_change_nothing(
    drawn: list[tuple[int, set[str]]], further: list[set[str]], most: int
) -> None:
    trades = [_trade(n, net, pools) for n, (net, pools) in enumerate(drawn)]
    least = int(never_chosen_below(trades, most))
    more = [_trade(100 + n, least, pools) for n, pools in enumerate(further)] if least > 0 else []
    best = [sum(one.net_profit_wei_estimate for one in choose(some, most)[0]) for some in (trades, [*trades, *more])]
    assert best[0] == best[1]


def _trade(number: int, net: int, pools: set[str]) -> Trade:
    found = Opportunity(number, (), 1.0, 1)
    one = v2("any", (TOKENS[0], 10**6), (TOKENS[1], 10**6))
    other = v2("other", (TOKENS[0], 10**6), (TOKENS[1], 2 * 10**6))
    sample = size(market(one, other), replace(found, cycle=_cycle(one, other)), UNLIMITED)
    assert isinstance(sample, Trade)
    hop = sample.hops[0]
    hops = tuple(replace(hop, hop=replace(hop.hop, pool=Address(pool.encode() * 20))) for pool in sorted(pools))
    return replace(sample, id=number, hops=hops, net_profit_wei_estimate=net)


def _cycle(one: Pool, other: Pool) -> Cycle:
    (found, *_) = Detector(2, TOKENS[:1]).update(market(one, other), None)
    return found.cycle
