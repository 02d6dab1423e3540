"""A pool of which only some slots are known: exact as far as they reach, and nothing beyond."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasharb.pools import InsufficientLiquidity, PoolSpec, TickLiquidity, v3_pool
from flasharb.pools.concentrated.known_part import known_part
from flasharb.pools.concentrated.storage import V3Layout
from flasharb.pools.concentrated.tick_math import sqrt_price_at_tick
from flasharb.pools.storage import mapping_slot
from flasharb.units import Address

SPEC = PoolSpec(Address(b"\x11" * 20), "uniswap_v3", (Address(b"\x01" * 20), Address(b"\x02" * 20)), 3000, 60)
LAYOUT = V3Layout()
TICKS = {-15360: 5, -600: 7, -60: 11, 0: 13, 120: -9, 15300: -10, 15360: -17}
"""Net liquidity by tick, in units of 1e15; a word covers 15,360 ticks, so that two of them stand at its ends."""
UNIT = 10**15


def storage(tick: int) -> dict[int, int]:
    """The storage of the pool at a tick."""
    liquidity = sum(net for at, net in TICKS.items() if at <= tick) * UNIT
    slots = {LAYOUT.slot0: sqrt_price_at_tick(tick) + 1 | (tick % (1 << 24)) << 160, LAYOUT.liquidity: liquidity}
    words: dict[int, int] = dict.fromkeys(range(-6, 7), 0)
    for at, net in TICKS.items():
        words[at // 60 >> 8] |= 1 << (at // 60 & 255)
        gross = abs(net) * UNIT
        slots[mapping_slot(at, LAYOUT.ticks)] = gross | (net * UNIT % (1 << 128)) << 128
    slots.update({mapping_slot(position, LAYOUT.tick_bitmap): bits for position, bits in words.items()})
    return slots


@given(
    tick=st.integers(-15_300, 15_299),
    lost=st.sets(st.sampled_from(["tick", "word"]).flatmap(lambda kind: st.tuples(st.just(kind), st.integers(-3, 6)))),
    zero_for_one=st.booleans(),
    amount=st.integers(1, 10**17),
)
def test_a_quote_is_the_whole_pools_or_none(
    tick: int, lost: set[tuple[str, int]], zero_for_one: bool, amount: int
) -> None:
    """Whatever slots are missing, no quote of the known part differs from the whole pool's."""
    slots = storage(tick)
    whole = v3_pool(
        SPEC,
        sqrt_price_at_tick(tick) + 1,
        tick,
        slots[LAYOUT.liquidity],
        {at: TickLiquidity(abs(net) * UNIT, net * UNIT) for at, net in TICKS.items()},
    )
    ordered = list(TICKS)
    for kind, number in lost:
        key = ordered[number % len(ordered)] if kind == "tick" else number
        slots.pop(mapping_slot(key, LAYOUT.ticks if kind == "tick" else LAYOUT.tick_bitmap), None)
    part = known_part(SPEC, LAYOUT, slots.get)
    assert part is not None
    assert part.low <= tick < part.high
    assert part.pool.ticks_agree()
    i = 0 if zero_for_one else 1
    try:
        quoted = part.pool.amount_out(i, 1 - i, amount)
    except InsufficientLiquidity:
        return
    assert quoted == whole.amount_out(i, 1 - i, amount)


def test_without_a_word_it_reaches_to_the_next_multiple_of_the_spacing() -> None:
    """A small swap is quoted, one that reaches the next possible tick is not."""
    slots = {slot: value for slot, value in storage(30).items() if slot in (LAYOUT.slot0, LAYOUT.liquidity)}
    part = known_part(SPEC, LAYOUT, slots.get)
    assert part is not None
    assert (part.low, part.high) == (0, 60)
    assert part.pool.amount_out(0, 1, 1000) > 0
    with pytest.raises(InsufficientLiquidity):
        part.pool.amount_out(0, 1, 10**18)


def test_without_price_or_liquidity_there_is_nothing() -> None:
    """Unknown is never zero."""
    slots = storage(0)
    for slot in (LAYOUT.slot0, LAYOUT.liquidity):
        assert known_part(SPEC, LAYOUT, {key: value for key, value in slots.items() if key != slot}.get) is None
