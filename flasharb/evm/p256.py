"""ECDSA verification on secp256r1 (P-256) over a digest, as EIP-7951 demands it; the curve's arithmetic is native."""

from __future__ import annotations

from typing import Final

from Crypto.PublicKey.ECC import EccPoint

P: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
N: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_GENERATOR: Final = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def verify(digest: int, signature: tuple[int, int], key: tuple[int, int]) -> bool:
    """Whether ``signature`` (r, s) of ``digest`` was made with the private key of the point ``key`` (x, y).

    Any numbers may be given: what is no signature, or no point of the curve other than infinity, is not right.
    """
    r, s = signature
    x, y = key
    if not (0 < r < N and 0 < s < N and 0 <= x < P and 0 <= y < P):
        return False
    try:
        point = EccPoint(x, y, "P-256")
    except ValueError:
        # How the library says that the point is not on the curve.
        return False
    if point.is_point_at_infinity():
        # It takes (0, 0) for the point at infinity.
        return False
    inverse = pow(s, -1, N)
    found = EccPoint(*_GENERATOR, "P-256") * (digest * inverse % N) + point * (r * inverse % N)
    if found.is_point_at_infinity():
        return False
    return int(found.x) % N == r
