"""Powers of 18-decimal numbers as the pools' contracts compute them, to the last digit.

``x ** y`` is ``exp(y * ln(x))``. Both functions split their argument into known powers of e and a small rest, for which
a short series is enough; what is exact here is not the mathematics but the rounding of every step (towards zero, with
20 or 36 decimals inside). All steps are odd functions or work on positive numbers, so that the sign is put aside first
and Python's floor division rounds as the contract's truncating one.

Source: ``LogExpMath`` of Balancer V2 (MIT), the same in all versions of its pools.
"""

from __future__ import annotations

from typing import Final

ONE: Final = 10**18
_ONE_20: Final = 10**20
_ONE_36: Final = 10**36

_MAX_EXPONENT: Final = 130 * ONE
_MIN_EXPONENT: Final = -41 * ONE
_NEAR_ONE: Final = (9 * 10**17, 11 * 10**17)

# (power of two, e to it): the first two without decimals for the value, the others with 20 decimals for both
_LARGE: Final = (
    (128 * ONE, 38877084059945950922200000000000000000000000000000000000),
    (64 * ONE, 6235149080811616882910000000),
)
_SMALL: Final = (
    (3200000000000000000000, 7896296018268069516100000000000000),
    (1600000000000000000000, 888611052050787263676000000),
    (800000000000000000000, 298095798704172827474000),
    (400000000000000000000, 5459815003314423907810),
    (200000000000000000000, 738905609893065022723),
    (100000000000000000000, 271828182845904523536),
    (50000000000000000000, 164872127070012814685),
    (25000000000000000000, 128402541668774148407),
)
# ln goes two steps further than exp, whose series copes with a larger rest
_SMALLEST: Final = (
    (12500000000000000000, 113314845306682631683),
    (6250000000000000000, 106449445891785942956),
)


def power(base: int, exponent: int) -> int:
    """``base ** exponent``, all with 18 decimals; the result lies within 1e-14 (relative) of the true value.

    Raises:
        ValueError: the result does not fit (the contract reverts).
    """
    if not exponent:
        return ONE
    if not base:
        return 0
    if base >> 255 or exponent >= (1 << 254) // _ONE_20:
        raise ValueError("an argument of the power is out of bounds")
    negative = base < ONE
    if _NEAR_ONE[0] < base < _NEAR_ONE[1]:
        whole, part = divmod(_ln_near_one(base), ONE)
        product = whole * exponent + part * exponent // ONE
    else:
        product = _ln_above_one(_ONE_36 // base if negative else base) * exponent
    product //= ONE
    if negative:
        if product > -_MIN_EXPONENT:
            raise ValueError("the power is out of bounds")
        return _ONE_36 // _exp(product)
    if product > _MAX_EXPONENT:
        raise ValueError("the power is out of bounds")
    return _exp(product)


def _exp(x: int) -> int:
    """e to a positive power, 18 decimals."""
    first = 1
    for step, value in _LARGE:
        if x >= step:
            x -= step
            first = value
            break
    x *= 100
    product = _ONE_20
    for step, value in _SMALL:
        if x >= step:
            x -= step
            product = product * value // _ONE_20
    # the contract takes twelve terms; from the first one that is zero on, all are
    total, term = _ONE_20 + x, x
    for n in range(2, 13):
        term = term * x // _ONE_20 // n
        if not term:
            break
        total += term
    return product * total // _ONE_20 * first // 100


def _ln_above_one(a: int) -> int:
    """The natural logarithm of a number from one on, 18 decimals."""
    total = 0
    for step, value in _LARGE:
        if a >= value * ONE:
            a //= value
            total += step
    total *= 100
    a *= 100
    for step, value in _SMALL + _SMALLEST:
        if a >= value:
            a = a * _ONE_20 // value
            total += step
    z = (a - _ONE_20) * _ONE_20 // (a + _ONE_20)
    square = z * z // _ONE_20
    series = term = z
    for n in (3, 5, 7, 9, 11):
        term = term * square // _ONE_20
        series += term // n
    return (total + 2 * series) // 100


def _ln_near_one(x: int) -> int:
    """The absolute natural logarithm of a number between 0.9 and 1.1, 36 decimals."""
    x *= ONE
    z = abs(x - _ONE_36) * _ONE_36 // (x + _ONE_36)
    square = z * z // _ONE_36
    series = term = z
    for n in (3, 5, 7, 9, 11, 13, 15):
        term = term * square // _ONE_36
        series += term // n
    return 2 * series
