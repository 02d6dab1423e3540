"""A concentrated pool from its storage, in at most three rounds: price, bitmap words, ticks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flasharb.pools.concentrated.liquidity import TickLiquidity
from flasharb.pools.concentrated.pool import V3Pool, v3_pool
from flasharb.pools.concentrated.tick_bitmap import full_range, ticks_of_word, word_of
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import CorruptPool, Needs, mapping_slot, signed

_UINT128: Final = (1 << 128) - 1
_UINT160: Final = (1 << 160) - 1

# 10 % of price is 954 ticks up and 1054 down: what a pool's depth wants to see by default
_TICKS_EACH_SIDE: Final = 1100


@dataclass(frozen=True, slots=True)
class V3Layout:
    """Storage slots of a concentrated pool; ``ticks`` and ``tick_bitmap`` are mappings."""

    slot0: int = 0
    liquidity: int = 4
    ticks: int = 5
    tick_bitmap: int = 6


def load(spec: PoolSpec, layout: V3Layout, slots: Mapping[int, int], words_each_side: int | None) -> V3Pool | Needs:
    """The pool, or the slots that are missing.

    ``words_each_side`` bitmap words are known on either side of the current price's word; None: as many as reach 10 %
    of the price, and one at least.

    Raises:
        CorruptPool: the slots contradict each other.
    """
    missing = {layout.slot0, layout.liquidity} - slots.keys()
    if missing:
        return Needs(frozenset(missing))
    packed = slots[layout.slot0]
    sqrt_price_x96, tick = packed & _UINT160, signed(packed >> 160, 24)
    spacing = spec.tick_spacing
    first, last = _window(tick, spacing, words_each_side)
    bitmap = {mapping_slot(position, layout.tick_bitmap): position for position in range(first, last + 1)}
    missing = bitmap.keys() - slots.keys()
    if missing:
        return Needs(frozenset(missing))
    ticks = [at for slot, position in bitmap.items() for at in ticks_of_word(position, slots[slot], spacing)]
    infos = {mapping_slot(at, layout.ticks): at for at in ticks}
    missing = infos.keys() - slots.keys()
    if missing:
        return Needs(frozenset(missing))
    known = {at: TickLiquidity(slots[slot] & _UINT128, signed(slots[slot] >> 128, 128)) for slot, at in infos.items()}
    try:
        return v3_pool(spec, sqrt_price_x96, tick, slots[layout.liquidity] & _UINT128, known, (first, last))
    except ValueError as error:
        raise CorruptPool(str(error)) from None


def _window(tick: int, spacing: int, words_each_side: int | None) -> tuple[int, int]:
    """The first and last bitmap word to load, within those that can hold a tick."""
    if words_each_side is None:
        words_each_side = 1 + _TICKS_EACH_SIDE // (256 * spacing)
    low, high = full_range(spacing)
    position = min(high, max(low, word_of(tick, spacing)))
    return max(low, position - words_each_side), min(high, position + words_each_side)
