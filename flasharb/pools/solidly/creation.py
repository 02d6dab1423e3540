"""``PairCreated`` and ``PoolCreated`` of Solidly's family: tokens and kind of curve; what is missing are the decimals.

The tokens are asked for those, as the pair did when it was created.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final, cast

from eth_hash.auto import keccak

from flasharb.pools.creation import Claim, Creation, FactoryLog
from flasharb.pools.solidly.facts import SolidlyFacts, SolidlyKind
from flasharb.pools.solidly.storage import facts_of
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import Elsewhere, Needs, Refused
from flasharb.units import ZERO_ADDRESS, Address, checksum

DECIMALS: Final = keccak(b"decimals()")[:4]
_MOST_DECIMALS: Final = 36


def drafts(kind: str, factory: Address, tokens: tuple[Address, Address]) -> tuple[PoolSpec, PoolSpec]:
    """The volatile and the stable pair of two tokens, without their address, and with units that are still unknown."""
    volatile, stable = (
        PoolSpec(ZERO_ADDRESS, kind, tokens, 0, facts=SolidlyFacts(cast(SolidlyKind, kind), one, (0, 0), factory))
        for one in (False, True)
    )
    return volatile, stable


def completed(draft: PoolSpec, _slots: Mapping[int, int], elsewhere: Elsewhere) -> PoolSpec | Needs | Refused:
    """The pair with the units that it reckons with."""
    calls = [(token, DECIMALS) for token in draft.tokens]
    missing = frozenset(calls) - elsewhere.answers.keys()
    if missing:
        return Needs(calls=missing)
    units = []
    for call in calls:
        answer = elsewhere.answers[call]
        digits = int.from_bytes(answer, "big")
        if len(answer) != 32 or digits > _MOST_DECIMALS:
            return Refused(f"the token {checksum(call[0])} does not tell its decimals")
        units.append(10**digits)
    return replace(draft, facts=replace(facts_of(draft), units=(units[0], units[1])))


def _claim(protocol: str, log: FactoryLog, stable: int, pair: Address) -> Claim:
    if stable not in (0, 1):
        raise ValueError(f"a pair that is stable or not by {stable} cannot be")
    draft = drafts(protocol, log.emitter, (log.topic_address(1), log.topic_address(2)))[stable]
    return Claim(pair, partial(completed, replace(draft, address=pair)))


PAIR_CREATED: Final = Creation(
    "PairCreated(address,address,bool,address,uint256)",
    2,
    3,
    lambda protocol, log, _chain_id: _claim(protocol, log, log.word(0), log.address(1)),
)
"""Solidly and Velodrome V1."""
POOL_CREATED: Final = Creation(
    "PoolCreated(address,address,bool,address,uint256)",
    3,
    2,
    lambda protocol, log, _chain_id: _claim(protocol, log, int.from_bytes(log.topics[3], "big"), log.address(0)),
)
"""Velodrome V2 and Aerodrome."""
