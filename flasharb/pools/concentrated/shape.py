"""What a concentrated pool looks like at its current price: pieces, liquidity near the price."""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt
from typing import Protocol

from flasharb.pools.concentrated.ladder import Ladder
from flasharb.pools.concentrated.sqrt_price_math import amount0_delta, amount1_delta
from flasharb.pools.concentrated.tick_bitmap import word_of
from flasharb.pools.concentrated.tick_math import (
    MAX_SQRT_PRICE_X96,
    MIN_SQRT_PRICE_X96,
    sqrt_price_at_tick,
    tick_at_sqrt_price,
)
from flasharb.pools.pieces import Piece

_SCALE = 10**18


class Concentrated(Protocol):
    """A pool with a price among ticks, of whatever protocol."""

    @property
    def sqrt_price_x96(self) -> int: ...
    @property
    def tick(self) -> int: ...
    @property
    def liquidity(self) -> int: ...
    @property
    def ladder(self) -> Ladder: ...


def pieces(pool: Concentrated, zero_for_one: bool) -> Iterator[Piece]:
    """The ranges in the swap's direction, lazily; none without a price."""
    ladder, price, tick = pool.ladder, pool.sqrt_price_x96, pool.tick
    if not price or not ladder.knows_word(word_of(tick, ladder.tick_spacing)):
        return iter(())
    return ladder.ranges(zero_for_one).beyond(price, tick, pool.liquidity)


def liquidity_within(pool: Concentrated, share: float) -> tuple[int, int]:
    """(token0, token1) that a pool with a price pays until that has moved by ``share``.

    token0 is what lies between the price and ``price * (1 + share)``, token1 what lies down to ``price * (1 - share)``.

    Raises:
        UnknownRange: the range reaches beyond the known ticks.
        ValueError: ``share`` not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must lie between 0 and 1, not {share}")
    price = pool.sqrt_price_x96
    part = round(share * _SCALE)
    up = min(MAX_SQRT_PRICE_X96 - 1, price * isqrt((_SCALE + part) * _SCALE) // _SCALE)
    down = max(MIN_SQRT_PRICE_X96, price * isqrt((_SCALE - part) * _SCALE) // _SCALE)
    return _token0_up_to(pool, up), _token1_down_to(pool, down)


def _token0_up_to(pool: Concentrated, end: int) -> int:
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


def _token1_down_to(pool: Concentrated, end: int) -> int:
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
