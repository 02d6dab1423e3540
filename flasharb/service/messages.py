"""What travels between the stages. Times are those of Trio's clock, in seconds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from flasharb.feed.events import BlockHeader, Event
from flasharb.feed.pool_runs import PoolRun
from flasharb.market.snapshot import Market
from flasharb.strategy.profit import Costs
from flasharb.strategy.trade import Trade
from flasharb.units import Address


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that arrived together (reader → updater)."""

    events: tuple[Event | PoolRun, ...]
    received_at: float


@dataclass(frozen=True, slots=True)
class Update:
    """A new market (updater → detector). ``touched`` None: look at every pool.

    ``deadline`` is when the slot of the next block ends: what is not sent by then is worthless. ``native_usd`` is a
    configured feed's price of ETH; None: the market's own.
    """

    market: Market
    header: BlockHeader
    touched: frozenset[Address] | None
    received_at: float
    deadline: float
    native_usd: Decimal | None = None


def newest(unread: Update, newer: Update) -> Update:
    """The newer market, with the pools of both."""
    touched = None if unread.touched is None or newer.touched is None else unread.touched | newer.touched
    return replace(newer, touched=touched)


@dataclass(frozen=True, slots=True)
class Candidates:
    """The trades of one block, best first (detector → executor)."""

    header: BlockHeader
    trades: tuple[Trade, ...]
    costs: Costs
    received_at: float
    deadline: float
