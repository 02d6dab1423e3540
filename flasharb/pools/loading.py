"""From storage slots to pools, without doing the reading.

``load_pool`` is asked again and again with more slots until it has a pool: it answers ``Needs`` (slots to fetch) in at
most three rounds (price, bitmap words, ticks). Whoever reads (a node, a recorded block, the local chain) loops. A slot
that is absent from the mapping is unknown, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from eth_hash.auto import keccak

from flasharb.pools.concentrated.liquidity import TickLiquidity
from flasharb.pools.concentrated.pool import V3Pool, v3_pool
from flasharb.pools.concentrated.tick_bitmap import full_range, ticks_of_word, word_of
from flasharb.pools.constant_product.pool import V2Pool
from flasharb.pools.protocols import PROTOCOLS, V2Layout, V3Layout
from flasharb.pools.spec import PoolSpec

_UINT112: Final = (1 << 112) - 1
_UINT128: Final = (1 << 128) - 1
_UINT160: Final = (1 << 160) - 1

# 10 % of price is 954 ticks up and 1054 down: what liquidity_within wants to see by default
_TICKS_EACH_SIDE: Final = 1100


@dataclass(frozen=True, slots=True)
class Needs:
    """Slots of the pool's own storage that must be known before it can be built."""

    slots: frozenset[int]


class CorruptPool(ValueError):
    """The storage does not make sense as this protocol's pool: another contract, or slots of different blocks."""


def load_pool(spec: PoolSpec, slots: Mapping[int, int], words_each_side: int | None = None) -> V2Pool | V3Pool | Needs:
    """The pool that these storage slots describe, or the slots that are still missing.

    ``words_each_side`` bitmap words are known on either side of the current price's word; None: as many as reach 10 %
    of the price, and one at least.

    Raises:
        CorruptPool: the slots contradict each other.
    """
    layout = PROTOCOLS[spec.protocol].layout
    if isinstance(layout, V2Layout):
        if layout.reserves not in slots:
            return Needs(frozenset({layout.reserves}))
        packed = slots[layout.reserves]
        return V2Pool(spec, packed & _UINT112, packed >> 112 & _UINT112)
    return _load_v3(spec, layout, slots, words_each_side)


def _load_v3(spec: PoolSpec, layout: V3Layout, slots: Mapping[int, int], words_each_side: int | None) -> V3Pool | Needs:
    missing = {layout.slot0, layout.liquidity} - slots.keys()
    if missing:
        return Needs(frozenset(missing))
    packed = slots[layout.slot0]
    sqrt_price_x96, tick = packed & _UINT160, _signed(packed >> 160, 24)
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
    known = {at: TickLiquidity(slots[slot] & _UINT128, _signed(slots[slot] >> 128, 128)) for slot, at in infos.items()}
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


def mapping_slot(key: int, slot: int) -> int:
    """The storage slot of ``mapping[key]`` for a mapping of signed integers at ``slot``."""
    return int.from_bytes(keccak((key % (1 << 256)).to_bytes(32, "big") + slot.to_bytes(32, "big")), "big")


def _signed(value: int, bits: int) -> int:
    """The low ``bits`` of ``value`` as a two's complement number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
