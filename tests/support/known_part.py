"""Pools from a state of which only some slots are known, as in a recorded block.

A recorded block has the ticks that its own swaps crossed, not all ticks of a bitmap word. What lies beyond the first
unknown tick is left out: the pool built here has its exact liquidity up to there and none beyond, so that a quote is
either exact or refused, and what is found with it is at most what the whole pool would give.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from flasharb.pools import Pool, PoolSpec, TickLiquidity, V2Pool, v3_pool
from flasharb.pools.concentrated.tick_bitmap import ticks_of_word, word_of
from flasharb.pools.loading import load_pool, mapping_slot
from flasharb.pools.protocols import DEPLOYMENTS, PROTOCOLS, V2Layout, V3Layout, pool_address
from flasharb.units import Address

ReadSlot = Callable[[Address, int], Awaitable[int | None]]
"""A storage slot's value, or None where it is not known."""

_MOST_WORDS = 4


def vouched_for(
    pool: Address, kind: str, tokens: tuple[Address, Address], fee_pips: int, tick_spacing: int
) -> PoolSpec | None:
    """The pool's spec with the protocol whose factory creates this very address; None: no factory that we know."""
    for name, deployment in DEPLOYMENTS[1].items():
        protocol = PROTOCOLS[name]
        fee = fee_pips or protocol.default_fee_pips or 0
        spec = PoolSpec(pool, name, (min(tokens), max(tokens)), fee, tick_spacing)
        if protocol.kind == kind and pool_address(deployment, spec) == pool:
            return spec
    return None


async def known_part(spec: PoolSpec, read: ReadSlot) -> Pool:
    """The pool, as far as its storage is known."""
    layout = PROTOCOLS[spec.protocol].layout
    if isinstance(layout, V2Layout):
        reserves = await read(spec.address, layout.reserves)
        assert reserves is not None, "the pair's reserves are not known"
        pool = load_pool(spec, {layout.reserves: reserves})
        assert isinstance(pool, V2Pool)
        return pool
    return await _known_range(spec, layout, read)


async def _known_range(spec: PoolSpec, layout: V3Layout, read: ReadSlot) -> Pool:
    slot0, packed = await read(spec.address, layout.slot0), await read(spec.address, layout.liquidity)
    assert slot0 is not None, "the pool's price is not known"
    assert packed is not None, "the pool's liquidity is not known"
    price, tick = slot0 & (1 << 160) - 1, _signed(slot0 >> 160, 24)
    liquidity = packed & (1 << 128) - 1
    below = await _ticks(spec, layout, read, tick, zero_for_one=True)
    above = await _ticks(spec, layout, read, tick, zero_for_one=False)
    ticks = {at: known for at, known in (*below, *above) if known is not None}
    up = liquidity + sum(known.net for _, known in above if known is not None)
    down = liquidity - sum(known.net for _, known in below if known is not None)
    # the ends of what is known: all liquidity that is active there ends
    ticks[above[-1][0]], ticks[below[-1][0]] = TickLiquidity(up, -up), TickLiquidity(down, down)
    return v3_pool(spec, price, tick, liquidity, ticks)


async def _ticks(
    spec: PoolSpec, layout: V3Layout, read: ReadSlot, tick: int, *, zero_for_one: bool
) -> list[tuple[int, TickLiquidity | None]]:
    """The initialised ticks in one direction, nearest first; the last one, with None, is where knowledge ends."""
    spacing = spec.tick_spacing
    found: list[tuple[int, TickLiquidity | None]] = []
    # going up, the contract looks for the next tick from the next multiple of the spacing on
    start = word_of(tick if zero_for_one else tick + spacing, spacing)
    for step in range(_MOST_WORDS):
        position = start - step if zero_for_one else start + step
        bits = await read(spec.address, mapping_slot(position, layout.tick_bitmap))
        if bits is None:
            break
        inside = ticks_of_word(position, bits, spacing)
        for at in sorted(inside, reverse=zero_for_one):
            if (at > tick) if zero_for_one else (at <= tick):
                continue
            info = await read(spec.address, mapping_slot(at, layout.ticks))
            if info is None:
                return [*found, (at, None)]
            found.append((at, TickLiquidity(info & (1 << 128) - 1, _signed(info >> 128, 128))))
    else:
        position = start - _MOST_WORDS if zero_for_one else start + _MOST_WORDS
    last = position + 1 if zero_for_one else position - 1
    return [*found, (((last << 8) if zero_for_one else (last << 8) | 255) * spacing, None)]


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
