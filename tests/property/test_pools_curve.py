"""Curve pools: what holds for every pool, and the mathematics against the contracts' own code.

``python -m tests.long.curve`` runs more of the same cases.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal, localcontext
from itertools import pairwise
from math import prod
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flasharb.pools.cryptoswap.pool import CryptoSwapPool
from flasharb.pools.errors import InsufficientLiquidity
from flasharb.pools.stableswap import liquidity
from flasharb.pools.stableswap.pool import StableSwapPool
from tests.support import crypto_cases, stable_cases
from tests.support.curve_bytecode import needs_mainnet
from tests.support.curve_samples import crypto_pools, stable, stable_pools

STABLE_CASES = 150
CRYPTO_CASES = 100
Pool = StableSwapPool | CryptoSwapPool


@needs_mainnet
@pytest.mark.slow
@pytest.mark.mainnet
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", stable_cases.KINDS)
def test_stable_pools_agree_with_their_code(kind: str) -> None:
    """Amount, balances, LP supply, and the pool that the events lead to; reverts where the contract reverts."""
    assert [problem for n in range(STABLE_CASES) if (problem := stable_cases.run_case(kind, n))] == []


@needs_mainnet
@pytest.mark.slow
@pytest.mark.mainnet
@pytest.mark.timeout(900)
@pytest.mark.parametrize("base", ["3pool", "fraxbp", "ng"])
def test_stable_pools_follow_deposits_and_withdrawals(base: str) -> None:
    """Of several coins at once: the events lead to what storage holds; the contract's own views agree besides."""
    assert [problem for n in range(40) if (problem := stable_cases.run_movement(base, n))] == []
    assert [problem for n in range(40) if (problem := stable_cases.run_views(base, n))] == []


@needs_mainnet
@pytest.mark.slow
@pytest.mark.mainnet
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["3pool", "fraxbp", "ng", "3pool_lp", "ng_lp"])
def test_amounts_beyond_all_measure_revert_where_the_contract_does(kind: str) -> None:
    """Inputs up to 2^220: the same amount, or an overflow on both sides."""
    cases = [case for n in range(20) if (case := stable_cases.stable_case(kind, n)).i != case.lp]
    huge = [replace(case, amount=1 << exponent) for case in cases for exponent in (80, 110, 150, 220)]

    assert [problem for case in huge if (problem := stable_cases.run_stable(case))] == []


@needs_mainnet
@pytest.mark.slow
@pytest.mark.mainnet
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", crypto_cases.KINDS)
def test_crypto_pools_agree_with_their_code(kind: str) -> None:
    """Amount and the whole state: price scale, oracle, last prices, D, virtual price, profit, the end of a ramp."""
    assert [problem for n in range(CRYPTO_CASES) if (problem := crypto_cases.run_case(kind, n))] == []


@needs_mainnet
@pytest.mark.slow
@pytest.mark.mainnet
def test_cases_are_what_they_claim() -> None:
    """The price scale moves in some crypto cases and stays in others; stable cases ramp, and reach far from balance."""
    outcomes = Counter(crypto_cases.outcome(crypto_cases.crypto_case("tricrypto-ng", n)) for n in range(60))
    cases = [stable_cases.stable_case(kind, n) for kind in ("ng", "3pool") for n in range(60)]
    pools = [case.load(case.machine()) for case in cases]

    assert min(outcomes["steps"], outcomes["stays"]) > 10
    assert outcomes["reverts"] > 0
    assert {len(pool.balances) for pool in pools} == {2, 3, 4}
    assert sum(pool.parameters.ramp.initial != pool.parameters.ramp.future for pool in pools) > 10
    assert sum(max(pool.xp) > 100 * min(pool.xp) for pool in pools) > 20
    assert {(case.i, case.j) for case in cases} >= {(i, j) for i in range(3) for j in range(3) if i != j}


def hops(pool: Pool) -> list[tuple[int, int]]:
    """Every pair of tokens of a pool."""
    tokens = len(pool.depth())
    return [(i, j) for i in range(tokens) for j in range(tokens) if i != j]


@given(stable_pools() | crypto_pools(), st.data())
def test_the_inverse_is_the_least_input(pool: Pool, data: st.DataObject) -> None:
    """``amount_in`` of an output gives it, and one unit less does not."""
    i, j = data.draw(st.sampled_from(hops(pool)))
    amount = pool.reserve_in(i, j) * data.draw(st.integers(1, 300_000)) // 10**6
    wanted = pool.amount_out(i, j, amount)
    assume(wanted)
    least = pool.amount_in(i, j, wanted)

    assert pool.amount_out(i, j, least) >= wanted
    assert _or_nothing(pool, i, j, least - 1) < wanted


def _or_nothing(pool: Pool, i: int, j: int, amount: int) -> int:
    try:
        return pool.amount_out(i, j, amount)
    except InsufficientLiquidity:
        return 0


@given(stable_pools() | crypto_pools(), st.data())
def test_quotes_fall_off_with_size(pool: Pool, data: st.DataObject) -> None:
    """More in gives more out, at a rate that falls: what sizing by bracketed search relies on."""
    i, j = data.draw(st.sampled_from(hops(pool)))
    unit = pool.reserve_in(i, j) // 100
    outs = [pool.amount_out(i, j, unit * k) for k in range(1, 20)]
    steps = [after - before for before, after in pairwise(outs)]

    assert all(step > 0 for step in steps)
    # of crypto pools the fee falls towards balance, so that only the worse half of the curve must be concave
    slack = 10**-6 if isinstance(pool, StableSwapPool) else 10**-2
    assert all(later <= earlier * (1 + slack) + 2 for earlier, later in pairwise(steps))


