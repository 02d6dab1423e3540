"""A pair from storage slots, without doing the reading. See ``pools.storage`` for the manner.

Fee and pause stand in the factory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flasharb.pools.events import Rule, rules, word
from flasharb.pools.solidly.facts import SolidlyFacts
from flasharb.pools.solidly.pool import SolidlyPool
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import Elsewhere, Needs, Refused, mapping_slot
from flasharb.units import BPS, Address

_PAUSED: Final = 0
_NO_FEE: Final = 420
"""What a factory keeps for a pair without a fee; zero means that the pair has none of its own."""


def facts_of(spec: PoolSpec) -> SolidlyFacts:
    """The facts of a pair."""
    assert isinstance(spec.facts, SolidlyFacts)
    return spec.facts


def load(spec: PoolSpec, slots: Mapping[int, int], elsewhere: Elsewhere) -> SolidlyPool | Needs | Refused:
    """The pair at these slots, or what is still missing, or why it must not be traded."""
    facts = facts_of(spec)
    at, fees, paused = facts.slots.reserves, _fee_slots(spec, facts), (facts.factory, _PAUSED)
    missing = Needs(frozenset({at, at + 1}) - slots.keys(), frozenset({paused, *fees}) - elsewhere.slots.keys())
    if missing.slots or missing.elsewhere:
        return missing
    if elsewhere.slots[paused] & 0xFF:
        return Refused("the factory has paused its pairs")
    fee = _fee([elsewhere.slots[slot] for slot in fees])
    if fee >= BPS:
        return Refused(f"its factory says that it takes a fee of {fee} basis points, which leaves nothing")
    return SolidlyPool(spec, facts, (slots[at], slots[at + 1]), fee)


def _fee_slots(spec: PoolSpec, facts: SolidlyFacts) -> list[tuple[Address, int]]:
    """The factory's slots with the usual fee and the pair's own, where there are such."""
    layout = facts.slots
    if layout.fees is None:
        return []
    found = [(facts.factory, layout.fees[0 if facts.stable else 1])]
    if layout.custom_fees is not None:
        found.append((facts.factory, mapping_slot(int.from_bytes(spec.address, "big"), layout.custom_fees)))
    return found


def _fee(words: list[int]) -> int:
    """In basis points, as the factory answers; Solidly's first pairs ask nobody."""
    if not words:
        return 1
    usual, *custom = words
    if any(custom):
        return 0 if custom == [_NO_FEE] else custom[0]
    return usual


RULES: Final = rules(Rule("Sync(uint256,uint256)", 0, 2, lambda pool, log: pool.after_sync(word(log, 0), word(log, 1))))
"""Every change of the reserves ends with a Sync. A new fee is told by no log of the pair: load it anew now and then."""
