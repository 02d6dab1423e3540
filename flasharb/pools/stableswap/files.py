"""StableSwap pools in pool files: their facts, and what vouches for them.

``{"rules": "template", "decimals": [18, 6], "lp_supply_slot": 9}``; ``lp_supply_slot`` is where the LP token, listed
after the coins, keeps its total supply; without it the pool trades its coins only. That the contract is what the entry
says is seen when the pool is loaded, by its code and storage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flasharb.pools.curve import coins_digits
from flasharb.pools.spec import PoolSpec
from flasharb.pools.stableswap.rules import RULES, StableFacts, facts_of
from flasharb.units import checksum


def vouch(spec: PoolSpec, _chain_id: int) -> str | None:
    """Why tokens and facts do not go together."""
    facts = facts_of(spec)
    tokens = facts.lp_index + (facts.supply_slot is not None)
    if len(spec.tokens) == tokens:
        return None
    told = "coins and the LP token" if facts.supply_slot is not None else "coins (no lp_supply_slot)"
    return f"{checksum(spec.address)} lists {len(spec.tokens)} tokens, its facts tell of {tokens} {told}"


def read_facts(item: Mapping[str, Any]) -> StableFacts:
    """The facts of an entry.

    Raises:
        ValueError: a key is missing, unknown or wrong.
    """
    if not {"rules", "decimals"} <= item.keys() <= {"rules", "decimals", "lp_supply_slot"}:
        raise ValueError(f"expected the keys rules, decimals, perhaps lp_supply_slot, not {', '.join(item) or 'none'}")
    rules, slot = item["rules"], item.get("lp_supply_slot")
    if rules not in RULES:
        raise ValueError(f"rules: {rules!r} is none of {', '.join(RULES)}")
    if slot is not None and (type(slot) is not int or not 0 <= slot < 256):
        raise ValueError(f"lp_supply_slot: expected a whole number from 0 to 255, not {slot!r}")
    return StableFacts(RULES[rules], coins_digits(item["decimals"], 36), slot)


def write_facts(facts: StableFacts) -> dict[str, Any]:
    """``read_facts`` the other way round."""
    decimals = [36 - (len(str(rate)) - 1) for rate in facts.rates]
    item: dict[str, Any] = {"rules": facts.rules.name, "decimals": decimals}
    return item if facts.supply_slot is None else {**item, "lp_supply_slot": facts.supply_slot}
