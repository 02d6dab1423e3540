"""Means, roots and powers as the contracts compute them, in 18 decimals unless said otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

from flasharb.pools.errors import InsufficientLiquidity

_WAD = 10**18
_CBRT_HIGH = 115792089237316195423570985008687907853269 * _WAD
_CBRT_MIDDLE = 115792089237316195423570985008687907853269
_ROOTS_OF_TWO = (10**6, 1_260_000, 1_587_600)
"""1.26^0, 1.26^1, 1.26^2 in millionths."""
_MAX_ROUNDS = 255


def cube_root(x: int) -> int:
    """The cube root by seven Newton steps from a power of two (and a power of 1.26)."""
    if not x:
        return 0
    scaled = x if x >= _CBRT_HIGH else x * _WAD if x >= _CBRT_MIDDLE else x * 10**36
    exponent, rest = divmod(scaled.bit_length() - 1, 3)
    root = (1 << exponent) * _ROOTS_OF_TWO[rest] // 10**6
    for _ in range(7):
        root = (2 * root + scaled // (root * root)) // 3
    if x < _CBRT_MIDDLE:
        return root
    return root * 10**12 if x >= _CBRT_HIGH else root * 10**6


def geometric_mean_of_three(x: Sequence[int]) -> int:
    """Of "tricrypto_ng": the cube root of the product."""
    product = x[0] * x[1] // _WAD * x[2] // _WAD
    return cube_root(product) if product else 0


def geometric_mean_of_two(x: Sequence[int]) -> int:
    """Of "twocrypto_ng": the square root of the product."""
    return isqrt(x[0] * x[1])


def geometric_mean(unsorted: Sequence[int]) -> int:
    """Of the older contracts: Newton's iteration from the greatest number."""
    x = sorted(unsorted, reverse=True)
    n, d = len(x), x[0]
    if not d:
        raise InsufficientLiquidity("the mean of zeros")
    for _ in range(_MAX_ROUNDS):
        previous = d
        if n == 2:
            d = (d + x[0] * x[1] // d) // 2
        else:
            term = _WAD
            for value in x:
                term = term * value // d
            d = d * ((n - 1) * _WAD + term) // (n * _WAD)
        step = abs(d - previous)
        if step <= 1 or step * _WAD < d:
            return d
        if not d:
            break
    raise InsufficientLiquidity("the contract's mean does not settle")


def square_root(x: int) -> int:
    """sqrt of a number in 18 decimals (sqrt_int)."""
    if not x:
        return 0
    z, y = (x + _WAD) // 2, x
    for _ in range(256):
        if z == y:
            return y
        y = z
        z = (x * _WAD // z + z) // 2
    raise InsufficientLiquidity("the contract's square root does not settle")


def half_power(power: int) -> int:
    """0.5 ** power by its binomial series, cut below 10^-8 (halfpow)."""
    whole, rest = divmod(power, _WAD)
    if whole > 59:
        return 0
    result = _WAD >> whole
    if not rest:
        return result
    term = total = _WAD
    negative = False
    for k in range(1, 256):
        scale = k * _WAD
        c = scale - _WAD
        if rest > c:
            c = rest - c
            negative = not negative
        else:
            c -= rest
        term = term * (c * (_WAD // 2) // _WAD) // scale
        total += -term if negative else term
        if term < 10**10:
            return result * total // _WAD
    raise InsufficientLiquidity("the contract's power does not settle")


def natural_decay(x: int) -> int:
    """e ** -x for x >= 0, by the (6, 7) rational approximation that the "ng" contracts use (wad_exp of -x).

    Within, numbers are binary fractions of 2^96: x is reduced by multiples k of ln 2, then two polynomials divide.
    """
    if x >= 42139678854452767551:
        return 0
    value = -((x << 78) // 5**18)
    ln2 = 54916777467707473351141471128
    # the contract divides towards zero, then shifts towards minus infinity
    k = (-((-value << 96) // ln2) + (1 << 95)) >> 96
    value -= k * ln2
    y = ((value + 1346386616545796478920950773328) * value >> 96) + 57155421227552351082224309758442
    p = ((y + value - 94201549194550492254356042504812) * y >> 96) + 28719021644029726153956944680412240
    p = p * value + (4385272521454847904659076985693276 << 96)
    q = ((value - 2855989394907223263936484059900) * value >> 96) + 50020603652535783019961831881945
    for coefficient in (
        -533845033583426703283633433725380,
        3604857256930695427073651918091429,
        -14423608567350463180887372962807573,
        26449188498355588339934803723976023,
    ):
        q = (q * value >> 96) + coefficient
    return (p // q) * 3822833074963236453042738258902158003155416615667 >> (195 - k)
