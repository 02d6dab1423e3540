"""Upper bounds on the gain of a cycle: of any input, and of inputs that lie beyond a given one.

The real gain, without roundings, is concave over the input and nowhere below the whole-unit gain. So whatever bounds
the real gain bounds what can be had, and a search over whole units that has left the optimum so far behind that the
bound beyond is below the gain in hand has *proven* its gain to be the largest.

``Curves`` knows the real gain in closed form around its optimum: on either side it is R·u / (1 + N·u) less the cost of
the input. What is lost between two points a and b of one such curve is ``(b - a)·|R / ((1 + N·a)(1 + N·b)) - cost|``,
a product that does not cancel. ``Lines`` knows chords of the gain: beyond its two points a chord is above a concave
function.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple, Protocol


class Ceiling(Protocol):
    """No input gains more than ``bound`` (None: not known)."""

    @property
    def bound(self) -> int | None:
        """For all inputs."""
        ...

    def above(self, amount: int, /) -> float:
        """For inputs of ``amount`` and more; at least ``bound`` where it tells nothing."""
        ...

    def below(self, amount: int, /) -> float:
        """For inputs of ``amount`` and less."""
        ...


class Curve(NamedTuple):
    """One range of a chain: output ``rate·u / (1 + n·u)``, u counted from the range's beginning.

    The optimum of the route lies at ``at``; the range holds from 0 to ``room``.
    """

    rate: float
    n: float
    at: float
    room: float


class Curves(NamedTuple):
    """The largest gain of whole inputs, less than one below the real one at the input ``best``; the curves below and
    above it (None: none).

    ``slack``: what errors of the floats may hide.
    """

    bound: int
    best: float
    cost: float
    slack: float
    left: Curve | None
    right: Curve | None

    def above(self, amount: int) -> float:
        """See ``Ceiling``: the real gain there, since it falls from there on."""
        beyond = amount - self.best
        if self.right is None or beyond <= 0.0:
            return self.bound
        rate, n, at, room = self.right
        further = min(beyond, room - at)
        lost = further * (self.cost - rate / ((1.0 + n * at) * (1.0 + n * (at + further))))
        return min(self.bound, self.bound + 1 - max(lost, 0.0) + self.slack)

    def below(self, amount: int) -> float:
        """See ``Ceiling``: the real gain there, since it rises up to there."""
        before = self.best - amount
        if self.left is None or before <= 0.0:
            return self.bound
        rate, n, at, _ = self.left
        back = min(before, at)
        lost = back * (rate / ((1.0 + n * at) * (1.0 + n * (at - back))) - self.cost)
        return min(self.bound, self.bound + 1 - max(lost, 0.0) + self.slack)


class Line(NamedTuple):
    """A line through the point (``at``, ``value``)."""

    at: float
    value: float
    slope: float

    def __call__(self, amount: float) -> float:
        """Its height there."""
        return self.value + self.slope * (amount - self.at)


class Lines(NamedTuple):
    """``left`` rises and is above the gain up to the input where it begins; ``right`` falls, from its own on."""

    bound: int | None
    left: Line | None = None
    right: Line | None = None

    def above(self, amount: int) -> float:
        """See ``Ceiling``."""
        if self.right is not None and amount >= self.right.at:
            return self.right(amount)
        return inf if self.bound is None else self.bound

    def below(self, amount: int) -> float:
        """See ``Ceiling``."""
        if self.left is not None and amount <= self.left.at:
            return self.left(amount)
        return inf if self.bound is None else self.bound
