"""The exact inverse of an exact quote, for pools that have none of their own."""

from __future__ import annotations

from collections.abc import Callable


def least_input(quote: Callable[[int], int], amount_out: int, guess: int) -> int:
    """The least input for which ``quote`` gives at least ``amount_out``, searched outwards from ``guess`` >= 1.

    ``quote`` must not fall as its input grows. Its cost is the logarithm of how far off the guess is: two quotes for
    an exact one. What ``quote`` raises beyond the guess goes to the caller: the pool cannot give that much.
    """
    reach = 1
    if quote(guess) >= amount_out:
        high = guess
        while high > 0 and quote(low := max(guess - reach, 0)) >= amount_out:
            high = low
            if not low:
                return 0
            reach *= 2
    else:
        low = guess
        while quote(high := guess + reach) < amount_out:
            low = high
            reach *= 2
    while high - low > 1:
        middle = (low + high) // 2
        if quote(middle) >= amount_out:
            high = middle
        else:
            low = middle
    return high
