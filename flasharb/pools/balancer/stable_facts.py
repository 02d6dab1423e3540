"""What is fixed about a composable stable pool, and the words of its storage taken apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from flasharb.pools.balancer.log_exp import ONE
from flasharb.units import Address, Hash32

StableKind = Literal["stable_v1", "stable_v2", "stable_v3", "stable_v5"]
"""Versions by code: that of the fourth deployment is the third's, that of the sixth the fifth's."""

_UINT32: Final = (1 << 32) - 1
_UINT64: Final = (1 << 64) - 1
_UINT96: Final = (1 << 96) - 1
_UINT233: Final = (1 << 233) - 1


@dataclass(frozen=True, slots=True)
class StableFacts:
    """A composable stable pool; all tuples by token in the pool's order, the pool's own token (BPT) among them.

    ``bpt`` is its index; ``scaling`` brings a token to 18 decimals. ``has_rate``: a provider tells its rate.
    ``exempt``: the protocol takes no fee of what its rate earns. After ``pausable_until`` (seconds) no pause holds any
    more.
    """

    vault: Address
    pool_id: Hash32
    kind: StableKind
    bpt: int
    scaling: tuple[int, ...]
    has_rate: tuple[bool, ...]
    exempt: tuple[bool, ...]
    pausable_until: int


class Ramp(NamedTuple):
    """The amplification (three decimals): on the way from ``start`` to ``end`` until ``end_time``."""

    start: int
    end: int
    start_time: int
    end_time: int

    @classmethod
    def of_word(cls, word: int) -> Ramp:
        """From the pool's packed slot."""
        return cls(word & _UINT64, word >> 64 & _UINT64, word >> 128 & _UINT64, word >> 192)

    def at(self, timestamp: int) -> int:
        """The amplification in a block of this time."""
        if timestamp >= self.end_time:
            return self.end
        passed, lasts = timestamp - self.start_time, self.end_time - self.start_time
        if self.end > self.start:
            return self.start + (self.end - self.start) * passed // lasts
        return self.start - (self.start - self.end) * passed // lasts


class Rate(NamedTuple):
    """A token's rate as the pool remembers it (18 decimals): now, at the last join or exit, and until when.

    After ``expires`` the pool asks the provider before it does anything else.
    """

    current: int = ONE
    old: int = ONE
    duration: int = 0
    expires: int = _UINT32

    @classmethod
    def of_word(cls, word: int) -> Rate:
        """From the pool's packed slot."""
        return cls(word & _UINT96, word >> 96 & _UINT96, word >> 192 & _UINT32, word >> 224)


class JoinExit(NamedTuple):
    """What the pool remembers of its last join or exit: amplification, and invariant after it."""

    amp: int
    invariant: int

    @classmethod
    def of_word(cls, word: int) -> JoinExit:
        """From the pool's packed slot."""
        return cls(word >> 233, word & _UINT233)


class ProtocolFees(NamedTuple):
    """The protocol's share of swap fees and of yield, 18 decimals, as the pool remembers them."""

    swap: int
    yields: int

    @classmethod
    def of_word(cls, word: int) -> ProtocolFees:
        """From the pool's packed slot."""
        return cls(word & _UINT64, word >> 64 & _UINT64)
