"""The quote of a weighted pool backwards: the least input for an output, each rounding turned round.

An output is enough where the power is at most a bound. The base of the power (18 decimals, rounded up) falls as the
input grows, and each base is that of a run of inputs; the least input is the first of the run of the greatest base
whose power is small enough.

All inputs here are what the fee has left of them, in smallest units; ``scale`` brings them to 18 decimals.
"""

from __future__ import annotations

from typing import Final

from flasharb.pools.balancer.fixed_point import SIMPLE, power_below, simple_root
from flasharb.pools.balancer.log_exp import ONE, root
from flasharb.pools.errors import InsufficientLiquidity

MAX_RATIO: Final = 3 * 10**17
"""The most of a balance that one swap may put in or take out: 30 %, with 18 decimals."""

_LEAST_BASE: Final = ONE * ONE // (ONE + MAX_RATIO) - 10**4
"""No base of an input that the pool takes is less, and no root is as far off as the last four digits."""


def least_net(balance_in: int, scale: int, bound: int, exponent: int, simple_powers: bool) -> int | None:
    """The least input that makes ``pow_up`` at most ``bound``; None where it is not found.

    Raises:
        InsufficientLiquidity: it is more than the pool takes.
    """
    if bound <= 1:
        base: int | None = 0
    elif simple_powers and exponent in SIMPLE:
        base = simple_root(bound, exponent)
    else:
        base = root(power_below(bound), exponent)
    if base is None:
        return None
    if base < _LEAST_BASE:
        raise InsufficientLiquidity("the input would be more than 30 % of the pool's balance")
    net = -((balance_in + -balance_in * ONE // base) // scale)
    return net if net * scale <= balance_in * MAX_RATIO // ONE else None
