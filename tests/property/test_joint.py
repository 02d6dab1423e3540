"""The joint optimum over several pools: equal to an independent solver's, and never below the best single cycle."""

from __future__ import annotations

import itertools
from math import inf, log
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flasharb.market import Market
from flasharb.pools import Pool, QuoteUnavailable
from flasharb.settings import Pools, Settings, Strategy
from flasharb.strategy.detect import Detector
from flasharb.strategy.joint import Solved, solve
from flasharb.strategy.limits import SHARE_SCALE, UNLIMITED, Limits
from flasharb.strategy.optimum import optimum
from flasharb.strategy.paths import paths
from flasharb.strategy.profit import estimate
from flasharb.strategy.route import Leg, Route
from flasharb.strategy.search import Search, Tokens
from flasharb.strategy.select import _Choice, choose, pools_of
from flasharb.strategy.size import size
from flasharb.strategy.split import Terms, split
from flasharb.strategy.trade import Hop, Trade, TradeHop
from flasharb.units import Address
from tests.support.convex import best_gain
from tests.support.market_samples import DAI, USDC, USDT, WBTC, WETH, address_of, market, v2, v3

WORTH = {WETH: 3000 / 1e18, WBTC: 60_000 / 1e8, USDC: 1 / 1e6, USDT: 1 / 1e6, DAI: 1 / 1e18}
FEES = st.sampled_from([100, 500, 2500, 3000])


def legs_of(pools: list[Pool]) -> list[Leg]:
    """Both directions of every pool."""
    return [Leg(pool, i, 1 - i) for pool in pools for i in (0, 1)]


