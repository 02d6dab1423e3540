"""The known part of a pool, read slot by slot from whoever knows: a recorded block or an archive node."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from flasharb.pools import Pool, PoolSpec
from flasharb.pools.concentrated.known_part import known_part as concentrated_part
from flasharb.pools.concentrated.storage import V3Layout
from flasharb.pools.constant_product.storage import V2Layout, load
from flasharb.pools.protocols import DEPLOYMENTS, PROTOCOLS, pool_address
from flasharb.pools.storage import Needs
from flasharb.units import Address

ReadSlot = Callable[[Address, int], Awaitable[int | None]]
"""A storage slot's value, or None where it is not known."""


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
        pair = load(spec, layout, {layout.reserves: reserves})
        assert not isinstance(pair, Needs)
        return pair
    assert isinstance(layout, V3Layout)
    answers: dict[int, int | None] = {}
    while True:
        asked: set[int] = set()
        part = concentrated_part(spec, layout, lambda slot: answers.get(slot, asked.add(slot)))  # noqa: B023
        new = asked - answers.keys()
        if not new:
            assert part is not None, "the pool's price is not known"
            return part.pool
        for slot in new:
            answers[slot] = await read(spec.address, slot)
