"""TickBitmap.sol: 256 ticks a word, one bit per initialised tick.

``compressed`` is the tick divided by the spacing, rounded towards minus infinity; its word's position is
``compressed >> 8``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from flasharb.pools.concentrated.tick_math import MAX_TICK, MIN_TICK


def word_of(tick: int, tick_spacing: int) -> int:
    """The position of the word that holds ``tick``."""
    return (tick // tick_spacing) >> 8


def full_range(tick_spacing: int) -> tuple[int, int]:
    """The first and the last word that can hold an initialised tick."""
    return word_of(-(MAX_TICK // tick_spacing) * tick_spacing, tick_spacing), word_of(MAX_TICK, tick_spacing)


def words_from_ticks(ticks: Iterable[int], tick_spacing: int) -> dict[int, int]:
    """The bitmap of these initialised ticks; words without any are left out."""
    words: dict[int, int] = {}
    for tick in ticks:
        compressed = tick // tick_spacing
        words[compressed >> 8] = words.get(compressed >> 8, 0) | 1 << (compressed & 255)
    return words


def ticks_of_word(word_position: int, word: int, tick_spacing: int) -> list[int]:
    """The initialised ticks of one word, ascending."""
    return [((word_position << 8) + bit) * tick_spacing for bit in range(256) if word >> bit & 1]


def next_initialized_tick_within_one_word(
    words: Mapping[int, int], tick: int, tick_spacing: int, zero_for_one: bool
) -> tuple[int, bool]:
    """The next initialised tick in the swap's direction, or the end of the word; and whether it is initialised.

    The swap stops at the end of every word, which is where the chain's rounding comes from; the tick is clamped to
    ``MIN_TICK`` and ``MAX_TICK`` as the pool does.
    """
    compressed = tick // tick_spacing
    if zero_for_one:
        masked = words.get(compressed >> 8, 0) & ((2 << (compressed & 255)) - 1)
        found = (compressed & ~255) + (masked.bit_length() - 1 if masked else 0)
    else:
        compressed += 1
        masked = words.get(compressed >> 8, 0) >> (compressed & 255)
        found = compressed + (masked & -masked).bit_length() - 1 if masked else compressed | 255
    return max(MIN_TICK, min(MAX_TICK, found * tick_spacing)), masked != 0
