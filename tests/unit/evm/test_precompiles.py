"""Our precompiles against py-evm's (py_ecc, eth_keys): success, gas and output for right and wrong input.

Each case is a call to the precompile on our machine and on the stock engine, which has py-evm's own.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from coincurve import PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from py_ecc import optimized_bls12_381 as bls
from py_ecc import optimized_bn128 as bn

from flasharb.evm import DictState, Fork, Machine
from flasharb.evm.bn254 import ORDER, NoPoint, P, add, check_g1, check_g2, multiply, pairing_is_one
from flasharb.evm.transactions import SECP256K1_N
from tests.support.worlds import context

RANDOM = random.Random(254)


def answer(address: int, data: bytes, engine: Any, gas: int = 2_000_000) -> tuple[bool, int, bytes]:
    machine = Machine(DictState({}), context(), Fork.PRAGUE, engine)
    result = machine.call(address.to_bytes(20, "big"), data, gas=gas)
    return result.success, result.gas_used, result.output


def same(address: int, data: bytes, gas: int = 2_000_000) -> tuple[bool, bytes]:
    """Success and output, after holding ours to py-evm's."""
    ours = answer(address, data, "py-evm", gas)
    assert ours == answer(address, data, "stock", gas)
    return ours[0], ours[2]


def words(*numbers: int, size: int = 32) -> bytes:
    return b"".join(number.to_bytes(size, "big") for number in numbers)


# ECRECOVER


def test_ecrecover() -> None:
    """Signatures of all keys and recovery ids, high s, wrong values, and input that is too short or too long."""
    for _ in range(30):
        digest = RANDOM.randbytes(32)
        signature = PrivateKey(RANDOM.randbytes(32)).sign_recoverable(digest, hasher=None)
        r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))
        for values in ((r, s), (r, SECP256K1_N - s), (r, 0), (0, s), (SECP256K1_N, s), (r, SECP256K1_N), (s, r)):
            for v in (27, 28):
                same(1, digest + words(v, *values))
    assert same(1, digest + words(27 + signature[64], r, s))[1] != b""
    for v in (0, 1, 26, 29, (1 << 256) - 1):
        assert same(1, digest + words(v, r, s)) == (True, b"")
    data = digest + words(27 + signature[64], r, s)
    for size in (0, 31, 64, 96, 127):
        same(1, data[:size])
    assert same(1, data + b"more")[1] != b""
    assert same(1, data, gas=2_999)[0] is False
    # x of r + N may be on the curve, but a recovery id of 2 has no v.
    same(1, digest + words(27, 5, s))


# BN254


def g1(times: int) -> tuple[int, int]:
    point = bn.normalize(bn.multiply(bn.G1, times))
    return point[0].n, point[1].n


def g2(times: int) -> tuple[tuple[int, int], tuple[int, int]]:
    x, y = bn.normalize(bn.multiply(bn.G2, times))
    return tuple(map(int, x.coeffs)), tuple(map(int, y.coeffs))


def pair(p: tuple[int, int], q: tuple[tuple[int, int], tuple[int, int]]) -> bytes:
    """Imaginary parts first."""
    return words(*p, q[0][1], q[0][0], q[1][1], q[1][0])


