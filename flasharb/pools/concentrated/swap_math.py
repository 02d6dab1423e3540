"""SwapMath.sol: one step of a swap, within a range of constant liquidity."""

from __future__ import annotations

from typing import NamedTuple

from flasharb.pools.concentrated.sqrt_price_math import (
    amount0_delta,
    amount0_delta_rounding_up,
    amount1_delta,
    amount1_delta_rounding_up,
    next_sqrt_price_from_amount0_in,
    next_sqrt_price_from_amount0_out,
    next_sqrt_price_from_amount1_in,
    next_sqrt_price_from_amount1_out,
)
from flasharb.units import PIPS


class SwapStep(NamedTuple):
    """What one step moves: the price reached, the input without fee, the output and the fee (of the input token)."""

    sqrt_price_next_x96: int
    amount_in: int
    amount_out: int
    fee_amount: int


def fee_of_full_step(amount_in: int, fee_pips: int) -> int:
    """The fee on top of ``amount_in`` where the whole step is taken, rounded up."""
    return -(-amount_in * fee_pips // (PIPS - fee_pips))


def compute_swap_step_exact_in(
    sqrt_price_x96: int, sqrt_price_target_x96: int, liquidity: int, amount_remaining: int, fee_pips: int
) -> SwapStep:
    """One step of an exact-in swap towards the target (computeSwapStep with a positive amount)."""
    zero_for_one = sqrt_price_x96 >= sqrt_price_target_x96
    amount_less_fee = amount_remaining * (PIPS - fee_pips) // PIPS
    amount_in = _amount_in(zero_for_one, sqrt_price_x96, sqrt_price_target_x96, liquidity)
    if amount_less_fee >= amount_in:
        reached = sqrt_price_target_x96
        fee_amount = fee_of_full_step(amount_in, fee_pips)
    else:
        next_price = next_sqrt_price_from_amount0_in if zero_for_one else next_sqrt_price_from_amount1_in
        reached = next_price(sqrt_price_x96, liquidity, amount_less_fee)
        amount_in = _amount_in(zero_for_one, sqrt_price_x96, reached, liquidity)
        # the last step keeps what rounding left over
        fee_amount = amount_remaining - amount_in
    return SwapStep(reached, amount_in, _amount_out(zero_for_one, sqrt_price_x96, reached, liquidity), fee_amount)


def compute_swap_step_exact_out(
    sqrt_price_x96: int, sqrt_price_target_x96: int, liquidity: int, amount_remaining: int, fee_pips: int
) -> SwapStep:
    """One step of an exact-out swap towards the target (computeSwapStep with a negative amount)."""
    zero_for_one = sqrt_price_x96 >= sqrt_price_target_x96
    amount_out = _amount_out(zero_for_one, sqrt_price_x96, sqrt_price_target_x96, liquidity)
    if amount_remaining >= amount_out:
        reached = sqrt_price_target_x96
    else:
        next_price = next_sqrt_price_from_amount1_out if zero_for_one else next_sqrt_price_from_amount0_out
        reached = next_price(sqrt_price_x96, liquidity, amount_remaining)
        # rounding the price in the pool's favour would give more than was asked for: the contract caps it
        amount_out = amount_remaining
    amount_in = _amount_in(zero_for_one, sqrt_price_x96, reached, liquidity)
    return SwapStep(reached, amount_in, amount_out, fee_of_full_step(amount_in, fee_pips))


def _amount_in(zero_for_one: bool, start_x96: int, end_x96: int, liquidity: int) -> int:
    if zero_for_one:
        return amount0_delta_rounding_up(end_x96, start_x96, liquidity)
    return amount1_delta_rounding_up(start_x96, end_x96, liquidity)


def _amount_out(zero_for_one: bool, start_x96: int, end_x96: int, liquidity: int) -> int:
    if zero_for_one:
        return amount1_delta(end_x96, start_x96, liquidity)
    return amount0_delta(start_x96, end_x96, liquidity)
