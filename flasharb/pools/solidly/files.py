"""Pairs of Solidly's family in pool files: their facts as JSON.

``{"stable": true, "decimals": [18, 6], "factory": "0x…"}``; the entry's protocol says the kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from flasharb.pools.solidly.facts import SolidlyFacts, SolidlyKind
from flasharb.units import address


def reader(kind: str) -> Callable[[Mapping[str, Any]], SolidlyFacts]:
    """``read_facts`` for pairs of one kind."""
    return partial(read_facts, cast(SolidlyKind, kind))


def read_facts(kind: SolidlyKind, item: Mapping[str, Any]) -> SolidlyFacts:
    """The facts of an entry.

    Raises:
        ValueError: a key is missing, unknown or wrong.
    """
    if item.keys() != {"stable", "decimals", "factory"}:
        raise ValueError(f"expected exactly the keys stable, decimals, factory, not {', '.join(item) or 'none'}")
    stable, decimals, factory = (item[name] for name in ("stable", "decimals", "factory"))
    if not isinstance(stable, bool):
        raise ValueError(f"stable: expected true or false, not {stable!r}")
    right = isinstance(decimals, list) and len(decimals) == 2 and all(type(digits) is int for digits in decimals)
    if not right or not all(0 <= digits <= 36 for digits in decimals):
        raise ValueError(f"decimals: expected those of both tokens, not {decimals!r}")
    if not isinstance(factory, str):
        raise ValueError(f"factory: expected an address in text, not {factory!r}")
    return SolidlyFacts(kind, stable, (10 ** decimals[0], 10 ** decimals[1]), address(factory))
