"""The stable curve x³y + xy³ of Solidly and its forks: the pair's own quote, and its own check.

Reserves are brought to 18 decimals. To quote, the pair searches the new reserve of the other token by Newton's method
from the old one; to let a swap pass, it computes the invariant before and after. Both round down at every product, and
not in the same order, so that a quote may fail its own pair's check by a unit.

Three loops are in use: the first ends as soon as a step is at most one (or after 255); the later two go on until there
is no better reserve, and the first of these looks at a neighbour with reserves scaled twice.

A number of more than 256 bits, a division by zero and a result below zero revert in the contract; here they raise
``InsufficientLiquidity``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flasharb.pools.errors import InsufficientLiquidity

ONE: Final = 10**18
_ROUNDS: Final = 255


@dataclass(frozen=True, slots=True)
class Loop:
    """One of the three searches. ``first``: Solidly's own.

    ``units`` are one whole token0 and token1 where a neighbour is scaled once more (always in this order, whichever of
    the two goes in), None where it is not.
    """

    first: bool
    units: tuple[int, int] | None = None

    def neighbour(self, x: int, y: int) -> int:
        """The invariant of a reserve next to the one found."""
        if self.units is None:
            return invariant(x, y)
        return invariant(x * ONE // self.units[0], y * ONE // self.units[1])


def invariant(x: int, y: int) -> int:
    """xy (x² + y²) of two reserves with 18 decimals, as the pair checks it."""
    product, squares = x * y, x * x // ONE + y * y // ONE
    result = product // ONE * squares
    _fits(result | x * x | y * y)
    return result // ONE


def reserve_after(x: int, target: int, y: int, loop: Loop) -> int:
    """The other reserve at which the invariant is ``target`` with ``x`` in the pool, searched from ``y``.

    Raises:
        InsufficientLiquidity: the contract reverts.
    """
    cube = x * x // ONE * x
    _fits(cube)
    cube //= ONE
    if loop.first:
        return _first_loop(x, cube, target, y)
    for _ in range(_ROUNDS):
        k = invariant(x, y)
        step = abs(target - k) * ONE // _slope(x, cube, y * y // ONE)
        if k < target:
            if not step:
                if loop.neighbour(x, y + 1) > target:
                    return y + 1
                step = 1
            y += step
        else:
            if not step:
                if k == target or (y and invariant(x, y - 1) < target):
                    return y
                step = 1
            y -= step
        if y < 0:
            raise InsufficientLiquidity("the pair's search for a reserve fails")
    raise InsufficientLiquidity("the pair's search for a reserve does not end")


def _first_loop(x: int, cube: int, target: int, y: int) -> int:
    for _ in range(_ROUNDS):
        before, square = y, y * y // ONE
        other, own = x * (square * y // ONE), cube * y
        _fits(square * y | other | own)
        k = other // ONE + own // ONE
        step = abs(target - k) * ONE // _slope(x, cube, square)
        y = y + step if k < target else y - step
        if y < 0:
            raise InsufficientLiquidity("the pair's search for a reserve fails")
        if -1 <= y - before <= 1:
            return y
    return y


def _slope(x: int, cube: int, square: int) -> int:
    top = 3 * x * square
    _fits(top)
    slope = top // ONE + cube
    if not slope:
        raise InsufficientLiquidity("the pair's search for a reserve fails")
    return slope


def _fits(number: int) -> None:
    if number >> 256:
        raise InsufficientLiquidity("the pair's reserves are too large for its mathematics")
