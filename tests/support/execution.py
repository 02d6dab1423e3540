"""Published test keys and two signed transactions, as recorded from real clients (mainnet id, no value at risk)."""

from __future__ import annotations

from typing import Final

SEARCHER_KEY: Final = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
AUTH_KEY: Final = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"

RAW_TRANSACTIONS: Final = (
    bytes.fromhex(
        "02f86b010784773594008506fc23ac008252089470997970c51812dc3a010c7d01b50e0d17dc79c80180c001a0740878cc4b74dc2795a5"
        "a5c92efee09c878f0987952a94af328ed674de14adada06eeb62328bc1f6a5fd0770d1064d0b16e2fd3a47d91884d9f542301f6c184967"
    ),
    bytes.fromhex(
        "02f870010884773594008506fc23ac008303d090943c44cdddb6a900fa2b585dd299e03d12fa4293bc8084deadbeefc001a00fbe515c83"
        "66dda4770687d5a4c707fb903e76a98921327953a4fa21b97b3733a02e3dd5caab89bd3650acbacb3e4d089ff47a84be9dd30f395fb1db"
        "09d18a579d"
    ),
)
