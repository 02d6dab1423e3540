"""The ranges of constant liquidity that a swap passes in one direction, as pieces in floating point.

The range between two initialised ticks is the same piece wherever a swap began, so each is made once, when a swap
first gets there, and kept with the ladder. Only the part from the current price to the first tick is made anew.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from flasharb.pools.concentrated.tick_math import (
    MAX_SQRT_PRICE_X96,
    MAX_TICK,
    MIN_SQRT_PRICE_X96,
    MIN_TICK,
    Q96,
    sqrt_price_at_tick,
)
from flasharb.pools.pieces import Piece


class Ranges:
    """``stops`` are the initialised ticks in the swap's direction and the end of what is known, ``levels`` the
    liquidity beyond each.
    """

    __slots__ = ("_gamma", "_keys", "_levels", "_stops", "_whole", "_zero_for_one")

    def __init__(self, gamma: float, stops: list[int], levels: list[int], zero_for_one: bool) -> None:
        self._gamma, self._zero_for_one = gamma, zero_for_one
        self._stops, self._levels = stops, levels
        self._keys = [-tick for tick in stops] if zero_for_one else stops
        self._whole: list[Piece | None] = [None] * len(stops)

    def beyond(self, price: int, tick: int, liquidity: int) -> Iterator[Piece]:
        """The pieces from a sqrt price on, at which ``liquidity`` is active; stretches without any are left out."""
        keys, stops, whole = self._keys, self._stops, self._whole
        last = len(stops) - 1
        at = bisect_left(keys, -tick, 0, last) if self._zero_for_one else bisect_right(keys, tick, 0, last)
        first = _piece(self._gamma, liquidity, price, stop_price(stops[at]), self._zero_for_one)
        if first.room > 0.0:
            yield first
        for stop in range(at, last):
            piece = whole[stop]
            if piece is None:
                start, end = stop_price(stops[stop]), stop_price(stops[stop + 1])
                piece = whole[stop] = _piece(self._gamma, self._levels[stop], start, end, self._zero_for_one)
            if piece.room > 0.0:
                yield piece


def stop_price(tick: int) -> int:
    """The sqrt price at a stop; the outermost ones end at the price limits that every swap has."""
    if MIN_TICK < tick < MAX_TICK:
        return sqrt_price_at_tick(tick)
    return MIN_SQRT_PRICE_X96 + 1 if tick < 0 else MAX_SQRT_PRICE_X96 - 1


def _piece(gamma: float, liquidity: int, price: int, end: int, zero_for_one: bool) -> Piece:
    """The range of this liquidity from a sqrt price to the one of the next stop."""
    # one division of whole numbers: the difference of two near prices would lose its digits in floats
    distance, root = abs(price - end), price / Q96
    if zero_for_one:
        used = (liquidity << 96) * distance / (price * end)
        return Piece(gamma, liquidity / root, liquidity * root, used / gamma)
    return Piece(gamma, liquidity * root, liquidity / root, liquidity * distance / Q96 / gamma)
