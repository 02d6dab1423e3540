"""Pools of Balancer's V2 Vault: weighted and composable stable, exact to the unit.

One package for both, because what they share is most of what there is to a pool besides its curve: the Vault keeps
their balances, checks and books their swaps, and emits their events.

``facts`` and ``stable_facts`` say what is fixed about a pool and ``code`` reads it from its code; ``vault`` and
``storage`` build it from slots; ``pool`` and ``events`` follow its logs; ``weighted`` and ``stable`` are the
mathematics, on ``fixed_point``, ``log_exp`` and ``stable_math``. A stable pool is what it holds
(``stable_state``), what its own token costs (``bpt``, with ``protocol_fees``), and the swaps of ``stable``.
"""

from __future__ import annotations

from flasharb.pools.balancer.code import recognise
from flasharb.pools.balancer.events import STABLE_RULES, WEIGHTED_RULES
from flasharb.pools.balancer.facts import Specialisation, WeightedFacts, specialisation
from flasharb.pools.balancer.pool import VaultPool
from flasharb.pools.balancer.stable import StablePool
from flasharb.pools.balancer.stable_facts import JoinExit, ProtocolFees, Ramp, Rate, StableFacts
from flasharb.pools.balancer.stable_state import UnknownRate
from flasharb.pools.balancer.storage import load_stable, load_weighted
from flasharb.pools.balancer.weighted import WeightedPool

__all__ = [
    "STABLE_RULES",
    "WEIGHTED_RULES",
    "JoinExit",
    "ProtocolFees",
    "Ramp",
    "Rate",
    "Specialisation",
    "StableFacts",
    "StablePool",
    "UnknownRate",
    "VaultPool",
    "WeightedFacts",
    "WeightedPool",
    "load_stable",
    "load_weighted",
    "recognise",
    "specialisation",
]
