"""The CryptoSwap invariant by Newton's method, in the contracts' own integer steps.

With ``K0 = prod(x) n^n / D^n`` and ``K = A K0 gamma^2 / (gamma + 1 - K0)^2`` the invariant is

    K D^(n-1) sum(x) + prod(x)  =  K D^n + (D/n)^n

``ann`` is A n^n times 10^4; ``gamma``, prices and balances have 18 decimals. The contracts refuse balances out of all
proportion to D; where they revert, ``InsufficientLiquidity`` is raised.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

from flasharb.pools.cryptoswap.roots import cube_root, geometric_mean, geometric_mean_of_three
from flasharb.pools.cryptoswap.rules import A_MULTIPLIER, LEAST_GAMMA, CryptoRules
from flasharb.pools.errors import InsufficientLiquidity

_WAD = 10**18
_MAX_ROUNDS = 255
_LEAST_D, _MOST_D = 10**17, 10**33
_FRACTIONS = (10**16, 10**20)


def check_parameters(ann: int, gamma: int, rules: CryptoRules) -> None:
    """Refuse an amplification or a gamma outside the contract's limits."""
    if not rules.least_a <= ann <= rules.most_a or not LEAST_GAMMA <= gamma <= rules.most_gamma:
        raise InsufficientLiquidity(f"A {ann} or gamma {gamma} lies outside the contract's limits")


def check_d(d: int) -> None:
    """Refuse an invariant outside the contracts' limits."""
    if not _LEAST_D <= d <= _MOST_D:
        raise InsufficientLiquidity(f"D {d} lies outside the contract's limits")


def check_fraction(x: int, d: int, least: int = _FRACTIONS[0]) -> None:
    """Refuse a balance out of all proportion to D."""
    if not least <= x * _WAD // d <= _FRACTIONS[1]:
        raise InsufficientLiquidity("a balance is out of the proportion to D that the contract allows")


def newton_y(ann: int, gamma: int, xp: Sequence[int], d: int, k: int) -> int:
    """The balance of coin ``k`` for the invariant ``d`` (newton_y); the limits on A and gamma are not checked."""
    check_d(d)
    n = len(xp)
    others = sorted((x for at, x in enumerate(xp) if at != k), reverse=True)
    if n == 2:
        (x,) = others
        y, product = d * d // (x * 4) if x else 0, 2 * _WAD * x // d
        if not 2 * _FRACTIONS[0] <= product <= 2 * _FRACTIONS[1]:
            raise InsufficientLiquidity("a balance is out of the proportion to D that the contract allows")
    else:
        for x in others:
            check_fraction(x, d)
        y, product = d // n, _WAD
        for x in reversed(others):
            y = y * d // (x * n)
        for x in others:
            product = product * x * n // d
    total = sum(others)
    limit = max(others[0] // 10**14, d // 10**14, 100)
    y = _iterate_y(ann, gamma, (product, total, limit, y), d, n)
    check_fraction(y, d)
    return y


def _iterate_y(ann: int, gamma: int, start: tuple[int, int, int, int], d: int, n: int) -> int:
    product, total, limit, y = start
    wad, gamma_plus_one, scaled_d = _WAD, gamma + _WAD, _WAD * d
    per_gamma = scaled_d // gamma
    for _ in range(_MAX_ROUNDS):
        previous = y
        k0 = product * y * n // d
        s = total + y
        g = gamma_plus_one - k0 + 1 if gamma_plus_one > k0 else k0 - gamma_plus_one + 1
        mul1 = per_gamma * g // gamma * g * A_MULTIPLIER // ann
        mul2 = wad + 2 * wad * k0 // g
        slope = wad * y + s * mul2 + mul1 - d * mul2
        if slope < 0:
            y = previous // 2
            continue
        if not y or not k0 or slope < y:
            break
        fprime = slope // y
        y_minus = mul1 // fprime
        y_plus = (slope + scaled_d) // fprime + y_minus * wad // k0
        y_minus += wad * s // fprime
        y = previous // 2 if y_plus < y_minus else y_plus - y_minus
        if abs(y - previous) < max(limit, y // 10**14):
            return y
    raise InsufficientLiquidity("the contract's iteration for a balance does not settle")


def newton_d(ann: int, gamma: int, unsorted: Sequence[int], rules: CryptoRules, k0_hint: int = 0) -> int:
    """``D`` of these balances (newton_D). ``k0_hint`` is what ``get_y`` of the "ng" contracts hands on for a start."""
    x = sorted(unsorted, reverse=True)
    _check_balances(ann, gamma, x, rules)
    d = _first_d(x, rules, k0_hint)
    n, s, wad, gamma_plus_one = len(x), sum(x), _WAD, gamma + _WAD
    for _ in range(_MAX_ROUNDS):
        if not d:
            break
        previous = d
        k0 = _k0(x, d)
        if not k0:
            break
        g = gamma_plus_one - k0 + 1 if gamma_plus_one > k0 else k0 - gamma_plus_one + 1
        mul1 = wad * d // gamma * g // gamma * g * A_MULTIPLIER // ann
        mul2 = 2 * wad * n * k0 // g
        slope = s + s * mul2 // wad + mul1 * n // k0 - mul2 * d // wad
        if slope <= 0:
            break
        d_plus = d * (slope + s) // slope
        d_minus = d * d // slope
        factor = d * (mul1 // slope) // wad
        if wad > k0:
            d_minus += factor * (wad - k0) // k0
        else:
            d_minus -= factor * (k0 - wad) // k0
        d = d_plus - d_minus if d_plus > d_minus else (d_minus - d_plus) // 2
        if abs(d - previous) * 10**14 < max(10**16, d):
            for value in x:
                check_fraction(value, d, rules.least_fraction)
            return d
    raise InsufficientLiquidity("the contract's iteration for D does not settle")


def _k0(x: Sequence[int], d: int) -> int:
    if len(x) == 2:
        return 4 * _WAD * x[0] // d * x[1] // d
    k0 = _WAD
    for value in x:
        k0 = k0 * value * 3 // d
    return k0


def _check_balances(ann: int, gamma: int, x: Sequence[int], rules: CryptoRules) -> None:
    if rules.name == "tricrypto_ng":
        if not x[0]:
            raise InsufficientLiquidity("an empty pool")
        return
    check_parameters(ann, gamma, rules)
    least = 10**11 if rules.coins == 3 else 10**14
    if not 10**9 <= x[0] <= _MOST_D or any(value * _WAD // x[0] < least for value in x[1:]):
        raise InsufficientLiquidity("the balances lie outside the contract's limits")


def _first_d(x: Sequence[int], rules: CryptoRules, k0_hint: int) -> int:
    if rules.name == "tricrypto_ng":
        if not k0_hint:
            return 3 * geometric_mean_of_three(x)
        total = sum(x)
        down, up = (10**36, 10**12) if total > 10**36 else (10**24, 10**6) if total > 10**24 else (_WAD, 1)
        return cube_root(x[0] * x[1] // down * x[2] // k0_hint * 27 * up)
    if rules.name == "twocrypto_ng":
        if not k0_hint:
            return 2 * isqrt(x[0] * x[1])
        return min(sum(x), isqrt(4 * x[0] * x[1] // k0_hint * _WAD))
    return len(x) * geometric_mean(x)
