"""The best input of a route without a closed form: a Möbius map is fitted to its quotes.

For a chain of constant products ``x / y(x)`` is a straight line over the input x, and for every other concave curve
nearly so at the distances in question. The line through the last two quotes says where the gain would be largest; that
input is quoted next. Three to six quotes do it where a search that knows nothing of the curve takes some forty.

The answer is not trusted. The gain is asked at two inputs on either side, as far off as it takes for the gain to differ
by more than rounding; only where it falls on both sides is the answer used (else ``bracket`` searches), and the chords
through these inputs bound the gain of all others::

          b ___ c ___ d           between b and d: below the chords ab and de, where they meet
        /              \\          before b: below the chord bc, which rises; after d: below cd, which falls
      a                  e

Each end of a chord is known to within what rounding can take of a gain (``slack``); the worse end counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import inf, sqrt
from typing import Final

from flasharb.strategy.ceiling import Line, Lines

_MOST_QUOTES: Final = 16
_FINEST: Final = 1e-5
"""The optimum is found to this part of the input; what is missing of the gain is the square of it. Through quotes that
lie nearer to each other, rounding would bend the line anyhow."""
_COARSEST: Final = 0.125
_TRIES: Final = 5
"""How often the inputs beside the best are moved with it, or out until the gain differs by more than rounding."""
_ERROR: Final = 1e-12
"""Part of a gain allowed for the errors of floats, of which inputs and gains only enter as differences."""

Point = tuple[int, int]
"""An input and its gain."""


@dataclass(frozen=True, slots=True)
class Peak:
    """``unit``: the amount of the coarsest token with the largest gain of those asked; and the bounds on the gain."""

    unit: int
    ceiling: Lines


def fitted(gain: Callable[[int], int | None], rate: float, cost: float, first: int, most: int) -> int | None:
    """About the best input from 1 to ``most``; None if no quote could be fitted.

    ``gain`` is None where an input is refused; ``rate`` the route's at the margin, ``cost`` what a unit of input costs.
    """
    if rate <= cost:
        return None
    before, inverse_before = 0.0, 1.0 / rate
    amount, beyond = min(max(first, 1), most), most + 1
    best: int | None = None
    best_gain = -inf
    for _ in range(_MOST_QUOTES):
        found = gain(amount)
        output = 0.0 if found is None else found + cost * amount
        if output <= 0.0:
            beyond = amount
            amount = int(before + amount) // 2 if best is not None else amount // 8
            if amount <= before:
                return best
            continue
        if found is not None and found > best_gain:
            best, best_gain = amount, found
        inverse = amount / output
        bend = (inverse - inverse_before) / (amount - before)
        start = inverse - bend * amount
        before, inverse_before = float(amount), inverse
        following = (sqrt(start / cost) - start) / bend if bend > 0.0 and start > 0.0 else 16.0 * amount
        following = min(max(following, amount / 16), amount * 16.0)
        amount = max(min(int(following), beyond - 1), 1)
        if abs(amount - before) <= before * _FINEST:
            return best
    return best


def peak(
    reaching: Callable[[int], Point | None], unit: int, slack: float, cost: float, at_end: bool = False
) -> Peak | None:
    """The bounds around ``unit``, an amount of the coarsest token; None where the gain does not fall on both sides.

    ``reaching`` gives the least input for an amount of that token, and its gain. ``at_end``: no more can be had, so
    that nothing needs to fall above.
    """
    middle = reaching(unit)
    if middle is None or middle[1] <= 0:
        return None
    error = slack + 1.0 + _ERROR * middle[1]
    share = min(2.0 * sqrt(error / middle[1]), _COARSEST)
    steps = (-2, -1, 0) if at_end else (-2, -1, 0, 1, 2)
    for _ in range(_TRIES):
        step = max(int(unit * share), 1)
        points = [point for point in (reaching(unit + each * step) for each in steps) if point is not None]
        if len(points) != len(steps) or any(after[0] <= before[0] for before, after in pairwise(points)):
            return None
        top = unit if at_end else unit + _offset(points, step, cost)
        found = _around(points, error, at_end) if abs(top - unit) <= max(step // 4, 1) else None
        if found is not None:
            best, ceiling = found
            refined = reaching(top)
            if refined is not None and refined[1] > points[best][1]:
                return Peak(top, ceiling)
            return Peak(unit + (best - 2) * step, ceiling)
        if abs(top - unit) <= step // 2:
            share *= 3
        unit = top
    return None


def _offset(points: list[Point], step: int, cost: float) -> int:
    """How many units of the coarsest token above the middle the Möbius map through the outermost points is highest."""
    (low, low_gain), middle, (high, high_gain) = points[0], points[2][0], points[4]
    if low_gain + low <= 0 or high_gain + high <= 0:
        return 0
    inverse_low, inverse_high = low / (low_gain + cost * low), high / (high_gain + cost * high)
    bend = (inverse_high - inverse_low) / (high - low)
    start = inverse_low - bend * low
    if bend <= 0.0 or start <= 0.0:
        return 0
    top = min(max((sqrt(start / cost) - start) / bend, low), high)
    return round((top - middle) / (high - low) * 4 * step)


def _around(points: list[Point], error: float, at_end: bool) -> tuple[int, Lines] | None:
    """Which of the points is the best, and the bounds that they give together."""
    a, b, c = points[:3]
    rising, upward = _chord(c, b, error), _chord(a, b, error)
    if rising.slope < 0.0 or upward(c[0]) < c[1]:
        return None  # it does not rise, or is not concave
    if at_end:
        return 2, Lines(int(max(rising.value, upward(c[0]))) + 1, rising)
    d, e = points[3:]
    falling, downward = _chord(c, d, error), _chord(e, d, error)
    if falling.slope > 0.0 or downward(c[0]) < c[1]:
        return None
    best = max(range(5), key=lambda n: (points[n][1], -abs(n - 2)))
    return best, Lines(int(max(rising.value, falling.value, _crossing(upward, downward))) + 1, rising, falling)


def _chord(inner: Point, outer: Point, error: float) -> Line:
    """From ``outer`` away from ``inner``, no lower than the real gain: the slope counts for that direction."""
    distance = outer[0] - inner[0]
    return Line(float(outer[0]), outer[1] + error, (outer[1] + error - inner[1]) / distance)


def _crossing(up: Line, down: Line) -> float:
    """The height at which the chords from both sides meet: no input between them is above it."""
    if up.slope <= down.slope:
        return max(up.value, down.value)
    return up((down.value - up.value + up.slope * up.at - down.slope * down.at) / (up.slope - down.slope))
