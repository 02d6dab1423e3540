"""The least input for an output, for pools whose contract has no exact-out formula: a search over exact quotes."""

from __future__ import annotations

from collections.abc import Callable

from flasharb.pools.errors import InsufficientLiquidity

_SECANTS = 12


class TooLittle(InsufficientLiquidity):
    """An input so small that the contract would revert; a greater one may do."""


class Unsettled(InsufficientLiquidity):
    """The contract's iteration does not end at this one input, where it reverts; its neighbours may do."""


def least_input(quote: Callable[[int], int], wanted: int, guess: int, most: int = (1 << 127) - 1) -> int:
    """An input for which ``quote`` gives at least ``wanted``, while one unit less gives less; 0 for 0.

    Secants from ``guess`` come near; then a bracket is opened around that place and halved. Where rounding makes
    ``quote`` waver by a unit (the Newton iterations of some contracts do), a still smaller input may give ``wanted``
    too; it is not looked for.

    Raises:
        InsufficientLiquidity: no input up to ``most`` gives as much.
        ValueError: a negative ``wanted``.
    """
    if wanted <= 0:
        if wanted:
            raise ValueError(f"an amount cannot be negative: {wanted}")
        return 0

    def enough(amount: int) -> bool:
        try:
            return quote(amount) >= wanted
        except TooLittle:
            return False
        except Unsettled:
            return enough(amount + 1)
        except InsufficientLiquidity:
            return True  # too much for the pool: the search turns back, and the last quote tells

    low, high = _bracket(enough, _near(quote, wanted, max(1, min(guess, most))), max(1, guess // wanted), most)
    while high - low > 1:
        middle = (low + high) // 2
        if enough(middle):
            high = middle
        else:
            low = middle
    return _answering(quote, wanted, high)


def _answering(quote: Callable[[int], int], wanted: int, amount: int) -> int:
    """``amount``, or the next one that the contract does not stumble over."""
    try:
        if quote(amount) >= wanted:
            return amount
    except Unsettled:
        return _answering(quote, wanted, amount + 1)
    raise InsufficientLiquidity(f"no input gives {wanted}")


def _near(quote: Callable[[int], int], wanted: int, guess: int) -> int:
    """An input that gives about ``wanted``."""
    last, last_out, here = 0, 0, guess
    for _ in range(_SECANTS):
        try:
            out = quote(here)
        except InsufficientLiquidity:
            return here
        if out <= last_out if here > last else out >= last_out:
            return here
        ahead = here + (wanted - out) * (here - last) // (out - last_out)
        last, last_out = here, out
        here = max(1, min(ahead, 4 * here))
        if abs(here - last) <= 1:
            break
    return here


def _bracket(enough: Callable[[int], bool], around: int, width: int, most: int) -> tuple[int, int]:
    """(low, high) with enough at ``high`` and too little at ``low``, 0 being too little."""
    low = high = min(around, most)
    if enough(high):
        while low and enough(low):
            high, low = low, max(0, low - width)
            width *= 2
        return low, high
    while not enough(high):
        if high >= most:
            raise InsufficientLiquidity("no input gives as much")
        low, high = high, min(most, high + width)
        width *= 2
    return low, high
