"""How Curve tells of new StableSwap pools: its factories by a log without the pool's address, its registry by name.

Every factory keeps a list of its pools, which is asked instead. Whether a pool is one whose mathematics is proven, its
code says (``admission.recognise``).
"""

from __future__ import annotations

from typing import Final

from flasharb.pools.creation import Creation, in_topic, listed
from flasharb.pools.stableswap.storage import identify
from flasharb.units import address

_FIRST_FACTORY: Final = address("0x0959158b6040D32d04c301A72CBFD6b39E21c9AE")
_FACTORY: Final = address("0xB9fC157394Af804a3578134A6585C0dc9cc990d4")
_CRVUSD_FACTORY: Final = address("0x4F8846Ae9380B90d2E71D5e3D042dff3E7ebb40d")
_NG_FACTORY: Final = address("0x6A8cbed756804B16E05E741eDaBd5cB544AE21bf")
_REGISTRY: Final = address("0x90E00ACe148ca3b23Ac1bC8C240C2a7Dd9c2d7f5")

_LISTED: Final = listed(identify)

CREATIONS: Final = (
    Creation("PlainPoolDeployed(address[4],uint256,uint256,address)", 0, 7, _LISTED, {1: (_FACTORY, _CRVUSD_FACTORY)}),
    Creation("PlainPoolDeployed(address[],uint256,uint256,address)", 0, None, _LISTED, {1: (_NG_FACTORY,)}),
    Creation(
        "MetaPoolDeployed(address,address,uint256,uint256,address)",
        0,
        5,
        _LISTED,
        {1: (_FIRST_FACTORY, _FACTORY, _CRVUSD_FACTORY, _NG_FACTORY)},
    ),
    Creation("PoolAdded(address,bytes)", 1, None, in_topic(identify), {1: (_REGISTRY,)}),
)
"""Logs of the factories (the two of 2021, crvUSD's, "ng") and of the registry, which has the pools before them."""
