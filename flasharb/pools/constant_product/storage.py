"""A pair from its storage: one packed slot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flasharb.pools.constant_product.pool import V2Pool
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import Needs

_UINT112 = (1 << 112) - 1


@dataclass(frozen=True, slots=True)
class V2Layout:
    """Storage slots of a pair: where the packed reserves stand."""

    reserves: int = 8


def load(spec: PoolSpec, layout: V2Layout, slots: Mapping[int, int]) -> V2Pool | Needs:
    """The pool, or the slot that is missing."""
    if layout.reserves not in slots:
        return Needs(frozenset({layout.reserves}))
    packed = slots[layout.reserves]
    return V2Pool(spec, packed & _UINT112, packed >> 112 & _UINT112)