@given(stable_pools(decimals=st.just(18)), st.data())
def test_stable_marginal_rate_is_the_limit_of_quotes(pool: StableSwapPool, data: st.DataObject) -> None:
    """The slope at zero, extrapolated from two quotes of the same pool with a great many more digits."""
    i, j = data.draw(st.sampled_from(hops(pool)))
    fine = 10**32 // pool.d + 1
    grown = pool.with_state(balances=tuple(b * fine for b in pool.balances), supply=pool.supply and pool.supply * fine)
    step = grown.reserve_in(i, j) // 10**8
    near, far = (Decimal(grown.amount_out(i, j, k * step)) / (k * step) for k in (1, 2))

    # a dynamic fee is whole units of 1e-10, and may take a step between the two quotes
    exact = 1e-12 if pool.parameters.offpeg <= 10**10 else 3e-10
    assert grown.marginal_rate(i, j) == pytest.approx(float(2 * near - far), rel=exact)


@given(crypto_pools(), st.data())
def test_crypto_marginal_rate_is_the_slope_of_the_invariant(pool: CryptoSwapPool, data: st.DataObject) -> None:
    """The quotient of the invariant's slopes in two balances, taken in sixty digits."""
    i, j = data.draw(st.sampled_from(hops(pool)))
    with localcontext() as context:
        context.prec = 80
        rate = _slope(pool, i) / _slope(pool, j)
        for k, sign in ((i, 1), (j, -1)):
            rate *= (Decimal(pool.prices.scale[k - 1]) / 10**18 if k else Decimal(1)) ** sign
        expected = float(rate) * (1 - pool.fee(pool.xp) / 10**10)

    assert pool.marginal_rate(i, j) == pytest.approx(expected, rel=1e-12)


def _slope(pool: CryptoSwapPool, k: int) -> Decimal:
    step = Decimal(10) ** -25 * pool.xp[k]
    sides = [[Decimal(x) + (sign * step if at == k else 0) for at, x in enumerate(pool.xp)] for sign in (1, -1)]
    return (_invariant(pool, sides[0]) - _invariant(pool, sides[1])) / (2 * step)


def _invariant(pool: CryptoSwapPool, xp: Sequence[Decimal]) -> Decimal:
    """K D^(n-1) sum(x) + prod(x) - K D^n - (D/n)^n, over D^n."""
    n, d = len(xp), Decimal(pool.d_now)
    gamma, a = Decimal(pool.gamma) / 10**18, Decimal(pool.ann) / 10**4 / n**n
    k0 = prod(x * n / d for x in xp)
    k = a * k0 * gamma**2 / (gamma + 1 - k0) ** 2
    return k * sum(xp) / d + k0 / n**n - k - Decimal(1) / n**n


@given(stable_pools() | crypto_pools(), st.data())
def test_wrong_questions_are_refused(pool: Pool, data: st.DataObject) -> None:
    """Negative amounts, a token against itself, tokens that the pool does not have; zero gives zero."""
    i, j = data.draw(st.sampled_from(hops(pool)))

    assert pool.amount_out(i, j, 0) == pool.amount_in(i, j, 0) == 0
    for wrong in (lambda: pool.amount_out(i, j, -1), lambda: pool.amount_in(i, j, -1), lambda: pool.swapped(i, j, 0)):
        with pytest.raises(ValueError, match="amount"):
            wrong()
    for a, b in ((i, i), (-1, j), (i, 9)):
        with pytest.raises(ValueError, match="no hop"):
            pool.amount_out(a, b, 1)


def test_a_round_trip_never_gains() -> None:
    """Coin to LP token and back, and around three coins: what comes back is less."""
    pool = stable((10**24, 2 * 10**24, 3 * 10**24))
    for path in ((0, 3, 0), (2, 3, 2), (0, 1, 2, 0)):
        amount, at = 10**21, pool
        for i, j in pairwise(path):
            swap = at.swapped(i, j, amount)
            amount, at = swap.amount_out, swap.pool
        assert 9 * 10**20 < amount < 10**21


@pytest.mark.parametrize("share", [10, 1000, 10**6])
def test_an_inverse_takes_few_quotes(monkeypatch: pytest.MonkeyPatch, share: int) -> None:
    """Also into coins of few decimals, whose outputs are a staircase with steps of 10^12 inputs."""
    trade = StableSwapPool._trade
    withdrawn = liquidity.withdrawn
    quotes = 0

    def counted(*arguments: Any) -> Any:
        nonlocal quotes
        quotes += 1
        return trade(*arguments)

    def counted_withdrawal(*arguments: Any) -> Any:
        nonlocal quotes
        quotes += 1
        return withdrawn(*arguments)

    pool = stable((10**24, 2 * 10**12, 3 * 10**24), decimals=(18, 6, 18))
    monkeypatch.setattr(StableSwapPool, "_trade", counted)
    monkeypatch.setattr(liquidity, "withdrawn", counted_withdrawal)
    for i, j in hops(pool):
        wanted = pool.amount_out(i, j, pool.reserve_in(i, j) // share)
        quotes = 0
        pool.amount_in(i, j, wanted)
        assert quotes <= 15, (i, j)
