"""The market: all tracked pools at the end of a block, and the snapshots before it."""

from __future__ import annotations

from flasharb.market.history import Advanced, History, NeedsReload
from flasharb.market.snapshot import Market

__all__ = ["Advanced", "History", "Market", "NeedsReload"]
