"""The least input for an output, for pools whose contract has no exact-out formula: a search over exact quotes."""

from __future__ import annotations

from collections.abc import Callable

from flasharb.pools.errors import InsufficientLiquidity

_MAX_STEPS = 512


def least_input(quote: Callable[[int], int], wanted: int, guess: int, most: int = (1 << 127) - 1) -> int:
    """An input for which ``quote`` gives at least ``wanted``, while one unit less gives less; 0 for 0.

    A false-position search around ``guess`` that falls back to halving. Where rounding makes ``quote`` waver by a unit
    (the Newton iterations of some contracts do), a still smaller input may give ``wanted`` too; it is not looked for.

    Raises:
        InsufficientLiquidity: no input up to ``most`` gives as much.
        ValueError: a negative ``wanted``.
    """
    if wanted <= 0:
        if wanted:
            raise ValueError(f"an amount cannot be negative: {wanted}")
        return 0
    low, low_out = 0, 0
    high = max(1, min(guess, most))
    high_out = _quote_or_more(quote, high, wanted)
    for _ in range(_MAX_STEPS):
        if high_out >= wanted:
            break
        if high >= most:
            raise InsufficientLiquidity(f"no input gives {wanted}")
        low, low_out = high, high_out
        # a little further than the straight line through the last point says
        ahead = high * wanted // high_out + high // 1000 if high_out else 0
        high = min(most, max(high + 1, min(ahead, 16 * high) or 2 * high))
        high_out = _quote_or_more(quote, high, wanted)
    step = 0
    while high - low > 1:
        step += 1
        middle = (low + high) // 2
        if step % 3 and low_out < high_out:
            line = low + (high - low) * (wanted - low_out) // (high_out - low_out)
            middle = min(high - 1, max(low + 1, line))
        out = _quote_or_more(quote, middle, wanted)
        if out >= wanted:
            high, high_out = middle, out
        else:
            low, low_out = middle, out
    if quote(high) < wanted:
        raise InsufficientLiquidity(f"no input gives {wanted}")
    return high


def _quote_or_more(quote: Callable[[int], int], amount: int, wanted: int) -> int:
    """The quote; where the pool cannot take so much, ``wanted``, so that the search turns back."""
    try:
        return quote(amount)
    except InsufficientLiquidity:
        return wanted
