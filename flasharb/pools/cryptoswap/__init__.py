"""Curve CryptoSwap: pools of two or three coins without a common price, concentrated around a moving price scale."""

from flasharb.pools.cryptoswap.admission import CryptoCode, admit, recognise
from flasharb.pools.cryptoswap.pool import CryptoSwapped, CryptoSwapPool, crypto_pool
from flasharb.pools.cryptoswap.rules import (
    TRICRYPTO2,
    TRICRYPTO_NG,
    TWOCRYPTO,
    TWOCRYPTO_NG,
    CryptoFacts,
    CryptoRules,
)
from flasharb.pools.cryptoswap.state import CryptoParameters, GammaRamp, Prices
from flasharb.pools.cryptoswap.storage import load, state_slots

__all__ = [
    "TRICRYPTO2",
    "TRICRYPTO_NG",
    "TWOCRYPTO",
    "TWOCRYPTO_NG",
    "CryptoCode",
    "CryptoFacts",
    "CryptoParameters",
    "CryptoRules",
    "CryptoSwapPool",
    "CryptoSwapped",
    "GammaRamp",
    "Prices",
    "admit",
    "crypto_pool",
    "load",
    "recognise",
    "state_slots",
]
