"""``PoolCreated`` of V3 factories: tokens and fee are topics, tick spacing and address are data."""

from __future__ import annotations

from typing import Final

from flasharb.pools.creation import Creation, FactoryLog
from flasharb.pools.spec import PoolSpec


def _read(protocol: str, log: FactoryLog) -> PoolSpec:
    fee_pips, spacing = int.from_bytes(log.topics[3], "big"), log.word(0)
    if not (0 < spacing < 1 << 23 and fee_pips < 1 << 24):
        raise ValueError(f"a pool with fee {fee_pips} and tick spacing {spacing} cannot be")
    return PoolSpec(log.address(1), protocol, (log.topic_address(1), log.topic_address(2)), fee_pips, spacing)


POOL_CREATED: Final = Creation("PoolCreated(address,address,uint24,int24,address)", 3, 2, _read)
