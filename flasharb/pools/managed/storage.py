"""From the manager's storage slots to pools, without doing the reading.

``mapping(PoolId => Pool.State) _pools`` stands in slot 6; a state holds Slot0, two fee growths (which no quote needs),
the liquidity and the mappings of ticks and bitmap words, one slot each::

    Slot0:  0 (24 bits) | lpFee (24) | protocolFee 1→0 (12) | protocolFee 0→1 (12) | tick (24) | sqrtPriceX96 (160)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flasharb.pools.concentrated.known_part import ReadSlot, known_ticks
from flasharb.pools.concentrated.liquidity import MAX_UINT128
from flasharb.pools.concentrated.storage import StoredTicks, stored_ticks
from flasharb.pools.events import Log, Rule, rules, word
from flasharb.pools.managed.key import admit, facts_of
from flasharb.pools.managed.pool import V4Pool, v4_pool
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import CorruptPool, Elsewhere, Needs, Refused, mapping_slot, signed

POOLS_SLOT: Final = 6
LIQUIDITY, TICKS, TICK_BITMAP = 3, 4, 5
_UINT160: Final = (1 << 160) - 1


def state_slot(pool_id: bytes) -> int:
    """The slot of the manager where this pool's Slot0 stands; the others follow it."""
    return mapping_slot(int.from_bytes(pool_id, "big"), POOLS_SLOT)


def load(spec: PoolSpec, elsewhere: Elsewhere, words_each_side: int | None = None) -> V4Pool | Needs | Refused:
    """The pool that the manager's slots describe, or those that are still missing (three rounds), or why not.

    ``words_each_side`` as in ``pools.loading.load_pool``.

    Raises:
        CorruptPool: the slots contradict each other or the key.
    """
    facts, refused = facts_of(spec), admit(spec)
    if refused is not None:
        return Refused(refused)
    at = state_slot(facts.pool_id)
    slots = {slot: value for (contract, slot), value in elsewhere.slots.items() if contract == facts.manager}
    found = _read(spec, at, slots, words_each_side)
    if isinstance(found, Needs):
        return Needs(elsewhere=frozenset((facts.manager, slot) for slot in found.slots))
    state = (slots[at] & _UINT160, signed(slots[at] >> 160, 24), slots[at + LIQUIDITY] & MAX_UINT128)
    try:
        return v4_pool(spec, state, found.ticks, slots[at] >> 184 & 0xFFFFFF, found.words)
    except ValueError as error:
        raise CorruptPool(str(error)) from None


def known_part(spec: PoolSpec, read: ReadSlot) -> V4Pool | None:
    """The pool as far as the manager's storage is known; None where not even price and liquidity are.

    See ``concentrated.known_part``; ``read`` gives the manager's slots.

    Raises:
        CorruptPool: the slots contradict each other or the key.
    """
    at = state_slot(facts_of(spec).pool_id)
    slot0, liquidity = read(at), read(at + LIQUIDITY)
    if slot0 is None or liquidity is None:
        return None
    price, tick, active = _checked_price(spec, slot0), signed(slot0 >> 160, 24), liquidity & MAX_UINT128
    try:
        ticks = known_ticks(spec.tick_spacing, (at + TICKS, at + TICK_BITMAP), read, tick, active).ticks
        return v4_pool(spec, (price, tick, active), ticks, slot0 >> 184 & 0xFFFFFF)
    except ValueError as error:
        raise CorruptPool(str(error)) from None


def _checked_price(spec: PoolSpec, slot0: int) -> int:
    """The price in Slot0, whose fee must be the key's."""
    price, fee = slot0 & _UINT160, slot0 >> 208
    if price and fee != spec.fee_pips:
        raise CorruptPool(f"the manager charges {fee} pips in a pool whose key says {spec.fee_pips}")
    return price


def _read(spec: PoolSpec, at: int, slots: Mapping[int, int], words_each_side: int | None) -> StoredTicks | Needs:
    missing = {at, at + LIQUIDITY} - slots.keys()
    if missing:
        return Needs(frozenset(missing))
    _checked_price(spec, slots[at])
    tick = signed(slots[at] >> 160, 24)
    return stored_ticks(slots, (at + TICKS, at + TICK_BITMAP), tick, spec.tick_spacing, words_each_side)


def _after_swap(pool: V4Pool, log: Log) -> V4Pool:
    one, two, price, liquidity, tick, fee = (word(log, at) for at in range(6))
    return pool.after_swap((signed(one, 256), signed(two, 256)), price, liquidity, signed(tick, 256), fee)


def _after_modification(pool: V4Pool, log: Log) -> V4Pool:
    lower, upper, delta = (signed(word(log, at), 256) for at in range(3))
    return pool.with_liquidity_change(lower, upper, delta)


def _after_initialisation(pool: V4Pool, log: Log) -> V4Pool:
    return pool.with_price(word(log, 3), signed(word(log, 4), 256), 0)


RULES: Final = rules(
    Rule("Swap(bytes32,address,int128,int128,uint160,uint128,int24,uint24)", 2, 6, _after_swap, pool_topic=1),
    Rule("ModifyLiquidity(bytes32,address,int24,int24,int256,bytes32)", 2, 4, _after_modification, pool_topic=1),
    Rule(
        "Initialize(bytes32,address,address,uint24,int24,address,uint160,int24)",
        3,
        5,
        _after_initialisation,
        pool_topic=1,
    ),
    Rule(
        "ProtocolFeeUpdated(bytes32,uint24)",
        1,
        1,
        lambda pool, log: pool.with_protocol_fees(word(log, 0)),
        pool_topic=1,
    ),
)
"""How a pool follows the manager's logs; a Donate changes nothing that a quote needs."""
