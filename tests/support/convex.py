"""A reference for the joint optimum: the primal problem by an interior-point method, with no prices and no pools.

Every piece of every pool is a curve of its own, bounded by its room (marginal rates fall along the pieces, so the best
amounts fill them in order). A barrier keeps inputs, rooms and the surplus of each token positive; Newton's method finds
its minimum; the barrier's weight falls until what it costs is a negligible part of the gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from math import isfinite
from typing import Any

import numpy as np

from flasharb.pools import is_piecewise
from flasharb.strategy.route import Leg
from flasharb.units import Address

Array = Any
PIECES = 12


def best_gain(legs: Sequence[Leg], base: Address, prices: dict[Address, float]) -> float:
    """The largest real gain in the base token over the legs; ``prices`` are rough ones, for scale alone.

    Raises:
        AssertionError: a pool has no pieces, or a token cannot be bought with another one.
    """
    curves = [curve for leg in legs for curve in _curves(leg, prices)]
    scale = min(virtual for *_, virtual, _, _ in curves)
    curves = [
        (start, end, gamma, into / scale, out / scale, room / scale) for start, end, gamma, into, out, room in curves
    ]
    return _Barrier(curves, base).run() * scale


def _curves(leg: Leg, prices: dict[Address, float]) -> list[tuple[Address, Address, float, float, float, float]]:
    """The pieces in value: start, end, gamma, virtual in, virtual out, room."""
    assert is_piecewise(leg.pool)
    start, end = leg.pool.spec.tokens[leg.i], leg.pool.spec.tokens[leg.j]
    return [
        (
            start,
            end,
            piece.gamma,
            piece.virtual_in * prices[start],
            piece.virtual_out * prices[end],
            piece.room * prices[start],
        )
        for piece in islice(leg.pool.pieces(leg.i, leg.j), PIECES)
    ]


class _Barrier:
    def __init__(self, curves: Sequence[tuple[Address, Address, float, float, float, float]], base: Address) -> None:
        tokens = [base, *sorted({token for curve in curves for token in curve[:2]} - {base})]
        count = len(curves)
        self.taken, self.given = np.zeros((len(tokens), count)), np.zeros((len(tokens), count))
        for n, curve in enumerate(curves):
            self.taken[tokens.index(curve[0]), n] = 1.0
            self.given[tokens.index(curve[1]), n] = 1.0
        self.gamma, self.into, self.out, self.room = (np.array([curve[at] for curve in curves]) for at in (2, 3, 4, 5))
        self.bounded = np.isfinite(self.room)

    def start(self) -> Array:
        """Small amounts with a surplus of every token: the more steps from the base token, the smaller."""
        depth = np.full(len(self.taken), np.inf)
        depth[0] = 0.0
        for _ in range(len(depth)):
            for n in range(len(self.gamma)):
                a, b = int(self.taken[:, n].argmax()), int(self.given[:, n].argmax())
                depth[b] = min(depth[b], depth[a] + 1)
        assert np.isfinite(depth).all(), "a token that cannot be bought"
        amounts = 1e-3 * 1e-3 ** (self.taken.T @ depth)
        return np.minimum(amounts, np.where(self.bounded, self.room / 100, np.inf) * 1e-3 ** (self.taken.T @ depth))

    def outputs(self, inputs: Array) -> tuple[Array, Array, Array]:
        """Outputs with their first and second derivatives."""
        after = self.into + self.gamma * inputs
        first = self.gamma * self.into * self.out / after**2
        return self.out * self.gamma * inputs / after, first, -2.0 * self.gamma * first / after

    def surplus(self, inputs: Array) -> Array:
        return self.given @ self.outputs(inputs)[0] - self.taken @ inputs

    def value(self, inputs: Array, weight: float) -> float:
        surplus, left = self.surplus(inputs), (self.room - inputs)[self.bounded]
        if min(inputs.min(), *surplus[1:], *left) <= 0.0:
            return float("inf")
        return float(-weight * surplus[0] - np.log(surplus[1:]).sum() - np.log(inputs).sum() - np.log(left).sum())

    def centre(self, inputs: Array, weight: float) -> Array:
        """Newton's method with halved steps."""
        for _ in range(60):
            _, first, second = self.outputs(inputs)
            slopes = self.given * first - self.taken
            surplus = self.surplus(inputs)
            pull = np.array([weight, *(1.0 / surplus[1:])])
            left = np.where(self.bounded, self.room - inputs, np.inf)
            gradient = -pull @ slopes - 1.0 / inputs + 1.0 / left
            hessian = slopes[1:].T @ (slopes[1:] / surplus[1:, None] ** 2)
            hessian += np.diag(-(pull @ self.given) * second + 1.0 / inputs**2 + 1.0 / left**2)
            scale = 1.0 / np.sqrt(np.diag(hessian))
            scaled = hessian * np.outer(scale, scale) + 1e-13 * np.eye(len(scale))
            step = -scale * np.linalg.solve(scaled, scale * gradient)
            decrement = float(-gradient @ step)
            if not isfinite(decrement) or decrement < 1e-10:
                break
            now, share = self.value(inputs, weight), 1.0
            while share > 1e-12 and not self.value(inputs + share * step, weight) <= now - 1e-4 * share * decrement:
                share /= 2
            if share <= 1e-12:
                break
            inputs = inputs + share * step
        return inputs

    def run(self) -> float:
        inputs, weight = self.start(), 1.0
        constraints = len(self.taken) - 1 + len(inputs) + int(self.bounded.sum())
        while True:
            inputs = self.centre(inputs, weight)
            gain = float(self.surplus(inputs)[0])
            if constraints / weight < 1e-11 * gain or weight > 1e22:
                return gain
            weight *= 12.0