@st.composite
def neighbourhoods(draw: st.DrawFn, tokens: tuple[object, ...] = (WETH, USDC, DAI), most: int = 8) -> list[Pool]:
    """Pools of both kinds between a few tokens, each some per cent off; every token has one against WETH."""
    pools: list[Pool] = []
    for n in range(draw(st.integers(2, most))):
        one, other = (WETH, tokens[1 + n]) if n + 1 < len(tokens) else draw(st.permutations(tokens))[:2]
        depth, off = 10 ** draw(st.floats(4.5, 8.0)), 1 + draw(st.floats(-0.02, 0.02))
        fee = draw(FEES)
        token0, token1 = sorted((one, other), key=lambda token: token.address)  # type: ignore[attr-defined]
        price = WORTH[token0] / WORTH[token1] * off  # type: ignore[index]
        if draw(st.booleans()):
            reserve0 = int(depth / WORTH[token0])  # type: ignore[index]
            pools.append(
                v2(f"pool {n}", (token0.address, reserve0), (token1.address, int(reserve0 * price)), fee)  # type: ignore[attr-defined]
            )
            continue
        tick = round(log(price, 1.0001))
        middle = tick // 60 * 60
        liquidity = int(depth / (WORTH[token0] * WORTH[token1]) ** 0.5)  # type: ignore[index]
        widths = draw(st.lists(st.integers(1, 20), min_size=1, max_size=3, unique=True))
        positions = [(middle - 60 * width, middle + 60 * width, liquidity // width + 1) for width in widths]
        pools.append(v3(f"pool {n}", (token0.address, token1.address), tick, positions, fee))  # type: ignore[attr-defined]
    return pools


def left_of(legs: list[Leg], solved: Solved) -> dict[Address, float]:
    """Of each token what comes out less what goes in."""
    left: dict[Address, float] = {}
    for leg, amount, output in zip(legs, solved.inputs, solved.outputs, strict=True):
        token_in, token_out = leg.pool.spec.tokens[leg.i], leg.pool.spec.tokens[leg.j]
        left[token_in] = left.get(token_in, 0.0) - amount
        left[token_out] = left.get(token_out, 0.0) + output
    return left


def gain_of(legs: list[Leg], solved: Solved) -> float:
    """What comes out in WETH less what goes in."""
    return left_of(legs, solved).get(WETH.address, 0.0)


@given(neighbourhoods())
@settings(max_examples=25)
def test_it_is_what_an_interior_point_method_finds(pools: list[Pool]) -> None:
    """Within 1e-9 of the gain, or, where that is less, within the errors of floats as large as the reserves."""
    legs = legs_of(pools)
    solved = solve(legs, WETH.address, 1.0, [inf] * len(legs))
    prices = {token.address: worth / WORTH[WETH] for token, worth in WORTH.items()}
    reference = best_gain(legs, WETH.address, prices)
    if solved is None:
        assert reference <= 1e-9 * min(leg.reserve_in() * prices[leg.pool.spec.tokens[leg.i]] for leg in legs)
        return
    traded = sum(amount * prices[leg.pool.spec.tokens[leg.i]] for leg, amount in zip(legs, solved.inputs, strict=True))
    held = sum(leg.reserve_in() * prices[leg.pool.spec.tokens[leg.i]] for leg in legs)
    noise = 1e-12 * traded + 1e-15 * held
    assert solved.bound == pytest.approx(reference, rel=1e-9, abs=noise)
    # what little is left of other tokens, or missing, is worth something
    uneven = sum(amount * prices[token] for token, amount in left_of(legs, solved).items() if token != WETH.address)
    assert gain_of(legs, solved) + uneven == pytest.approx(solved.bound, rel=1e-9, abs=noise)


@given(neighbourhoods())
def test_nothing_is_taken_that_is_not_there(pools: list[Pool]) -> None:
    """Of every other token as much comes out as goes in, and each output is what the pool gives for its input."""
    legs = legs_of(pools)
    solved = solve(legs, WETH.address, 1.0, [inf] * len(legs))
    assume(solved is not None)
    assert solved is not None
    left = left_of(legs, solved)
    noise: dict[Address, float] = {}
    for leg, amount, output in zip(legs, solved.inputs, solved.outputs, strict=True):
        token_in, token_out = leg.pool.spec.tokens[leg.i], leg.pool.spec.tokens[leg.j]
        noise[token_in] = noise.get(token_in, 0.0) + 1e-11 * amount + 1e-15 * leg.reserve_in()
        noise[token_out] = noise.get(token_out, 0.0) + 1e-11 * output + 1e-15 * Leg(leg.pool, leg.j, leg.i).reserve_in()
        if amount > 1e6:
            within = int(amount * (1 - 1e-9))  # the end of the known ticks may be a rounding away
            given_out = leg.pool.amount_out(leg.i, leg.j, within)
            assert output == pytest.approx(given_out, rel=1e-8, abs=1e4 + leg.pool.marginal_rate(leg.i, leg.j) * 4)
    for token in left.keys() - {WETH.address}:
        assert left[token] >= -noise[token]


@given(neighbourhoods())
def test_no_single_cycle_gains_more(pools: list[Pool]) -> None:
    """Not by its real optimum, and not by its exact size."""
    snapshot = market(*pools)
    legs = legs_of(pools)
    solved = solve(legs, WETH.address, 1.0, [inf] * len(legs))
    for opportunity in Detector(3, (WETH.address,)).update(snapshot, None):
        route = Route.through(snapshot, opportunity.cycle)
        assert route is not None
        best = optimum(route)
        trade = size(snapshot, opportunity, UNLIMITED)
        if isinstance(trade, Trade):
            assert solved is not None
            assert trade.gross_profit <= solved.bound
            amounts = route.amounts(best.amount_in)
            assert amounts is None or amounts[-1] - amounts[0] <= solved.bound


@given(neighbourhoods(tokens=(WETH, USDC), most=5), st.sampled_from([None, SHARE_SCALE // 500, SHARE_SCALE // 50]))
def test_a_split_is_exact_keeps_to_its_limits_and_is_never_worse(pools: list[Pool], share: int | None) -> None:
    """Every hop gives exactly what its pool does after the paths before; no position limit is passed in sum."""
    check_split(market(*pools), Limits(share))


def check_split(snapshot: Market, limits: Limits, base: Address = WETH.address) -> None:
    """What must hold of the split of all cycles of a market, if there is one."""
    sized = [size(snapshot, found, limits) for found in Detector(3, (base,)).update(snapshot, None)]
    trades = sorted((one for one in sized if isinstance(one, Trade)), key=lambda one: -one.gross_profit)
    if not trades:
        return
    made = split(snapshot, trades, Terms(limits, 0, lambda trade: trade.gross_profit))
    if made is None:
        return
    assert trades[0].gross_profit < made.gross_profit
    assert made.gross_profit <= made.gain_bound or not made.gain_bound
    now = dict(snapshot.pools)
    used: dict[Hop, int] = {}
    profit = 0
    for path in made.paths:
        assert path[0].hop.token_in == path[-1].hop.token_out == base
        amount = path[0].amount_in
        for one in path:
            pool = now[one.hop.pool]
            i, j = one.ends
            assert (one.amount_in, one.amount_out) == (amount, pool.amount_out(i, j, amount))
            now[one.hop.pool] = pool.swapped(i, j, amount)[2]
            used[one.hop] = used.get(one.hop, 0) + amount
            amount = one.amount_out
        profit += amount - path[0].amount_in
    assert profit == made.gross_profit == made.amount_out - made.amount_in
    for hop, amount in used.items():
        reserve = Leg.of(snapshot.pools[hop.pool], hop).reserve_in()
        assert amount <= limits.most_input(reserve)


def test_a_market_without_arbitrage_has_no_joint_gain() -> None:
    """Pools at one price, and pools apart by less than their fees."""
    for off in (1.0, 1.003, 0.997):
        pools: list[Pool] = [
            v2("a", (WETH.address, 10**21), (DAI.address, 3 * 10**24)),
            v2("b", (WETH.address, 10**20), (DAI.address, int(3 * 10**23 * off))),
            v2("c", (WETH.address, 10**20), (USDC.address, 3 * 10**11)),
            v2("d", (DAI.address, 10**24), (USDC.address, 10**12), 500),
        ]
        legs = legs_of(pools)
        assert solve(legs, WETH.address, 1.0, [inf] * len(legs)) is None


def test_a_loan_fee_is_part_of_the_joint_optimum() -> None:
    """With a fee less is borrowed, and a fee above the gain leaves nothing."""
    pools: list[Pool] = [
        v2("a", (WETH.address, 10**21), (DAI.address, 31 * 10**23)),
        v2("b", (WETH.address, 10**21), (DAI.address, 3 * 10**24)),
    ]
    legs = legs_of(pools)
    free, dear = (solve(legs, WETH.address, cost, [inf] * 4) for cost in (1.0, 1.01))
    assert free is not None
    assert dear is not None
    assert sum(dear.inputs) < sum(free.inputs)
    assert 0 < dear.bound < free.bound
    assert solve(legs, WETH.address, 1.04, [inf] * 4) is None


@given(neighbourhoods())
def test_paths_add_up_to_no_more_than_the_amounts(pools: list[Pool]) -> None:
    """What the ways take out of each leg is at most what flows through it."""
    legs = legs_of(pools)
    solved = solve(legs, WETH.address, 1.0, [inf] * len(legs))
    assume(solved is not None)
    assert solved is not None
    through = [0.0] * len(legs)
    for path in paths(legs, solved, WETH.address, 4):
        amount = path.amount_in
        tokens = [legs[path.legs[0]].pool.spec.tokens[legs[path.legs[0]].i]]
        for leg in path.legs:
            assert legs[leg].pool.spec.tokens[legs[leg].i] == tokens[-1]
            tokens.append(legs[leg].pool.spec.tokens[legs[leg].j])
            through[leg] += amount
            amount *= solved.outputs[leg] / solved.inputs[leg]
        assert tokens[0] == tokens[-1] == WETH.address
        assert len(set(tokens)) == len(tokens) - 1
    for used, amount in zip(through, solved.inputs, strict=True):
        assert used <= amount * (1 + 1e-9)


@given(
    st.lists(st.tuples(st.integers(-90, 40), st.sets(st.sampled_from("abcdefgh"), min_size=1, max_size=4)), max_size=9),
    st.integers(1, 4),
)
def test_the_chosen_trades_net_most_of_all_sets(drawn: list[tuple[int, set[str]]], most: int) -> None:
    """Brute force over all sets of trades without a common pool."""
    spec = v2("any", (WETH.address, 1), (DAI.address, 1)).spec
    trades = []
    for n, (net, names) in enumerate(drawn):
        hops = tuple(TradeHop(Hop(address_of(name), WETH.address, DAI.address), spec, 1, 1) for name in sorted(names))
        trades.append(Trade(n // 2, WETH.address, hops, net, 0, 0, net, 100))  # two forms of each
    best = 0
    for count in range(most + 1):
        for chosen in itertools.combinations(trades, count):
            marks = [mark for trade in chosen for mark in (trade.id, *pools_of(trade))]
            if len(marks) == len(set(marks)):
                best = max(best, sum(trade.net_profit_wei_estimate for trade in chosen))
    taken, _ = choose(trades, most)
    assert sum(trade.net_profit_wei_estimate for trade in taken) == best


def test_a_search_that_would_take_too_long_is_no_worse_than_best_first() -> None:
    """Three hundred trades of about the same worth in thirty pools: the limit of the search is met, and said."""
    spec = v2("any", (WETH.address, 1), (DAI.address, 1)).spec
    random = Random(1)
    trades = []
    for n in range(300):
        pools = random.sample(range(30), 2)
        hops = tuple(TradeHop(Hop(address_of(str(at)), WETH.address, DAI.address), spec, 1, 1) for at in pools)
        trades.append(Trade(n, WETH.address, hops, 0, 0, 0, 1_000_000 - n, 100))
    choice = _Choice(trades, 40)
    assert not choice.proven
    used: set[Address] = set()
    greedy = []
    for trade in trades:
        if len(greedy) < 40 and not used & set(pools_of(trade)):
            greedy.append(trade)
            used.update(pools_of(trade))
    assert choice.best_sum >= sum(trade.net_profit_wei_estimate for trade in greedy)


def test_a_pool_without_a_rate_ends_the_solver_without_an_answer() -> None:
    """No price, no first prices; and no exception."""
    empty = v2("empty", (WETH.address, 0), (DAI.address, 0))
    with pytest.raises(QuoteUnavailable):
        empty.marginal_rate(0, 1)
    assert solve(legs_of([empty]), WETH.address, 1.0, [inf, inf]) is None


@given(neighbourhoods(most=5), st.integers(1, 3))
@settings(max_examples=30)
def test_a_block_s_trades_net_no_less_than_any_set_of_single_cycles(pools: list[Pool], most: int) -> None:
    """Net of gas and bid, through the whole search: by brute force over sets of cycles without a common pool."""
    strategy = Strategy(min_profit_usd=0.0, max_position_pct=1.0, max_trades_per_block=most)
    wanted = Settings(strategy=strategy, pools=Pools(min_liquidity_usd=0.0))
    snapshot = market(*pools)
    found = Search(wanted, Tokens((WETH.address,), (), WETH.address)).update(snapshot, None, 10**9)
    singles = []
    for opportunity in Detector(strategy.max_hops, (WETH.address,)).update(snapshot, None):
        trade = size(snapshot, opportunity, Limits.of(strategy))
        if isinstance(trade, Trade):
            netted = estimate(trade, found.costs, strategy, wanted.mev)
            singles += [netted] if isinstance(netted, Trade) else []
    singles = sorted(singles, key=lambda trade: -trade.net_profit_wei_estimate)[:12]
    best = 0
    for count in range(1, most + 1):
        for chosen in itertools.combinations(singles, count):
            used = [pool for trade in chosen for pool in pools_of(trade)]
            if len(used) == len(set(used)):
                best = max(best, sum(trade.net_profit_wei_estimate for trade in chosen))
    assert sum(trade.net_profit_wei_estimate for trade in found.trades) >= best
    taken = [pool for trade in found.trades for pool in pools_of(trade)]
    assert len(taken) == len(set(taken))
    assert len(found.trades) <= most
