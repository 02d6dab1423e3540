"""The optimal input of a route, in real numbers.

Within one tick range a V3 pool is a constant-product curve with virtual reserves, shifted by what the ranges before
it took and gave; a V2 pool is one such piece for ever. With v = u - offset_in, a piece maps its input u to
offset_out + g·Vo·v / (Vi + g·v), a Möbius transform, and so is the chain of the current pieces of all legs::

    y(x) = (A·x + B) / (C·x + D)        the gain  y(x) - c·x  is largest at  x* = (sqrt((A·D - B·C)/c) - D) / C

(c = 1 plus the loan's fee). The chain holds up to the input at which the first of the pieces is used up. If x* lies
beyond, that leg goes to its next piece and the chain is composed again: an active-set walk. It ends, because marginal
rates only fall along the pieces, so that the gain is concave; there is no better input anywhere else.

Chains round against the trader in every step, so the real gain also bounds the gain in whole units: that is the
certificate. Routes of V2 pools alone are solved in exact integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, isqrt, sqrt
from typing import Final

from flasharb.pools.constant_product.pool import V2Pool
from flasharb.pools.pieces import Piece, pieces
from flasharb.strategy.route import Route
from flasharb.units import PIPS

_SLACK: Final = 1e-13
"""Relative error allowed for the composed floats when a gain is bounded from above."""

WAD: Final = 10**18


@dataclass(frozen=True, slots=True)
class Optimum:
    """The real optimum: ``amount_in`` (0: nothing to gain), and an upper bound on the gain of any whole input.

    ``exhausted``: the known or existing liquidity ended before the marginal gain did.
    """

    amount_in: int
    bound: int
    exhausted: bool = False


NOTHING: Final = Optimum(0, 0)


def optimum(route: Route, loan_fee_wad: int = 0, most: int | None = None) -> Optimum:
    """The best input of the route, at most ``most``.

    ``loan_fee_wad`` is the loan's fee per unit borrowed, in parts of 1e18.
    """
    if all(isinstance(leg.pool, V2Pool) for leg in route.legs):
        return _constant_product(route, loan_fee_wad, most)
    return _walk(route, 1.0 + loan_fee_wad / WAD, most)


def _constant_product(route: Route, loan_fee_wad: int, most: int | None) -> Optimum:
    """y(x) = K·x / (M + N·x) with integer K, M, N."""
    k, m, n = 1, 1, 0
    for leg in route.legs:
        pool = leg.pool
        assert isinstance(pool, V2Pool)
        reserve_in, reserve_out = pool.reserve0, pool.reserve1
        if not leg.zero_for_one:
            reserve_in, reserve_out = reserve_out, reserve_in
        gamma = PIPS - pool.spec.fee_pips
        n = reserve_in * PIPS * n + gamma * k
        m *= reserve_in * PIPS
        k *= gamma * reserve_out
    # gain · WAD = WAD·K·x/(M + N·x) - cost·x
    cost = WAD + loan_fee_wad
    root = isqrt(k * m * WAD * cost)
    amount = (root - m * cost) // (n * cost) if n else 0
    if amount < 0 or (amount == 0 and k * WAD <= m * cost):
        return NOTHING
    if most is not None and amount >= most:
        return Optimum(most, (WAD * k * most // (m + n * most) - cost * most) // WAD + 1)
    # the largest gain is (sqrt(K·WAD) - sqrt(M·cost))² / N, and isqrt errs towards a higher bound
    return Optimum(max(amount, 1), (WAD * k + m * cost - 2 * root) // (n * WAD))


def _walk(route: Route, cost: float, most: int | None) -> Optimum:
    ranges: list[Iterator[Piece]] = [pieces(leg.pool, leg.zero_for_one) for leg in route.legs]
    active: list[Piece] = []
    for following in ranges:
        piece = next(following, None)
        if piece is None:
            return Optimum(0, 0, exhausted=True)
        active.append(piece)
    reached = 0.0
    while True:
        a, b, c, d, end, first = _compose(active)
        determinant = a * d - b * c
        if determinant <= 0.0 or c <= 0.0:
            return NOTHING
        best = max((sqrt(determinant / cost) - d) / c, reached)
        if most is not None and best > most <= end:
            return Optimum(most, _bound(a, b, c, d, cost, float(most)))
        if best <= end:
            return Optimum(int(best), _bound(a, b, c, d, cost, best)) if best > 0.0 else NOTHING
        following_piece = next(ranges[first], None)
        if following_piece is None:
            return Optimum(int(end), _bound(a, b, c, d, cost, end), exhausted=True)
        active[first] = following_piece
        reached = end


def _compose(active: list[Piece]) -> tuple[float, float, float, float, float, int]:
    """The chain's A, B, C, D (with D = 1), the input at which its first piece ends, and that piece's leg."""
    a, b, c, d = 1.0, 0.0, 0.0, 1.0
    end, first = inf, -1
    for position, (gamma, virtual_in, virtual_out, in_offset, out_offset, in_end) in enumerate(active):
        if in_end != inf:
            slope = a - in_end * c
            if slope > 0.0:
                reaches = (in_end * d - b) / slope
                if reaches < end:
                    end, first = reaches, position
        gained_a, gained_b = gamma * (a - in_offset * c), gamma * (b - in_offset * d)
        below_a, below_b = virtual_in * c + gained_a, virtual_in * d + gained_b
        a, b = virtual_out * gained_a + out_offset * below_a, virtual_out * gained_b + out_offset * below_b
        scale = 1.0 / below_b
        a, b, c, d = a * scale, b * scale, below_a * scale, 1.0
    return a, b, c, d, end, first


def _bound(a: float, b: float, c: float, d: float, cost: float, amount: float) -> int:
    output = (a * amount + b) / (c * amount + d)
    return max(int(output - cost * amount + (output + amount) * _SLACK) + 1, 0)