def outside_the_subgroup() -> tuple[tuple[int, int], tuple[int, int]]:
    """A point of the twist: the first that a search over x finds, and the chance that it is in the subgroup is nil."""
    for x0 in range(1, 100):
        x = bn.FQ2([x0, 1])
        square = x * x * x + bn.b2
        # A square root in F2 for p = 3 mod 4.
        a0, a1 = map(int, square.coeffs)
        norm = pow(a0 * a0 + a1 * a1, (P + 1) // 4, P)
        for real in ((a0 + norm) * pow(2, -1, P) % P, (a0 - norm) * pow(2, -1, P) % P):
            y0 = pow(real, (P + 1) // 4, P)
            if y0 and y0 * y0 % P == real:
                y = bn.FQ2([y0, a1 * pow(2 * y0, -1, P) % P])
                if y * y == square:
                    return (x0, 1), tuple(map(int, y.coeffs))
    raise AssertionError("no point found")


Q = g2(7)
BAD = outside_the_subgroup()
NO_G1 = [(1, 3), (0, 1), (1, 0), (P, 2), (1, P + 2), (P, P), ((1 << 256) - 1, 2)]


def test_addition_and_multiplication() -> None:
    """Generic, doubling, opposite points, infinity, no points, and every length of input."""
    points = [(0, 0), g1(1), g1(2), g1(ORDER - 1), *(g1(RANDOM.randrange(ORDER)) for _ in range(6))]
    for a in points:
        for b in points:
            assert same(6, words(*a, *b))[0]
    for a in points:
        for times in (0, 1, 2, 3, ORDER - 1, ORDER, ORDER + 1, (1 << 256) - 1, RANDOM.getrandbits(256)):
            assert same(7, words(*a, times))[0]
    for bad in NO_G1:
        assert not same(6, words(*bad, 1, 2))[0]
        assert not same(6, words(1, 2, *bad))[0]
        assert not same(7, words(*bad, 5))[0]
    for size in range(0, 140, 7):
        same(6, words(1, 2, 1, 2, 9)[:size])
        same(7, words(1, 2, 5, 9)[:size])
    assert same(6, b"", gas=149)[0] is False
    assert same(7, b"", gas=5_999)[0] is False


def test_pairings() -> None:
    """Products that are one and that are not, infinities on either side, and no input at all."""
    a, b = RANDOM.randrange(ORDER), RANDOM.randrange(ORDER)
    one = pair(g1(a), g2(b)) + pair(g1(-a * b % ORDER), g2(1))
    assert same(8, one) == (True, words(1))
    assert same(8, pair(g1(a), g2(b)) + pair(g1(-a * b % ORDER + 1), g2(1))) == (True, words(0))
    assert same(8, b"") == (True, words(1))
    infinity = (0, 0)
    nothing = ((0, 0), (0, 0))
    assert same(8, pair(infinity, Q) + pair(g1(3), nothing) + pair(infinity, nothing)) == (True, words(1))
    assert same(8, pair(g1(3), Q) + pair(g1(ORDER - 3), Q)) == (True, words(1))
    assert same(8, pair(g1(3), Q)) == (True, words(0))


@pytest.mark.parametrize(
    "data",
    [
        pair((0, 0), BAD),
        pair(g1(3), BAD),
        pair(g1(3), ((1, 1), Q[1])),
        pair(g1(3), ((Q[0][0] + P, Q[0][1]), Q[1])),
        pair(g1(3), (Q[0], (Q[1][0], P))),
        pair(g1(3), (Q[0], ((1 << 256) - 1, 0))),
        pair((1, 3), Q),
        pair((P + 1, 2), Q),
        pair(g1(3), ((0, 0), Q[1])),
        pair(g1(3), Q)[:-1],
        pair(g1(3), Q) + b"\0",
    ],
    ids=lambda data: f"{len(data)} bytes",
)
def test_what_is_no_pair_fails(data: bytes) -> None:
    """Off the twist, off the subgroup (even where the other point is infinity), too large, or cut."""
    assert same(8, data) == (False, b"")


@given(st.integers(0, ORDER - 1), st.integers(0, ORDER - 1))
@settings(max_examples=20, deadline=None)
def test_the_pairing_is_bilinear(a: int, b: int) -> None:
    """e(aP, Q) e(bP, Q) = e((a + b)P, Q), and multiples add up."""
    p = (1, 2)
    left, right = multiply(p, a), multiply(p, b)
    total = add(left, right)
    assert total == multiply(p, a + b)
    x, y = total
    assert pairing_is_one([(left, Q), (right, Q), (check_g1(x, -y % P), Q)])


def test_every_multiple_of_the_generator_is_in_the_subgroup_and_no_other_point() -> None:
    """The check by the endomorphism says what multiplying by the order says."""
    for times in (1, 2, 3, ORDER - 1, RANDOM.randrange(ORDER)):
        assert check_g2(*g2(times)) == g2(times)
    bad = tuple(bn.FQ2(list(part)) for part in BAD)
    for times in (1, 2, 3, 6, 7, ORDER):
        x, y = bn.normalize(bn.multiply((*bad, bn.FQ2.one()), times))
        point = tuple(map(int, x.coeffs)), tuple(map(int, y.coeffs))
        inside = bn.is_inf(bn.multiply((x, y, bn.FQ2.one()), ORDER))
        assert not inside
        with pytest.raises(NoPoint, match="subgroup"):
            check_g2(*point)
    # The cofactor times any point is inside.
    cofactor = 2 * P - ORDER
    x, y = bn.normalize(bn.multiply((*bad, bn.FQ2.one()), cofactor))
    assert check_g2(tuple(map(int, x.coeffs)), tuple(map(int, y.coeffs))) is not None


# BLS12-381


BLS_P = bls.field_modulus
BLS_ORDER = bls.curve_order


def bls_g1(times: int) -> bytes:
    return words(*(int(c) for c in bls.normalize(bls.multiply(bls.G1, times))), size=64)


def bls_g2(times: int) -> bytes:
    x, y = bls.normalize(bls.multiply(bls.G2, times))
    return words(*(int(c) for c in (*x.coeffs, *y.coeffs)), size=64)


def bls_off_subgroup() -> bytes:
    """The first point of the curve that a search over x finds and that is not in the subgroup."""
    for x in range(1, 100):
        y = pow(x**3 + 4, (BLS_P + 1) // 4, BLS_P)
        if (y * y - x**3 - 4) % BLS_P == 0:
            point = bls.FQ(x), bls.FQ(y), bls.FQ(1)
            if not bls.is_inf(bls.multiply(point, BLS_ORDER)):
                return words(x, y, size=64)
    raise AssertionError("no point found")


def bls_twist_off_subgroup() -> bytes:
    """The same on the twist."""
    for x0 in range(1, 100):
        x = bls.FQ2([x0, 1])
        square = x * x * x + bls.b2
        a0, a1 = map(int, square.coeffs)
        norm = pow(a0 * a0 + a1 * a1, (BLS_P + 1) // 4, BLS_P)
        real = (a0 + norm) * pow(2, -1, BLS_P) % BLS_P
        y0 = pow(real, (BLS_P + 1) // 4, BLS_P)
        y = bls.FQ2([y0, a1 * pow(2 * y0, -1, BLS_P) % BLS_P])
        if y * y == square and not bls.is_inf(bls.multiply((x, y, bls.FQ2.one()), BLS_ORDER)):
            return words(x0, 1, *map(int, y.coeffs), size=64)
    raise AssertionError("no point found")


OFF1, OFF2 = bls_off_subgroup(), bls_twist_off_subgroup()
NOTHING1, NOTHING2 = bytes(128), bytes(256)
FLAGGED = [1 << 383, 1 << 382, 1 << 381]


def test_bls_addition() -> None:
    """Generic, doubling, opposite, infinity, points off the subgroup, no points, flag bits, and wrong lengths."""
    for point, infinity, off, address in ((bls_g1, NOTHING1, OFF1, 0x0B), (bls_g2, NOTHING2, OFF2, 0x0D)):
        points = [infinity, point(1), point(2), point(BLS_ORDER - 1), point(RANDOM.randrange(BLS_ORDER)), off]
        for a in points:
            for b in points:
                assert same(address, a + b)[0]
        good = point(5)
        for value in (BLS_P, BLS_P + 1, (1 << 512) - 1, 1 << 384, *FLAGGED):
            for at in range(0, len(good), 64):
                number = int.from_bytes(good[at : at + 64], "big")
                bad = good[:at] + words(value if value >= BLS_P else value | number, size=64) + good[at + 64 :]
                assert not same(address, bad + good)[0]
                assert not same(address, good + bad)[0]
        assert not same(address, good[:-1] + b"\1" + good)[0]
        for data in (b"", good, good + good[:-1], good + good + b"\0"):
            assert not same(address, data)[0]
        assert not same(address, good + good, gas=374)[0]


def test_bls_sums_of_multiples() -> None:
    """Scalars above the order, infinity, points off the subgroup, and the discount for several."""
    for point, infinity, off, address in ((bls_g1, NOTHING1, OFF1, 0x0C), (bls_g2, NOTHING2, OFF2, 0x0E)):
        scalars = (0, 1, 2, BLS_ORDER - 1, BLS_ORDER, BLS_ORDER + 1, (1 << 256) - 1, RANDOM.getrandbits(256))
        for scalar in scalars:
            assert same(address, point(3) + words(scalar))[0]
            assert same(address, infinity + words(scalar))[0]
        several = b"".join(point(n + 1) + words(scalar) for n, scalar in enumerate(scalars))
        assert same(address, several + infinity + words(9))[0]
        assert same(address, point(3) + words(5) + point(BLS_ORDER - 3) + words(5)) == (True, infinity)
        for data in (
            b"",
            several[:-1],
            off + words(1),
            off + words(0),
            several + off + words(0),
            point(3)[:-1] + bytes(33),
        ):
            assert not same(address, data)[0]
        assert not same(address, point(3) + words(1), gas=11_999)[0]


def test_bls_maps() -> None:
    """Field elements to points, and what is no field element."""
    for size, address in ((1, 0x10), (2, 0x11)):
        for _ in range(4):
            assert same(address, words(*(RANDOM.randrange(BLS_P) for _ in range(size)), size=64))[0]
        for value in (0, 1, BLS_P - 1):
            assert same(address, words(*[value] * size, size=64))[0]
        for value in (BLS_P, (1 << 512) - 1, 1 << 384, *FLAGGED):
            assert not same(address, words(*[value] * size, size=64))[0]
        for length in (0, 63, 64 * size - 1, 64 * size + 1):
            assert not same(address, bytes(length))[0]


def test_bls_pairings() -> None:
    """Products that are one and that are not, infinities, points off either subgroup, and wrong lengths."""
    a, b = 1234567, RANDOM.randrange(BLS_ORDER)
    one = bls_g1(a) + bls_g2(b) + bls_g1(-a * b % BLS_ORDER) + bls_g2(1)
    assert same(0x0F, one) == (True, words(1))
    assert same(0x0F, bls_g1(a) + bls_g2(b)) == (True, words(0))
    assert same(0x0F, NOTHING1 + bls_g2(3) + bls_g1(3) + NOTHING2) == (True, words(1))
    for data in (b"", one[:-1], OFF1 + NOTHING2, NOTHING1 + OFF2, OFF1 + bls_g2(3), bls_g1(3) + OFF2):
        assert not same(0x0F, data)[0]
    assert not same(0x0F, bls_g1(3) + bls_g2(3), gas=70_299)[0]
