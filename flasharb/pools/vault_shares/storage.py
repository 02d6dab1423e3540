"""A vault from two storage slots: its balance in the asset's contract, and its own total supply."""

from __future__ import annotations

from collections.abc import Mapping

from flasharb.pools.needs import NeedsSlots
from flasharb.pools.vault_shares.pool import VaultFacts, VaultPool, spec_of
from flasharb.units import Address


def load(
    facts: VaultFacts, slots: Mapping[int, int], elsewhere: Mapping[tuple[Address, int], int]
) -> VaultPool | NeedsSlots:
    """The vault, or what is missing: ``slots`` are the vault's own, ``elsewhere`` has those of other contracts."""
    held_at = (facts.asset, facts.held_slot)
    if facts.supply_slot not in slots or held_at not in elsewhere:
        return NeedsSlots(frozenset({facts.supply_slot} - slots.keys()), frozenset({held_at} - elsewhere.keys()))
    return VaultPool(spec_of(facts), facts, elsewhere[held_at], slots[facts.supply_slot])
