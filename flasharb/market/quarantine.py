"""Tokens that are not traded any more, with what was seen of them.

A pool that holds such a token stays in the market and is kept up to date; the search leaves it out (``excluded``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flasharb.market.filters import Cause, Excluded
from flasharb.pools import PoolSpec
from flasharb.units import Address


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Why a token is not traded: a fixed word, the block on top of which it was seen, and what was seen."""

    reason: str
    block: int
    evidence: str


def excluded(specs: Iterable[PoolSpec], quarantine: Mapping[Address, Quarantined]) -> dict[Address, Excluded]:
    """The pools that hold a quarantined token, each with the first such token."""
    if not quarantine:
        return {}
    left_out: dict[Address, Excluded] = {}
    for spec in specs:
        token = next((token for token in spec.tokens if token in quarantine), None)
        if token is not None:
            left_out[spec.address] = Excluded(Cause.QUARANTINED, token)
    return left_out
