"""Splits over pools without a closed form: as good as what slower methods find, bounded, and exact in whole units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf, nextafter, sqrt

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import structs

from flasharb.pools import Pool, PoolSpec, QuoteUnavailable, V2Pool
from flasharb.pools.balancer import WeightedFacts, WeightedPool
from flasharb.pools.contract import rounding
from flasharb.pools.solidly import SolidlyFacts, SolidlyPool
from flasharb.strategy.detect import Detector
from flasharb.strategy.joint import solve
from flasharb.strategy.limits import SHARE_SCALE, UNLIMITED, Limits
from flasharb.strategy.quoted_edge import Knot, QuotedEdge
from flasharb.strategy.route import Leg
from flasharb.strategy.size import size
from flasharb.strategy.split import Terms, splits
from flasharb.strategy.trade import Trade
from flasharb.units import Address, Hash32
from tests.property.test_joint import WORTH, check_split, gain_of, left_of, legs_of, neighbourhoods
from tests.support.convex import best_gain
from tests.support.curve_samples import stable
from tests.support.market_samples import DAI, USDC, WETH, address_of, basket, market, numbered, v2

PRICES = {token.address: worth / WORTH[WETH] for token, worth in WORTH.items()}


@st.composite
def twins(draw: st.DrawFn, most: int = 8) -> tuple[list[Pool], list[Pool]]:
    """Pools in closed form, and the same with some pairs as baskets that are known by their quotes alone."""
    pools = draw(neighbourhoods(most=most))
    quoted = list(pools)
    for n, pool in enumerate(pools):
        if isinstance(pool, V2Pool) and draw(st.booleans()):
            reserves = {pool.spec.token0: pool.reserve0, pool.spec.token1: pool.reserve1, address_of(f"{n}"): 10**20}
            quoted[n] = basket(f"pool {n}", reserves, pool.spec.fee_pips)
    assume(quoted != pools)
    return pools, quoted


def worth_of_roundings(legs: Sequence[Leg]) -> float:
    """What rounding can take of one quote of each leg, in the base token."""
    worth = 0.0
    for leg in legs:
        units = rounding(leg.pool, leg.i, leg.j)
        worth += sum(
            count * PRICES.get(leg.pool.spec.tokens[at], 0.0) for count, at in zip(units, (leg.i, leg.j), strict=True)
        )
    return worth


@given(twins())
@settings(max_examples=25)
def test_quotes_alone_give_what_an_interior_point_method_finds(both: tuple[list[Pool], list[Pool]]) -> None:
    """Within 1e-9 of the gain and what rounding hides; never below, for it is a bound."""
    exact, quoted = map(legs_of, both)
    solved = solve(quoted, WETH.address, 1.0, [inf] * len(quoted))
    reference = best_gain(exact, WETH.address, PRICES)
    traded = sum(leg.reserve_in() * PRICES[leg.pool.spec.tokens[leg.i]] for leg in exact)
    noise = 1e-15 * traded + 8.0 * worth_of_roundings(quoted)
    if solved is None:
        assert reference <= 1e-9 * traded
        return
    assert solved.bound is not None
    noise += 1e-12 * sum(n * PRICES[leg.pool.spec.tokens[leg.i]] for leg, n in zip(quoted, solved.inputs, strict=True))
    assert solved.bound >= reference - 1e-12 * reference - 1e-15 * traded
    assert solved.bound <= reference * (1 + 1e-9) + noise
    uneven = sum(amount * PRICES[token] for token, amount in left_of(quoted, solved).items() if token != WETH.address)
    assert gain_of(quoted, solved) + uneven == pytest.approx(reference, rel=1e-9, abs=noise)


@given(twins(most=5), st.sampled_from([None, SHARE_SCALE // 500, SHARE_SCALE // 50]))
@settings(max_examples=40)
def test_a_split_over_quotes_is_exact_and_keeps_to_its_limits(
    both: tuple[list[Pool], list[Pool]], share: int | None
) -> None:
    """Every hop gives exactly what its pool does after the paths before; no position limit is passed in sum."""
    check_split(market(*both[1]), Limits(share))


# Curve's, Balancer's and Solidly's own curves

ONE, OTHER = numbered(0xA0), numbered(0xB0)
WAD = 10**18
CAP = 0.3
"""Of the reserve: the most that a weighted pool takes."""


@st.composite
def real_curves(draw: st.DrawFn) -> list[Pool]:
    """Pools of four kinds between two tokens worth the same, each somewhat off: exactly even Solidly pairs are flat."""
    made = {"pair": _pair, "stable": _stable, "weighted": _weighted, "solidly": _solidly}
    kinds = draw(st.lists(st.sampled_from(sorted(made)), min_size=2, max_size=4))
    assume(set(kinds) != {"pair"})
    pools = []
    for n, kind in enumerate(kinds):
        depth = 10 ** draw(st.floats(3.0, 7.0))
        off = 1.0 + draw(st.sampled_from([-1, 1])) * draw(st.floats(0.001, 0.02)) * (
            1.0 if kind in ("pair", "weighted") else 20.0
        )
        pools.append(made[kind](address_of(f"pool {n}"), int(depth * WAD), int(depth * off * WAD)))
    return pools


def _spec(at: Address, protocol: str, fee_pips: int = 0, facts: object = None) -> PoolSpec:
    return PoolSpec(at, protocol, (ONE, OTHER), fee_pips, facts=facts)


def _pair(at: Address, here: int, there: int) -> Pool:
    return V2Pool(_spec(at, "uniswap_v2", 500), here, there)


def _stable(at: Address, here: int, there: int) -> Pool:
    pool = stable((here, there))
    return structs.replace(pool, spec=replace(pool.spec, address=at, tokens=(ONE, OTHER, Address(at[::-1]))))


def _weighted(at: Address, here: int, there: int) -> Pool:
    pool_id = Hash32(at + b"\0\2" + bytes(10))
    facts = WeightedFacts(numbered(0xBA), pool_id, "weighted_v3", (1, 1), (8 * 10**17, 2 * 10**17), 0)
    return WeightedPool(_spec(at, "balancer_weighted", facts=facts), (4 * here, there), (0, 0), 10**15, facts)


def _solidly(at: Address, here: int, there: int) -> Pool:
    facts = SolidlyFacts("solidly_v1", True, (WAD, WAD), numbered(0xFA))
    return SolidlyPool(_spec(at, "solidly_v1", facts=facts), facts, (here, there), 5)


def least_dual(legs: Sequence[Leg]) -> float:
    """The dual by brute search: golden sections over the price of the other token, and over every leg's input."""

    def gain(leg: Leg, price: float, amount: int) -> float:
        paid, earned = (1.0, price) if leg.pool.spec.tokens[leg.i] == ONE else (price, 1.0)
        try:
            return earned * leg.pool.amount_out(leg.i, leg.j, amount) - paid * amount
        except QuoteUnavailable:
            return -inf

    def most(leg: Leg, price: float) -> float:
        return max(0.0, golden(lambda amount: gain(leg, price, int(amount)), 0.0, CAP * leg.reserve_in()))

    return -golden(lambda price: -sum(most(leg, price) for leg in legs), 0.9, 1.1, steps=60)


