"""One coin in or out against the LP token.

Both charge the imbalance they cause: every balance is compared with what it would be had all coins moved in proportion,
and ``fee * n / (4 (n - 1))`` of the difference is kept (a part of it as admin fee).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flasharb.pools.errors import InsufficientLiquidity
from flasharb.pools.inverse import TooLittle
from flasharb.pools.stableswap.math import balance_at, check_prices, invariant
from flasharb.pools.stableswap.rules import FEE_DENOMINATOR, PRECISION

if TYPE_CHECKING:
    from flasharb.pools.stableswap.pool import StableSwapPool


def add_one_coin(pool: StableSwapPool, i: int, amount_in: int) -> tuple[int, tuple[int, ...]]:
    """LP tokens minted by ``add_liquidity`` of coin ``i`` alone, and the admin fees taken from each balance."""
    rules, rates, d0 = pool.facts.rules, pool.rates, pool.d
    old = pool.balances
    new = [*old[:i], old[i] + amount_in, *old[i + 1 :]]
    d1 = invariant(_scaled(new, rates), pool.ann, rules)
    if d1 <= d0:
        raise TooLittle(f"a deposit of {amount_in} is too small to change the invariant")
    base_fee, middle = imbalance_fee(pool), (d0 + d1) // len(old)
    admin_fees = []
    for k, before in enumerate(old):
        after = new[k]
        fee = pool.fee_between(rates[k] * (before + after) // PRECISION, middle, base_fee)
        charged = fee * abs(d1 * before // d0 - after) // FEE_DENOMINATOR
        admin_fees.append(charged * pool.parameters.admin_fee // FEE_DENOMINATOR)
        new[k] = after - charged
        if new[k] < 0:
            raise InsufficientLiquidity(f"the fee of a deposit of {amount_in} exceeds a balance")
    left = _scaled(new, rates)
    d2 = invariant(left, pool.ann, rules)
    if d2 < d0:
        raise TooLittle(f"a deposit of {amount_in} is worth less than its fee")
    check_prices(left, d2, pool.ann, rules)
    assert pool.supply is not None
    return pool.supply * (d2 - d0) // d0, tuple(admin_fees)


def remove_one_coin(pool: StableSwapPool, j: int, burnt: int) -> tuple[int, tuple[int, ...]]:
    """What ``remove_liquidity_one_coin`` pays of coin ``j`` for ``burnt`` LP tokens, and the admin fees."""
    _, paid, admin_fee = withdrawn(pool, j, burnt)
    return paid, (0,) * j + (admin_fee,) + (0,) * (len(pool.xp) - j - 1)


def withdrawn(pool: StableSwapPool, j: int, burnt: int) -> tuple[int, int, int]:
    """The same: what is paid in 18 decimals, in the coin's own units, and the admin fee."""
    rules, xp, rate, d0 = pool.facts.rules, pool.xp, pool.rates[j], pool.d
    supply = pool.supply
    assert supply is not None
    if burnt > supply:
        raise InsufficientLiquidity(f"{burnt} LP tokens are more than there are ({supply})")
    n = len(xp)
    d1 = d0 - burnt * d0 // supply
    without_fee = balance_at(xp, j, d1, pool.ann, rules)
    base_fee, middle = imbalance_fee(pool), (d0 + d1) // (2 * n)
    reduced = []
    for k, x in enumerate(xp):
        expected = x * d1 // d0 - without_fee if k == j else x - x * d1 // d0
        if expected < 0:
            raise TooLittle(f"{burnt} LP tokens are too few to withdraw one coin")
        fee = pool.fee_between((x + without_fee) // 2 if k == j else x, middle, base_fee)
        reduced.append(x - fee * expected // FEE_DENOMINATOR)
    gross = reduced[j] - balance_at(reduced, j, d1, pool.ann, rules)
    if gross < 1:
        raise TooLittle(f"{burnt} LP tokens are too few to withdraw one coin")
    check_prices((*xp[:j], without_fee, *xp[j + 1 :]), d1, pool.ann, rules)
    paid = (gross - 1) * PRECISION // rate
    fee = (xp[j] - without_fee) * PRECISION // rate - paid
    if fee < 0:
        raise TooLittle(f"{burnt} LP tokens are too few to withdraw one coin")
    admin_fee = fee * pool.parameters.admin_fee // FEE_DENOMINATOR
    if paid + admin_fee > pool.balances[j]:
        raise InsufficientLiquidity(f"{burnt} LP tokens are worth more than the pool has of coin {j}")
    return gross - 1, paid, admin_fee


def imbalance_fee(pool: StableSwapPool) -> int:
    """The fee on what a deposit or withdrawal moves out of proportion, in 10^-10."""
    n = len(pool.balances)
    return pool.parameters.fee * n // (4 * (n - 1))


def _scaled(balances: list[int], rates: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(balance * rate // PRECISION for balance, rate in zip(balances, rates, strict=True))
