"""The best use of several pools at once: how much goes through each of them, in real numbers.

Cycles that share pools are in each other's way, and one trade split over parallel pools gains more than through the
best of them. What all pools can gain together is a convex problem::

    maximise    what comes out in the base token less what goes in
    subject to  of every other token no more goes in than comes out

Its dual asks for a price of each token, in the base token. At given prices the pools know nothing of each other: each
trades until its marginal rate is the ratio of its two prices, in closed form over its Möbius pieces, or as a few quotes
tell (``quoted_edge``). The sum of what they gain is above anything that can be had, whatever the prices (weak duality):
that is the certificate. It is least at the prices at which every token comes out even, and there it *is* the best that
can be had.

These prices are found by Newton's method. Let w be the value by which a pool's trade grows as its ratio of prices falls
by one in the logarithm. Then the Hessian in the logarithms is the Laplacian of the graph with the tokens as nodes and
the pools as edges of weight w; the base token is its ground. At prices where some tokens trade with each other only,
nothing ties them to the base token, and Newton's step for them is endless: a step that, however short, does not lower
the dual is tried again with every token tied to the base token by a weight of its own (Levenberg and Marquardt), which
in the end is a short step down the slope.

The problem and its decomposition are those of Diamandis, Resnick, Chitra and Angeris, "An Efficient Algorithm for
Optimal Routing Through Constant Function Market Makers" (arXiv:2302.04938).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp, isfinite, sqrt
from typing import Final, NamedTuple, cast

from flasharb.pools import is_piecewise
from flasharb.pools.contract import Piecewise
from flasharb.pools.errors import QuoteUnavailable
from flasharb.pools.pieces import Piece
from flasharb.strategy.quoted_edge import QuotedEdge
from flasharb.strategy.route import Leg
from flasharb.units import Address

_LONGEST: Final = 0.5
"""A step changes no price's logarithm by more."""
_ENOUGH: Final = 0.5
"""A step may go so far beyond the least of the dual that it rises there with this part of its first slope."""
_NEARLY: Final = 1e-12
_LEAST_GROUND: Final = 1e-15
_TIE: Final = 1e-6
_MOST_GROUND: Final = 1e6
_TIGHTEN: Final = 100.0
_EASE: Final = 1000.0
"""The part of all weights that ties each token to the base token: more after a step that helped nothing, less after a
good one."""

_BARELY: Final = 1.0 - 1e-15
_SLACK: Final = 1e-13
"""Relative error allowed for the floats of the bound."""


class _Precision(NamedTuple):
    """Tokens come out ``even`` when what is left is worth no more than this part of what is traded; two values of the
    dual are the ``same`` to within that part; ``quotes``: see ``QuotedEdge.tolerance``. No more ``steps`` are taken,
    and for none of them more ``tries``.
    """

    even: float
    same: float
    quotes: float
    steps: int
    tries: int


_EXACT: Final = (_Precision(1e-14, 1e-14, 0.0, 120, 10),)
_QUOTED: Final = (_Precision(1e-3, 1e-5, 0.05, 20, 50), _Precision(1e-9, 1e-12, 1e-3, 40, 50))
"""With quotes first roughly, so that few of them are spent far from where the answer lies."""


class Solved(NamedTuple):
    """Input and output of each leg, as they stood in the problem; ``bound``: no whole amounts gain more together (None:
    a pool was seen not to be concave, or too little of it to bound it).
    """

    inputs: list[float]
    outputs: list[float]
    bound: float | None


class _Edge:
    """One leg: from token ``start`` to token ``end``; its pieces as far as they were asked for."""

    __slots__ = ("cap", "end", "following", "pieces", "start")

    def __init__(self, leg: Leg, start: int, end: int, cap: float) -> None:
        self.start, self.end, self.cap = start, end, cap
        self.following: Iterator[Piece] = cast("Piecewise", leg.pool).pieces(leg.i, leg.j)
        self.pieces: list[Piece] = []

    def at(self, ratio: float) -> tuple[float, float, float]:
        """Input, output, and -d input / d log ratio, where its marginal rate has fallen to ``ratio``."""
        amount = output = 0.0
        position = 0
        while True:
            if position == len(self.pieces):
                piece = next(self.following, None)
                if piece is None:
                    return amount, output, 0.0
                self.pieces.append(piece)
            gamma, virtual_in, virtual_out, room = self.pieces[position]
            moved = sqrt(gamma * virtual_in * virtual_out / ratio)  # where the rate is the ratio: virtual_in + gamma·u
            used = (moved - virtual_in) / gamma
            if used <= 0.0:
                return amount, output, 0.0
            left = self.cap - amount
            if left < room and left < used:
                paid = gamma * left
                return self.cap, output + virtual_out * paid / (virtual_in + paid), 0.0
            if used < room:
                # from what is used, not from the reserves: their difference has lost its digits
                paid = gamma * used
                given = virtual_out * paid / (virtual_in + paid)
                return amount + used, output + given, moved / (2.0 * gamma)
            paid = gamma * room
            amount += room
            output += virtual_out * paid / (virtual_in + paid)
            position += 1


