"""Curve StableSwap: pools of two to eight coins near par, and their LP token as one more coin of the pool."""

from flasharb.pools.stableswap.admission import StableCode, recognise
from flasharb.pools.stableswap.codes import BASES
from flasharb.pools.stableswap.events import RULES
from flasharb.pools.stableswap.pool import StableParameters, StableSwapPool, stable_pool
from flasharb.pools.stableswap.ramp import Ramp
from flasharb.pools.stableswap.rules import EARLY, NG, NG_7, TEMPLATE_2, StableFacts, StableRules
from flasharb.pools.stableswap.storage import identify, load, state, state_slots

__all__ = [
    "BASES",
    "EARLY",
    "NG",
    "NG_7",
    "RULES",
    "TEMPLATE_2",
    "Ramp",
    "StableCode",
    "StableFacts",
    "StableParameters",
    "StableRules",
    "StableSwapPool",
    "identify",
    "load",
    "recognise",
    "stable_pool",
    "state",
    "state_slots",
]
