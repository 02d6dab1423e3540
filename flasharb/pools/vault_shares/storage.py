"""A vault from two storage slots: its balance in the asset's contract, and its own total supply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flasharb.pools.events import Log, Rule, rules, word
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import Elsewhere, Needs, Refused
from flasharb.pools.untried import Untried
from flasharb.pools.vault_shares.pool import VaultFacts, VaultPool
from flasharb.units import ZERO_ADDRESS, Address


def load(spec: PoolSpec, slots: Mapping[int, int], elsewhere: Elsewhere) -> VaultPool | Needs | Refused:
    """The vault, or what is missing: ``slots`` are the vault's own, ``elsewhere`` has the asset's."""
    facts = spec.facts
    if isinstance(facts, Untried):
        return Refused(facts.reason)
    assert isinstance(facts, VaultFacts)
    held_at = (facts.asset, facts.held_slot)
    if facts.supply_slot not in slots or held_at not in elsewhere.slots:
        return Needs(frozenset({facts.supply_slot} - slots.keys()), frozenset({held_at} - elsewhere.slots.keys()))
    return VaultPool(spec, facts, elsewhere.slots[held_at], slots[facts.supply_slot])


def _after_transfer(pool: VaultPool, log: Log) -> VaultPool:
    sender, receiver = (Address(topic[12:]) for topic in log.topics[1:3])
    vault, amount = pool.facts.vault, word(log, 0)
    if log.pool == pool.facts.asset:
        return pool.after_assets_moved(amount * ((receiver == vault) - (sender == vault)))
    return pool.after_shares_changed(amount * ((sender == ZERO_ADDRESS) - (receiver == ZERO_ADDRESS)))


RULES: Final = rules(Rule("Transfer(address,address,uint256)", 2, 1, _after_transfer))
"""How a vault follows its asset's and its own transfers; the asset is its source."""
