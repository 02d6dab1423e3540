"""A pair from storage slots, without doing the reading. See ``pools.loading`` for the manner.

``slots`` are the pair's own, ``elsewhere`` holds those of its factory (fee and pause).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flasharb.pools.loading import mapping_slot
from flasharb.pools.needs import NeedsSlots, missing_slots
from flasharb.pools.solidly.facts import SolidlyFacts
from flasharb.pools.solidly.pool import SolidlyPool
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address

_PAUSED: Final = 0
_NO_FEE: Final = 420
"""What a factory keeps for a pair without a fee; zero means that the pair has none of its own."""


def load(
    spec: PoolSpec, facts: SolidlyFacts, slots: Mapping[int, int], elsewhere: Mapping[tuple[Address, int], int]
) -> SolidlyPool | NeedsSlots:
    """The pair at these slots, or what is still missing. Whether it may be traded: see ``admit``."""
    at = facts.slots.reserves
    missing = missing_slots({at, at + 1}, slots)
    fee = fee_of(spec.address, facts, elsewhere)
    if missing or isinstance(fee, NeedsSlots):
        own = missing.slots if missing else frozenset()
        return NeedsSlots(own, fee.elsewhere if isinstance(fee, NeedsSlots) else frozenset())
    return SolidlyPool(spec, facts, (slots[at], slots[at + 1]), fee)


def fee_of(pair: Address, facts: SolidlyFacts, elsewhere: Mapping[tuple[Address, int], int]) -> int | NeedsSlots:
    """The pair's fee in basis points, as its factory would answer."""
    layout = facts.slots
    if layout.fees is None:
        return 1
    wanted = [(facts.factory, layout.fees[0 if facts.stable else 1])]
    if layout.custom_fees is not None:
        wanted.append((facts.factory, mapping_slot(int.from_bytes(pair, "big"), layout.custom_fees)))
    missing = frozenset(wanted) - elsewhere.keys()
    if missing:
        return NeedsSlots(elsewhere=missing)
    usual, *custom = (elsewhere[slot] for slot in wanted)
    if any(custom):
        return 0 if custom == [_NO_FEE] else custom[0]
    return usual


def admit(facts: SolidlyFacts, elsewhere: Mapping[tuple[Address, int], int]) -> str | NeedsSlots | None:
    """Why the pair must not be traded as it stands, None where nothing speaks against it; or what is not known yet."""
    at = (facts.factory, _PAUSED)
    if at not in elsewhere:
        return NeedsSlots(elsewhere=frozenset({at}))
    return "the factory has paused its pairs" if elsewhere[at] & 0xFF else None
