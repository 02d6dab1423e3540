"""Why a pool gives no quote.

::

    QuoteUnavailable
    ├── Uninitialised          the pool has no price yet
    ├── InsufficientLiquidity  the pool runs dry before the amount is filled
    └── UnknownRange           the quote would need ticks that nobody has loaded (unknown is never taken as empty)

The strategy catches the root: no quote, no trade. The loader catches ``UnknownRange`` to fetch more words.
"""

from __future__ import annotations


class QuoteUnavailable(Exception):
    """The pool cannot answer for this amount."""


class Uninitialised(QuoteUnavailable):
    """A pool without reserves or without a first price."""


class InsufficientLiquidity(QuoteUnavailable):
    """The pool runs dry (or its reserves would overflow) before the amount is filled."""


class UnknownRange(QuoteUnavailable):
    """The quote leaves the tick bitmap words that are known; ``word`` is the first one needed."""

    def __init__(self, word: int, low_word: int, high_word: int) -> None:
        """``word`` is wanted, ``low_word`` to ``high_word`` are known."""
        super().__init__(f"tick bitmap word {word} is unknown (known: {low_word} to {high_word}); load more words")
        self.word = word
