"""How near our sizes are to the bounds that their trades carry."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from statistics import median
from typing import Any

from flasharb.simulation.backtest import Backtest
from flasharb.strategy.trade import Trade


def bound_of(trade: Trade) -> int | None:
    """The most gross profit that any size of the trade's cycle has at the same loan fee; None: there is no bound."""
    return trade.gain_bound + trade.loan_fee if trade.gain_bound else None


def relative_gap(trade: Trade) -> float | None:
    """What may be missing of the profit, as a share of it."""
    bound = bound_of(trade)
    return None if bound is None else (bound - trade.gross_profit) / trade.gross_profit


def gaps(results: Iterable[Backtest]) -> dict[str, Any]:
    """Median, 99th percentile and maximum of the relative gaps of all trades tried (None without any).

    ``proven`` counts trades whose gap is zero: no whole amount gains more. ``unbounded`` those without a bound.
    """
    found = [relative_gap(ours.trade) for result in results for moment in result.moments for ours in moment.ours]
    known = sorted(gap for gap in found if gap is not None)
    return {
        "trades": len(found),
        "proven": known.count(0.0),
        "unbounded": len(found) - len(known),
        "median": median(known) if known else None,
        "p99": known[ceil(0.99 * len(known)) - 1] if known else None,
        "max": known[-1] if known else None,
    }
