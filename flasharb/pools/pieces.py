"""A pool as a chain of Möbius maps, in floating point, for sizing.

Within one range of constant liquidity (V2: everywhere) a swap is

    out(x) = offset_out + virtual_out * gamma * u / (virtual_in + gamma * u),   u = x - offset_in

for inputs from ``offset_in`` to ``end_in``. The pieces of a pool follow each other in the swap's direction; the next
one begins at ``end_in`` with its own virtual reserves. Stretches without liquidity are left out (the rate jumps there).
The chain ends where the pool runs dry or where its ticks are no longer known: an optimum must not lie beyond the last
``end_in``, and the exact quote of ``pools.amount_out`` has the last word in any case.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import NamedTuple

from flasharb.pools.concentrated.ladder import stop_price
from flasharb.pools.concentrated.pool import V3Pool
from flasharb.pools.concentrated.tick_bitmap import word_of
from flasharb.pools.concentrated.tick_math import MAX_TICK, MIN_TICK, Q96
from flasharb.pools.constant_product.pool import V2Pool
from flasharb.units import PIPS


class Piece(NamedTuple):
    """One range; amounts in the tokens' smallest units as floats, ``gamma`` is one less the fee.

    ``room`` is ``end_in - offset_in`` without the cancellation that a small range after large ones would suffer.
    """

    gamma: float
    virtual_in: float
    virtual_out: float
    offset_in: float
    offset_out: float
    end_in: float
    room: float


def pieces(pool: V2Pool | V3Pool, zero_for_one: bool) -> Iterator[Piece]:
    """The pool's pieces from its current price, lazily; none for a pool without price or reserves."""
    if isinstance(pool, V2Pool):
        return _v2_piece(pool, zero_for_one)
    return _v3_pieces(pool, zero_for_one)


def _v2_piece(pool: V2Pool, zero_for_one: bool) -> Iterator[Piece]:
    reserves = (float(pool.reserve0), float(pool.reserve1))
    if all(reserves):
        virtual_in, virtual_out = reserves if zero_for_one else reserves[::-1]
        yield Piece((PIPS - pool.spec.fee_pips) / PIPS, virtual_in, virtual_out, 0.0, 0.0, inf, inf)


def _v3_pieces(pool: V3Pool, zero_for_one: bool) -> Iterator[Piece]:
    if not pool.sqrt_price_x96 or not pool.ladder.knows_word(word_of(pool.tick, pool.ladder.tick_spacing)):
        return
    gamma = (PIPS - pool.spec.fee_pips) / PIPS
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


def _stops(pool: V3Pool, zero_for_one: bool) -> Iterator[tuple[int, int]]:
    """Where liquidity changes in the swap's direction, and the end of what is known."""
    ladder = pool.ladder
    if zero_for_one:
        yield from ladder.initialised_below(pool.tick)
        yield max(MIN_TICK, (ladder.low_word << 8) * ladder.tick_spacing), 0
    else:
        yield from ladder.initialised_above(pool.tick)
        yield min(MAX_TICK, ((ladder.high_word << 8) | 255) * ladder.tick_spacing), 0
