"""Curve CryptoSwap: pools of two or three coins without a common price, concentrated around a moving price scale."""

from flasharb.pools.cryptoswap.admission import CryptoCode, recognise, related
from flasharb.pools.cryptoswap.events import RULES
from flasharb.pools.cryptoswap.pool import CryptoSwapPool, crypto_pool
from flasharb.pools.cryptoswap.rules import (
    TRICRYPTO2,
    TRICRYPTO_NG,
    TWOCRYPTO,
    TWOCRYPTO_NG,
    CryptoFacts,
    CryptoRules,
)
from flasharb.pools.cryptoswap.state import CryptoParameters, GammaRamp, Prices
from flasharb.pools.cryptoswap.storage import identify, load, state, state_slots

__all__ = [
    "RULES",
    "TRICRYPTO2",
    "TRICRYPTO_NG",
    "TWOCRYPTO",
    "TWOCRYPTO_NG",
    "CryptoCode",
    "CryptoFacts",
    "CryptoParameters",
    "CryptoRules",
    "CryptoSwapPool",
    "GammaRamp",
    "Prices",
    "crypto_pool",
    "identify",
    "load",
    "recognise",
    "related",
    "state",
    "state_slots",
]
