"""The quote of a stable pool backwards: the least balance that a token must reach for another's to fall far enough.

The contract's loop ends at the root of an equation, rounded up. So where a balance is put into the equation, its sign
tells on which side of the root it is, without running the loop: all of this is exact. For the balance that grows the
equation is linear but for its ``c``, which falls as the balance grows, in steps far apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isqrt
from typing import Final

from flasharb.pools.balancer.stable_math import equation

_TRIES: Final = 3
_NEAR_ROOT: Final = 100
_STEEP: Final = 1 << 32


def least_balance(amp: int, balances: Sequence[int], d: int, way: tuple[int, int], most: int) -> int | None:
    """The least balance of the first token for which ``balance_at`` of the second is ``most``; None: not certain.

    Raises:
        Reverts: the contract's loop fails.
    """
    (i, k), here = way, list(balances)

    def least_by_c_at(x: int) -> int:
        """What the balance would have to be if ``c`` stayed as it is at x."""
        here[i] = x
        b, c = equation(amp, here, d, k)
        return x - b + d - (most * most - c) // most

    here[k] = most
    b, c = equation(amp, here, d, i)
    about = (isqrt((b - d) * (b - d) + 4 * c) - b + d) // 2
    here[k] = balances[k]
    x = _settled(least_by_c_at, about)
    here[i] = x
    b, c = equation(amp, here, d, k)
    steepness, over = 2 * most + b - d, most * (most + b - d) - c
    # where the equation is flat, or so near to its root, the loop may end a unit above it
    return x if steepness > _STEEP and not 0 <= over < _NEAR_ROOT else None


def _settled(needed: Callable[[int], int], x: int) -> int:
    """The least number that is not below what is needed at it, which falls as the number grows; about ``x``."""
    before = x
    for _ in range(_TRIES):
        before, x = x, needed(x)
        if x == before:
            return x
    # a step lies in between
    too_little, enough = (before, x) if x > before else (x - 1, before)
    while enough - too_little > 1:
        middle = (too_little + enough) // 2
        if middle >= needed(middle):
            enough = middle
        else:
            too_little = middle
    return enough
