"""Where a concentrated pool's ticks stand in storage, and the rounds in which they are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from eth_hash.auto import keccak

from flasharb.pools.concentrated.liquidity import MAX_UINT128, TickLiquidity
from flasharb.pools.concentrated.tick_bitmap import full_range, ticks_of_word, word_of

# 10 % of price is 954 ticks up and 1054 down: what depth figures want to see by default
_TICKS_EACH_SIDE: Final = 1100


class StoredTicks(NamedTuple):
    """All initialised ticks of the bitmap words ``words`` (first and last)."""

    ticks: dict[int, TickLiquidity]
    words: tuple[int, int]


def stored_ticks(
    slots: Mapping[int, int], mappings: tuple[int, int], tick: int, spacing: int, words_each_side: int | None
) -> StoredTicks | frozenset[int]:
    """The ticks around ``tick``, or the slots that are still missing (bitmap words first, then ticks).

    ``mappings`` are the slots of the pool's ``ticks`` and ``tickBitmap``; ``words_each_side`` None: as many words as
    reach 10 % of the price, and one at least.
    """
    first, last = _window(tick, spacing, words_each_side)
    bitmap = {mapping_slot(position, mappings[1]): position for position in range(first, last + 1)}
    missing = bitmap.keys() - slots.keys()
    if missing:
        return frozenset(missing)
    ticks = [at for slot, position in bitmap.items() for at in ticks_of_word(position, slots[slot], spacing)]
    infos = {mapping_slot(at, mappings[0]): at for at in ticks}
    missing = infos.keys() - slots.keys()
    if missing:
        return frozenset(missing)
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


def mapping_slot(key: int, slot: int) -> int:
    """The storage slot of ``mapping[key]`` for a mapping of signed integers at ``slot``."""
    return int.from_bytes(keccak((key % (1 << 256)).to_bytes(32, "big") + slot.to_bytes(32, "big")), "big")


def signed(value: int, bits: int) -> int:
    """The low ``bits`` of ``value`` as a two's complement number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
