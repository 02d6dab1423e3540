"""The slopes of a StableSwap pool at its balances, in floating point.

From ``F = ann S + D - ann D - P`` with ``P = D^(n+1) / (n^n prod x)``: dF/dx_k = ann + P / x_k, and
-dF/dD = ann - 1 + (n + 1) P / D. Their quotients give the price between coins and the growth of D.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flasharb.pools.stableswap.liquidity import imbalance_fee
from flasharb.pools.stableswap.rules import FEE_DENOMINATOR

if TYPE_CHECKING:
    from flasharb.pools.stableswap.pool import StableSwapPool


def marginal_rate(pool: StableSwapPool, i: int, j: int) -> float:
    """Output per input for an infinitesimal hop from token ``i`` to token ``j``, fees taken off."""
    coins = len(pool.balances)
    if i == coins:
        return _withdrawal(pool, j)
    if j == coins:
        return _deposit(pool, i)
    xp, rates, (ann, product) = pool.xp, pool.rates, _terms(pool)
    fee = pool.fee_between(xp[i], xp[j], pool.parameters.fee) / FEE_DENOMINATOR
    return (ann + product / xp[i]) / (ann + product / xp[j]) * (rates[i] / rates[j]) * (1 - fee)


def _terms(pool: StableSwapPool) -> tuple[float, float]:
    """ann as a plain number, and P."""
    product, d, n = float(pool.d), pool.d, len(pool.xp)
    for x in pool.xp:
        product *= d / (x * n)
    return pool.ann / pool.facts.rules.a_precision, product


def _growth(pool: StableSwapPool) -> list[float]:
    """dD/dx_k for every coin, both in 18 decimals."""
    ann, product = _terms(pool)
    all_together = ann - 1 + (len(pool.xp) + 1) * product / pool.d
    return [(ann + product / x) / all_together for x in pool.xp]


def _fees(pool: StableSwapPool, doubled: int) -> list[float]:
    """The imbalance fee of each coin; ``doubled`` is how the contract scales the balances that it compares."""
    base_fee, middle = imbalance_fee(pool), doubled * pool.d // len(pool.xp)
    return [pool.fee_between(doubled * x, middle, base_fee) / FEE_DENOMINATOR for x in pool.xp]


def _deposit(pool: StableSwapPool, i: int) -> float:
    growth, fees, d = _growth(pool), _fees(pool, 2), pool.d
    # what one unit in moves, less the fee on every balance's distance from its share of the growth of D
    change = growth[i] - sum(
        growth[k] * fees[k] * (1 - growth[i] * x / d if k == i else growth[i] * x / d) for k, x in enumerate(pool.xp)
    )
    assert pool.supply is not None
    return pool.supply / d * change * (pool.rates[i] / 10**18)


def _withdrawal(pool: StableSwapPool, j: int) -> float:
    growth, fees, d = _growth(pool), _fees(pool, 1), pool.d
    assert pool.supply is not None
    # one unit of D less: every balance falls by its share, coin j by what is left
    shares = [x / d for x in pool.xp]
    own_fee = fees[j] * (1 / growth[j] - shares[j])
    others = sum(growth[k] * fees[k] * share for k, share in enumerate(shares) if k != j)
    return (d / pool.supply) * ((1 - others) / growth[j] - own_fee) / (pool.rates[j] / 10**18)
