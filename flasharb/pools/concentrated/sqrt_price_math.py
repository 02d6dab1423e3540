"""SqrtPriceMath.sol: amounts between two sqrt prices, and the price after an amount.

Prices are Q64.96, ``liquidity`` is the pool's active L. Rounding favours the pool, as on chain.
"""

from __future__ import annotations

_UINT256_END = 1 << 256


def amount0_delta(lower_x96: int, upper_x96: int, liquidity: int) -> int:
    """Token0 between two prices, rounded down (what a swap gives)."""
    return (liquidity << 96) * (upper_x96 - lower_x96) // upper_x96 // lower_x96


def amount0_delta_rounding_up(lower_x96: int, upper_x96: int, liquidity: int) -> int:
    """Token0 between two prices, rounded up (what a swap takes)."""
    return -((liquidity << 96) * (lower_x96 - upper_x96) // upper_x96 // lower_x96)


def amount1_delta(lower_x96: int, upper_x96: int, liquidity: int) -> int:
    """Token1 between two prices, rounded down (what a swap gives)."""
    return liquidity * (upper_x96 - lower_x96) >> 96


def amount1_delta_rounding_up(lower_x96: int, upper_x96: int, liquidity: int) -> int:
    """Token1 between two prices, rounded up (what a swap takes)."""
    return -(liquidity * (lower_x96 - upper_x96) >> 96)


def next_sqrt_price_from_amount0_in(sqrt_price_x96: int, liquidity: int, amount: int) -> int:
    """The lower price after ``amount`` of token0 came in (getNextSqrtPriceFromAmount0RoundingUp, add)."""
    numerator = liquidity << 96
    denominator = numerator + amount * sqrt_price_x96
    if denominator < _UINT256_END:
        return -(-numerator * sqrt_price_x96 // denominator)
    # the contract's own way round an overflow, which rounds differently
    return -(-numerator // (numerator // sqrt_price_x96 + amount))


def next_sqrt_price_from_amount1_in(sqrt_price_x96: int, liquidity: int, amount: int) -> int:
    """The higher price after ``amount`` of token1 came in (getNextSqrtPriceFromAmount1RoundingDown, add)."""
    return sqrt_price_x96 + (amount << 96) // liquidity


def next_sqrt_price_from_amount0_out(sqrt_price_x96: int, liquidity: int, amount: int) -> int:
    """The higher price after ``amount`` of token0 went out (getNextSqrtPriceFromAmount0RoundingUp, remove)."""
    numerator = liquidity << 96
    return -(-numerator * sqrt_price_x96 // (numerator - amount * sqrt_price_x96))


def next_sqrt_price_from_amount1_out(sqrt_price_x96: int, liquidity: int, amount: int) -> int:
    """The lower price after ``amount`` of token1 went out (getNextSqrtPriceFromAmount1RoundingDown, remove)."""
    return sqrt_price_x96 + (-amount << 96) // liquidity
