"""The pools' 18-decimal fixed point numbers: multiplication, division and power, each rounded down or up."""

from __future__ import annotations

from math import isqrt
from typing import Final

from flasharb.pools.balancer.log_exp import ONE, power

_POWER_ERROR: Final = 10_000  # 1e-14, with 18 decimals

SIMPLE: Final = (ONE, 2 * ONE, 4 * ONE)
"""The exponents that pools since 2022 multiply out."""


def mul_down(a: int, b: int) -> int:
    """``a * b``, rounded down."""
    return a * b // ONE


def mul_up(a: int, b: int) -> int:
    """``a * b``, rounded up."""
    return -(-a * b // ONE)


def div_down(a: int, b: int) -> int:
    """``a / b``, rounded down."""
    return a * ONE // b


def div_up(a: int, b: int) -> int:
    """``a / b``, rounded up."""
    return -(-a * ONE // b)


def complement(a: int) -> int:
    """``1 - a``, and 0 where that would be negative."""
    return ONE - a if a < ONE else 0


def pow_up(base: int, exponent: int, simple_powers: bool) -> int:
    """``base ** exponent``, never below the true value.

    With ``simple_powers``, exponents of one, two and four are multiplied out (pools since 2022): without their margin
    of error, the result is another number.

    Raises:
        ValueError: out of bounds.
    """
    if simple_powers and exponent in SIMPLE:
        if exponent == ONE:
            return base
        square = mul_up(base, base)
        return square if exponent == 2 * ONE else mul_up(square, square)
    raw = power(base, exponent)
    return raw + mul_up(raw, _POWER_ERROR) + 1


def power_below(bound: int) -> int:
    """The greatest ``power`` which, with the margin of ``pow_up`` on top, is at most ``bound``."""
    return (bound - 1) * ONE // (ONE + _POWER_ERROR)


def simple_root(bound: int, exponent: int) -> int:
    """The greatest base whose ``pow_up`` is at most ``bound``, where it is multiplied out; exact."""
    if exponent == ONE:
        return bound
    root = isqrt(bound * ONE)
    return root if exponent == 2 * ONE else isqrt(root * ONE)
