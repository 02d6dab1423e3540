"""From storage slots to pools, without doing the reading.

``load_pool`` is asked again and again with more slots until it has a pool: it answers ``Needs`` (slots to fetch) in at
most three rounds (price, bitmap words, ticks). Whoever reads (a node, a recorded block, the local chain) loops. A slot
that is absent from the mapping is unknown, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flasharb.pools.concentrated.pool import V3Pool, v3_pool
from flasharb.pools.concentrated.storage import signed, stored_ticks
from flasharb.pools.constant_product.pool import V2Pool
from flasharb.pools.protocols import PROTOCOLS, V2Layout, V3Layout
from flasharb.pools.spec import PoolSpec

_UINT112: Final = (1 << 112) - 1
_UINT128: Final = (1 << 128) - 1
_UINT160: Final = (1 << 160) - 1


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
    sqrt_price_x96, tick = packed & _UINT160, signed(packed >> 160, 24)
    found = stored_ticks(slots, (layout.ticks, layout.tick_bitmap), tick, spec.tick_spacing, words_each_side)
    if isinstance(found, frozenset):
        return Needs(found)
    try:
        return v3_pool(spec, sqrt_price_x96, tick, slots[layout.liquidity] & _UINT128, *found)
    except ValueError as error:
        raise CorruptPool(str(error)) from None
