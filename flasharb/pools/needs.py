"""What a pool that lives in several contracts asks for: slots of its own and of others, or a fresh load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flasharb.units import Address


@dataclass(frozen=True, slots=True)
class NeedsSlots:
    """Storage that must be known before a pool can be built: ``slots`` of its own contract, ``elsewhere`` of others."""

    slots: frozenset[int] = frozenset()
    elsewhere: frozenset[tuple[Address, int]] = frozenset()


class NeedsReload(Exception):
    """An event does not give the pool's new state exactly; load it from storage. The message says why."""


def missing_slots(wanted: set[int], slots: Mapping[int, int]) -> NeedsSlots | None:
    """What of the pool's own ``wanted`` slots is not known yet, or None."""
    missing = wanted - slots.keys()
    return NeedsSlots(frozenset(missing)) if missing else None
