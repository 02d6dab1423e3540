"""Gas of a trade before anybody has run it: the least it can take, so that no good trade is dropped on a guess.

Measured floors of hard-wired two-pool routes on real pools (V2>V2 129,170; V2>V3 139,972; V3>V3 179,846) split into a
base and a share per pool, which the protocol says. The simulation gives the real figure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from flasharb.pools.protocols import PROTOCOLS
from flasharb.strategy.trade import TradeHop
from flasharb.units import Address

BASE_GAS: Final = 29_000

COINBASE_PAYMENT_GAS: Final = 17_000
"""Unwrapping WETH and paying the block builder by a call (16.3k measured): what a direct bid adds to a trade."""


AGAIN: Final = 3
"""A pool's second swap in a transaction takes this part of the first: code and slots are warm, and written before."""


def gas_estimate(hops: Iterable[TradeHop]) -> int:
    """At least this much gas."""
    gas = BASE_GAS
    seen: set[Address] = set()
    for hop in hops:
        share = PROTOCOLS[hop.protocol].gas
        gas += share // AGAIN if hop.hop.pool in seen else share
        seen.add(hop.hop.pool)
    return gas