def golden(function: Callable[[float], float], low: float, high: float, steps: int = 36) -> float:
    """The largest value of a concave function."""
    share = (sqrt(5.0) - 1.0) / 2.0
    left, right = high - share * (high - low), low + share * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(steps):
        if at_left > at_right:
            high, right, at_right = right, left, at_left
            left = high - share * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + share * (high - low)
            at_right = function(right)
    return max(at_left, at_right)


@given(real_curves())
@settings(max_examples=20)
def test_real_curves_give_what_a_search_over_their_quotes_finds(pools: list[Pool]) -> None:
    """The dual at its least, found by nothing but quotes: within 1e-7 and what rounding hides."""
    legs = legs_of(pools)
    solved = solve(legs, ONE, 1.0, [CAP * leg.reserve_in() for leg in legs])
    reference = least_dual(legs)
    held = sum(leg.reserve_in() for leg in legs)
    noise = 1e-15 * held + 8.0 * sum(sum(rounding(leg.pool, leg.i, leg.j)) for leg in legs)
    if solved is None:
        assert reference <= 1e-9 * held
        return
    assert solved.bound is not None
    assert solved.bound == pytest.approx(reference, rel=1e-7, abs=noise)
    assert sum(left_of(legs, solved).values()) == pytest.approx(reference, rel=1e-6, abs=noise)


@given(real_curves())
@settings(max_examples=15)
def test_a_split_over_real_curves_is_exact(pools: list[Pool]) -> None:
    check_split(market(*pools), UNLIMITED, base=ONE)


def test_a_pool_of_several_tokens_takes_part_between_two_of_them_only() -> None:
    """Its curves are not independent: what one path does to it, another one would not know."""
    rich = basket("rich", {WETH.address: 10**21, DAI.address: 33 * 10**23, USDC.address: 33 * 10**11})
    others = [
        v2("dai", (WETH.address, 10**20), (DAI.address, 3 * 10**23)),
        v2("dai too", (WETH.address, 10**20), (DAI.address, 3 * 10**23), protocol="sushiswap_v2"),
        v2("usdc", (WETH.address, 10**20), (USDC.address, 3 * 10**11)),
    ]
    snapshot = market(rich, *others)
    sized = [size(snapshot, found, UNLIMITED) for found in Detector(2, (WETH.address,)).update(snapshot, None)]
    trades = sorted((one for one in sized if isinstance(one, Trade)), key=lambda one: -one.gross_profit)
    (made,) = splits(snapshot, trades, Terms(UNLIMITED, 0, lambda trade: trade.gross_profit))
    through = {(one.hop.token_in, one.hop.token_out) for one in made.hops if one.hop.pool == rich.spec.address}
    assert len(through) == 1
    assert len(made.paths) == 2
    check_split(snapshot, UNLIMITED)


def test_between_neighbouring_floats_nothing_more_is_asked() -> None:
    """Great amounts lie more than a unit apart as floats: between two neighbours there is no place for a knot."""
    leg = Leg(stable((10**33, 10**33)), 0, 1)
    rate = leg.pool.marginal_rate(0, 1)
    edge = QuotedEdge(leg, 0, 1, 1e26)
    # slopes as far apart as rounding may make them look, so that the maps of both point elsewhere
    for amount, part in ((1e18, 0.1), (nextafter(1e18, inf), 0.5)):
        edge._knots.append(Knot(-rate * (1 - part), amount, rate * amount, 1e-18, 0.0))
    amount, output, _ = edge.at(rate * 0.8999999)

    assert amount == pytest.approx(1e18)
    assert output == pytest.approx(rate * amount)
