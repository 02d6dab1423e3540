"""Exact integer mathematics of the pools, bit-equal to their bytecode.

A pool is an immutable value: ``V2Pool`` (constant product) or ``V3Pool`` (concentrated liquidity). Amounts are whole
numbers of the tokens' smallest units; ``zero_for_one`` is the direction (token0 in, token1 out). State changes make a
new pool: ``V2Pool.with_reserves``, ``V3Pool.with_price``, ``V3Pool.with_liquidity_change``, and ``pool.swapped``.
"""

from __future__ import annotations

from flasharb.pools.concentrated.liquidity import TickLiquidity
from flasharb.pools.concentrated.pool import V3Pool, V3Swapped, v3_pool
from flasharb.pools.constant_product.pool import V2Pool, V2Swapped
from flasharb.pools.errors import InsufficientLiquidity, QuoteUnavailable, Uninitialised, UnknownRange
from flasharb.pools.pieces import Piece, pieces
from flasharb.pools.spec import PoolSpec, Token
from flasharb.pools.spot import liquidity_within, marginal_rate, virtual_reserves

Pool = V2Pool | V3Pool


def amount_out(pool: Pool, zero_for_one: bool, amount_in: int) -> int:
    """The output for exactly ``amount_in``, all of which the pool takes; 0 for 0.

    Raises:
        Uninitialised: no reserves or no price.
        InsufficientLiquidity: the pool runs dry before it has taken the input.
        UnknownRange: the swap leaves the ticks that are known.
        ValueError: a negative amount.
    """
    return pool.amount_out(zero_for_one, amount_in)


def amount_in(pool: Pool, zero_for_one: bool, amount_out: int) -> int:
    """The least input, fee included, for exactly ``amount_out``; 0 for 0. Raises as ``amount_out`` does."""
    return pool.amount_in(zero_for_one, amount_out)


__all__ = [
    "InsufficientLiquidity",
    "Piece",
    "Pool",
    "PoolSpec",
    "QuoteUnavailable",
    "TickLiquidity",
    "Token",
    "Uninitialised",
    "UnknownRange",
    "V2Pool",
    "V2Swapped",
    "V3Pool",
    "V3Swapped",
    "amount_in",
    "amount_out",
    "liquidity_within",
    "marginal_rate",
    "pieces",
    "v3_pool",
    "virtual_reserves",
]
