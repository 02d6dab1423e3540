"""Pairs of Solidly's family in pool files: their facts as JSON.

``{"kind": "velodrome_v2", "stable": true, "decimals": [18, 6], "factory": "0x…"}``
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flasharb.pools.solidly.facts import LAYOUTS, SolidlyFacts
from flasharb.units import address


def read_facts(item: Mapping[str, Any]) -> SolidlyFacts:
    """The facts of an entry.

    Raises:
        ValueError: a key is missing, unknown or wrong.
    """
    if item.keys() != {"kind", "stable", "decimals", "factory"}:
        raise ValueError(f"expected exactly the keys kind, stable, decimals, factory, not {', '.join(item) or 'none'}")
    kind, stable, decimals, factory = (item[name] for name in ("kind", "stable", "decimals", "factory"))
    if kind not in LAYOUTS:
        raise ValueError(f"kind: {kind!r} is none of {', '.join(LAYOUTS)}")
    if not isinstance(stable, bool):
        raise ValueError(f"stable: expected true or false, not {stable!r}")
    right = isinstance(decimals, list) and len(decimals) == 2 and all(type(digits) is int for digits in decimals)
    if not right or not all(0 <= digits <= 36 for digits in decimals):
        raise ValueError(f"decimals: expected those of both tokens, not {decimals!r}")
    if not isinstance(factory, str):
        raise ValueError(f"factory: expected an address in text, not {factory!r}")
    return SolidlyFacts(kind, stable, (10 ** decimals[0], 10 ** decimals[1]), address(factory))
