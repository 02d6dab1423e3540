"""A concentrated pool from its storage, in at most three rounds: price, bitmap words, ticks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from flasharb.pools.concentrated.liquidity import MAX_UINT128, TickLiquidity
from flasharb.pools.concentrated.pool import V3Pool, v3_pool
from flasharb.pools.concentrated.tick_bitmap import full_range, ticks_of_word, word_of
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import CorruptPool, Needs, mapping_slot, signed

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
    found = stored_ticks(slots, (layout.ticks, layout.tick_bitmap), tick, spec.tick_spacing, words_each_side)
    if isinstance(found, Needs):
        return found
    try:
        return v3_pool(spec, sqrt_price_x96, tick, slots[layout.liquidity] & MAX_UINT128, *found)
    except ValueError as error:
        raise CorruptPool(str(error)) from None


class StoredTicks(NamedTuple):
    """All initialised ticks of the bitmap words ``words`` (first and last)."""

    ticks: dict[int, TickLiquidity]
    words: tuple[int, int]


def stored_ticks(
    slots: Mapping[int, int], mappings: tuple[int, int], tick: int, spacing: int, words_each_side: int | None
) -> StoredTicks | Needs:
    """The ticks around ``tick``, or the slots that are still missing (bitmap words first, then ticks).

    ``mappings`` are the slots of the pool's ``ticks`` and ``tickBitmap``; ``words_each_side`` as in ``load``.
    """
    first, last = _window(tick, spacing, words_each_side)
    bitmap = {mapping_slot(position, mappings[1]): position for position in range(first, last + 1)}
    missing = bitmap.keys() - slots.keys()
    if missing:
        return Needs(frozenset(missing))
    ticks = [at for slot, position in bitmap.items() for at in ticks_of_word(position, slots[slot], spacing)]
    infos = {mapping_slot(at, mappings[0]): at for at in ticks}
    missing = infos.keys() - slots.keys()
    if missing:
        return Needs(frozenset(missing))
    known = {
        at: TickLiquidity(slots[slot] & MAX_UINT128, signed(slots[slot] >> 128, 128)) for slot, at in infos.items()
    }
    return StoredTicks(known, (first, last))


def _window(tick: int, spacing: int, words_each_side: int | None) -> tuple[int, int]:
    """The first and last bitmap word to load, within those that can hold a tick."""
    if words_each_side is None:
        words_each_side = 1 + _TICKS_EACH_SIDE // (256 * spacing)
    low, high = full_range(spacing)
    position = min(high, max(low, word_of(tick, spacing)))
    return max(low, position - words_each_side), min(high, position + words_each_side)
