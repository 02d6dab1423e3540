"""Curve StableSwap: pools of two to four coins near par, and their LP token as one more coin of the pool."""

from flasharb.pools.stableswap.admission import MAINNET, KnownPool, StableCode, admit, recognise
from flasharb.pools.stableswap.pool import StableParameters, StableSwapped, StableSwapPool, stable_pool
from flasharb.pools.stableswap.ramp import Ramp
from flasharb.pools.stableswap.rules import EARLY, NG, TEMPLATE_2, StableFacts, StableRules
from flasharb.pools.stableswap.storage import load, state_slots

__all__ = [
    "EARLY",
    "MAINNET",
    "NG",
    "TEMPLATE_2",
    "KnownPool",
    "Ramp",
    "StableCode",
    "StableFacts",
    "StableParameters",
    "StableRules",
    "StableSwapPool",
    "StableSwapped",
    "admit",
    "load",
    "recognise",
    "stable_pool",
    "state_slots",
]
