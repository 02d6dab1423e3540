"""A pool from a state of which only some slots are known, as in a recorded block.

A recorded block has the ticks that its own swaps crossed, not all ticks of a bitmap word. What lies beyond the first
unknown tick is left out: the pool built here has its exact liquidity up to there and none beyond, so that a quote is
either exact or refused, and what is found with it is at most what the whole pool would give.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from flasharb.pools.concentrated.liquidity import TickLiquidity
from flasharb.pools.concentrated.pool import V3Pool, v3_pool
from flasharb.pools.concentrated.storage import V3Layout
from flasharb.pools.concentrated.tick_bitmap import ticks_of_word, word_of
from flasharb.pools.concentrated.tick_math import MAX_TICK, MIN_TICK
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import mapping_slot, signed

ReadSlot = Callable[[int], int | None]
"""The value of one of the pool's storage slots, or None where it is not known."""

_MOST_WORDS: Final = 4
"""Bitmap words that are looked at in either direction."""
_UINT128: Final = (1 << 128) - 1


@dataclass(frozen=True, slots=True)
class KnownPart:
    """``pool`` holds exactly between the ticks ``low`` and ``high``, and has no liquidity outside of them."""

    pool: V3Pool
    low: int
    high: int


def known_part(spec: PoolSpec, layout: V3Layout, read: ReadSlot) -> KnownPart | None:
    """The pool as far as its storage is known; None where not even price and liquidity are.

    Raises:
        ValueError: the slots contradict each other.
    """
    slot0, packed = read(layout.slot0), read(layout.liquidity)
    if slot0 is None or packed is None:
        return None
    price, tick, liquidity = slot0 & ((1 << 160) - 1), signed(slot0 >> 160, 24), packed & _UINT128
    known = known_ticks(spec.tick_spacing, (layout.ticks, layout.tick_bitmap), read, tick, liquidity)
    return KnownPart(v3_pool(spec, price, tick, liquidity, known.ticks), known.low, known.high)


class KnownTicks(NamedTuple):
    """Ticks that hold between ``low`` and ``high``, where all liquidity ends."""

    ticks: dict[int, TickLiquidity]
    low: int
    high: int


def known_ticks(spacing: int, mappings: tuple[int, int], read: ReadSlot, tick: int, liquidity: int) -> KnownTicks:
    """The ticks around ``tick`` up to the first unknown one in either direction.

    ``mappings`` are the slots of ``ticks`` and ``tickBitmap``; ``liquidity`` is active at ``tick``.
    """
    below, low = _ticks(spacing, mappings, read, tick, zero_for_one=True)
    above, high = _ticks(spacing, mappings, read, tick, zero_for_one=False)
    # The ends of what is known: all liquidity that is active there ends, whatever begins or ends there by itself.
    below.pop(low, None)
    above.pop(high, None)
    up = liquidity + sum(known.net for known in above.values())
    down = liquidity - sum(known.net for known in below.values())
    return KnownTicks({**below, **above, high: TickLiquidity(up, -up), low: TickLiquidity(down, down)}, low, high)


def _ticks(
    spacing: int, mappings: tuple[int, int], read: ReadSlot, tick: int, *, zero_for_one: bool
) -> tuple[dict[int, TickLiquidity], int]:
    """The initialised ticks in one direction, nearest first, and the tick at which knowledge ends."""
    found: dict[int, TickLiquidity] = {}
    # Between two multiples of the spacing there is no tick: that much is known of every pool.
    end = tick // spacing * spacing + (0 if zero_for_one else spacing)
    # Going up, the contract looks for the next tick from the next multiple of the spacing on.
    position = word_of(tick if zero_for_one else tick + spacing, spacing)
    for _ in range(_MOST_WORDS):
        bits = read(mapping_slot(position, mappings[1]))
        if bits is None:
            break
        for at in sorted(ticks_of_word(position, bits, spacing), reverse=zero_for_one):
            if (at > tick) if zero_for_one else (at <= tick):
                continue
            info = read(mapping_slot(at, mappings[0]))
            if info is None:
                return found, at
            found[at] = TickLiquidity(info & _UINT128, signed(info >> 128, 128))
        end = ((position << 8) if zero_for_one else (position << 8) | 255) * spacing
        position += -1 if zero_for_one else 1
    return found, max(MIN_TICK, end) if zero_for_one else min(MAX_TICK, end)
