"""The invariant of stable pools and the balances that keep it, with the rounding of the contract.

All numbers are balances of 18 decimals (rates included) and an amplification of three decimals. Source: Balancer's
``StableMath`` as composable stable pools use it: everything rounds down as in Curve's Vyper, but the balance up.

A contract that cannot go on (a division by zero, a product of more than 256 bits, no convergence) reverts; here that is
``Reverts``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from flasharb.pools.errors import InsufficientLiquidity

AMP_PRECISION: Final = 1000
_ROUNDS: Final = 255


class Reverts(InsufficientLiquidity):
    """The pool's mathematics fails for these balances: the contract reverts."""


def invariant(amp: int, balances: Sequence[int]) -> int:
    """D of these balances; 0 where there are none.

    Raises:
        Reverts: a balance is zero, or the contract's loop fails.
    """
    total = sum(balances)
    if not total:
        return 0
    if not all(balances):
        raise Reverts("a balance is zero")
    count = len(balances)
    ann = amp * count
    weighted, less = ann * total // AMP_PRECISION, ann - AMP_PRECISION
    parts = [balance * count for balance in balances]
    d = total
    for _ in range(_ROUNDS):
        product = d
        for part in parts:
            product = product * d // part
        before = d
        top = (weighted + product * count) * d
        # the greatest of the numbers here; the contract checks every product
        if (top | product * d) >> 256:
            raise Reverts("the balances are too large or too unequal")
        d = top // (less * d // AMP_PRECISION + (count + 1) * product)
        if -1 <= d - before <= 1:
            return d
    raise Reverts("the invariant does not converge")


def balance_at(amp: int, balances: Sequence[int], d: int, k: int) -> int:
    """The balance of token k that gives the invariant ``d`` with all other balances as they are, rounded up.

    Raises:
        Reverts: the contract's loop fails.
    """
    b, c = equation(amp, balances, d, k)
    square = d * d
    if (square + c) >> 256:
        raise Reverts("the balances are too large or too unequal")
    y = -(-(square + c) // (d + b))
    b -= d
    for _ in range(_ROUNDS):
        before = y
        below = 2 * y + b
        if below <= 0:
            raise Reverts("the balance does not converge")
        y = -(-(y * y + c) // below)
        if -1 <= y - before <= 1:
            return y
    raise Reverts("the balance does not converge")


def equation(amp: int, balances: Sequence[int], d: int, k: int) -> tuple[int, int]:
    """The b and c of y² + (b - d) y = c, whose root is the balance of token k.

    Raises:
        Reverts: a product overflows or a divisor is zero.
    """
    count = len(balances)
    ann = amp * count
    product = balances[0] * count
    for balance in balances[1:]:
        product = product * balance * count // d
    square = d * d
    if not product or square >> 256:
        raise Reverts("the balances are too large or too unequal")
    c = -(-square // (ann * product)) * AMP_PRECISION * balances[k]
    return sum(balances) - balances[k] + d // ann * AMP_PRECISION, c


def slopes(amp: int, balances: Sequence[int], d: int) -> list[float]:
    """How much D grows by each balance (floats)."""
    count = len(balances)
    ann = amp * count / AMP_PRECISION
    product = float(d)
    for balance in balances:
        product *= d / (balance * count)
    below = ann - 1 + (count + 1) * product / d
    return [(ann + product / balance) / below for balance in balances]
