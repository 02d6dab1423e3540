"""Markets of extreme numbers end no search, and no input gains more than the bounds say.

Reserves from 1 to 2**112 units, fees up to all but a millionth, tokens of 0 to 36 decimals, dry ranges of ticks, pools
with and without a closed form, position limits down to nothing. Anybody can make such pools. The seeds that stand here
are of markets that once ended a run, or of which a bound was too low.
"""

from __future__ import annotations

from decimal import Decimal
from math import log
from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from flasharb.market import Market
from flasharb.pools import Pool, V2Pool, is_piecewise
from flasharb.settings import Mev, Settings, Strategy
from flasharb.strategy.detect import Detector
from flasharb.strategy.limits import SHARE_SCALE, UNLIMITED, Limits
from flasharb.strategy.prospect import most_gain
from flasharb.strategy.route import Route
from flasharb.strategy.search import Search, Tokens
from flasharb.strategy.size import Problem, size
from flasharb.strategy.trade import Trade
from flasharb.units import WAD, Address
from tests.support.market_samples import basket, market, numbered, token, v2, v3

TOKENS = [numbered((n + 1) << 64) for n in range(5)]
SYMBOLS = tuple(token(f"t{n}", digits, TOKENS[n]) for n, digits in enumerate((18, 6, 8, 0, 36)))
MOST = 2**112 - 1
FEES = (0, 1, 100, 500, 3000, 10_000, 500_000, 999_998, 999_999)
SPACINGS = (1, 10, 60, 200)
END = 887_200
LIMITS = (UNLIMITED, Limits.of(Strategy()), Limits(1), Limits(10**6), Limits(10**11), Limits(SHARE_SCALE))
ELSEWHERE = (0.01, 0.1, 0.5, 0.9, 0.999, 1.001, 1.1, 1.5, 2.0, 10.0)


def extreme_market(random: Random) -> Market:
    worth = {token: 2 ** random.uniform(-20, 20) for token in TOKENS}
    return market(*[_pool(random, n, worth) for n in range(random.randrange(2, 14))], tokens=SYMBOLS)


def _reserve(random: Random) -> int:
    if random.random() < 0.25:
        return random.choice([1, 2, 3, MOST, 2**111, 10**18])
    return max(1, int(2 ** random.uniform(0, 112)))


def _pool(random: Random, n: int, worth: dict[Address, float]) -> Pool:
    a, b, third = random.sample(TOKENS, 3)
    held = {a: _reserve(random), b: _reserve(random)}
    if random.random() < 0.5:
        # about in line with the others
        held[b] = min(max(int(held[a] * worth[a] / worth[b] * random.gauss(1, 0.05)), 1), MOST)
    fee, kind = random.choice(FEES), random.random()
    if kind < 0.5:
        return v2(str(n), (a, held[a]), (b, held[b]), fee)
    if kind < 0.75:
        return basket(str(n), held if kind < 0.65 else held | {third: _reserve(random)}, min(fee, 10_000))
    low, high = sorted((a, b))
    tick = round(log(held[high] / held[low], 1.0001)) if random.random() < 0.8 else random.randrange(-END, END)
    spacing = random.choice(SPACINGS)
    positions = [_position(random, tick, spacing) for _ in range(random.randrange(4))]
    return v3(str(n), (a, b), min(max(tick, -END), END), positions, fee, spacing)


def _position(random: Random, tick: int, spacing: int) -> tuple[int, int, int]:
    """Around the price, or beside it, so that the pool is dry until there."""
    beside = random.choice([0, 0, 0, 4_000, -4_000])
    lower, upper = tick + beside - random.randrange(20_000), tick + beside + random.randrange(20_000)
    lower = min(max(lower, -END), END - spacing) // spacing * spacing
    upper = max(min(upper, END) // spacing * spacing, lower + spacing)
    return lower, upper, max(1, int(2 ** random.uniform(0, 100)))


@given(st.integers(0, 2**32))
@example(14707)
@settings(max_examples=40)
def test_no_market_ends_a_search(seed: int) -> None:
    random = Random(seed)
    snapshot = extreme_market(random)
    chosen = Settings(
        strategy=Strategy(min_profit_usd=0, max_hops=random.choice([2, 3, 4]), max_paths=4, max_trades_per_block=5),
        mev=Mev(bid_share_bps=random.choice([0, 5000])),
    )
    search = Search(chosen, Tokens(tuple(TOKENS[:2]), (TOKENS[1],), TOKENS[0]), random.choice([0, 5 * 10**14, WAD]))
    found = search.update(snapshot, None, random.choice([0, 1, 10**9]), Decimal(random.choice([1, 3000])))
    for trade in found.trades:
        assert trade.gross_profit > trade.loan_fee
        assert trade.gain_bound == 0 or trade.gain_bound >= trade.gross_profit - trade.loan_fee


@given(st.integers(0, 2**32))
@example(492)
@example(593)
@example(1377)
@example(2062)
@example(3100)
@example(5608)
@example(8467)
@example(9746)
@example(50771)
@settings(max_examples=40)
def test_no_input_gains_more_than_the_bounds(seed: int) -> None:
    """Neither than that of the trade, nor than the one by which opportunities are left out."""
    random = Random(seed)
    snapshot = extreme_market(random)
    limits, fee = random.choice(LIMITS), random.choice([0, 0, 5 * 10**14, WAD])
    for opportunity in Detector(random.choice([2, 3, 4]), TOKENS[:2]).update(snapshot, None)[:25]:
        trade = size(snapshot, opportunity, limits, fee)
        route = Route.through(snapshot, opportunity.cycle)
        if not isinstance(trade, Trade) or route is None:
            continue
        problem = Problem(route, tuple(limits.most_input(leg.reserve_in()) for leg in route.legs), fee)
        tried = [route.amounts(max(1, int(trade.amount_in * share))) for share in ELSEWHERE]
        gains = [problem.gain(amounts) for amounts in tried if amounts is not None and problem.within(amounts)]
        best = max([trade.gross_profit - trade.loan_fee, *gains])
        assert trade.gain_bound == 0 or best <= trade.gain_bound
        pools = [leg.pool for leg in route.legs]
        if all(type(pool) is V2Pool or is_piecewise(pool) for pool in pools):
            assert best <= most_gain(opportunity, pools, limits, 1 + fee / WAD)
