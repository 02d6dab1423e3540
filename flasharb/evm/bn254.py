"""The curve of EIP-196 and EIP-197 (alt_bn128, BN254): addition, multiplication and the pairing check, in plain ints.

Why our own: py_ecc, which py-evm uses, takes 140 ms a pair, and no library with wheels that is kept well was found. The
tower is F2 = F[i] / (i² + 1), F6 = F2[v] / (v³ - ξ) with ξ = 9 + i, F12 = F6[w] / (w² - v). Elements of F2 are pairs
of ints, of F6 six ints (real, imaginary; by power of v), of F12 pairs of F6. G2 lives on the twist y² = x³ + 3/ξ over
F2; (x, y) there stands for (x w², y w³) on the curve.

Three savings make it fast. Points stay affine: all pairs take each step together and share one inversion. Lines are
sparse, a + b w + c w³. Q is in the subgroup where ψ(Q) = [u]Q, with u = 6t² and ψ Frobenius on the twist: on the
subgroup ψ is multiplication by p, which is u modulo ORDER; and since ψ² - (u + 1) ψ + p = 0 holds for every point,
such a Q has [u² - (u + 1) u + p]Q = [p - u]Q = [ORDER]Q = 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

P: Final = 21888242871839275222246405745257275088696311157297823662689037894645226208583
ORDER: Final = 21888242871839275222246405745257275088548364400416034343698204186575808495617
_T: Final = 4965661367192848881
_LOOP: Final = bin(6 * _T + 2)[3:]
_HARD: Final = bin(_T)[3:]
_U: Final = 6 * _T * _T

F2 = tuple[int, int]
F6 = tuple[int, int, int, int, int, int]
F12 = tuple[F6, F6]
G1 = tuple[int, int]
G2 = tuple[F2, F2]

_XI: Final = (9, 1)
_ZERO6: Final[F6] = (0, 0, 0, 0, 0, 0)
_ONE6: Final[F6] = (1, 0, 0, 0, 0, 0)
_ONE12: Final[F12] = (_ONE6, _ZERO6)


class NoPoint(ValueError):
    """Coordinates that are no point of the curve, or of the subgroup."""


# G1; infinity is (0, 0), as the EIPs encode it


def check_g1(x: int, y: int) -> G1:
    """The point, or infinity.

    Raises:
        NoPoint: it is not on the curve.
    """
    if x >= P or y >= P or ((y * y - x * x * x - 3) % P and (x or y)):
        raise NoPoint("not on the curve")
    return x, y


def add(a: G1, b: G1) -> G1:
    """The sum of two points."""
    if a == (0, 0):
        return b
    if b == (0, 0):
        return a
    (ax, ay), (bx, by) = a, b
    if ax != bx:
        slope = (by - ay) * pow(bx - ax, -1, P)
    elif ay == by and ay:
        slope = 3 * ax * ax * pow(2 * ay, -1, P)
    else:
        return 0, 0
    x = (slope * slope - ax - bx) % P
    return x, (slope * (ax - x) - ay) % P


def multiply(point: G1, times: int) -> G1:
    """A multiple of a point."""
    times %= ORDER
    if not times or point == (0, 0):
        return 0, 0
    bx, by = point
    # Jacobian; no addition meets its own point or its negative, since the multiple so far is 2 to ORDER - 2.
    x, y, z = bx, by, 1
    for bit in bin(times)[3:]:
        square = y * y % P
        s = 4 * x * square % P
        m = 3 * x * x % P
        z = 2 * y * z % P
        x = (m * m - 2 * s) % P
        y = (m * (s - x) - 8 * square * square) % P
        if bit == "1":
            x, y, z = _mixed(x, y, z, bx, by)
    inverse = pow(z, -1, P)
    square = inverse * inverse % P
    return x * square % P, y * square * inverse % P


def _mixed(x: int, y: int, z: int, bx: int, by: int) -> tuple[int, int, int]:
    square = z * z % P
    h = (bx * square - x) % P
    r = (by * square * z - y) % P
    hh = h * h % P
    cube = h * hh % P
    shared = x * hh % P
    to = (r * r - cube - 2 * shared) % P
    return to, (r * (shared - to) - y * cube) % P, z * h % P


# F2


def _mul2(a: F2, b: F2) -> F2:
    a0, a1 = a
    b0, b1 = b
    return (a0 * b0 - a1 * b1) % P, (a0 * b1 + a1 * b0) % P


def _sub2(a: F2, b: F2) -> F2:
    return a[0] - b[0], a[1] - b[1]


def _inverse2(a: F2) -> F2:
    a0, a1 = a
    norm = pow(a0 * a0 + a1 * a1, -1, P)
    return a0 * norm % P, -a1 * norm % P


def _power2(a: F2, exponent: int) -> F2:
    result = (1, 0)
    for bit in f"{exponent:b}":
        result = _mul2(result, result)
        if bit == "1":
            result = _mul2(result, a)
    return result


# ξ to the power of j (p - 1) / 6: what Frobenius multiplies the coefficient of w to the power of j with.
_GAMMA: Final = tuple(_power2(_XI, j * (P - 1) // 6) for j in range(6))
_TWIST_B: Final = _mul2((3, 0), _inverse2(_XI))


# F6 and F12


def _mul6(a: F6, b: F6) -> F6:
    a0, a1, a2, a3, a4, a5 = a
    b0, b1, b2, b3, b4, b5 = b
    # Powers 3 and 4 of v come back as ξ and ξ v.
    r3 = a2 * b4 - a3 * b5 + a4 * b2 - a5 * b3
    i3 = a2 * b5 + a3 * b4 + a4 * b3 + a5 * b2
    r4 = a4 * b4 - a5 * b5
    i4 = a4 * b5 + a5 * b4
    return (
        (a0 * b0 - a1 * b1 + 9 * r3 - i3) % P,
        (a0 * b1 + a1 * b0 + r3 + 9 * i3) % P,
        (a0 * b2 - a1 * b3 + a2 * b0 - a3 * b1 + 9 * r4 - i4) % P,
        (a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0 + r4 + 9 * i4) % P,
        (a0 * b4 - a1 * b5 + a2 * b2 - a3 * b3 + a4 * b0 - a5 * b1) % P,
        (a0 * b5 + a1 * b4 + a2 * b3 + a3 * b2 + a4 * b1 + a5 * b0) % P,
    )


def _add6(a: F6, b: F6) -> F6:
    a0, a1, a2, a3, a4, a5 = a
    b0, b1, b2, b3, b4, b5 = b
    return a0 + b0, a1 + b1, a2 + b2, a3 + b3, a4 + b4, a5 + b5


def _sub6(a: F6, b: F6) -> F6:
    a0, a1, a2, a3, a4, a5 = a
    b0, b1, b2, b3, b4, b5 = b
    return a0 - b0, a1 - b1, a2 - b2, a3 - b3, a4 - b4, a5 - b5


def _neg6(a: F6) -> F6:
    return _sub6(_ZERO6, a)


def _shift6(a: F6) -> F6:
    """Times v."""
    a0, a1, a2, a3, a4, a5 = a
    return 9 * a4 - a5, a4 + 9 * a5, a0, a1, a2, a3


def _inverse6(a: F6) -> F6:
    """By the norm to F2 (the adjugate's first column, over the determinant)."""
    a0, a1, a2 = a[:2], a[2:4], a[4:]
    c0 = _sub2(_mul2(a0, a0), _mul2(_XI, _mul2(a1, a2)))
    c1 = _sub2(_mul2(_XI, _mul2(a2, a2)), _mul2(a0, a1))
    c2 = _sub2(_mul2(a1, a1), _mul2(a0, a2))
    r0, r1 = _mul2(a0, c0), _mul2(_XI, _mul2(a2, c1))
    r2 = _mul2(_XI, _mul2(a1, c2))
    norm = _inverse2((r0[0] + r1[0] + r2[0], r0[1] + r1[1] + r2[1]))
    return (*_mul2(c0, norm), *_mul2(c1, norm), *_mul2(c2, norm))


def _mul12(a: F12, b: F12) -> F12:
    low, high = _mul6(a[0], b[0]), _mul6(a[1], b[1])
    both = _mul6(_add6(*a), _add6(*b))
    return _add6(low, _shift6(high)), _sub6(both, _add6(low, high))


def _square12(a: F12) -> F12:
    low, high = a
    cross = _mul6(low, high)
    whole = _mul6(_add6(low, high), _add6(low, _shift6(high)))
    return _sub6(whole, _add6(cross, _shift6(cross))), _add6(cross, cross)


def _mul_line(f: F12, line: tuple[int, F2, F2]) -> F12:
    """Times the sparse element a + b w + c w³, with a in F."""
    (low, high), (a, b, c) = f, line
    sparse = (*b, *c)
    return _scaled(low, a, _shift6(_mul_sparse(high, sparse))), _scaled(high, a, _mul_sparse(low, sparse))


def _mul_sparse(a: F6, b: tuple[int, int, int, int]) -> F6:
    a0, a1, a2, a3, a4, a5 = a
    b0, b1, b2, b3 = b
    r3 = a4 * b2 - a5 * b3
    i3 = a4 * b3 + a5 * b2
    return (
        a0 * b0 - a1 * b1 + 9 * r3 - i3,
        a0 * b1 + a1 * b0 + r3 + 9 * i3,
        a0 * b2 - a1 * b3 + a2 * b0 - a3 * b1,
        a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0,
        a2 * b2 - a3 * b3 + a4 * b0 - a5 * b1,
        a2 * b3 + a3 * b2 + a4 * b1 + a5 * b0,
    )


def _scaled(a: F6, factor: int, rest: F6) -> F6:
    a0, a1, a2, a3, a4, a5 = a
    r0, r1, r2, r3, r4, r5 = rest
    return (
        (a0 * factor + r0) % P,
        (a1 * factor + r1) % P,
        (a2 * factor + r2) % P,
        (a3 * factor + r3) % P,
        (a4 * factor + r4) % P,
        (a5 * factor + r5) % P,
    )


def _frobenius(a: F12) -> F12:
    """To the power of p."""
    low, high = a
    a0, a1, a2 = (_mul2((low[2 * k], -low[2 * k + 1]), _GAMMA[2 * k]) for k in range(3))
    b0, b1, b2 = (_mul2((high[2 * k], -high[2 * k + 1]), _GAMMA[2 * k + 1]) for k in range(3))
    return (*a0, *a1, *a2), (*b0, *b1, *b2)


def _conjugate(a: F12) -> F12:
    """To the power of p⁶: the inverse, of what the first step of the final exponentiation leaves."""
    return a[0], _neg6(a[1])


def _power_t(a: F12) -> F12:
    result = a
    for bit in _HARD:
        result = _square12(result)
        if bit == "1":
            result = _mul12(result, a)
    return result


# G2


def check_g2(x: F2, y: F2) -> G2 | None:
    """The point; None for infinity, which is all zeros.

    Raises:
        NoPoint: it is not on the twist, or not in the subgroup of order ``ORDER``.
    """
    if max(*x, *y) >= P:
        raise NoPoint("a coordinate is not below the field's prime")
    if x == y == (0, 0):
        return None
    cube = _mul2(_mul2(x, x), x)
    square = _mul2(y, y)
    if (square[0] - cube[0] - _TWIST_B[0]) % P or (square[1] - cube[1] - _TWIST_B[1]) % P:
        raise NoPoint("not on the twist")
    if not _is_multiple((x, y), _psi((x, y))):
        raise NoPoint("not in the subgroup")
    return x, y


def _psi(q: G2) -> G2:
    (x0, x1), (y0, y1) = q
    return _mul2((x0, -x1), _GAMMA[2]), _mul2((y0, -y1), _GAMMA[3])


def _is_multiple(q: G2, expected: G2) -> bool:
    """Whether [6t²]Q is ``expected``; Q may have any order."""
    (bx, by), (x, y), z = q, q, (1, 0)
    for bit in bin(_U)[3:]:
        x, y, z = _double2(x, y, z)
        if bit == "1":
            if z == (0, 0):
                (x, y), z = q, (1, 0)
                continue
            square = _mul2(z, z)
            h = _sub2(_mul2(bx, square), x)
            r = _sub2(_mul2(by, _mul2(square, z)), y)
            h, r = (h[0] % P, h[1] % P), (r[0] % P, r[1] % P)
            if h == (0, 0):
                x, y, z = _double2(x, y, z) if r == (0, 0) else ((1, 0), (1, 0), (0, 0))
                continue
            hh = _mul2(h, h)
            cube, shared, rr = _mul2(h, hh), _mul2(x, hh), _mul2(r, r)
            x = (rr[0] - cube[0] - 2 * shared[0]) % P, (rr[1] - cube[1] - 2 * shared[1]) % P
            y = _sub2(_mul2(r, _sub2(shared, x)), _mul2(y, cube))
            z = _mul2(z, h)
    square = _mul2(z, z)
    dx = _sub2(_mul2(expected[0], square), x)
    dy = _sub2(_mul2(expected[1], _mul2(square, z)), y)
    return z != (0, 0) and not (dx[0] % P or dx[1] % P or dy[0] % P or dy[1] % P)


def _double2(x: F2, y: F2, z: F2) -> tuple[F2, F2, F2]:
    square = _mul2(y, y)
    s, m, fourth = _mul2(x, square), _mul2(x, x), _mul2(square, square)
    s0, s1, m = 4 * s[0], 4 * s[1], (3 * m[0], 3 * m[1])
    mm, yz = _mul2(m, m), _mul2(y, z)
    to = (mm[0] - 2 * s0) % P, (mm[1] - 2 * s1) % P
    slope = _mul2(m, (s0 - to[0], s1 - to[1]))
    return to, (slope[0] - 8 * fourth[0], slope[1] - 8 * fourth[1]), (2 * yz[0], 2 * yz[1])


# The pairing


class _Pair:
    """A point P of G1, a point Q of G2, and the running multiple T of Q."""

    __slots__ = ("px", "py", "q", "tx", "ty")

    def __init__(self, p: G1, q: G2) -> None:
        (self.px, self.py), self.q = p, q
        self.tx, self.ty = q

    def line(self, slope: F2, other_x: F2) -> tuple[int, F2, F2]:
        """Move T along the line of this slope to its third point, mirrored; the line at P."""
        (s0, s1), (x0, x1), (y0, y1) = slope, self.tx, self.ty
        c = (s0 * x0 - s1 * x1 - y0) % P, (s0 * x1 + s1 * x0 - y1) % P
        n0, n1 = (s0 * s0 - s1 * s1 - x0 - other_x[0]) % P, (2 * s0 * s1 - x1 - other_x[1]) % P
        self.tx = n0, n1
        self.ty = (-s0 * n0 + s1 * n1 + c[0]) % P, (-s0 * n1 - s1 * n0 + c[1]) % P
        return self.py, (-s0 * self.px % P, -s1 * self.px % P), c


def _inverses(values: list[F2]) -> list[F2]:
    """All inverses for the price of one (Montgomery's trick)."""
    products = [(1, 0)]
    for value in values:
        products.append(_mul2(products[-1], value))
    rest = _inverse2(products.pop())
    inverses = []
    for value, before in zip(reversed(values), reversed(products), strict=True):
        inverses.append(_mul2(rest, before))
        rest = _mul2(rest, value)
    return inverses[::-1]


def _double_all(f: F12, pairs: list[_Pair]) -> F12:
    for pair, inverse in zip(pairs, _inverses([(2 * p.ty[0], 2 * p.ty[1]) for p in pairs]), strict=True):
        square = _mul2(pair.tx, pair.tx)
        slope = _mul2((3 * square[0], 3 * square[1]), inverse)
        f = _mul_line(f, pair.line(slope, pair.tx))
    return f


def _add_all(f: F12, pairs: list[_Pair], others: list[G2]) -> F12:
    differences = [_sub2(x, pair.tx) for pair, (x, _) in zip(pairs, others, strict=True)]
    for pair, (x, y), inverse in zip(pairs, others, _inverses(differences), strict=True):
        f = _mul_line(f, pair.line(_mul2(_sub2(y, pair.ty), inverse), x))
    return f


def pairing_is_one(points: Iterable[tuple[G1, G2 | None]]) -> bool:
    """Whether the product of the pairings is one; points as ``check_g1`` and ``check_g2`` gave them."""
    pairs = [_Pair(p, q) for p, q in points if q is not None and p != (0, 0)]
    if not pairs:
        return True
    return _final_exponentiation(_miller_loop(pairs)) == _ONE12


def _miller_loop(pairs: list[_Pair]) -> F12:
    f = _ONE12
    starts = [pair.q for pair in pairs]
    for bit in _LOOP:
        f = _double_all(_square12(f), pairs)
        if bit == "1":
            f = _add_all(f, pairs, starts)
    once = [_psi(q) for q in starts]
    twice = [_psi(q) for q in once]
    f = _add_all(f, pairs, once)
    return _add_all(f, pairs, [(x, (-y[0], -y[1])) for x, y in twice])


def _final_exponentiation(f: F12) -> F12:
    """To the power of (p¹² - 1) / ORDER, by the powers of p and t that its second part consists of."""
    low, high = f
    norm = _inverse6(_sub6(_mul6(low, low), _shift6(_mul6(high, high))))
    inverse = _mul6(low, norm), _neg6(_mul6(high, norm))
    f = _mul12(_conjugate(f), inverse)
    f = _mul12(_frobenius(_frobenius(f)), f)
    t1 = _power_t(f)
    t2 = _power_t(t1)
    t3 = _power_t(t2)
    p1 = _frobenius(f)
    p2 = _frobenius(p1)
    y0 = _mul12(_mul12(p1, p2), _frobenius(p2))
    y2 = _frobenius(_frobenius(t2))
    y3 = _conjugate(_frobenius(t1))
    y4 = _conjugate(_mul12(t1, _frobenius(t2)))
    y5 = _conjugate(t2)
    y6 = _conjugate(_mul12(t3, _frobenius(t3)))
    a = _mul12(_mul12(_square12(y6), y4), y5)
    b = _mul12(_mul12(y3, y5), a)
    a = _mul12(a, y2)
    b = _square12(_mul12(_square12(b), a))
    return _reduced(_mul12(_square12(_mul12(b, _conjugate(f))), _mul12(b, y0)))


def _reduced(a: F12) -> F12:
    low, high = (tuple(value % P for value in half) for half in a)
    return low, high  # type: ignore[return-value]  # six values each
