"""How Curve tells of new CryptoSwap pools; the first factory's log names the LP token only, so its list is asked."""

from __future__ import annotations

from typing import Final

from flasharb.pools.creation import Creation, in_data, in_topic, listed
from flasharb.pools.cryptoswap.storage import identify
from flasharb.units import address

_FACTORY: Final = address("0xF18056Bbd320E96A48e3Fbf8bC061322531aac99")
_TRICRYPTO_FACTORY: Final = address("0x0c0e5f2fF0ff18a3be9b835635039256dC4B4963")
_TWOCRYPTO_FACTORY: Final = address("0x98EE851a00abeE0d95D08cF4CA2BdCE32aeaAF7F")
_REGISTRY: Final = address("0x8F942C20D02bEfc377D41445793068908E2250D0")

CREATIONS: Final = (
    Creation(
        f"CryptoPoolDeployed(address,address[2],{'uint256,' * 10}address)",
        0,
        14,
        listed(identify),
        {1: (_FACTORY,)},
    ),
    Creation(
        f"TricryptoPoolDeployed(address,string,string,address,address[3],address,bytes32,{'uint256,' * 5}address)",
        0,
        None,
        in_data(identify),
        {1: (_TRICRYPTO_FACTORY,)},
    ),
    Creation(
        f"TwocryptoPoolDeployed(address,string,string,address[2],address,bytes32,uint256[2],{'uint256,' * 4}address)",
        0,
        None,
        in_data(identify),
        {1: (_TWOCRYPTO_FACTORY,)},
    ),
    Creation("PoolAdded(address)", 1, 0, in_topic(identify), {1: (_REGISTRY,)}),
)
"""Logs of the factories (2022, "tricrypto-ng", "twocrypto-ng") and of the registry, which has the pools before them."""
