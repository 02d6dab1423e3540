"""CryptoSwap pools in pool files: their facts, and what vouches for them.

``{"rules": "tricrypto2", "decimals": [6, 8, 18], "lp_supply": ["0x…", 4]}``; ``lp_supply`` is the LP token, where that
is a contract of its own, and the slot of its total supply. That the contract is what the entry says is seen when the
pool is loaded, by its code and storage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flasharb.pools.cryptoswap.rules import RULES, CryptoFacts, facts_of
from flasharb.pools.curve import coins_digits
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address, address, checksum


def vouch(spec: PoolSpec, _chain_id: int) -> str | None:
    """Why tokens and facts do not go together."""
    facts, count = facts_of(spec), len(spec.tokens)
    if count == facts.rules.coins == len(facts.precisions):
        return None
    return (
        f"{checksum(spec.address)} lists {count} tokens and {len(facts.precisions)} decimals, "
        f"a pool of {facts.rules.name} has {facts.rules.coins} coins"
    )


def read_facts(item: Mapping[str, Any]) -> CryptoFacts:
    """The facts of an entry.

    Raises:
        ValueError: a key is missing, unknown or wrong.
    """
    if not {"rules", "decimals"} <= item.keys() <= {"rules", "decimals", "lp_supply"}:
        raise ValueError(f"expected the keys rules, decimals, perhaps lp_supply, not {', '.join(item) or 'none'}")
    rules = item["rules"]
    if rules not in RULES:
        raise ValueError(f"rules: {rules!r} is none of {', '.join(RULES)}")
    return CryptoFacts(RULES[rules], coins_digits(item["decimals"], 18), _supply(item.get("lp_supply")))


def write_facts(facts: CryptoFacts) -> dict[str, Any]:
    """``read_facts`` the other way round."""
    decimals = [18 - (len(str(precision)) - 1) for precision in facts.precisions]
    item: dict[str, Any] = {"rules": facts.rules.name, "decimals": decimals}
    return item if facts.supply is None else {**item, "lp_supply": [checksum(facts.supply[0]), facts.supply[1]]}


def _supply(item: object) -> tuple[Address, int] | None:
    if item is None:
        return None
    token, slot = item if isinstance(item, list) and len(item) == 2 else (None, None)
    if not isinstance(token, str) or type(slot) is not int or not 0 <= slot < 256:
        raise ValueError(f"lp_supply: expected the LP token and the slot of its total supply, not {item!r}")
    return address(token), slot
