"""How long to wait between two attempts to connect."""

from __future__ import annotations

from random import Random
from typing import Final

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 30.0


class Pauses:
    """Growing, jittered pauses between attempts: between half and all of 0.1 s, 0.2 s, … ``longest_s``."""

    def __init__(self, random: Random, longest_s: float = LONGEST_PAUSE_S) -> None:
        self._random = random
        self._longest_s = longest_s
        self._attempt = 0

    def next(self) -> float:
        """Seconds to wait before the next attempt."""
        longest: float = min(FIRST_PAUSE_S * 2**self._attempt, self._longest_s)
        self._attempt = min(self._attempt + 1, 30)
        return longest * self._random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """The connection works: begin anew with the shortest pause."""
        self._attempt = 0