class _Dual(NamedTuple):
    """The dual at some prices: its value, each token's surplus in value, the pools' weights, and their trades."""

    value: float
    surplus: list[float]
    weights: list[float]
    trades: list[tuple[float, float]]
    volume: float


_Edges = Sequence["_Edge | QuotedEdge"]


def solve(legs: Sequence[Leg], base: Address, cost: float, caps: Sequence[float]) -> Solved | None:
    """The best amounts over ``legs``, each at most its cap; None if there is nothing to gain or a pool has no rate.

    A pool takes part between one pair of its tokens only. ``cost``: what a unit of the base token costs that goes in
    (one and the loan's fee).
    """
    tokens = {base: 0}
    edges: list[_Edge | QuotedEdge] = []
    try:
        for leg, cap in zip(legs, caps, strict=True):
            start, end = (tokens.setdefault(leg.pool.spec.tokens[at], len(tokens)) for at in (leg.i, leg.j))
            edges.append((_Edge if is_piecewise(leg.pool) else QuotedEdge)(leg, start, end, cap))
        prices = _first_prices(legs, edges, len(tokens))
    except QuoteUnavailable:
        return None
    if prices is None:
        return None
    quoted = [edge for edge in edges if isinstance(edge, QuotedEdge)]
    for precision in _QUOTED if quoted else _EXACT:
        for edge in quoted:
            edge.tolerance = precision.quotes
        prices = _best_prices(edges, prices, cost, precision)
    now = _dual(edges, prices, cost)
    slack = _SLACK * now.volume
    if now.value <= slack:
        return None
    bound = _bound(edges, prices, cost)
    stiff = _prices_at_rates(edges, prices, cost, now)
    if bound is not None and stiff != prices:
        bound = min(bound, _bound(edges, stiff, cost) or bound)
    inputs, outputs = [trade[0] for trade in now.trades], [trade[1] for trade in now.trades]
    return Solved(inputs, outputs, bound + slack if bound is not None and isfinite(bound) else None)


def _best_prices(edges: _Edges, prices: list[float], cost: float, precision: _Precision) -> list[float]:
    """The prices at which the dual is least."""
    now = _dual(edges, prices, cost)
    ground = _LEAST_GROUND
    for _ in range(precision.steps):
        uneven = max(map(abs, now.surplus[1:]), default=0.0)
        if uneven <= precision.even * now.volume or ground > _MOST_GROUND:
            break
        further = _improved(edges, prices, now, cost, (ground, precision))
        if further is None:
            ground = max(ground * _TIGHTEN, _TIE)
        else:
            (prices, now), ground = further, max(ground / _EASE, _LEAST_GROUND)
    return prices


def _bound(edges: _Edges, prices: Sequence[float], cost: float) -> float | None:
    """The dual's value, of pools that are quoted as high as it can be."""
    bound = 0.0
    for edge in edges:
        paid, earned = prices[edge.start] if edge.start else cost, prices[edge.end]
        if isinstance(edge, QuotedEdge):
            most = edge.most_gained(paid, earned)
            if most is None:
                return None
            bound += most
        else:
            amount, output, _ = edge.at(paid / earned)
            bound += earned * output - paid * amount
    return bound


def _prices_at_rates(edges: _Edges, prices: list[float], cost: float, now: _Dual) -> list[float]:
    """The same prices, but where pools without a bend are in use, exactly at their rates."""
    prices = list(prices)
    for edge, (amount, _) in zip(edges, now.trades, strict=True):
        rate = edge.stiff_rate(amount) if isinstance(edge, QuotedEdge) and amount else None
        if rate is None:
            continue
        if edge.end:
            prices[edge.end] = (prices[edge.start] if edge.start else cost) / rate * _BARELY
        else:
            prices[edge.start] = prices[edge.end] * rate / _BARELY
    return prices


