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

from dataclasses import dataclass, replace
from math import inf, isqrt, sqrt
from typing import Final, cast

from flasharb.pools.constant_product.pool import V2Pool
from flasharb.pools.contract import Piecewise
from flasharb.strategy.ceiling import Ceiling, Curve, Curves, Lines
from flasharb.strategy.route import Leg, Route
from flasharb.units import PIPS, WAD

_SLACK: Final = 1e-13
"""Relative error allowed for the composed floats when a gain is bounded from above."""


@dataclass(frozen=True, slots=True)
class Optimum:
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
        pool = leg.pool
        assert isinstance(pool, V2Pool)
        reserves = pool.reserve0, pool.reserve1
        reserve_in, reserve_out = reserves[leg.i], reserves[leg.j]
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
    curve = Curve(k / m, n / m, float(amount), inf)
    if most is not None and amount >= most:
        bound = (WAD * k * most // (m + n * most) - cost * most) // WAD + 1
        return Optimum(most, Curves(bound, most, cost / WAD, _slack(most), curve._replace(at=float(most)), None))
    # the largest gain is (sqrt(K·WAD) - sqrt(M·cost))² / N, and isqrt errs towards a higher bound
    bound = (WAD * k + m * cost - 2 * root) // (n * WAD)
    return Optimum(max(amount, 1), Curves(bound, amount, cost / WAD, _slack(amount), curve, curve))


class _LegState:
    """Where a leg stands: virtual reserves at that point, and the input that its range still takes."""

    __slots__ = ("following", "gamma", "room", "virtual_in", "virtual_out")

    def __init__(self, leg: Leg) -> None:
        self.following = cast("Piecewise", leg.pool).pieces(leg.i, leg.j)
        self.gamma = self.virtual_in = self.virtual_out = self.room = 0.0

    def next_range(self) -> bool:
        """Go on to the next range; False if there is none (the pool runs dry, or its ticks are not known)."""
        piece = next(self.following, None)
        if piece is None:
            return False
        self.gamma, self.virtual_in, self.virtual_out = piece.gamma, piece.virtual_in, piece.virtual_out
        self.room = piece.room
        return True

    def move(self, amount: float) -> float:
        """Take an input within the range; return what it gives."""
        paid = self.gamma * amount
        after = self.virtual_in + paid
        given = self.virtual_out * paid / after
        self.virtual_in = after
        self.virtual_out -= given
        self.room -= amount
        return given


def _walk(route: Route, cost: float, most: int | None) -> Optimum:
    legs = [_LegState(leg) for leg in route.legs]
    if not all(leg.next_range() for leg in legs):
        return Optimum(0, Lines(0), exhausted=True)
    reached = output = 0.0
    before: Curve | None = None
    while True:
        rate, n, end, first = _compose(legs)
        step = (sqrt(rate / cost) - 1.0) / n
        if step <= 0.0:
            return _at(reached, output, cost, before, Curve(rate, n, 0.0, end)) if reached > 0.0 else NOTHING
        left = inf if most is None else most - reached
        if left <= step and left <= end:
            output += rate * left / (1.0 + n * left) if left > 0.0 else 0.0
            bounded = _at(float(most or 0), output, cost, Curve(rate, n, max(left, 0.0), end), None)
            return Optimum(most or 0, bounded.ceiling)
        if step <= end:
            curve = Curve(rate, n, step, end)
            return _at(reached + step, output + rate * step / (1.0 + n * step), cost, curve, curve)
        reached += end
        amount = end
        for leg in legs:
            amount = leg.move(amount)
        output += amount
        before = Curve(rate, n, end, end)
        if not legs[first].next_range():
            return replace(_at(reached, output, cost, before, None), exhausted=True)


def _compose(legs: list[_LegState]) -> tuple[float, float, float, int]:
    """The chain's R and N, the input at which its first range ends, and that range's leg."""
    rate, n = 1.0, 0.0
    end, first = inf, -1
    for position, leg in enumerate(legs):
        room = leg.room
        if room != inf:
            slope = rate - room * n
            if slope > 0.0 and room < end * slope:
                end, first = room / slope, position
        n += leg.gamma * rate / leg.virtual_in
        rate *= leg.gamma * (leg.virtual_out / leg.virtual_in)
    return rate, n, end, first


def _at(amount: float, output: float, cost: float, left: Curve | None, right: Curve | None) -> Optimum:
    slack = _slack(output + amount)
    bound = max(int(output - cost * amount + slack) + 1, 0)
    return Optimum(int(amount), Curves(bound, amount, cost, slack, left, right))


def _slack(amount: float) -> float:
    return amount * _SLACK
