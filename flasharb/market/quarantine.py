"""Tokens that are not traded any more, with what was seen of them.

A pool that holds such a token stays in the market and is kept up to date; the search leaves it out (``excluded``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flasharb.market.filters import Cause, Excluded
from flasharb.market.snapshot import Market
from flasharb.units import Address


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Why a token is not traded: a fixed word, the block on top of which it was seen, and what was seen."""

    reason: str
    block: int
    evidence: str


def excluded(market: Market, quarantine: Mapping[Address, Quarantined]) -> dict[Address, Excluded]:
    """The pools of a market that hold a quarantined token, each with one such token."""
    return {pool: Excluded(Cause.QUARANTINED, token) for token in quarantine for pool in market.pools_of(token)}
