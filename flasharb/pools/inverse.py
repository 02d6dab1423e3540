"""The exact inverse of an exact quote, for pools that have none of their own."""

from __future__ import annotations

from collections.abc import Callable

from flasharb.pools.errors import QuoteUnavailable


def least_input(quote: Callable[[int], int], amount_out: int, guess: int) -> int:
    """The least input for which ``quote`` gives at least ``amount_out``, searched outwards from ``guess``.

    ``quote`` must not fall as its input grows, and must refuse all inputs beyond the first that it refuses. The cost is
    the logarithm of how far off the guess is: two quotes for an exact one.

    Raises:
        QuoteUnavailable: as ``quote`` does, where no input that it answers for gives that much.
    """

    refused = -1

    def reaches(amount: int) -> bool:
        nonlocal refused
        try:
            return quote(amount) >= amount_out
        except QuoteUnavailable:
            refused = amount  # too much to be answered for: the least input is not above it
            return True

    low, high = guess - 1, guess
    reach = 1
    if reaches(guess):
        while low >= 0 and reaches(low):
            high = low
            reach *= 2
            low = max(high - reach, -1)
    else:
        while not reaches(high):
            low = high
            high += reach
            reach *= 2
    while high - low > 1:
        middle = (low + high) // 2
        if reaches(middle):
            high = middle
        else:
            low = middle
    if high == refused:
        quote(high)
    return high
