"""``Initialize`` of Uniswap V4's PoolManager: id and currencies are topics; fee, spacing and hooks are data."""

from __future__ import annotations

from typing import Final

from flasharb.pools.creation import Creation, FactoryLog
from flasharb.pools.managed.files import MANAGERS
from flasharb.pools.managed.key import PoolKey, spec_of
from flasharb.pools.spec import PoolSpec
from flasharb.settings import Chain, wrapped_native


def _read(_protocol: str, log: FactoryLog, chain_id: int) -> PoolSpec:
    spacing = int.from_bytes(log.data[32:64], "big", signed=True)
    key = PoolKey(log.topic_address(2), log.topic_address(3), log.word(0), spacing, log.address(2))
    if key.pool_id() != log.topics[1]:
        raise ValueError(f"pool id 0x{log.topics[1].hex()} is not that of the key beside it")
    return spec_of(log.emitter, key, wrapped_native(Chain(id=chain_id)))


INITIALIZE: Final = Creation(
    "Initialize(bytes32,address,address,uint24,int24,address,uint160,int24)",
    3,
    5,
    _read,
    {chain_id: (manager,) for chain_id, manager in MANAGERS.items()},
)
