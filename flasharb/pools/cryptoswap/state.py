"""The parts of a CryptoSwap pool's state."""

from __future__ import annotations

from typing import NamedTuple


class GammaRamp(NamedTuple):
    """(A n^n 10^4, gamma) moving from ``initial`` at ``initial_time`` to ``future`` at ``future_time``."""

    initial: tuple[int, int]
    future: tuple[int, int]
    initial_time: int
    future_time: int

    def at(self, timestamp: int) -> tuple[int, int]:
        """A and gamma in a block of this time (``_A_gamma``)."""
        if timestamp >= self.future_time:
            return self.future
        length, passed = self.future_time - self.initial_time, timestamp - self.initial_time
        left = length - passed
        a, gamma = ((old * left + new * passed) // length for old, new in zip(self.initial, self.future, strict=True))
        return a, gamma


class CryptoParameters(NamedTuple):
    """What governance can change: fees in 10^-10, the rest in 10^-18, ``ma_time`` in seconds.

    ``allowed_extra_profit`` is None where it is not known; it does not matter while the pool is adjusting anyway.
    """

    ramp: GammaRamp
    mid_fee: int
    out_fee: int
    fee_gamma: int
    allowed_extra_profit: int | None
    adjustment_step: int
    ma_time: int


class Prices(NamedTuple):
    """Prices of coins 1, 2, … in coin 0, 18 decimals, and what the contract remembers for moving its price scale."""

    scale: tuple[int, ...]
    oracle: tuple[int, ...]
    last: tuple[int, ...]
    last_timestamp: int
    xcp_profit: int
    virtual_price: int
    not_adjusted: bool = False


class Exchange(NamedTuple):
    """What is paid, the balances ``xp`` after it, and K0 as the closed form found it (0: not by the closed form)."""

    amount_out: int
    xp: tuple[int, ...]
    k0: int


class Tweaked(NamedTuple):
    """What an exchange leaves behind besides the balances."""

    ramp: GammaRamp
    d: int
    prices: Prices
