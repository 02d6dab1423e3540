"""The optimal input of a route of pools in closed form, in real numbers (others: ``bracket``).

Within one tick range a V3 pool is a constant-product curve with virtual reserves; a V2 pool is one such curve for ever.
From wherever a leg stands on its curve, a further input u gives Vo·g·u / (Vi + g·u) with the virtual reserves of that
point. That is a Möbius transform, and so is the chain of all legs::

    y(u) = R·u / (1 + N·u)          the gain  y(u) - c·u  is largest at  u* = (sqrt(R / c) - 1) / N

(R is the marginal rate, c = 1 plus the loan's fee; all terms are positive, so nothing cancels). The chain holds up to
the input at which the first leg's range is used up. If u* lies beyond, all legs move up to that point, that leg goes
on to its next range, and the chain is composed again: an active-set walk. It ends, because marginal rates only fall
along the ranges, so that the gain is concave; there is no better input anywhere else.

Chains round against the trader in every step, so the real gain also bounds the gain in whole units: that is the
certificate. Routes of V2 pools alone are solved in exact integers.
"""

from __future__ import annotations

from math import inf, isqrt, sqrt
from typing import Final, NamedTuple, cast

from flasharb.pools.constant_product.pool import V2Pool
from flasharb.pools.contract import Piecewise
from flasharb.pools.pieces import Piece
from flasharb.strategy.ceiling import Ceiling, Curve, Curves, Lines
from flasharb.strategy.route import Route
from flasharb.units import PIPS, WAD

_SLACK: Final = 1e-13
"""Relative error allowed for the composed floats when a gain is bounded from above."""


class Optimum(NamedTuple):
    """The real optimum: ``amount_in`` (0: nothing to gain), and upper bounds on the gain of whole inputs.

    ``exhausted``: the known or existing liquidity ended before the marginal gain did.
    """

    amount_in: int
    ceiling: Ceiling
    exhausted: bool = False


NOTHING: Final = Optimum(0, Lines(0))


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
        pool = cast("V2Pool", leg.pool)
        reserve_in, reserve_out = pool.reserve0 * PIPS, pool.reserve1
        if leg.i:
            reserve_in, reserve_out = pool.reserve1 * PIPS, pool.reserve0
        paid = (PIPS - pool.spec.fee_pips) * k
        n = reserve_in * n + paid
        m *= reserve_in
        k = paid * reserve_out
    # gain · unit = unit·K·x/(M + N·x) - cost·x
    unit, cost = (WAD, WAD + loan_fee_wad) if loan_fee_wad else (1, 1)
    root = isqrt(k * m * unit * cost)
    dear = m * cost
    amount = (root - dear) // (n * cost) if n else 0
    if amount <= 0 and (amount < 0 or k * unit <= dear):
        return NOTHING
    if most is not None and amount >= most:
        bound = (unit * k * most // (m + n * most) - cost * most) // unit + 1
        curve = Curve(k / m, n / m, float(most), inf)
        return Optimum(most, Curves(bound, most, cost / unit, (most + bound) * _SLACK, curve, None))
    # the largest gain is (sqrt(K·unit) - sqrt(M·cost))² / N, and isqrt errs towards a higher bound
    bound = (unit * k + dear - 2 * root) // (n * unit)
    curve = Curve(k / m, n / m, float(amount), inf)
    return Optimum(amount or 1, Curves(bound, amount, cost / unit, (amount + bound) * _SLACK, curve, curve))


def _walk(route: Route, cost: float, most: int | None) -> Optimum:
    following = [cast("Piecewise", leg.pool).pieces(leg.i, leg.j) for leg in route.legs]
    try:
        ranges = [next(pieces) for pieces in following]
    except StopIteration:
        return Optimum(0, Lines(0), True)
    reached = output = 0.0
    before: Curve | None = None
    while True:
        rate, n, end, first = _compose(ranges)
        step = (sqrt(rate / cost) - 1.0) / n
        if step <= 0.0:
            return _at(reached, output, cost, before, Curve(rate, n, 0.0, end)) if reached > 0.0 else NOTHING
        if most is not None:
            left = most - reached
            if left <= step and left <= end:
                output += rate * left / (1.0 + n * left) if left > 0.0 else 0.0
                bounded = _at(float(most), output, cost, Curve(rate, n, max(left, 0.0), end), None)
                return Optimum(most, bounded.ceiling)
        if step <= end:
            curve = Curve(rate, n, step, end)
            return _at(reached + step, output + rate * step / (1.0 + n * step), cost, curve, curve)
        reached += end
        before = Curve(rate, n, end, end)
        output += _move(ranges, end)
        beyond = next(following[first], None)
        if beyond is None:
            return _at(reached, output, cost, before, None)._replace(exhausted=True)
        ranges[first] = beyond


def _move(ranges: list[Piece], amount: float) -> float:
    """Take an input that every range has room for: what is left of them; return what the last one gives."""
    for position, (gamma, virtual_in, virtual_out, room) in enumerate(ranges):
        paid = gamma * amount
        after = virtual_in + paid
        given = virtual_out * paid / after
        # no differences: what is left of a range that was all but emptied would come out as zero or below
        ranges[position] = Piece(gamma, after, virtual_out * (virtual_in / after), max(room - amount, 0.0))
        amount = given
    return amount


def _compose(ranges: list[Piece]) -> tuple[float, float, float, int]:
    """The chain's R and N, the input at which its first range ends, and that range's leg."""
    rate, n = 1.0, 0.0
    end, first = inf, -1
    for position, (gamma, virtual_in, virtual_out, room) in enumerate(ranges):
        if room != inf:
            slope = rate - room * n
            if slope > 0.0 and room < end * slope:
                end, first = room / slope, position
        n += gamma * rate / virtual_in
        rate *= gamma * (virtual_out / virtual_in)
    return rate, n, end, first


def _at(amount: float, output: float, cost: float, left: Curve | None, right: Curve | None) -> Optimum:
    slack = (output + amount) * _SLACK
    bound = int(output - cost * amount + slack) + 1
    return Optimum(int(amount), Curves(max(0, bound), amount, cost, slack, left, right))
