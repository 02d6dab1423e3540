"""A pool without a closed form in the joint problem: its curve near the inputs that are asked about, from exact quotes.

The joint solver asks each pool where its marginal rate has fallen to a given ratio of prices. Here that input is found
by quotes. A *knot* is an input at which the pool was quoted, with its neighbours a little to either side: these three
make a Möbius map with the curve's value, slope and bend there. Between two knots whose slopes enclose the ratio, the
map of the nearer one says where the ratio should be met, and a knot is put there, until the input in question is so
close to a knot (``tolerance``, a part of the input) that the knot's own map tells everything about it. The solver's
questions come closer and closer together, so that the last ones are answered without quotes.

The neighbours stand as far off as it takes for the bend to show through the pool's rounding, and no further, because
what is not Möbius in the curve grows with the distance.

Some pools have no bend that floats could show: wrappers, and stable pools for trades that are small beside them. At the
ratio that is their rate they take any input, beside it none or all. So that the solver can ask for an amount, slopes
fall by ``_STIFF`` of the rate for each e-fold of the input at least. At the prices found so the bound of such a pool
would be loose by that part of all that it could take, so bounds are taken where the ratio is its rate, too.

Nothing is certain about such a map. What the pool can gain at given prices is bounded apart, by chords (``bracket``).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from math import inf, log1p, sqrt
from typing import Final, NamedTuple

from flasharb.pools.contract import rounding
from flasharb.pools.errors import QuoteUnavailable
from flasharb.strategy.bracket import highest
from flasharb.strategy.route import Leg

_MOST_KNOTS: Final = 24
"""For one question. A pool of which that is not enough answers with the nearest knot."""
_FIRST_SHARE: Final = 256
_FARTHER: Final = 16.0
"""The first knot, as a part of the reserve, and how much farther out the next may stand."""
_NEAREST: Final = 1e-4
_FARTHEST: Final = 0.125
"""Where the neighbours of a knot stand, as parts of its input."""
_NEAREST_BOUND: Final = 1e-6
_WIDENINGS: Final = 3
_TIGHT: Final = 64.0
"""The same for the inputs that give the bound; how often they are set farther apart where it is not tight, which is so
many times what rounding and floats hide."""
_FLATTEST: Final = 1e-12
_STIFF: Final = 1e-10
_SMALLEST: Final = 2.0**-20
"""Of the first knot: below that an input lowers the slope by less than the stiffness."""
_FLOATS: Final = 1e-15
"""Relative error of a gain that is the difference of two floats."""
_MOST: Final = float(1 << 128)


class Knot(NamedTuple):
    """``negative_slope`` comes first: knots are sorted by it, and so by their input. Neighbours stand at ``step``."""

    negative_slope: float
    amount: float
    output: float
    bend: float
    step: float

    def reach(self, ratio: float) -> float:
        """How far from here the slope is ``ratio``, by the knot's map."""
        return (sqrt(-self.negative_slope / ratio) - 1.0) / self.bend

    def given(self, further: float) -> float:
        """What comes out at an input that is so much larger."""
        return self.output - self.negative_slope * further / (1.0 + self.bend * further)


