"""``PairCreated`` of V2 factories: the tokens are topics, the pair's address is data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flasharb.pools.creation import Creation, FactoryLog
from flasharb.pools.spec import PoolSpec

SIGNATURE: Final = "PairCreated(address,address,address,uint256)"


def pair_created(fee_pips: int) -> Creation:
    """The creation log of factories whose pairs all take this fee."""
    return Creation(SIGNATURE, 2, 2, _reader(fee_pips))


def _reader(fee_pips: int) -> Callable[[str, FactoryLog], PoolSpec]:
    def read(protocol: str, log: FactoryLog) -> PoolSpec:
        return PoolSpec(log.address(0), protocol, (log.topic_address(1), log.topic_address(2)), fee_pips)

    return read