def _first_prices(legs: Sequence[Leg], edges: _Edges, count: int) -> list[float] | None:
    """What each token costs at the margin along the first way to it; None where there is none."""
    prices = [1.0] + [0.0] * (count - 1)
    known = 1
    while known < count:
        before = known
        for leg, edge in zip(legs, edges, strict=True):
            if prices[edge.start] and not prices[edge.end]:
                prices[edge.end] = prices[edge.start] / leg.pool.marginal_rate(leg.i, leg.j)
                known += 1
        if known == before:
            return None
    return prices


def _dual(edges: _Edges, prices: Sequence[float], cost: float) -> _Dual:
    value = volume = 0.0
    surplus = [0.0] * len(prices)
    weights, trades = [], []
    for edge in edges:
        start, end = edge.start, edge.end
        paid = prices[start] if start else cost
        earned = prices[end]
        amount, output, growth = edge.at(paid / earned)
        spent, got = paid * amount, earned * output
        value += got - spent
        volume += got
        surplus[start] -= spent
        surplus[end] += got
        weights.append(paid * growth)
        trades.append((amount, output))
    return _Dual(value, surplus, weights, trades, volume)


def _improved(
    edges: _Edges, prices: Sequence[float], now: _Dual, cost: float, terms: tuple[float, _Precision]
) -> tuple[list[float], _Dual] | None:
    """Better prices along Newton's step, or None. ``terms``: the ground, and the precision.

    A pool with hardly any bend is a kink in the dual: from the side on which it is idle the step goes far beyond. So
    what counts along the step is where the dual stops falling, which is found by bisection.
    """
    ground, precision = terms
    step = _newton(edges, now, len(prices), ground)
    longest = max(map(abs, step))
    low, high = 0.0, min(1.0, _LONGEST / longest) if longest > 0.0 else 0.0
    falls = _along(now.surplus, step)
    best = None
    share = high
    for _ in range(precision.tries):
        further = [price * exp(share * change) for price, change in zip(prices, step, strict=True)]
        then = _dual(edges, further, cost)
        along = _along(then.surplus, step)
        if _is_better(then, now, precision.same):
            best = further, then
            if along <= -_ENOUGH * falls:
                break
        low, high = (share, high) if along < 0.0 else (low, share)
        if high - low <= _NEARLY * high:
            break
        share = 0.5 * (low + high)
    return best


def _along(surplus: Sequence[float], step: Sequence[float]) -> float:
    """How the dual's value grows along a step."""
    return sum(value * change for value, change in zip(surplus, step, strict=True))


def _is_better(then: _Dual, now: _Dual, same: float) -> bool:
    """Near the end the dual's value no longer tells two prices apart; then the surplus does."""
    lower = (now.value - then.value) / now.volume
    if abs(lower) > same:
        return lower > 0.0
    return max(map(abs, then.surplus[1:])) < max(map(abs, now.surplus[1:]))


def _newton(edges: _Edges, now: _Dual, count: int, share: float) -> list[float]:
    """The change of the prices' logarithms: the Laplacian's solution for the surplus; the base token's stays.

    ``share`` of all weights is added between each token and the base token.
    """
    size = count - 1
    ground = share * (sum(now.weights) or now.volume)
    rows = [[0.0] * size + [-now.surplus[n + 1]] for n in range(size)]
    for n in range(size):
        rows[n][n] = ground
    for edge, weight in zip(edges, now.weights, strict=True):
        a, b = edge.start - 1, edge.end - 1
        if a >= 0:
            rows[a][a] += weight
        if b >= 0:
            rows[b][b] += weight
        if a >= 0 and b >= 0:
            rows[a][b] -= weight
            rows[b][a] -= weight
    return [0.0, *_eliminate(rows)]


def _eliminate(rows: list[list[float]]) -> list[float]:
    """Gauss; a diagonally dominant matrix needs no pivots."""
    size = len(rows)
    for n, row in enumerate(rows):
        for other in rows[n + 1 :]:
            factor = other[n] / row[n]
            if factor:
                for column in range(n, size + 1):
                    other[column] -= factor * row[column]
    solution = [0.0] * size
    for n in reversed(range(size)):
        row = rows[n]
        solution[n] = (row[size] - sum(row[m] * solution[m] for m in range(n + 1, size))) / row[n]
    return solution
