"""What a pool looks like at its current price: marginal rate, virtual reserves, liquidity near the price."""

from __future__ import annotations

from math import isqrt
from typing import assert_never

from flasharb.pools.concentrated import rate
from flasharb.pools.concentrated.pool import V3Pool
from flasharb.pools.concentrated.sqrt_price_math import amount0_delta, amount1_delta
from flasharb.pools.concentrated.tick_bitmap import word_of
from flasharb.pools.concentrated.tick_math import (
    MAX_SQRT_PRICE_X96,
    MIN_SQRT_PRICE_X96,
    sqrt_price_at_tick,
    tick_at_sqrt_price,
)
from flasharb.pools.constant_product.pool import V2Pool
from flasharb.pools.errors import Uninitialised
from flasharb.units import PIPS

_SCALE = 10**18


def marginal_rate(pool: V2Pool | V3Pool, zero_for_one: bool) -> float:
    """Output per input, both in smallest units, for an infinitesimal amount, fee taken off.

    Where a concentrated pool stands in a stretch without liquidity, it is the rate where the liquidity begins.

    Raises:
        QuoteUnavailable: no price, no liquidity in this direction, or not known where it begins.
    """
    match pool:
        case V2Pool():
            if not pool.reserve0 or not pool.reserve1:
                raise Uninitialised("the pool has no reserves")
            price = pool.reserve1 / pool.reserve0
        case V3Pool():
            return rate.marginal_rate(pool.ladder, (pool.sqrt_price_x96, pool.tick, pool.liquidity), zero_for_one)
        case _:
            assert_never(pool)
    gamma = (PIPS - pool.spec.fee_pips) / PIPS
    return gamma * price if zero_for_one else gamma / price


def virtual_reserves(pool: V2Pool | V3Pool) -> tuple[int, int]:
    """(token0, token1) in smallest units: V2 the reserves, V3 ``L / sqrt(P)`` and ``L * sqrt(P)``, rounded down.

    Raises:
        Uninitialised: no reserves or no price.
    """
    match pool:
        case V2Pool():
            if not pool.reserve0 or not pool.reserve1:
                raise Uninitialised("the pool has no reserves")
            return pool.reserve0, pool.reserve1
        case V3Pool():
            if not pool.sqrt_price_x96:
                raise Uninitialised("the pool has no price yet")
            return (pool.liquidity << 96) // pool.sqrt_price_x96, pool.liquidity * pool.sqrt_price_x96 >> 96
        case _:
            assert_never(pool)


def liquidity_within(pool: V2Pool | V3Pool, share: float = 0.10) -> tuple[int, int]:
    """(token0, token1) that the pool pays until the price has moved by ``share``; V2: both reserves whole.

    For V3, token0 is what lies between the price and ``price * (1 + share)``, token1 what lies down to
    ``price * (1 - share)``.

    Raises:
        Uninitialised: no reserves or no price.
        UnknownRange: the range reaches beyond the known ticks.
        ValueError: ``share`` not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must lie between 0 and 1, not {share}")
    if isinstance(pool, V2Pool):
        return virtual_reserves(pool)
    price = pool.sqrt_price_x96
    if not price:
        raise Uninitialised("the pool has no price yet")
    part = round(share * _SCALE)
    up = min(MAX_SQRT_PRICE_X96 - 1, price * isqrt((_SCALE + part) * _SCALE) // _SCALE)
    down = max(MIN_SQRT_PRICE_X96, price * isqrt((_SCALE - part) * _SCALE) // _SCALE)
    return _token0_up_to(pool, up), _token1_down_to(pool, down)


def _token0_up_to(pool: V3Pool, end: int) -> int:
    ladder, price, liquidity = pool.ladder, pool.sqrt_price_x96, pool.liquidity
    ladder.require(word_of(tick_at_sqrt_price(end), ladder.tick_spacing))
    total = 0
    for tick, above in ladder.initialised_above(pool.tick):
        stop = sqrt_price_at_tick(tick)
        if stop >= end:
            break
        total += amount0_delta(price, stop, liquidity)
        price, liquidity = stop, above
    return total + amount0_delta(price, max(price, end), liquidity)


def _token1_down_to(pool: V3Pool, end: int) -> int:
    ladder, price, liquidity = pool.ladder, pool.sqrt_price_x96, pool.liquidity
    ladder.require(word_of(tick_at_sqrt_price(end), ladder.tick_spacing))
    total = 0
    for tick, below in ladder.initialised_below(pool.tick):
        stop = sqrt_price_at_tick(tick)
        if stop <= end:
            break
        total += amount1_delta(stop, price, liquidity)
        price, liquidity = stop, below
    return total + amount1_delta(min(price, end), price, liquidity)
