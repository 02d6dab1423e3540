"""The screen: best rates of token pairs in flat arrays, and the token cycles that pass at them."""

from __future__ import annotations

from flasharb.strategy.screen.layout import BATCH, SCREENED, THRESHOLD, Layout, Numbers, layout
from flasharb.strategy.screen.screen import MOST_HOPS, Passing, Screen, Walk

__all__ = ["BATCH", "MOST_HOPS", "SCREENED", "THRESHOLD", "Layout", "Numbers", "Passing", "Screen", "Walk", "layout"]
