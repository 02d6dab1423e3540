"""``PairCreated`` and ``PoolCreated`` of Solidly's family: tokens and kind of curve; what is missing are the decimals.

The pair itself knows the units that it reckons with, and tells them (``metadata``). It is believed because its address
follows from its factory, which is checked for every pool that is taken.
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
from flasharb.units import ZERO_ADDRESS, Address

METADATA: Final = keccak(b"metadata()")[:4]
"""Answers units, reserves, kind of curve and tokens, in all of the family."""
_MOST_DECIMALS: Final = 36


def drafts(kind: str, factory: Address, tokens: tuple[Address, Address]) -> tuple[PoolSpec, PoolSpec]:
    """The volatile and the stable pair of two tokens, without their address, and with units that are still unknown."""
    volatile, stable = (
        PoolSpec(ZERO_ADDRESS, kind, tokens, 0, facts=SolidlyFacts(cast(SolidlyKind, kind), one, (0, 0), factory))
        for one in (False, True)
    )
    return volatile, stable


def completed(draft: PoolSpec, _slots: Mapping[int, int], elsewhere: Elsewhere) -> PoolSpec | Needs | Refused:
    """The pair with the units that it tells."""
    call = draft.address, METADATA
    if call not in elsewhere.answers:
        return Needs(calls=frozenset({call}))
    answer, facts = elsewhere.answers[call], facts_of(draft)
    if len(answer) != 7 * 32:
        return Refused("it does not answer metadata() as a pair of this family")
    words = [int.from_bytes(answer[at : at + 32], "big") for at in range(0, len(answer), 32)]
    units = words[0], words[1]
    if [words[4], *words[5:]] != [facts.stable, *(int.from_bytes(token, "big") for token in draft.tokens)]:
        return Refused("by its own words it is a pair of other tokens, or of the other curve")
    if not all(unit in _UNITS for unit in units):
        return Refused(f"the units that it reckons with, {units[0]} and {units[1]}, are no powers of ten")
    return replace(draft, facts=replace(facts, units=units))


_UNITS: Final = frozenset(10**digits for digits in range(_MOST_DECIMALS + 1))


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
