"""StableSwap pools in pool files: their facts, and what vouches for them.

``{"rules": "template", "decimals": [18, 6], "lp_supply_slot": 9}``; ``lp_supply_slot`` is where the LP token, listed
after the coins, keeps its total supply; without it the pool trades its coins only. ``"native": 0`` says which coin is
ether, which is listed as WETH; ``"base": "0x…"`` the base pool of a metapool (``codes.BASES``). That the contract is
what the entry says is seen when the pool is loaded, by its code and storage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flasharb.pools.curve import coins_digits
from flasharb.pools.spec import PoolSpec
from flasharb.pools.stableswap.codes import BASES
from flasharb.pools.stableswap.rules import RULES, StableFacts, facts_of
from flasharb.settings import Chain, wrapped_native
from flasharb.units import address, checksum


def vouch(spec: PoolSpec, chain_id: int) -> str | None:
    """Why tokens and facts do not go together."""
    facts = facts_of(spec)
    if facts.base is not None and spec.tokens[facts.lp_index - 1] != facts.base.tokens[-1]:
        return f"the last coin of a metapool must be the LP token of {checksum(facts.base.address)}"
    if facts.native is not None and spec.tokens[facts.native] != wrapped_native(Chain(id=chain_id)):
        return f"coin {facts.native} is ether, for which the wrapped native token of chain {chain_id} must be listed"
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
    required, more = {"rules", "decimals"}, {"lp_supply_slot", "native", "base"}
    if not required <= item.keys() <= required | more:
        raise ValueError(
            f"expected the keys rules, decimals, perhaps {', '.join(sorted(more))}, not {', '.join(item) or 'none'}"
        )
    rules, slot, native = item["rules"], item.get("lp_supply_slot"), item.get("native")
    if rules not in RULES:
        raise ValueError(f"rules: {rules!r} is none of {', '.join(RULES)}")
    if slot is not None and (type(slot) is not int or not 0 <= slot < 256):
        raise ValueError(f"lp_supply_slot: expected a whole number from 0 to 255, not {slot!r}")
    rates = coins_digits(item["decimals"], 36)
    if native is not None and (type(native) is not int or not 0 <= native < len(rates)):
        raise ValueError(f"native: expected the number of the coin that is ether, not {native!r}")
    if RULES[rules].coins not in (None, len(rates)):
        raise ValueError(f"decimals: a pool of {rules} has {RULES[rules].coins} coins, not {len(rates)}")
    return StableFacts(RULES[rules], rates, slot, native, _base(item.get("base")))


def write_facts(facts: StableFacts) -> dict[str, Any]:
    """``read_facts`` the other way round."""
    decimals = [36 - (len(str(rate)) - 1) for rate in facts.rates]
    item: dict[str, Any] = {"rules": facts.rules.name, "decimals": decimals}
    base = None if facts.base is None else checksum(facts.base.address)
    more = {"lp_supply_slot": facts.supply_slot, "native": facts.native, "base": base}
    return item | {name: value for name, value in more.items() if value is not None}


def _base(item: object) -> PoolSpec | None:
    if item is None:
        return None
    base = BASES.get(address(item)) if isinstance(item, str) else None
    if base is None:
        raise ValueError(f"base: expected one of {', '.join(map(checksum, BASES))}, not {item!r}")
    return base
