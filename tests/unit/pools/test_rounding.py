"""How far a quote may lie below the pool's real curve: what the bounds of sizes rely on."""

from __future__ import annotations

from decimal import Decimal, localcontext

from hypothesis import given, settings
from hypothesis import strategies as st

from flasharb.pools import QuoteUnavailable
from flasharb.pools.balancer import WeightedPool
from flasharb.pools.contract import rounding
from tests.support.balancer_cases import case_of
from tests.support.market_samples import DAI, WETH, v2

ONE = 10**18


@given(st.integers(1, 10**30), st.integers(1, 10**30), st.integers(1, 10**27), st.sampled_from([0, 500, 3000]))
def test_a_constant_product_pool_rounds_down_once(reserve_in: int, reserve_out: int, amount: int, fee: int) -> None:
    """The real output less one unit, at most."""
    pool = v2("any", (DAI.address, reserve_in), (WETH.address, reserve_out), fee)
    assert rounding(pool, 0, 1) == (0, 1)
    try:
        given_out = pool.amount_out(0, 1, amount)
    except QuoteUnavailable:
        return
    paid = amount * (10**6 - fee)
    assert given_out * (reserve_in * 10**6 + paid) <= paid * reserve_out
    assert (given_out + 1) * (reserve_in * 10**6 + paid) > paid * reserve_out


@settings(max_examples=60)
@given(st.integers(0, 60), st.integers(1, 10**9))
def test_a_weighted_pool_stays_within_its_margin(number: int, billionths: int) -> None:
    """Against the power of real numbers, with sixty digits."""
    case = case_of("weighted", number)
    pool, i, j = case.pool(case.machine()), case.i, case.j
    assert isinstance(pool, WeightedPool)
    amount = pool.reserve_in(i, j) * billionths // (4 * 10**9)
    try:
        paid = pool.amount_out(i, j, amount)
    except QuoteUnavailable:
        return
    units_in, units_out = rounding(pool, i, j)
    with localcontext() as context:
        context.prec = 60

        def real(taken: int) -> Decimal:
            held, left = Decimal(pool.reserve_in(i, j)), Decimal(pool.reserve_in(j, i))
            net = taken * (1 - Decimal(pool.fee) / ONE)
            exponent = Decimal(pool.facts.weights[i]) / Decimal(pool.facts.weights[j])
            return left * (1 - (held / (held + net)) ** exponent)

        assert paid <= real(amount)
        assert paid >= real(max(amount - units_in, 0)) - units_out
