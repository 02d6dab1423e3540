"""A real arbitrage of a block against what our search had just before it: found, or missed for one fixed reason.

Our search stands at the end of a block, a real arbitrage in the middle of the next one. When an earlier transaction of
that block moved one of its pools, the opportunity that it took may not have been there when we looked; receipts do not
hold the state between two transactions, so no more than that (``timing``) is said of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from flasharb.execution.outcome import DryRun, Included, Missed, Outcome, Reverted, Submitted
from flasharb.market.filters import Cause
from flasharb.market.snapshot import Market
from flasharb.simulation.missed import MissedReason, Reach, Reasons, enough, keys_of, out_of_reach, passed_over
from flasharb.simulation.receipts import Seen
from flasharb.strategy.reasons import Reason
from flasharb.strategy.search import Findings
from flasharb.strategy.trade import Cycle, Rejected, Trade
from flasharb.units import Address

CAUSES: Final[Mapping[Cause, MissedReason]] = {
    Cause.NOT_TRACKED: MissedReason.TOKEN_FILTERED,
    Cause.QUARANTINED: MissedReason.TOKEN_FILTERED,
    Cause.NOT_EXECUTABLE: MissedReason.PROTOCOL,
    Cause.BELOW_MIN_LIQUIDITY: MissedReason.BELOW_THRESHOLD,
    Cause.NO_PRICE_FOR_LIQUIDITY: MissedReason.UNKNOWN_STATE,
    Cause.DEPTH_UNKNOWN: MissedReason.UNKNOWN_STATE,
}
"""What it means that the search left a pool out."""

REASONS: Final[Mapping[str, MissedReason]] = {
    Reason.POOL_GONE: MissedReason.UNKNOWN_STATE,
    Reason.RANGE_UNKNOWN: MissedReason.UNKNOWN_STATE,
    Reason.NO_PRICE_FOR_PROFIT: MissedReason.UNKNOWN_STATE,
    Reason.NO_PRICE_FOR_GAS: MissedReason.UNKNOWN_STATE,
    Reason.NO_PROFIT: MissedReason.SIZING,
    Reason.POSITION_TOO_SMALL: MissedReason.BELOW_THRESHOLD,
    Reason.BELOW_MIN_PROFIT: MissedReason.BELOW_THRESHOLD,
    Reason.GAS_PRICE_ABOVE_CAP: MissedReason.BELOW_THRESHOLD,
    Reason.GAS_ABOVE_LIMIT: MissedReason.BELOW_THRESHOLD,
    Reason.CONFLICTS_WITH_BETTER: MissedReason.BELOW_THRESHOLD,
    Reason.OVER_BLOCK_LIMIT: MissedReason.BELOW_THRESHOLD,
    "min_profit": MissedReason.BELOW_THRESHOLD,
    "gas_limit": MissedReason.BELOW_THRESHOLD,
    "profit_unknown": MissedReason.UNKNOWN_STATE,
    "state_unavailable": MissedReason.UNKNOWN_STATE,
    "token_quarantined": MissedReason.TOKEN_FILTERED,
    "too_late": MissedReason.TIMING,
    "stale": MissedReason.TIMING,
}
"""What a rejection's word means here; the words that are not listed are those of the simulation."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a search had at the end of a block."""

    market: Market
    findings: Findings


@dataclass(frozen=True, slots=True)
class Verdict:
    """``missed`` None: found. ``ours``: it is our own transaction."""

    missed: MissedReason | None
    detail: str
    ours: bool = False


def account_for(
    real: Seen, look: Look | None, outcomes: Mapping[int, Outcome], reach: Reach, contract: Address
) -> Verdict:
    """Whether we had found an arbitrage, and if not, why.

    ``look`` is at the end of the block before it (None: that block was not searched); ``outcomes`` say what became of
    the look's trades, by their id, as far as it is decided; ``contract`` is our own.
    """
    if real.receipt.to == contract:
        return Verdict(None, "landed", True)
    beyond = next(out_of_reach(real.swaps, real.arbitrage.token, reach), None)
    if beyond is not None:
        return Verdict(*beyond)
    if look is None:
        return Verdict(MissedReason.TIMING, "the block before it was not searched in time")
    trade = _best(real, look)
    if trade is not None and enough(trade.gross_profit, real.arbitrage.gross_profit):
        return _fate(outcomes.get(trade.id))
    return Verdict(*next(_reasons(real, look, trade, reach)))


def _best(real: Seen, look: Look) -> Trade | None:
    """The best trade of ours in its token that uses one of its pools."""
    pools, token = keys_of(real.swaps), real.arbitrage.token
    fitting = [
        trade
        for trade in look.findings.trades
        if trade.base_token == token and any(one.hop.pool in pools for one in trade.hops)
    ]
    return max(fitting, key=lambda trade: trade.gross_profit, default=None)


def _fate(outcome: Outcome | None) -> Verdict:
    match outcome:
        case None:
            return Verdict(MissedReason.TIMING, "found, and not ready when the block came")
        case Rejected():
            missed = REASONS.get(outcome.reason, MissedReason.SIMULATION_REFUSED)
            return Verdict(missed, f"{outcome.reason}: {outcome.detail}")
        case Reverted(on_chain=False):
            return Verdict(MissedReason.SIMULATION_REFUSED, outcome.reason)
        case DryRun():
            return Verdict(None, "simulated")
        case Submitted() | Included() | Missed() | Reverted():
            return Verdict(None, "sent")


def _reasons(real: Seen, look: Look, trade: Trade | None, reach: Reach) -> Reasons:
    """Why none of our trades was as good."""
    pools = keys_of(real.swaps)
    yield from _unusable(pools, look)
    if real.moved_before:
        yield MissedReason.TIMING, "an earlier transaction of its block moved one of its pools"
    for rejected in _rejected(pools, look):
        yield REASONS.get(rejected.reason, MissedReason.SIMULATION_REFUSED), f"{rejected.reason}: {rejected.detail}"
    if not any(keys == pools for keys in _looked_at(look)):
        yield from passed_over(pools, reach, look.findings.curtailed)
    if trade is not None:
        yield MissedReason.SIZING, f"ours makes {trade.gross_profit} of {real.arbitrage.gross_profit}"
    yield MissedReason.UNKNOWN_STATE, "no cycle through its pools showed at the end of the block before it"


def _unusable(pools: frozenset[Address], look: Look) -> Reasons:
    """Its pools that the search did not use."""
    market, excluded = look.market, look.findings.excluded
    for pool in sorted(pools):
        if pool not in market.pools:
            why = market.reload.get(pool) or ("retired" if pool in market.retired else "not loaded")
            yield MissedReason.UNKNOWN_STATE, f"0x{pool.hex()}: {why}"
        elif pool in excluded:
            one = excluded[pool]
            yield CAUSES[one.cause], f"0x{pool.hex()}: {one.cause}: {one.detail}"


def _looked_at(look: Look) -> Iterator[set[Address]]:
    """The pools of each cycle that the search found open."""
    for one in look.findings.opportunities:
        yield {hop.pool for hop in one.cycle}


def _rejected(pools: frozenset[Address], look: Look) -> Iterator[Rejected]:
    """What the search dropped of the cycles through exactly its pools."""
    cycles: dict[int, Cycle] = {one.id: one.cycle for one in look.findings.opportunities}
    for rejected in look.findings.rejected:
        if {hop.pool for hop in cycles.get(rejected.id, ())} == pools:
            yield rejected
