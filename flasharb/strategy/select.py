"""Which trades of a block go on: best first, no two through the same pool."""

from __future__ import annotations

from collections.abc import Iterable

from flasharb.strategy.reasons import Reason
from flasharb.strategy.trade import Rejected, Trade
from flasharb.units import Address


def choose(trades: Iterable[Trade], most: int) -> tuple[list[Trade], list[Rejected]]:
    """At most ``most`` trades with disjoint pools, best estimated net profit first (then by pools), and the others.

    After the first of two trades that share a pool, the second would meet another state than it was sized on.
    """
    ordered = sorted(trades, key=lambda trade: (-trade.net_profit_wei_estimate, pools_of(trade)))
    chosen: list[Trade] = []
    others: list[Rejected] = []
    used: dict[Address, int] = {}
    for trade in ordered:
        better = next((used[pool] for pool in pools_of(trade) if pool in used), None)
        if better is not None:
            detail = f"trade {better} uses one of its pools and nets more"
            others.append(Rejected(trade.id, Reason.CONFLICTS_WITH_BETTER, detail, trade.block_number))
        elif len(chosen) >= most:
            detail = f"{most} better trades in this block"
            others.append(Rejected(trade.id, Reason.OVER_BLOCK_LIMIT, detail, trade.block_number))
        else:
            chosen.append(trade)
            used.update(dict.fromkeys(pools_of(trade), trade.id))
    return chosen, others


def pools_of(trade: Trade) -> list[Address]:
    """The pools of a trade, in its order."""
    return [hop.hop.pool for hop in trade.hops]
