"""Pools of the Vault in pool files: their facts as JSON, and back to what ``code.recognise`` reads from the chain.

::

    {"kind": "weighted_v3", "pool_id": "0x…", "decimals": [18, 18], "pausable_until": 1690000000,
     "weights": [800000000000000000, 200000000000000000]}
    {"kind": "stable_v3", "pool_id": "0x…", "decimals": [18, 18, 6], "pausable_until": 1690000000,
     "has_rate": [false, false, true], "exempt": [false, false, false], "bpt": 1}

``vault`` may be given where it is not Balancer's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

from flasharb.pools.balancer.code import VAULT
from flasharb.pools.balancer.facts import Specialisation, WeightedFacts, WeightedKind, specialisation
from flasharb.pools.balancer.log_exp import ONE
from flasharb.pools.balancer.stable_facts import StableFacts, StableKind
from flasharb.units import Address, Hash32, address

_ALWAYS: Final = {"kind", "pool_id", "decimals", "pausable_until"}


def read_facts(item: Mapping[str, Any]) -> WeightedFacts | StableFacts:
    """The facts of an entry.

    Raises:
        ValueError: a key is missing, unknown or wrong.
    """
    kind = item.get("kind")
    stable = kind in get_args(StableKind)
    if not stable and kind not in get_args(WeightedKind):
        raise ValueError(f"kind: {kind!r} is none of {', '.join(get_args(WeightedKind) + get_args(StableKind))}")
    keys = _ALWAYS | ({"has_rate", "exempt", "bpt"} if stable else {"weights"})
    if item.keys() - {"vault"} != keys:
        raise ValueError(f"expected the keys {', '.join(sorted(keys))}, not {', '.join(sorted(item))}")
    vault = _vault(item.get("vault"))
    pool_id = _pool_id(item["pool_id"])
    decimals = _numbers(item, "decimals", 18)
    scaling = tuple(10 ** (18 - digits) for digits in decimals)
    until, count = _number(item["pausable_until"], "pausable_until", 1 << 64), len(decimals)
    if stable:
        if specialisation(pool_id) is not Specialisation.GENERAL:
            raise ValueError("pool_id: that of a stable pool has the specialisation 0")
        bpt = _number(item["bpt"], "bpt", count - 1)
        flags = _flags(item, "has_rate", count), _flags(item, "exempt", count)
        return StableFacts(vault, pool_id, kind, bpt, scaling, *flags, until)  # type: ignore[arg-type]
    weights = _numbers(item, "weights", ONE)
    if len(weights) != count or not all(weights) or sum(weights) != ONE:
        raise ValueError(f"weights: expected {count} of 18 decimals that add up to {ONE}, not {weights}")
    return WeightedFacts(vault, pool_id, kind, scaling, weights, until)  # type: ignore[arg-type]


def _vault(text: object) -> Address:
    if text is None:
        return VAULT
    if not isinstance(text, str):
        raise ValueError(f"vault: expected an address in text, not {text!r}")
    return address(text)


def _pool_id(text: object) -> Hash32:
    try:
        raw = bytes.fromhex(str(text).removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise ValueError(f"pool_id: expected 32 bytes of hex, not {text!r}")
    specialisation(Hash32(raw))
    return Hash32(raw)


def _number(value: object, key: str, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{key}: expected a whole number from 0 to {most}, not {value!r}")
    return value


def _numbers(item: Mapping[str, Any], key: str, most: int) -> tuple[int, ...]:
    values = item[key]
    if not isinstance(values, list) or len(values) < 2:
        raise ValueError(f"{key}: expected a list with a number for each token, not {values!r}")
    return tuple(_number(value, key, most) for value in values)


def _flags(item: Mapping[str, Any], key: str, count: int) -> tuple[bool, ...]:
    values = item[key]
    if not isinstance(values, list) or len(values) != count or not all(isinstance(value, bool) for value in values):
        raise ValueError(f"{key}: expected {count} of true and false, not {values!r}")
    return tuple(values)
