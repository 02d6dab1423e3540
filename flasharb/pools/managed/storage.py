"""From the manager's storage slots to pools, without doing the reading.

``mapping(PoolId => Pool.State) _pools`` stands in slot 6; a state holds Slot0, two fee growths (which no quote needs),
the liquidity and the mappings of ticks and bitmap words, one slot each::

    Slot0:  0 (24 bits) | lpFee (24) | protocolFee 1→0 (12) | protocolFee 0→1 (12) | tick (24) | sqrtPriceX96 (160)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flasharb.pools.concentrated.liquidity import MAX_UINT128
from flasharb.pools.concentrated.storage import mapping_slot, signed, stored_ticks
from flasharb.pools.loading import CorruptPool, Needs
from flasharb.pools.managed.key import ManagedFacts, spec_of
from flasharb.pools.managed.pool import V4Pool, v4_pool

POOLS_SLOT: Final = 6
LIQUIDITY, TICKS, TICK_BITMAP = 3, 4, 5
_UINT160: Final = (1 << 160) - 1


def state_slot(pool_id: bytes) -> int:
    """The slot of the manager where this pool's Slot0 stands; the others follow it."""
    return mapping_slot(int.from_bytes(pool_id, "big"), POOLS_SLOT)


def load(facts: ManagedFacts, slots: Mapping[int, int], words_each_side: int | None = None) -> V4Pool | Needs:
    """The pool that these slots of the manager describe, or the slots that are still missing (three rounds).

    ``words_each_side`` as in ``pools.loading.load_pool``.

    Raises:
        CorruptPool: the slots contradict each other or the key.
    """
    at = state_slot(facts.pool_id)
    missing = {at, at + LIQUIDITY} - slots.keys()
    if missing:
        return Needs(frozenset(missing))
    slot0, spacing = slots[at], facts.key.tick_spacing
    price, tick = slot0 & _UINT160, signed(slot0 >> 160, 24)
    if price and slot0 >> 208 != facts.key.fee:
        raise CorruptPool(f"the manager charges {slot0 >> 208} pips in a pool whose key says {facts.key.fee}")
    found = stored_ticks(slots, (at + TICKS, at + TICK_BITMAP), tick, spacing, words_each_side)
    if isinstance(found, frozenset):
        return Needs(found)
    state = (price, tick, slots[at + LIQUIDITY] & MAX_UINT128)
    try:
        return v4_pool(spec_of(facts), state, found.ticks, slot0 >> 184 & 0xFFFFFF, found.words)
    except ValueError as error:
        raise CorruptPool(str(error)) from None
