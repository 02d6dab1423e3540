"""UniswapV3Pool.swap as it stands in the contract: one step after the other, bitmap word by bitmap word.

Slow and plain; the ladder gives the same amounts. It also says where the pool stands afterwards, and what a swap that
runs into its price limit (or runs dry) still takes and gives.
"""

from __future__ import annotations

from typing import NamedTuple

from flasharb.pools.concentrated.ladder import Ladder
from flasharb.pools.concentrated.swap_math import compute_swap_step_exact_in, compute_swap_step_exact_out
from flasharb.pools.concentrated.tick_bitmap import next_initialized_tick_within_one_word, word_of, words_from_ticks
from flasharb.pools.concentrated.tick_math import (
    MAX_SQRT_PRICE_X96,
    MIN_SQRT_PRICE_X96,
    sqrt_price_at_tick,
    tick_at_sqrt_price,
)


class V3SwapResult(NamedTuple):
    """What the swap took (fee included) and gave, and the pool's state after it."""

    amount_in: int
    amount_out: int
    sqrt_price_x96: int
    tick: int
    liquidity: int


class PriceLimitAlreadyExceeded(ValueError):
    """The limit is not beyond the current price in the swap's direction (the contract's ``SPL``)."""


def swap(
    ladder: Ladder,
    state: tuple[int, int, int],
    zero_for_one: bool,
    amount: int,
    *,
    exact_in: bool,
    sqrt_price_limit_x96: int | None = None,
) -> V3SwapResult:
    """Swap up to ``amount`` of the input (``exact_in``) or of the output.

    ``state`` is (sqrt_price_x96, tick, liquidity).

    Raises:
        UnknownRange: a step needs a word that is not known.
        PriceLimitAlreadyExceeded: the limit is at or behind the current price.
    """
    price, tick, liquidity = state
    limit = sqrt_price_limit_x96 or (MIN_SQRT_PRICE_X96 + 1 if zero_for_one else MAX_SQRT_PRICE_X96 - 1)
    if not (MIN_SQRT_PRICE_X96 < limit < price if zero_for_one else price < limit < MAX_SQRT_PRICE_X96):
        raise PriceLimitAlreadyExceeded(f"price limit {limit} is not beyond the current price {price}")
    compute_swap_step = compute_swap_step_exact_in if exact_in else compute_swap_step_exact_out
    fee_pips, spacing = ladder.fees[0 if zero_for_one else 1], ladder.tick_spacing
    words = words_from_ticks(ladder.ticks, spacing)
    amount_in = amount_out = 0
    remaining = amount
    while remaining and price != limit:
        ladder.require(word_of(tick if zero_for_one else tick + spacing, spacing))
        next_tick, initialised = next_initialized_tick_within_one_word(words, tick, spacing, zero_for_one)
        next_price = sqrt_price_at_tick(next_tick)
        target = max(next_price, limit) if zero_for_one else min(next_price, limit)
        step = compute_swap_step(price, target, liquidity, remaining, fee_pips)
        amount_in += step.amount_in + step.fee_amount
        amount_out += step.amount_out
        remaining = amount - (amount_in if exact_in else amount_out)
        if step.sqrt_price_next_x96 == next_price:
            if initialised:
                net = ladder.info[next_tick].net
                liquidity += -net if zero_for_one else net
            tick = next_tick - 1 if zero_for_one else next_tick
        elif step.sqrt_price_next_x96 != price:
            tick = tick_at_sqrt_price(step.sqrt_price_next_x96)
        price = step.sqrt_price_next_x96
    return V3SwapResult(amount_in, amount_out, price, tick, liquidity)
