"""The prices at the pool's balances in the "ng" contracts' integer steps (get_p)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flasharb.pools.cryptoswap.newton import check_d
from flasharb.pools.cryptoswap.rules import A_MULTIPLIER, PRECISION
from flasharb.pools.errors import InsufficientLiquidity

if TYPE_CHECKING:
    from flasharb.pools.cryptoswap.pool import CryptoSwapPool

_ONE = 10**36


def spot_prices(pool: CryptoSwapPool, xp: tuple[int, ...], d: int) -> tuple[int, ...]:
    """The prices of coins 1, 2, … in coin 0, relative to the price scale, 18 decimals."""
    check_d(d)
    gamma = pool.gamma
    if len(xp) == 2:
        k0 = 4 * xp[0] * xp[1] // d * _ONE // d
    else:
        k0 = 27 * xp[0] * xp[1] // d * xp[2] // d * _ONE // d
    bend = 2 * k0 * k0 // _ONE * k0 // _ONE + (gamma + PRECISION) ** 2
    bend -= k0 * k0 // _ONE * (2 * gamma + 3 * PRECISION) // PRECISION
    if bend < 0:
        raise InsufficientLiquidity("the contract finds no price at these balances")
    weight = pool.ann * gamma**2 // A_MULTIPLIER
    denominator = bend + weight * xp[0] // d * k0 // _ONE
    return tuple(xp[0] * (bend + weight * x // d * k0 // _ONE) // x * PRECISION // denominator for x in xp[1:])
