"""What is fixed about a pair of Solidly and its forks, and where things stand in its storage and its factory's.

::

    kind              fee read from                   loop of the stable curve
    solidly_v1        one basis point, always         Solidly's first
    velodrome_v1      factory, by stable or volatile  Solidly's first
    velodrome_v2      factory, by pool or by kind     later, a neighbour scaled twice (2023: Velodrome V2, Aerodrome)
    velodrome_v2_r2   factory, by pool or by kind     later (since 2024, the chains of the Superchain)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from flasharb.pools.solidly.curve import Loop
from flasharb.units import Address

SolidlyKind = Literal["solidly_v1", "velodrome_v1", "velodrome_v2", "velodrome_v2_r2"]


@dataclass(frozen=True, slots=True)
class SolidlyLayout:
    """Storage slots: of the pair its two reserves (one after the other), of the factory the rest.

    ``fees`` are those of stable and of volatile pairs; ``custom_fees`` is a mapping by pair. The factory's pause stands
    in the lowest byte of its slot 0.
    """

    reserves: int
    fees: tuple[int, int] | None = None
    custom_fees: int | None = None


LAYOUTS: Final[Mapping[str, SolidlyLayout]] = MappingProxyType(
    {
        "solidly_v1": SolidlyLayout(8),
        "velodrome_v1": SolidlyLayout(8, (2, 3)),
        "velodrome_v2": SolidlyLayout(20, (1, 2), 11),
        "velodrome_v2_r2": SolidlyLayout(17, (1, 2), 8),
    }
)


@dataclass(frozen=True, slots=True)
class SolidlyFacts:
    """A pair. ``units``: one whole token0 and token1 (10 ** decimals). ``layout``: where it differs from its kind's."""

    kind: SolidlyKind
    stable: bool
    units: tuple[int, int]
    factory: Address
    layout: SolidlyLayout | None = None

    @property
    def slots(self) -> SolidlyLayout:
        """Where its state stands."""
        return self.layout or LAYOUTS[self.kind]

    @property
    def loop(self) -> Loop:
        """How it searches its stable curve."""
        if self.kind in ("solidly_v1", "velodrome_v1"):
            return Loop(first=True)
        return Loop(first=False, units=self.units if self.kind == "velodrome_v2" else None)
