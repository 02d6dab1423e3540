"""Amplification that moves linearly between two times."""

from __future__ import annotations

from typing import NamedTuple


class Ramp(NamedTuple):
    """From ``initial`` at ``initial_time`` to ``future`` at ``future_time`` (Unix seconds); A as the contract keeps it.

    Nobody ramps where ``future_time`` lies in the past.
    """

    initial: int
    future: int
    initial_time: int
    future_time: int

    def at(self, timestamp: int) -> int:
        """The amplification in a block of this time (``_A``)."""
        if timestamp >= self.future_time:
            return self.future
        passed, length = timestamp - self.initial_time, self.future_time - self.initial_time
        if self.future > self.initial:
            return self.initial + (self.future - self.initial) * passed // length
        return self.initial - (self.initial - self.future) * passed // length


def steady(a: int) -> Ramp:
    """An amplification that does not move."""
    return Ramp(a, a, 0, 0)
