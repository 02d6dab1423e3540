"""From the chain's state to pools; each protocol says in the registry how it is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flasharb.pools.contract import Pool
from flasharb.pools.protocols import PROTOCOLS
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import CorruptPool, Elsewhere, Needs, Refused, mapping_slot

NOTHING_ELSE: Final = Elsewhere()


def load_pool(
    spec: PoolSpec,
    slots: Mapping[int, int],
    words_each_side: int | None = None,
    elsewhere: Elsewhere = NOTHING_ELSE,
) -> Pool | Needs | Refused:
    """The pool that these storage slots of its contract describe, or what is still missing, or why not to trade it.

    ``words_each_side`` bitmap words are loaded on either side of a concentrated pool's price (None: what 10 % of the
    price need); ``elsewhere`` is what is known of other contracts, code and time.

    Raises:
        CorruptPool: the slots contradict each other.
    """
    return PROTOCOLS[spec.protocol].load(spec, slots, elsewhere, words_each_side)


__all__ = ["CorruptPool", "Elsewhere", "Needs", "Refused", "load_pool", "mapping_slot"]
