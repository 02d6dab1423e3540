"""The JSON of ``flasharb backtest``: amounts are decimal strings in the token's smallest unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flasharb.cli.gaps import bound_of, gaps
from flasharb.simulation.backtest import Backtest, Moment, Ours, RealArbitrage
from flasharb.strategy.trade import Trade
from flasharb.units import checksum, hex0x


def backtest_json(results: Sequence[Backtest]) -> dict[str, Any]:
    """The object of the command line's contract."""
    return {"blocks": [_block(result) for result in results], "summary": summary_json(results)}


def summary_json(results: Sequence[Backtest]) -> dict[str, Any]:
    """Counts, and our gross profit over theirs on what was found (None when nothing was)."""
    real = [one for result in results for one in result.arbitrages]
    found = [one for one in real if one.found and one.ours is not None]
    theirs = sum(one.gross_profit for one in found)
    ours = sum(one.ours.trade.gross_profit for one in found if one.ours is not None)
    missed: dict[str, int] = {}
    for one in real:
        if one.missed is not None:
            missed[one.missed] = missed.get(one.missed, 0) + 1
    return {
        "arbitrages": len(real),
        "supported": sum(one.supported for one in real),
        "found": len(found),
        "profit_ratio": ours / theirs if theirs else None,
        "bound_gap": gaps(results),
        "missed": missed,
        "splits": _splits(results),
        "curtailed": sum(moment.curtailed for result in results for moment in result.moments),
    }


def _splits(results: Sequence[Backtest]) -> dict[str, int]:
    """How many cycles of ours are part of a split, how many splits were simulated, and how many net more then."""
    split = [ours for result in results for moment in result.moments for ours in moment.ours if ours.split is not None]
    simulated = [ours for ours in split if ours.split is not None and ours.split.simulated]
    better = [ours for ours in simulated if (_net_of(ours.split) or 0) > (_net_of(ours) or 0)]
    return {"found": len(split), "simulated": len(simulated), "better": len(better)}


def _net_of(ours: Ours | None) -> int | None:
    return None if ours is None else ours.net_profit_wei


def _block(result: Backtest) -> dict[str, Any]:
    return {
        "number": result.number,
        "pools": result.pools,
        "unusable_pools": result.unusable,
        "bound_gap": gaps([result]),
        "arbitrages": [_arbitrage(one) for one in result.arbitrages],
        "opportunities": [_opportunity(moment, ours) for moment in result.moments for ours in moment.ours],
    }


def _arbitrage(one: RealArbitrage) -> dict[str, Any]:
    ours = one.ours
    return {
        "tx_hash": hex0x(one.tx_hash),
        "index": one.index,
        "token": checksum(one.token),
        "path": [pool_text(pool) for pool in one.path],
        "searcher_gross_profit": str(one.gross_profit),
        "supported": one.supported,
        "found": one.found,
        "our_path": None if ours is None else path_of(ours.trade),
        "our_gross_profit": None if ours is None else str(ours.trade.gross_profit),
        "our_net_profit_wei": None if ours is None or ours.net_profit_wei is None else str(ours.net_profit_wei),
        "bound": None if ours is None else _text(bound_of(ours.trade)),
        "simulated": ours is not None and ours.simulated,
        "reason": None if one.missed is None else str(one.missed),
        "detail": one.detail or None,
        "split": None if ours is None else _split(ours.split),
    }


def _opportunity(moment: Moment, ours: Ours) -> dict[str, Any]:
    trade = ours.trade
    return {
        "after_index": moment.after_index,
        "token": checksum(trade.base_token),
        "path": path_of(trade),
        **_figures(ours),
        "split": _split(ours.split),
    }


def _split(split: Ours | None) -> dict[str, Any] | None:
    """The same cycle together with others, as one transaction: each path by its pools."""
    if split is None:
        return None
    return {"paths": [[pool_text(hop.hop.pool) for hop in path] for path in split.trade.paths], **_figures(split)}


def _figures(ours: Ours) -> dict[str, Any]:
    """What any trade of ours came to."""
    trade = ours.trade
    return {
        "amount_in": str(trade.amount_in),
        "gross_profit": str(trade.gross_profit),
        "net_profit_wei": _text(ours.net_profit_wei),
        "bound": _text(bound_of(trade)),
        "simulated": ours.simulated,
        "refused": ours.refused,
    }


def _text(units: int | None) -> str | None:
    return None if units is None else str(units)


def path_of(trade: Trade) -> list[str]:
    """The pools of a trade, in its order."""
    return [pool_text(hop.hop.pool) for hop in trade.hops]


def pool_text(pool: bytes) -> str:
    """A pool's address with its checksum; the id of a pool inside a manager as it is."""
    return checksum(pool) if len(pool) == 20 else hex0x(pool)
