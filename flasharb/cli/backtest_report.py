"""A backtest as one page: per block a table, profit ours against theirs, and the size curve of each cycle."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from flasharb.cli.backtest_json import path_of, pool_text, summary_json
from flasharb.cli.gaps import bound_of, gaps
from flasharb.cli.places import MAINNET_WETH
from flasharb.cli.view import eth
from flasharb.errors import UsageError
from flasharb.simulation.backtest import Backtest, Moment, Ours, RealArbitrage
from flasharb.strategy.trade import Trade
from flasharb.units import WEI_PER_ETH, Address, hex0x

_THEIRS, _OURS = "#b3541e", "#1a5fb4"
# matplotlib types its keys as literals, which a dict of our own cannot have.
_STYLE: Final[Any] = {"font.size": 9, "svg.fonttype": "none", "axes.spines.top": False, "axes.spines.right": False}


def write_report(path: Path, results: Sequence[Backtest]) -> None:
    """Write the page.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        path.write_text(report(results), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--html {path}: {error.strerror}") from None


def report(results: Sequence[Backtest]) -> str:
    """The page's text; it needs nothing from elsewhere."""
    environment = Environment(
        loader=PackageLoader("flasharb.cli", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    template = environment.get_template("backtest.html.jinja")
    return template.render(blocks=[_block(result) for result in results], summary=summary_json(results))


def _block(result: Backtest) -> dict[str, Any]:
    return {
        "number": result.number,
        "pools": result.pools,
        "unusable": result.unusable,
        "arbitrages": [_arbitrage(one) for one in result.arbitrages],
        "bound_gap": gaps([result]),
        "profits": _svg(_profits(result.arbitrages)) if result.arbitrages else "",
        "opportunities": [_opportunity(moment, ours) for moment in result.moments for ours in moment.ours],
    }


def _arbitrage(one: RealArbitrage) -> dict[str, Any]:
    ours = one.ours
    return {
        "index": one.index,
        "tx_hash": hex0x(one.tx_hash),
        "tx_short": short(hex0x(one.tx_hash)),
        "path": [_pool(pool, one.protocols.get(pool, "")) for pool in one.path],
        "our_path": None if ours is None else _path(ours.trade),
        "same_path": ours is not None and path_of(ours.trade) == [pool_text(pool) for pool in one.path],
        "theirs": amount(one.token, one.gross_profit),
        "ours": "–" if ours is None else amount(one.token, ours.trade.gross_profit),
        "net": "–" if ours is None or ours.net_profit_wei is None else eth(ours.net_profit_wei),
        "found": one.found,
        "missed": one.missed,
        "detail": one.detail,
        "curve": "" if ours is None or not ours.curve else _svg(_curve(one, ours)),
    }


def _opportunity(moment: Moment, ours: Ours) -> dict[str, Any]:
    trade = ours.trade
    token = trade.base_token
    return {
        "after_index": moment.after_index,
        "path": _path(trade),
        "amount_in": amount(token, trade.amount_in),
        "gross": amount(token, trade.gross_profit),
        "gap": _gap(trade),
        "net": "–" if ours.net_profit_wei is None else eth(ours.net_profit_wei),
        "simulated": ours.simulated,
        "refused": ours.refused,
        "split": _split(ours.split),
    }


def _split(split: Ours | None) -> str:
    if split is None:
        return ""
    trade = split.trade
    net = "" if split.net_profit_wei is None else f", net {eth(split.net_profit_wei)}"
    tried = "simulated" if split.simulated else f"not simulated: {split.refused}"
    return f"as {len(trade.paths)} cycles together {amount(trade.base_token, trade.gross_profit)}{net}, {tried}"


def _gap(trade: Trade) -> str:
    bound = bound_of(trade)
    return "no bound" if bound is None else f"{bound - trade.gross_profit} units"


def short(text: str) -> str:
    """An address or hash by its ends."""
    return f"{text[:6]}…{text[-4:]}"


def _path(trade: Trade) -> list[dict[str, str]]:
    return [_pool(hop.hop.pool, hop.protocol) for hop in trade.hops]


def _pool(pool: bytes, protocol: str) -> dict[str, str]:
    text = pool_text(pool)
    return {"key": text, "text": f"{protocol} {short(text)}".strip()}


def amount(token: Address, units: int) -> str:
    """In ETH for wrapped ether, else in smallest units."""
    return eth(units) if token == MAINNET_WETH else f"{units:,} units"


def _profits(arbitrages: Sequence[RealArbitrage]) -> Figure:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.2, 3.2), layout="constrained")
        axes = figure.subplots()
        places = range(len(arbitrages))
        theirs = [one.gross_profit / WEI_PER_ETH for one in arbitrages]
        ours = [0.0 if one.ours is None else one.ours.trade.gross_profit / WEI_PER_ETH for one in arbitrages]
        axes.bar([at - 0.2 for at in places], theirs, 0.4, label="theirs", color=_THEIRS)
        axes.bar([at + 0.2 for at in places], ours, 0.4, label="ours", color=_OURS)
        axes.set_xticks(list(places), [f"#{one.index}" for one in arbitrages])
        axes.set_ylabel("gross profit, 1e18 units")
        axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    return figure


def _curve(one: RealArbitrage, ours: Ours) -> Figure:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.2, 3.2), layout="constrained")
        axes = figure.subplots()
        inputs, gains = zip(*ours.curve, strict=True)
        axes.plot([at / WEI_PER_ETH for at in inputs], [gain / WEI_PER_ETH for gain in gains], color=_OURS)
        axes.plot(*_point(ours.trade.amount_in, ours.trade.gross_profit), "o", color=_OURS, label="chosen")
        if one.amount_in is not None:
            axes.plot(*_point(one.amount_in, one.gross_profit), "x", color=_THEIRS, markersize=9, label="theirs")
        axes.axhline(0, color="#dde2e8", linewidth=1)
        axes.set_xlabel("amount in, 1e18 units")
        axes.set_ylabel("gross profit, 1e18 units")
        axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    return figure


def _point(amount_in: int, gain: int) -> tuple[list[float], list[float]]:
    return [amount_in / WEI_PER_ETH], [gain / WEI_PER_ETH]


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    # Without a date the same figures give the same page.
    with mpl.rc_context({**_STYLE, "svg.hashsalt": "flasharb"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    text = buffer.getvalue()
    return text[text.index("<svg") :]
