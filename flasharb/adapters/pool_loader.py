"""Pools as a node knows them at one block, by batched requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flasharb.adapters.asking import Question, answers, place_of
from flasharb.adapters.node import Node
from flasharb.pools import Pool
from flasharb.pools.loading import CorruptPool, Elsewhere, Needs, Refused, load_pool
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address, Hash32, checksum


@dataclass(frozen=True, slots=True)
class Loaded:
    """Pools in the order asked for, and those that must not be traded, with their reasons."""

    pools: tuple[Pool, ...]
    refused: Mapping[Address, str] = field(default_factory=dict)


async def load_pools(
    node: Node, specs: Iterable[PoolSpec], block: int | Hash32, *, v3_words: int | None = None
) -> Loaded:
    """The state of each pool at the end of ``block`` (number or hash), in the order of ``specs``.

    All pools advance together, so that a few rounds of batches do for any number of them. ``v3_words`` bitmap words
    are loaded on either side of a V3 price (None: what ±10 % of the price needs).

    Raises:
        NodeError: the node does not answer for a slot.
    """
    wanted = tuple(specs)
    found = await answers(node, (_question(spec, v3_words) for spec in wanted), place_of(block))
    by_pool = {spec.address: one for spec, one in zip(wanted, found, strict=True)}
    return Loaded(
        tuple(one for one in by_pool.values() if not isinstance(one, Refused)),
        {at: one.reason for at, one in by_pool.items() if isinstance(one, Refused)},
    )


def _question(spec: PoolSpec, v3_words: int | None) -> Question[Pool | Refused]:
    def load(slots: Mapping[int, int], elsewhere: Elsewhere) -> Pool | Refused | Needs:
        try:
            return load_pool(spec, slots, v3_words, elsewhere)
        except CorruptPool as error:
            # one such pool, which may have changed behind its proxy, is no reason to doubt the others
            return Refused(f"its storage is not that of such a pool ({error}); check the pool file")

    return Question(spec.address, load, f"{spec.protocol} pool {checksum(spec.address)}")
