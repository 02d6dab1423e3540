"""The amounts of the joint optimum as single ways from the base token back to it."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from flasharb.strategy.joint import Solved
from flasharb.strategy.route import Leg
from flasharb.units import Address


class Path(NamedTuple):
    """A way from the base token back to it, as positions of legs, and the real amount that goes in."""

    legs: tuple[int, ...]
    amount_in: float
    amount_out: float


def paths(legs: Sequence[Leg], solved: Solved, base: Address, most_hops: int) -> list[Path]:
    """The amounts as single ways, the one that gains most first; a leg that several use is shared at its average rate.

    What does not flow from the base token to the base token in ``most_hops`` legs is left out.
    """
    left = list(solved.inputs)
    rates = [out / amount if amount > 0.0 else 0.0 for amount, out in zip(solved.inputs, solved.outputs, strict=True)]
    least = [1e-9 * amount for amount in left]
    found: list[Path] = []
    while (way := _widest(legs, left, least, base, most_hops)) is not None:
        scale, amount = 1.0, inf
        for leg in way:
            amount = min(amount, left[leg] / scale)
            scale *= rates[leg]
        found.append(Path(tuple(way), amount, amount * scale))
        scale = amount
        for leg in way:
            left[leg] -= scale
            scale *= rates[leg]
    return sorted(found, key=lambda path: path.amount_in - path.amount_out)


def _widest(
    legs: Sequence[Leg], left: Sequence[float], least: Sequence[float], base: Address, most_hops: int
) -> list[int] | None:
    """From the base token on always the leg with most left, back where a way does not end; None: there is no way."""

    def onward(token: Address, way: list[int], seen: frozenset[Address]) -> list[int] | None:
        if way and token == base:
            return way
        if len(way) == most_hops:
            return None
        fitting = [
            n
            for n, leg in enumerate(legs)
            if left[n] > least[n] and leg.pool.spec.tokens[leg.i] == token and leg.pool.spec.tokens[leg.j] not in seen
        ]
        for n in sorted(fitting, key=lambda n: -left[n]):
            after = legs[n].pool.spec.tokens[legs[n].j]
            whole = onward(after, [*way, n], seen | {after})
            if whole is not None:
                return whole
        return None

    return onward(base, [], frozenset())
