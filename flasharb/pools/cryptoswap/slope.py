"""The price of a CryptoSwap pool at its balances.

With ``G = 2 K0^3 + (gamma + 1)^2 - K0^2 (2 gamma + 3)`` and ``N = A n^n gamma^2`` the derivative of the invariant by
``x_k`` is proportional to ``(G + N K0 x_k / D) / x_k``. G nearly cancels, so that it is built from integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flasharb.pools.cryptoswap.rules import A_MULTIPLIER, FEE_DENOMINATOR, PRECISION

if TYPE_CHECKING:
    from flasharb.pools.cryptoswap.pool import CryptoSwapPool

_ONE = 10**36


def marginal_rate(pool: CryptoSwapPool, i: int, j: int) -> float:
    """Output per input for an infinitesimal swap from coin ``i`` to coin ``j``, fee taken off."""
    xp, d, n = pool.xp, pool.d_now, len(pool.xp)
    product: int = n**n * _ONE
    for x in xp:
        product *= x
    k0: int = product // d**n
    gamma = pool.gamma * PRECISION
    bend = (2 * k0**3 + (gamma + _ONE) ** 2 * _ONE - k0**2 * (2 * gamma + 3 * _ONE)) / _ONE**3
    weight = pool.ann / A_MULTIPLIER * (pool.gamma / PRECISION) ** 2 * (k0 / _ONE) / d
    price = (bend + weight * xp[i]) / (bend + weight * xp[j]) * (xp[j] / xp[i])
    return price * (_unit(pool, i) / _unit(pool, j)) * (1 - pool.fee(xp) / FEE_DENOMINATOR)


def _unit(pool: CryptoSwapPool, k: int) -> float:
    """What one smallest unit of coin ``k`` is in ``xp``."""
    return pool.facts.precisions[k] * (pool.prices.scale[k - 1] / PRECISION if k else 1)
