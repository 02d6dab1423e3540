"""What a concentrated pool looks like at its current price: pieces, liquidity near the price."""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt
from typing import Protocol

from flasharb.pools.concentrated.ladder import Ladder, stop_price
from flasharb.pools.concentrated.sqrt_price_math import amount0_delta, amount1_delta
from flasharb.pools.concentrated.tick_bitmap import word_of
from flasharb.pools.concentrated.tick_math import (
    MAX_SQRT_PRICE_X96,
    MAX_TICK,
    MIN_SQRT_PRICE_X96,
    MIN_TICK,
    Q96,
    sqrt_price_at_tick,
    tick_at_sqrt_price,
)
from flasharb.pools.pieces import Piece
from flasharb.units import PIPS

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
    if not pool.sqrt_price_x96 or not pool.ladder.knows_word(word_of(pool.tick, pool.ladder.tick_spacing)):
        return
    gamma = (PIPS - pool.ladder.fees[0 if zero_for_one else 1]) / PIPS
    price, liquidity = pool.sqrt_price_x96, pool.liquidity
    offset_in = offset_out = 0.0
    for tick, beyond in _stops(pool, zero_for_one):
        end = stop_price(tick)
        # one division of whole numbers each: the difference of two near prices would lose its digits in floats
        distance = abs(price - end)
        token0, token1 = (liquidity << 96) * distance / (price * end), liquidity * distance / Q96
        used, given = (token0, token1) if zero_for_one else (token1, token0)
        if used > 0:
            root, room = price / Q96, used / gamma
            virtual0, virtual1 = liquidity / root, liquidity * root
            virtual_in, virtual_out = (virtual0, virtual1) if zero_for_one else (virtual1, virtual0)
            yield Piece(gamma, virtual_in, virtual_out, offset_in, offset_out, offset_in + room, room)
            offset_in += room
            offset_out += given
        price, liquidity = end, beyond


def _stops(pool: Concentrated, zero_for_one: bool) -> Iterator[tuple[int, int]]:
    """Where liquidity changes in the swap's direction, and the end of what is known."""
    ladder = pool.ladder
    if zero_for_one:
        yield from ladder.initialised_below(pool.tick)
        yield max(MIN_TICK, (ladder.low_word << 8) * ladder.tick_spacing), 0
    else:
        yield from ladder.initialised_above(pool.tick)
        yield min(MAX_TICK, ((ladder.high_word << 8) | 255) * ladder.tick_spacing), 0


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
