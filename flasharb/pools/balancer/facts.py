"""What is fixed about a pool of the Vault.

A pool's id is its address, its specialisation (how the Vault keeps its balances) and a running number.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from flasharb.units import Address, Hash32


class Specialisation(IntEnum):
    """How the Vault keeps a pool's balances, by its number in the pool id."""

    GENERAL = 0
    MINIMAL_SWAP_INFO = 1
    TWO_TOKEN = 2


def pool_address(pool_id: Hash32) -> Address:
    """The pool contract that an id stands for."""
    return Address(pool_id[:20])


def specialisation(pool_id: Hash32) -> Specialisation:
    """How the Vault keeps this pool's balances.

    Raises:
        ValueError: no such specialisation: not a pool id.
    """
    return Specialisation(int.from_bytes(pool_id[20:22], "big"))


WeightedKind = Literal["weighted_v1", "weighted_2tokens_v1", "weighted_v2", "weighted_v3"]


@dataclass(frozen=True, slots=True)
class WeightedFacts:
    """A weighted pool; all by token, in the pool's order (ascending addresses).

    ``scaling`` brings a token to 18 decimals (10 ** (18 - decimals)); ``weights`` have 18 decimals and add up to one.
    After ``pausable_until`` (seconds) no pause holds any more.
    """

    vault: Address
    pool_id: Hash32
    kind: WeightedKind
    scaling: tuple[int, ...]
    weights: tuple[int, ...]
    pausable_until: int

    @property
    def simple_powers(self) -> bool:
        """Whether exponents of one, two and four are multiplied out."""
        return self.kind in ("weighted_v2", "weighted_v3")
