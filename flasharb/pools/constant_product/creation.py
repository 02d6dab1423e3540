"""``PairCreated`` of V2 factories: the tokens are topics, the pair's address is data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flasharb.pools.constant_product import forks
from flasharb.pools.creation import Creation, FactoryLog, in_data
from flasharb.pools.spec import PoolSpec

SIGNATURE: Final = "PairCreated(address,address,address,uint256)"


def pair_created(fee_pips: int) -> Creation:
    """The creation log of factories whose pairs all take this fee."""
    return Creation(SIGNATURE, 2, 2, _reader(fee_pips))


def _reader(fee_pips: int) -> Callable[[str, FactoryLog, int], PoolSpec]:
    def read(protocol: str, log: FactoryLog, _chain_id: int) -> PoolSpec:
        return PoolSpec(log.address(0), protocol, (log.topic_address(1), log.topic_address(2)), fee_pips)

    return read


FORK_CREATED: Final = Creation(SIGNATURE, 2, 2, in_data(forks.identify), forks.FACTORIES)
"""The same of factories whose pairs differ in their fee: code and storage of the pair say what it charges."""
