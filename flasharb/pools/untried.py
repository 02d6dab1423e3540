"""Pools that only a trial can vouch for, before it was made and after it was not passed.

A pool file can say that there is a vault at an address, and nobody's code or factory can say that it is an honest one.
Such a spec carries ``Untried`` in the place of its facts: it is known and followed, and refused by its reason wherever
it would be loaded. A trial that is passed puts the facts there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flasharb.pools.spec import PoolSpec
from flasharb.units import checksum

NOT_YET: Final = "not probed: only a trial in the local EVM tells what it does, and none was made"


@dataclass(frozen=True, slots=True)
class Untried:
    """Why the pool is not traded."""

    reason: str = NOT_YET


def read_facts(item: Mapping[str, Any]) -> Untried:
    """There are none in a pool file.

    Raises:
        ValueError: the file has some.
    """
    if item:
        raise ValueError(f"its facts are found out by a trial, not read: expected none, not {', '.join(item)}")
    return Untried()


def write_facts(_facts: object) -> Mapping[str, Any]:
    """None: the reader finds them out again."""
    return {}


def vouch(spec: PoolSpec, _chain_id: int) -> str | None:
    """Why the entry cannot be right; what the contract really does is left to the trial."""
    if len(spec.tokens) == 2 and spec.tokens[1] == spec.address:
        return None
    return f"the tokens of {checksum(spec.address)} as {spec.protocol} are what it takes, and itself"