class QuotedEdge:
    """One leg: from token ``start`` to token ``end``; see ``joint``."""

    def __init__(self, leg: Leg, start: int, end: int, cap: float) -> None:
        """
        Raises:
            QuoteUnavailable: the pool has no rate.
        """
        self.start, self.end, self.tolerance = start, end, 0.0
        self._leg = leg
        self._most = min(cap, _MOST)
        self._slack = rounding(leg.pool, leg.i, leg.j)
        self._quotes: dict[int, int] = {0: 0}
        self._rate = leg.pool.marginal_rate(leg.i, leg.j)
        self._grain = 4.0 * (self._slack[0] + self._slack[1] / self._rate)
        self._first = max(float(leg.reserve_in() // _FIRST_SHARE), self._grain, 1.0)
        self._knots = [Knot(-self._rate, 0.0, 0.0, inf, 0.0)]

    def at(self, ratio: float) -> tuple[float, float, float]:
        """Input, output, and -d input / d log ratio, where its marginal rate has fallen to ``ratio``."""
        if ratio >= self._rate:
            return 0.0, 0.0, 0.0
        below, above, knot = self._around(ratio)
        for asked in range(_MOST_KNOTS):
            further = knot.reach(ratio) if knot.amount else inf
            if knot.amount and abs(further) <= max(self.tolerance * knot.amount, knot.step):
                return self._by(knot, ratio, further)
            if above is None and below.amount >= self._most - 1.0:
                return below.amount, below.output, 0.0
            if above is not None and above.amount - below.amount <= self._grain:
                break
            wanted = knot.amount + further
            if asked % 3 == 2 and above is not None:
                # a curve with hardly any bend at first, or a kink, keeps all maps on one side of the answer
                wanted = sqrt(below.amount * above.amount) if below.amount else above.amount / _FARTHER
            place = self._next(below, above, wanted, ratio)
            if not below.amount < int(place) < (inf if above is None else above.amount):
                # no whole unit lies between
                break
            self._add(place, below, above)
            below, above, knot = self._around(ratio)
        if above is None:
            return below.amount, below.output, 0.0
        return _between(below, above, ratio)

    def most_gained(self, paid: float, earned: float) -> float | None:
        """No input gains more than this where a unit of it costs ``paid`` and one of the output brings ``earned``.

        None: the pool was seen not to be concave.
        """
        if paid >= earned * self._rate:
            return 0.0
        self.tolerance = 0.0
        amount, output, growth = self.at(paid / earned)
        units_in, units_out = self._slack
        error = units_out * earned + units_in * paid + _FLOATS * earned * output
        # so far off that the gain falls by more than the error: by paid·bend·step², where bend is 1 / (2·growth)
        step = max(2.0 * sqrt(2.0 * growth * error / paid), _NEAREST_BOUND * amount) or self._first / _FARTHER
        inputs = {0}
        bounds = []
        for _ in range(_WIDENINGS):
            inputs |= {int(amount + n * max(step, 1.0)) for n in (-2, -1, 0, 1, 2)}
            bound = self._chords(sorted(inputs), paid, earned, error)
            if bound is not None:
                bounds.append(bound)
                if bound <= earned * output - paid * amount + _TIGHT * error:
                    break
            step *= _FARTHER
        return min(bounds, default=None)

    def _chords(self, inputs: Sequence[int], paid: float, earned: float, error: float) -> float | None:
        """What the chords through these inputs leave for the gain; None: it was seen not to be concave."""
        quoted = ((amount, self._quote(amount)) for amount in inputs if 0 <= amount <= self._most)
        points = [(float(amount), earned * given - paid * amount) for amount, given in quoted if given is not None]
        return highest(points, max(self._most, points[-1][0]), error)

    def _around(self, ratio: float) -> tuple[Knot, Knot | None, Knot]:
        """The knots on either side of a ratio, and the nearer one."""
        place = bisect_left(self._knots, (-ratio,))
        below = self._knots[place - 1]
        if place == len(self._knots):
            return below, None, below
        above = self._knots[place]
        is_below = below.amount > 0.0 and below.negative_slope * above.negative_slope < ratio * ratio
        return below, above, below if is_below else above

    def stiff_rate(self, amount: float) -> float | None:
        """Its rate, if it takes this amount with no more bend than it was given here."""
        knot = max(self._knots[1:], key=lambda knot: knot.amount <= amount and knot.amount, default=None)
        if knot is None or 1.0 + knot.negative_slope / self._rate > 1.5 * self._stiffness(knot.amount):
            return None
        return self._rate

    def _by(self, knot: Knot, ratio: float, further: float) -> tuple[float, float, float]:
        growth = sqrt(-knot.negative_slope / ratio) / (2.0 * knot.bend)
        amount = knot.amount + further
        if amount >= self._most:
            return self._most, knot.given(self._most - knot.amount), 0.0
        return amount, knot.given(further), growth

    def _next(self, below: Knot, above: Knot | None, wanted: float, ratio: float) -> float:
        """Where the next knot is to stand."""
        if above is None:
            farthest = _FARTHER * below.amount if below.amount else self._first
            return min(max(min(wanted, farthest), below.amount + self._grain), self._most)
        if not below.amount < wanted < above.amount:
            wanted = _between(below, above, ratio)[0]
        near = min(self._grain, 0.5 * (above.amount - below.amount))
        return min(max(wanted, below.amount + near), above.amount - near)

    def _add(self, wanted: float, below: Knot, above: Knot | None) -> None:
        """Put a knot at an input; where the pool refuses it, what can be had ends half-way to it.

        What rounding leaves open of its slope and bend is filled by what the knots beside it say.
        """
        amount = int(wanted)
        middle = self._quote(amount)
        if middle is None:
            self._most = (below.amount + wanted) // 2 if wanted - below.amount > 1.0 else below.amount
            return
        units_in, units_out = self._slack
        error = units_out + units_in * self._rate
        lost = self._rate * amount - middle
        step = max(
            int(amount * (min(max(4.0 * sqrt(error / lost), _NEAREST), _FARTHEST) if lost > error else _FARTHEST)), 1
        )
        high = self._quote(amount + step) if amount + step <= self._most else None
        before = (middle - (self._quote(amount - step) or 0)) / step
        after = before if high is None else (high - middle) / step
        slope = 2.0 * before * after / (before + after) if before > 0.0 and after > 0.0 else 0.0
        doubt = 2.0 * error / step
        slope = min(max(_slope_at(amount, middle, below, above), slope - doubt), slope + doubt)
        least = -below.negative_slope * _FLATTEST if above is None else -above.negative_slope
        slope = min(max(slope, least), -below.negative_slope, self._rate * (1.0 - self._stiffness(amount)))
        bend = (slope / after - slope / before) / (2.0 * step) if before > 0.0 and after > 0.0 else 0.0
        if bend * slope * step < doubt:
            bend = (sqrt(-below.negative_slope / slope) - 1.0) / (amount - below.amount)
        bend = max(bend, 0.5 * _STIFF / (amount + _SMALLEST * self._first))
        insort(self._knots, Knot(-slope, float(amount), float(middle), bend, float(step)))

    def _stiffness(self, amount: float) -> float:
        return _STIFF * log1p(amount / (_SMALLEST * self._first))

    def _quote(self, amount: int) -> int | None:
        known = self._quotes.get(amount)
        if known is None:
            try:
                known = self._quotes[amount] = self._leg.pool.amount_out(self._leg.i, self._leg.j, amount)
            except QuoteUnavailable:
                return None
        return known


def _between(below: Knot, above: Knot, ratio: float) -> tuple[float, float, float]:
    """Input, output and growth at a slope between those of two knots, as if all between them were one Möbius map."""
    root = sqrt(-below.negative_slope / ratio)
    fall = sqrt(below.negative_slope / above.negative_slope) - 1.0
    if fall <= 0.0:
        return below.amount, below.output, 0.0
    distance = above.amount - below.amount
    share = min((root - 1.0) / fall, 1.0)
    given = share * (1.0 + fall) / (1.0 + fall * share)
    output = below.output + given * (above.output - below.output)
    return below.amount + share * distance, output, root * distance / (2.0 * fall)


def _slope_at(amount: float, output: float, below: Knot, above: Knot | None) -> float:
    """As if all between two knots were one Möbius map, or all from the first on."""
    if above is None:
        from_start = output / amount
        return min(from_start * from_start / -below.negative_slope, -below.negative_slope)
    fall = sqrt(below.negative_slope / above.negative_slope) - 1.0
    reach = 1.0 + fall * (amount - below.amount) / (above.amount - below.amount)
    return -below.negative_slope / (reach * reach)
