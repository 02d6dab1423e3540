"""Constant-rate pools in pool files: their facts, and who vouches for their addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flasharb.pools.constant_rate.storage import PsmFacts
from flasharb.pools.spec import PoolSpec
from flasharb.settings import Chain, wrapped_native
from flasharb.units import Address, address, checksum

LITE_PSM: Final[Mapping[int, Mapping[Address, tuple[tuple[Address, Address], PsmFacts]]]] = {
    1: {
        address("0xf6e72Db5454dd049d0788e411b06CfAF16853042"): (
            (
                address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"),
                address("0x6B175474E89094C44Da98b954EedeAC495271d0F"),
            ),
            PsmFacts(address("0x37305B1cD40574E4C5Ce33f8e8306Be057fD7341"), 10**12, gem_balances=9, dai_balances=2),
        )
    },
}
"""The modules that are known, by chain: their tokens and facts, so that no file can give one another rate."""


def vouch(spec: PoolSpec, chain_id: int) -> str | None:
    """Why the address is not that of the wrapper, or of a module that is known; or what the entry says is not so."""
    if spec.protocol == "maker_lite_psm":
        known = LITE_PSM.get(chain_id, {}).get(spec.address)
        if known is None:
            return f"{checksum(spec.address)} is no PSM that is known on chain {chain_id}"
        tokens, facts = known
        if spec.tokens != tokens:
            return f"the tokens of {checksum(spec.address)} are {', '.join(map(checksum, tokens))}, in this order"
        return None if spec.facts == facts else f"the facts of {checksum(spec.address)} are {write_psm_facts(facts)}"
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
