"""The unknown balance in closed form: the "ng" contracts solve a cubic in K0 by Cardano's formula.

The invariant is a cubic ``a k^3 + b k^2 + c k + d`` in K0. The contracts scale its coefficients down before squaring
them, divide towards zero as the EVM's signed division does, and fall back to Newton's method where the discriminant is
not positive. The K0 that comes out is handed on to ``newton_d`` as its start.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

from flasharb.pools.cryptoswap.newton import check_d, check_fraction, check_parameters, newton_y
from flasharb.pools.cryptoswap.roots import cube_root
from flasharb.pools.cryptoswap.rules import CryptoRules
from flasharb.pools.errors import InsufficientLiquidity

_WAD = 10**18
_LARGEST = 1 << 255
_Cubic = tuple[int, int, int, int]


def solve_y(ann: int, gamma: int, xp: Sequence[int], d: int, k: int, rules: CryptoRules) -> tuple[int, int]:
    """(balance of coin ``k``, K0) for the invariant ``d`` (get_y of the "ng" contracts); K0 is 0 after Newton."""
    check_parameters(ann, gamma, rules)
    check_d(d)
    solve = _of_two if rules.coins == 2 else _of_three
    y, k0 = solve(ann, gamma, xp, d, k)
    if k0:
        check_fraction(y, d, 10**16 - 1)
    return y, k0


def _quotient(a: int, b: int) -> int:
    """Signed division towards zero."""
    if not b:
        raise InsufficientLiquidity("the contract divides by zero")
    return a // b if (a < 0) == (b < 0) or not a else -(-a // b)


def _of_two(ann: int, gamma: int, xp: Sequence[int], d: int, k: int) -> tuple[int, int]:
    x = xp[1 - k]
    if not 2 * 10**16 <= 2 * _WAD * x // d <= 2 * 10**20:
        raise InsufficientLiquidity("a balance is out of the proportion to D that the contract allows")
    gamma2 = gamma * gamma
    ann_gamma2 = ann * gamma2
    a = 10**32
    b = d * ann_gamma2 // 400_000_000 // x - 3 * 10**32 - 2 * gamma * 10**14
    c = 3 * 10**32 + 4 * gamma * 10**14 + gamma2 // 10**4
    c += 4 * ann_gamma2 // 400_000_000 * x // d - 4 * ann_gamma2 // 400_000_000
    e = -((_WAD + gamma) ** 2 // 10**4)
    delta0 = _quotient(3 * a * c, b) - b
    delta1 = 3 * delta0 + b - _quotient(_quotient(27 * a * a, b) * e, b)
    divider = _divider_of_two(min(abs(delta0), abs(delta1), a))
    cubic = (a // divider, _quotient(b, divider), _quotient(c, divider), _quotient(e, divider))
    found = _cardano(cubic, nine_at_once=False)
    if found is None:
        return newton_y(ann, gamma, xp, d, k), 0
    a, b, delta0, c1 = found
    root = _quotient(_WAD * c1 - _WAD * b - _quotient(_WAD * b, c1) * delta0, 3 * a)
    return _positive(d * d // x * root) // 4 // _WAD, root


def _of_three(ann: int, gamma: int, xp: Sequence[int], d: int, k: int) -> tuple[int, int]:
    x, z = (xp[at] for at in range(3) if at != k)
    check_fraction(x, d)
    check_fraction(z, d)
    gamma2 = gamma * gamma
    a = 10**36 // 27
    b = 10**36 // 9 + 2 * _WAD * gamma // 27 - d * d // x * gamma2 * ann // 27**2 // 10_000 // z
    c = 10**36 // 9 + gamma * (gamma + 4 * _WAD) // 27
    c += _quotient(_quotient(_quotient(gamma2 * (x + z - d), d) * ann, 27), 10_000)
    e = (_WAD + gamma) ** 2 // 27
    cubic = _scaled_of_three((a, b, c, e), abs(_quotient(3 * a * c, b) - b))
    found = _cardano(cubic, nine_at_once=True)
    if found is None:
        return newton_y(ann, gamma, xp, d, k), 0
    a, b, delta0, c1 = found
    root = _quotient(b + _quotient(b * delta0, c1) - c1, 3)
    y = _quotient(d * d // 27 // z * d // x * root, a)
    return _positive(y), _positive(_quotient(_WAD * root, a))


def _divider_of_two(threshold: int) -> int:
    if threshold <= 10**20:
        return 1
    # steps of a hundred: above 10^48 by 10^30, ..., above 10^24 by 10^6; between 10^20 and 10^24 by 10^2
    for exponent in range(48, 22, -2):
        if threshold > 10**exponent:
            return int(10 ** (exponent - 18))
    return 10**2


def _scaled_of_three(cubic: _Cubic, threshold: int) -> _Cubic:
    """The coefficients scaled down, so that a is near b and squares fit."""
    divider = 1
    for exponent in range(48, 16, -4):
        if threshold > 10**exponent:
            divider = 10 ** (exponent - 18)
            break
    a, b, c, e = cubic
    if abs(a) > abs(b):
        up, down = abs(_quotient(a, b)), 1
    else:
        up, down = 1, abs(_quotient(b, a))

    def scaled(value: int) -> int:
        return _quotient(_quotient(value * up, down), divider)

    return scaled(a), scaled(b), scaled(c), scaled(e)


def _cardano(cubic: _Cubic, *, nine_at_once: bool) -> tuple[int, int, int, int] | None:
    """(a, b, delta0, C1) of the cubic, from which either contract takes its root; None: no positive discriminant.

    ``nine_at_once``: 9 a c is divided by b in one go, not 3 a c and the result tripled.
    """
    a, b, c, e = cubic
    product = 3 * a * c
    third = _quotient(product, b)
    delta0 = third - b
    delta1 = (_quotient(3 * product, b) if nine_at_once else 3 * third) - 2 * b
    delta1 -= _quotient(_quotient(27 * a * a, b) * e, b)
    discriminant = delta1 * delta1 + _quotient(4 * delta0 * delta0, b) * delta0
    if max(abs(discriminant), delta1 * delta1, abs(delta0 * delta0 * 4), abs(product)) >= _LARGEST:
        raise InsufficientLiquidity("the balances overflow the contract's arithmetic")
    if discriminant <= 0:
        return None
    root = isqrt(discriminant)
    b_root = cube_root(b) if b >= 0 else -cube_root(-b)
    second = cube_root((delta1 + root) // 2) if delta1 > 0 else -cube_root((root - delta1) // 2)
    return a, b, delta0, _quotient(b_root * b_root // _WAD * second, _WAD)


def _positive(value: int) -> int:
    """The contract converts to an unsigned number."""
    if value < 0:
        raise InsufficientLiquidity("the contract's cubic has no root here")
    return value
