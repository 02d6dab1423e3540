"""How much of a pool one trade may use, and how hard the exact search tries."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from flasharb.settings import Strategy

SHARE_SCALE: Final = 10**12
"""Parts in one: shares are exact to 1e-12."""

NO_BOUND: Final = 1 << 256
"""More than any pool takes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the sizing.

    ``position_share`` is in parts of ``SHARE_SCALE``: amount_in of each hop is at most that share of the pool's
    input-side reserve (V3: virtual reserve at the current price); None: no bound. At most ``max_evaluations`` exact
    evaluations of the route are spent on whole units; ``max_after_whole`` where it is known of which units a pool's fee
    takes nothing too much: these are tried first, and others hardly gain more. The search ends before when no more than
    the share ``good_enough`` of the profit can still be missing (``good_enough_quoted`` where a pool has no closed
    form, whose quotes are dear).
    """

    position_share: int | None
    max_evaluations: int = 48
    max_after_whole: int = 6
    good_enough: float = 1e-9
    good_enough_quoted: float = 1e-4

    @classmethod
    def of(cls, settings: Strategy) -> Limits:
        """The limits that the settings ask for."""
        return cls(int(Decimal(str(settings.max_position_pct)) * SHARE_SCALE))

    def most_input(self, reserve: int) -> int:
        """The largest amount_in for a pool with this input-side reserve."""
        if self.position_share is None:
            return NO_BOUND
        return reserve * self.position_share // SHARE_SCALE


UNLIMITED: Final = Limits(None)
"""No bound by position: for comparing with what others did."""

THOROUGH: Final = Limits(None, max_evaluations=1000, max_after_whole=1000, good_enough_quoted=1e-9)
"""The same where time does not matter."""
