"""Constant-rate pools in pool files: their facts, and who vouches for their addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flasharb.pools.constant_rate.storage import PsmFacts
from flasharb.pools.spec import PoolSpec
from flasharb.settings import Chain, wrapped_native
from flasharb.units import Address, address, checksum

LITE_PSM: Final[Mapping[int, frozenset[Address]]] = {
    1: frozenset({address("0xf6e72Db5454dd049d0788e411b06CfAF16853042")}),
}
"""The modules that are known, by chain."""


def vouch(spec: PoolSpec, chain_id: int) -> str | None:
    """Why the address is not that of the wrapper, or of a module that is known."""
    if spec.protocol == "maker_lite_psm":
        known = spec.address in LITE_PSM.get(chain_id, ())
        return None if known else f"{checksum(spec.address)} is no PSM that is known on chain {chain_id}"
    expected = wrapped_native(Chain(id=chain_id))
    if expected == spec.address:
        return None
    return f"the wrapped native token of chain {chain_id} is {checksum(expected) if expected else 'not known'}"


def read_psm_facts(item: Mapping[str, Any]) -> PsmFacts:
    """``{"pocket": "0x…", "scale_digits": 12, "gem_balances_slot": 9, "dai_balances_slot": 2}``.

    Raises:
        ValueError: a key is missing, unknown or wrong.
    """
    numbers = {name: item.get(name) for name in ("scale_digits", "gem_balances_slot", "dai_balances_slot")}
    if item.keys() != {"pocket", *numbers}:
        raise ValueError(f"expected exactly the keys pocket, {', '.join(numbers)}, not {', '.join(item) or 'none'}")
    for name, value in numbers.items():
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 256:
            raise ValueError(f"{name}: expected a whole number from 0 to 255, not {value!r}")
    pocket = item["pocket"]
    if not isinstance(pocket, str):
        raise ValueError(f"pocket: expected an address in text, not {pocket!r}")
    digits, gem, dai = (int(value or 0) for value in numbers.values())
    return PsmFacts(address(pocket), 10**digits, gem, dai)


def write_psm_facts(facts: PsmFacts) -> dict[str, Any]:
    """The facts as ``read_psm_facts`` takes them."""
    return {
        "pocket": checksum(facts.pocket),
        "scale_digits": len(str(facts.scale)) - 1,
        "gem_balances_slot": facts.gem_balances,
        "dai_balances_slot": facts.dai_balances,
    }
