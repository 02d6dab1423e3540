"""Powers of 18-decimal numbers as the pools' contracts compute them, to the last digit.

``x ** y`` is ``exp(y * ln(x))``. Both functions split their argument into known powers of e and a small rest, for which
a short series is enough; what is exact here is not the mathematics but the rounding of every step (towards zero, with
20 or 36 decimals inside). All steps are odd functions or work on positive numbers, so that the sign is put aside first
and Python's floor division rounds as the contract's truncating one.

Source: ``LogExpMath`` of Balancer V2 (MIT), the same in all versions of its pools.
"""

from __future__ import annotations

from math import ceil, expm1, floor, log1p
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
_FIRST_STEP: Final = _SMALL[-1][0] // 100
# ln goes two steps further than exp, whose series copes with a larger rest
_SMALLEST: Final = (
    (12500000000000000000, 113314845306682631683),
    (6250000000000000000, 106449445891785942956),
)
# the n-th term divides by one with 20 decimals and by n, which is one division: both round down
_EXP_DIVISORS: Final = tuple(n * _ONE_20 for n in range(2, 13))

_FLOAT_ERROR: Final = 10**4
"""Units of 18 decimals that a root found with floats is never off."""
_LOG_ERROR: Final = 10**12
"""Units of 36 decimals that the logarithm does not stray from a straight line over so few units."""

_STEPS: Final = 4


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
    product = _times_log(base, exponent)
    if base < ONE:
        if product > -_MIN_EXPONENT:
            raise ValueError("the power is out of bounds")
        return _ONE_36 // _exp(product)
    if product > _MAX_EXPONENT:
        raise ValueError("the power is out of bounds")
    return _exp(product)


def root(value: int, exponent: int) -> int | None:
    """The greatest base below one whose ``power`` is at most ``value``; 0 if below 1 / e, None if not found.

    The last roundings of the power are turned round exactly: it is small enough from a certain product of exponent and
    logarithm on. The base of that product is found with floats. How far off they are is told by its own logarithm,
    which near one has twice as many decimals and runs straight over so few units; elsewhere by those beside it.
    """
    product = _least_product(_ONE_36 // (value + 1) + 1)
    if product > exponent:
        return 0
    base = ONE + floor(expm1(-product / exponent) * ONE)
    if base > _NEAR_ONE[0] + _FLOAT_ERROR:
        over = (_times_log_near_one(base, exponent) - product * ONE) * base
        moved, rest = divmod(over, exponent * ONE)
        base += moved
        if _LOG_ERROR * base < rest < exponent * ONE - _LOG_ERROR * base and abs(moved) < _FLOAT_ERROR:
            return base
    else:
        base = _ONE_36 // _exp(-(-product * ONE // exponent))
    for _ in range(_STEPS):
        if _times_log(base, exponent) < product:
            base -= 1
        elif _times_log(base + 1, exponent) >= product:
            base += 1
        else:
            return base
    return None


def _least_product(inverse: int) -> int:
    """The least power of e that is at least ``inverse``."""
    product = ceil(log1p((inverse - ONE) / ONE) * ONE)
    while True:
        reached = _exp(product)
        if reached < inverse:
            product += max(1, (inverse - reached) * ONE // reached)
            continue
        # without a step of the table in between, a unit less gives a unit less
        if reached == inverse and product < _FIRST_STEP:
            return product
        reached = _exp(product - 1)
        if reached < inverse:
            return product
        product -= max(1, (reached - inverse) * ONE // reached)


def _exp(x: int) -> int:
    """e to a positive power, 18 decimals."""
    first = 1
    if x >= _LARGE[-1][0]:
        for step, value in _LARGE:
            if x >= step:
                x -= step
                first = value
                break
    return _exp_20(x * 100) * first // 100


def _exp_20(x: int) -> int:
    """e to a positive power below 64, both with 20 decimals."""
    product = _ONE_20
    if x >= _SMALL[-1][0]:
        for step, value in _SMALL:
            if x >= step:
                x -= step
                product = product * value // _ONE_20
    # the contract takes twelve terms; from the first one that is zero on, all are
    total, term = _ONE_20 + x, x
    for divisor in _EXP_DIVISORS:
        term = term * x // divisor
        if not term:
            break
        total += term
    return product * total // _ONE_20


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


def _times_log(base: int, exponent: int) -> int:
    """The exponent times the absolute logarithm, 18 decimals."""
    if _NEAR_ONE[0] < base < _NEAR_ONE[1]:
        return _times_log_near_one(base, exponent) // ONE
    return _ln_above_one(_ONE_36 // base if base < ONE else base) * exponent // ONE


def _times_log_near_one(base: int, exponent: int) -> int:
    """The exponent (18 decimals) times the absolute logarithm, 36 decimals."""
    whole, part = divmod(_ln_near_one(base), ONE)
    return whole * exponent + part * exponent // ONE


def _ln_near_one(x: int) -> int:
    """The absolute natural logarithm of a number between 0.9 and 1.1, 36 decimals."""
    x *= ONE
    z = abs(x - _ONE_36) * _ONE_36 // (x + _ONE_36)
    square = z * z // _ONE_36
    series = term = z
    for n in (3, 5, 7, 9, 11, 13, 15):
        term = term * square // _ONE_36
        if not term:
            break
        series += term // n
    return 2 * series
