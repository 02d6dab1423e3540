"""Pairs of Solidly and its forks (Velodrome, Aerodrome), volatile and stable, exact to the unit.

``facts`` says what is fixed about a pair, ``storage`` builds it from slots of the pair and its factory, ``pool`` quotes
and follows events, ``curve`` is the stable curve.
"""

from __future__ import annotations

from flasharb.pools.solidly.facts import LAYOUTS, SolidlyFacts, SolidlyLayout
from flasharb.pools.solidly.pool import SolidlyPool
from flasharb.pools.solidly.storage import RULES, load

__all__ = [
    "LAYOUTS",
    "RULES",
    "SolidlyFacts",
    "SolidlyLayout",
    "SolidlyPool",
    "load",
]
