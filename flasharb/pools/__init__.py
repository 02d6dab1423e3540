"""Exact integer mathematics of the pools, bit-equal to their bytecode.

A pool is an immutable value that answers ``contract.Pool``; each protocol has a package of its own and an entry in
``protocols``. Amounts are whole numbers of the tokens' smallest units; a direction is a pair of indices of the pool's
tokens. State changes make a new pool.
"""

from __future__ import annotations

from flasharb.pools.concentrated.liquidity import TickLiquidity
from flasharb.pools.concentrated.pool import V3Pool, v3_pool
from flasharb.pools.constant_product.pool import V2Pool
from flasharb.pools.contract import Piecewise, Pool, Swapped, ends, is_piecewise
from flasharb.pools.errors import InsufficientLiquidity, QuoteUnavailable, Uninitialised, UnknownRange
from flasharb.pools.pieces import Piece
from flasharb.pools.spec import PoolSpec, Token

__all__ = [
    "InsufficientLiquidity",
    "Piece",
    "Piecewise",
    "Pool",
    "PoolSpec",
    "QuoteUnavailable",
    "Swapped",
    "TickLiquidity",
    "Token",
    "Uninitialised",
    "UnknownRange",
    "V2Pool",
    "V3Pool",
    "ends",
    "is_piecewise",
    "v3_pool",
]
