"""The best input of a route that has no closed form, by exact quotes alone.

The gain over the input is concave up to rounding, with no gain for no input. So three inputs a < b < c with the largest
gain at b hold the best one between a and c. Such a bracket is found by going up or down in factors of four from a first
guess, and then narrowed in turns by the vertex of the parabola through its points (quick where the gain is smooth) and
by the golden section (which narrows whatever the gain does). An input that a pool refuses counts as an endless loss.

Nothing that is returned relies on concavity but the bound: the gain is that of an input which was quoted, the best of
all that were. A function that is not concave costs a better input elsewhere, never a wrong amount.

The bound. Let F be the real gain without rounding and f the whole-unit one, f <= F <= f + slack. If F is concave, a
line through two of its points lies above it beyond them, on both sides. Between any two neighbouring inputs that were
quoted, F is below the lines through pairs to the left and through pairs to the right; the largest value that the
lowest of them leave, over all such stretches, bounds the gain of every input. With the slack on the worse end of each
line the bound holds for F known to within it. Where a quoted gain lies above the lines of others by more than the
slack, F is not concave, and no bound is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isfinite
from typing import Final

_GOLDEN: Final = 0.381966
_FLANKS: Final = (2, 4, 6, 8)
"""Inputs quoted beside the best, at this power of a half of it: lines through them make the bound tight."""
_SLACK: Final = 1e-12
"""Relative error allowed for the floats of the bound."""

Line = tuple[float, float, float]
"""A point (x, y) and the slope through it."""


@dataclass(frozen=True, slots=True)
class Found:
    """The best input quoted and its gain; ``bound``: no input gains more (None: the gain is not concave).

    ``refused``: the best is as near as the search came to inputs that cannot be quoted.
    """

    amount_in: int
    gain: int
    bound: int | None
    refused: bool


class _Quotes:
    """Every input that was asked for, with its gain (-inf: refused)."""

    def __init__(self, gain: Callable[[int], int | None], most_quotes: int) -> None:
        self._gain = gain
        self._most = most_quotes
        self.seen: dict[int, int | float] = {0: 0}

    @property
    def left(self) -> bool:
        """Whether more may be asked."""
        return len(self.seen) <= self._most

    def best(self) -> int:
        """The input above zero with the largest gain, the least of several."""
        return max((amount for amount in self.seen if amount), key=lambda amount: (self.seen[amount], -amount))

    def at(self, amount: int) -> int | float:
        """The gain of an input."""
        known = self.seen.get(amount)
        if known is None:
            gain = self._gain(amount)
            known = self.seen[amount] = -inf if gain is None else gain
        return known


def search(
    gain: Callable[[int], int | None], first: int, most: int, slack: float, narrow: int = 16, most_quotes: int = 96
) -> Found | None:
    """The best whole input from 1 to ``most``; None if not a single one could be quoted.

    ``gain`` is exact, None where an input is refused; ``first`` a guess; ``slack`` what rounding can have taken of any
    gain. The search ends when the bracket is 2**-``narrow`` of the input; what is lost of the gain is the square of it.
    """
    quotes = _Quotes(gain, most_quotes)
    bracket = _bracket(quotes, min(max(first, 1), most), most, int(slack) + 1)
    if bracket is None:
        return None
    _narrow(quotes, bracket, narrow)
    narrowed = quotes.best()
    for shift in _FLANKS:
        for amount in (narrowed - (narrowed >> shift), narrowed + (narrowed >> shift)):
            if 0 < amount <= most:
                quotes.at(amount)
    best = quotes.best()
    value = quotes.seen[best]
    if not isinstance(value, int):
        return None
    beyond = min((amount for amount in quotes.seen if amount > best), default=None)
    refused = beyond is not None and quotes.seen[beyond] == -inf
    return Found(best, value, _bound(quotes.seen, most, slack), refused)


def _bracket(quotes: _Quotes, first: int, most: int, slack: int) -> tuple[int, int, int] | None:
    """Inputs a < b < c with the largest gain at b; c may be one beyond ``most``.

    Either way is gone until it is clearly worse: among very small inputs rounding makes valleys.
    """
    while quotes.at(first) == -inf:
        if first == 1 or not quotes.left:
            return None
        first = max(first // 4, 1)
    best = quotes.at(first)
    for up in (True, False):
        amount, following = 0, first
        while following != amount and quotes.left and quotes.at(following) >= best - slack:
            best = max(best, quotes.at(following))
            amount, following = following, min(4 * following, most) if up else max(following // 4, 1)
    middle = quotes.best()
    above = min((amount for amount in quotes.seen if amount > middle), default=most + 1)
    below = max(amount for amount in quotes.seen if amount < middle)
    return below, middle, above


def _narrow(quotes: _Quotes, bracket: tuple[int, int, int], narrow: int) -> None:
    low, middle, high = bracket
    by_parabola = True
    while high - low > max(2, middle >> narrow) and quotes.left:
        amount = _vertex(quotes, low, middle, high) if by_parabola else None
        by_parabola = not by_parabola
        if amount is None or not low < amount < high or amount == middle:
            amount = _golden(low, middle, high)
        if amount in (low, middle, high):
            return
        if quotes.at(amount) > quotes.at(middle):
            low, middle, high = (low, amount, middle) if amount < middle else (middle, amount, high)
        elif amount < middle:
            low = amount
        else:
            high = amount


def _golden(low: int, middle: int, high: int) -> int:
    """A point in the larger part of the bracket."""
    if high - middle > middle - low:
        return middle + max(1, int((high - middle) * _GOLDEN))
    return middle - max(1, int((middle - low) * _GOLDEN))


def _vertex(quotes: _Quotes, low: int, middle: int, high: int) -> int | None:
    """Where the parabola through three points is highest; None where it has no top."""
    seen = quotes.seen
    top, left, right = seen[middle], seen.get(low, -inf), seen.get(high, -inf)
    if not isfinite(left) or not isfinite(right):
        return None
    before, after = float(middle - low), float(high - middle)
    down, up = float(top - left) * after, float(top - right) * before
    total = down + up
    return middle + int((down * after - up * before) / (2.0 * total)) if total > 0.0 else None


def _bound(seen: dict[int, int | float], most: int, slack: float) -> int | None:
    """See the head of this module."""
    known = sorted((float(amount), float(gain)) for amount, gain in seen.items() if isinstance(gain, int))
    points = list(dict(known).items())  # of inputs that are one float, the best
    end = float(min([most, *(amount for amount, gain in seen.items() if gain == -inf)]))
    largest = max(gain for _, gain in points)
    error = slack + 1.0 + _SLACK * (abs(largest) + points[-1][0])
    bound = highest(points, max(end, points[-1][0]), error)
    return None if bound is None or not isfinite(bound) else int(bound) + 1


def highest(points: Sequence[tuple[float, float]], end: float, error: float) -> float | None:
    """No input up to ``end`` has a larger gain, if the gain is concave and each point's is known to within ``error``.

    ``points`` are inputs in ascending order with their gains; infinite where they say nothing of some stretch. None: a
    concave gain does not lead through them.
    """
    bound = max(gain for _, gain in points) + error
    for position, ((start, _), (stop, _)) in enumerate(pairwise([*points, (end, 0.0)])):
        rising = _lowest(points[: position + 1][::-1], stop, error)
        falling = _lowest(points[position + 1 :], start, error)
        if _above(points[position], falling) or (position + 1 < len(points) and _above(points[position + 1], rising)):
            return None
        if stop - start > 1.0:
            bound = max(bound, _highest_below(rising, falling, start, stop))
    return bound


def _lowest(points: Sequence[tuple[float, float]], at: float, error: float) -> Line | None:
    """Of the lines from the first point through another, the one that is lowest at ``at``; None: there is none."""
    if len(points) < 2:
        return None
    x, y = points[0]
    lines = [(x, y + error, (y + error - other_y) / (x - other_x)) for other_x, other_y in points[1:]]
    return min(lines, key=lambda line: line[1] + line[2] * (at - line[0]))


def _value(line: Line | None, at: float) -> float:
    return inf if line is None else line[1] + line[2] * (at - line[0])


def _above(point: tuple[float, float], line: Line | None) -> bool:
    return point[1] > _value(line, point[0])


def _highest_below(rising: Line | None, falling: Line | None, start: float, stop: float) -> float:
    """The largest value from ``start`` to ``stop`` that is below both lines."""
    ends = [min(_value(rising, at), _value(falling, at)) for at in (start, stop)]
    if rising is None or falling is None or rising[2] == falling[2]:
        return max(ends)
    (x, y, slope), (other_x, other_y, other_slope) = rising, falling
    crossing = (other_y - other_slope * other_x - y + slope * x) / (slope - other_slope)
    return max([*ends, _value(rising, crossing)]) if start < crossing < stop else max(ends)
