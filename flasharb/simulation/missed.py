"""Why a real arbitrage was not ours: one fixed list of reasons, for recorded blocks and for the live service alike.

What follows from the arbitrage alone (which protocols, tokens and how many pools it needs) is judged here; what follows
from what our search had is judged where that is known: ``backtest`` for recorded blocks, ``accounting`` live.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from flasharb.market.filters import Cause, Excluded
from flasharb.pools.protocols import PROTOCOLS
from flasharb.simulation.swaps import Swap
from flasharb.strategy.screen import MOST_HOPS
from flasharb.units import Address

ENOUGH: Final = 10**6
"""One part of this many may be missing from the searcher's profit: searchers size at the optimum too."""


class MissedReason(StrEnum):
    """Why a real arbitrage was not found."""

    PROTOCOL = "protocol"
    """A pool of its path is of a protocol that we do not trade."""
    PATH_LENGTH = "path_length"
    """It goes through more pools than are searched, or through as many as are searched for the best cycles alone."""
    TOKEN_FILTERED = "token_filtered"  # noqa: S105  # no secret
    """It was won in a token that is no base token here, or needs one that is not listed, or in quarantine."""
    BELOW_THRESHOLD = "below_threshold"
    """Found, and left alone by a threshold of the configuration."""
    UNKNOWN_STATE = "unknown_state"
    """State of its pools, or what a simulation needs, is not known."""
    TIMING = "timing"
    """It was not there when we looked, or we were not ready when it was."""
    SIZING = "sizing"
    """Its cycle was found, with less profit than the searcher made."""
    SIMULATION_REFUSED = "simulation_refused"
    """Found and sized, but the simulation did not make that profit."""


Reasons = Iterator[tuple[MissedReason, str]]
"""Reasons with what they are about, the one that counts first."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What a search can find at all. ``pools`` are the market's keys; ``left_out``: known, and not held in it.

    Of cycles of more than ``max_hops`` pools, up to ``longest``, it finds only the best.
    """

    pools: Collection[Address]
    base_tokens: Collection[Address]
    max_hops: int
    left_out: Mapping[Address, Excluded] = field(default_factory=dict)
    longest: int = 0


def keys_of(swaps: Sequence[Swap]) -> frozenset[Address]:
    """The pools that it went through, by the market's keys."""
    return frozenset(Address(swap.pool[:20]) for swap in swaps)


def enough(ours: int, theirs: int) -> bool:
    """Whether a gross profit is as good as the searcher's."""
    return ours * ENOUGH >= theirs * (ENOUGH - 1)


def out_of_reach(swaps: Sequence[Swap], token: Address, reach: Reach) -> Reasons:
    """Why a search of that reach cannot find an arbitrage that was won in ``token``; nothing where it could."""
    pools = keys_of(swaps)
    foreign = sorted(pools - set(reach.pools))
    untraded = [pool for pool in foreign if not _traded(pool, swaps, reach)]
    if untraded:
        yield MissedReason.PROTOCOL, _names(swaps, untraded)
    unlisted = [pool for pool in foreign if _cause(pool, reach) is Cause.NOT_TRACKED]
    if unlisted:
        yield MissedReason.TOKEN_FILTERED, f"{_names(swaps, unlisted)}: {reach.left_out[unlisted[0]].detail}"
    if token not in reach.base_tokens:
        yield MissedReason.TOKEN_FILTERED, f"won in 0x{token.hex()}"
    most = max(reach.max_hops, reach.longest)
    if len(pools) > most:
        yield MissedReason.PATH_LENGTH, f"{len(pools)} pools, at most {most} are searched"
    if foreign:
        yield MissedReason.UNKNOWN_STATE, f"{_names(swaps, foreign)}: not among the pools that we know"


def passed_over(pools: Collection[Address], reach: Reach, curtailed: int) -> Reasons:
    """Why a cycle through these pools may not have been looked at although the search reaches so far."""
    if len(pools) > reach.max_hops:
        detail = f"{len(pools)} pools: of cycles of more than {reach.max_hops} only the best are looked at"
        yield MissedReason.PATH_LENGTH, detail
    elif len(pools) == MOST_HOPS and curtailed:
        detail = f"{len(pools)} pools: such cycles were passed over {curtailed} times at tokens with very many pools"
        yield MissedReason.PATH_LENGTH, detail


def _cause(pool: Address, reach: Reach) -> Cause | None:
    excluded = reach.left_out.get(pool)
    return None if excluded is None else excluded.cause


def _traded(pool: Address, swaps: Sequence[Swap], reach: Reach) -> bool:
    """Whether the pool is of a protocol that we know and have a command for."""
    known = any(swap.protocol in PROTOCOLS for swap in swaps if swap.pool[:20] == pool)
    return (known or pool in reach.left_out) and _cause(pool, reach) is not Cause.NOT_EXECUTABLE


def _names(swaps: Sequence[Swap], pools: Collection[Address]) -> str:
    named = {f"{swap.protocol} 0x{swap.pool.hex()}" for swap in swaps if swap.pool[:20] in pools}
    return ", ".join(sorted(named))
