"""The exact inverse of an exact quote, for pools that have none of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flasharb.pools.errors import InsufficientLiquidity, QuoteUnavailable

_BISECT_EVERY = 4
"""Secants find a smooth quote's inverse in a handful of steps; a halving now and then bounds the steps of any other."""


_NEIGHBOURS: Final = 64
"""Inputs in a row that are tried where the contract's iteration does not end."""


class TooLittle(InsufficientLiquidity):
    """An input so small that the contract would revert; a greater one may do."""


class Unsettled(InsufficientLiquidity):
    """The contract's iteration does not end at this one input, where it reverts; its neighbours may do."""


def least_input(quote: Callable[[int], int], amount_out: int, guess: int) -> int:
    """The least input for which ``quote`` gives at least ``amount_out``, searched outwards from ``guess``.

    ``quote`` must not fall as its input grows, and must refuse all inputs beyond the first that it refuses, except for
    ``TooLittle`` and ``Unsettled``. Where its rounding wavers by a unit (the Newton iterations of some contracts do),
    one unit less gives less, but a still smaller input may give ``amount_out`` too; it is not looked for. An exact
    guess costs two quotes, another the logarithm of how far off it is, mostly much less.

    Raises:
        QuoteUnavailable: as ``quote`` does, where no input that it answers for gives that much.
    """
    known: dict[int, int | None] = {}

    def reaches(amount: int) -> bool:
        for settled in range(amount, amount + _NEIGHBOURS):
            try:
                given = known[settled] = quote(settled)
            except TooLittle:
                known[settled] = 0
                return False
            except Unsettled:
                continue
            except QuoteUnavailable:
                known[settled] = None  # too much to be answered for: the least input is not above it
                return True
            return given >= amount_out
        raise Unsettled(f"the contract's iteration ends nowhere near an input of {amount}")

    low, high = _around(guess, reaches, lambda amount: _miss(amount, known.get(amount), amount_out))
    step = 0
    while high - low > 1:
        step += 1
        # the edge of one step of a staircase lies anywhere in it: no line tells where
        within_step = known.get(high) == amount_out and known.get(low) == amount_out - 1
        halve = within_step or step % _BISECT_EVERY == 0
        middle = (low + high) // 2 if halve else _secant(known, amount_out, low, high)
        if reaches(middle):
            high = middle
        else:
            low = middle
    while high not in known:  # unsettled itself: the next one that is not
        high += 1
    if known[high] is None:
        quote(high)
    return high


def _around(guess: int, reaches: Callable[[int], bool], miss: Callable[[int], int]) -> tuple[int, int]:
    """An input that does not reach it (or -1) and one that does, found outwards from ``guess``.

    ``miss`` says about how far off an input that was quoted is; an exact guess is not asked.
    """
    low, high = guess - 1, guess
    reach = 1
    if reaches(guess):
        while low >= 0 and reaches(low):
            high = low
            reach = max(8 * reach, miss(high))
            low = max(high - reach, -1)
    else:
        low, high = guess, guess + max(reach, miss(guess))
        while not reaches(high):
            reach = max(8 * reach, miss(high))
            low, high = high, high + reach
    return low, high


def _miss(amount: int, given: int | None, amount_out: int) -> int:
    """How far ``amount`` is from what would give ``amount_out`` at its own rate, and as much again."""
    return 2 * (abs(amount_out - given) * amount // given) if given else 0


def _secant(known: dict[int, int | None], amount_out: int, low: int, high: int) -> int:
    """Where the line through the two newest answers reaches the amount, kept between ``low`` and ``high``."""
    newest = [(amount, given) for amount, given in list(known.items())[-2:] if given is not None]
    if len(newest) < 2 or newest[0][1] == newest[1][1]:
        return (low + high) // 2
    (other, other_given), (last, given) = newest
    estimate = last + -(-(amount_out - given) * (last - other) // (given - other_given))
    return min(max(estimate, low + 1), high - 1)
