"""Exact amounts from the ladder: what ``swap.py`` computes step by step, without the steps.

The formulas of ``sqrt_price_math`` are written out here because the calls would cost more than the arithmetic; the
tests hold both, and the pool's bytecode, against each other.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from math import gcd

from flasharb.pools.concentrated.ladder import Ladder
from flasharb.pools.concentrated.sqrt_price_math import next_sqrt_price_from_amount0_in
from flasharb.pools.errors import InsufficientLiquidity
from flasharb.units import PIPS

_UINT256_END = 1 << 256


def amount_out_for_exact_in(
    ladder: Ladder, sqrt_price_x96: int, tick: int, liquidity: int, zero_for_one: bool, amount_in: int
) -> int:
    """Output for an input that is taken whole.

    Raises:
        InsufficientLiquidity: the pool runs dry before the input is used up.
        UnknownRange: the swap leaves the known words.
    """
    if zero_for_one:
        fee_pips = ladder.fees[0]
        word = (tick // ladder.tick_spacing) >> 8
        keys, prices, levels, cost, output = ladder.down(word)
        k = bisect_left(keys, -tick, 1)
        target = prices[k]
        distance = sqrt_price_x96 - target
        shifted = liquidity << 96
        needed = -(-shifted * distance // sqrt_price_x96 // target)
        used = amount_in * (PIPS - fee_pips) // PIPS
        if used < needed:
            return _out_down(liquidity, sqrt_price_x96, used)
        total = liquidity * distance >> 96
    else:
        fee_pips = ladder.fees[1]
        word = (tick // ladder.tick_spacing + 1) >> 8
        keys, prices, levels, cost, output = ladder.up(word)
        k = bisect_right(keys, tick, 1)
        target = prices[k]
        distance = target - sqrt_price_x96
        needed = -(-liquidity * distance >> 96)
        used = amount_in * (PIPS - fee_pips) // PIPS
        if used < needed:
            return _out_up(liquidity, sqrt_price_x96, used)
        total = (liquidity << 96) * distance // target // sqrt_price_x96
    if distance < 0:
        raise InsufficientLiquidity("the pool was initialised at the lowest price: nothing can be sold into it")
    remaining = amount_in - needed + (-needed * fee_pips // (PIPS - fee_pips))
    while True:
        wanted = cost[k] + remaining
        # the first stop whose full steps use up the remainder; equal: the swap ends on it
        j = bisect_left(cost, wanted, k)
        if j < len(cost):
            if cost[j] == wanted:
                return total + output[j] - output[k]
            j -= 1
            used = (wanted - cost[j]) * (PIPS - fee_pips) // PIPS
            last = (_out_down if zero_for_one else _out_up)(levels[j], prices[j], used)
            return total + output[j] - output[k] + last
        remaining = wanted - cost[-1]
        total += output[-1] - output[k]
        word = ladder.word_after(word, levels[-1], zero_for_one)
        keys, prices, levels, cost, output = ladder.down(word) if zero_for_one else ladder.up(word)
        k = 0


def amount_in_for_exact_out(
    ladder: Ladder, sqrt_price_x96: int, tick: int, liquidity: int, zero_for_one: bool, amount_out: int
) -> int:
    """The input, fee included, that an exact-out swap takes for an output that is given whole.

    Raises:
        InsufficientLiquidity: the pool runs dry before the output is given.
        UnknownRange: the swap leaves the known words.
    """
    if zero_for_one:
        fee_pips = ladder.fees[0]
        word = (tick // ladder.tick_spacing) >> 8
        keys, prices, levels, cost, output = ladder.down(word)
        k = bisect_left(keys, -tick, 1)
        target = prices[k]
        distance = sqrt_price_x96 - target
        given = liquidity * distance >> 96
        if amount_out < given:
            return _with_fee(_in_down(liquidity, sqrt_price_x96, amount_out), fee_pips)
        total = _with_fee(-((-liquidity << 96) * distance // sqrt_price_x96 // target), fee_pips)
    else:
        fee_pips = ladder.fees[1]
        word = (tick // ladder.tick_spacing + 1) >> 8
        keys, prices, levels, cost, output = ladder.up(word)
        k = bisect_right(keys, tick, 1)
        target = prices[k]
        distance = target - sqrt_price_x96
        given = (liquidity << 96) * distance // target // sqrt_price_x96
        if amount_out < given:
            return _with_fee(_in_up(liquidity, sqrt_price_x96, amount_out), fee_pips)
        total = _with_fee(-(-liquidity * distance >> 96), fee_pips)
    if distance < 0:
        raise InsufficientLiquidity("the pool was initialised at the lowest price: nothing can be sold into it")
    remaining = amount_out - given
    while True:
        wanted = output[k] + remaining
        # steps may give nothing and yet cost something: the swap ends on the first stop that fills it
        j = bisect_left(output, wanted, k)
        if j < len(output):
            if output[j] == wanted:
                return total + cost[j] - cost[k]
            j -= 1
            last = (_in_down if zero_for_one else _in_up)(levels[j], prices[j], wanted - output[j])
            return total + cost[j] - cost[k] + _with_fee(last, fee_pips)
        remaining = wanted - output[-1]
        total += cost[-1] - cost[k]
        word = ladder.word_after(word, levels[-1], zero_for_one)
        keys, prices, levels, cost, output = ladder.down(word) if zero_for_one else ladder.up(word)
        k = 0


def whole_inputs(
    ladder: Ladder, sqrt_price_x96: int, tick: int, liquidity: int, zero_for_one: bool, amount_in: int
) -> tuple[int, int]:
    """The inputs at and above ``amount_in`` with which the fee of the last step leaves a whole number.

    Of each step's input the fee leaves ``rem * (1e6 - fee) // 1e6``. Steps that are full take what they take; of the
    last one up to a unit is lost, which can be a thousand times what a unit of the other token is worth.

    Raises:
        InsufficientLiquidity, UnknownRange: as ``amount_out_for_exact_in``.
    """
    fee_pips = ladder.fees[0 if zero_for_one else 1]
    grain = PIPS // gcd(PIPS, fee_pips)
    spacing = ladder.tick_spacing
    word = (tick // spacing) >> 8 if zero_for_one else (tick // spacing + 1) >> 8
    keys, prices, _, _, _ = rung = ladder.down(word) if zero_for_one else ladder.up(word)
    k = bisect_left(keys, -tick, 1) if zero_for_one else bisect_right(keys, tick, 1)
    distance = abs(sqrt_price_x96 - prices[k])
    if zero_for_one:
        needed = -(-(liquidity << 96) * distance // sqrt_price_x96 // prices[k])
    else:
        needed = -(-liquidity * distance >> 96)
    last = amount_in
    full = _with_fee(needed, fee_pips)
    while last >= full:
        last -= full
        cost, levels = rung.cost, rung.liquidity
        j = bisect_right(cost, cost[k] + last, k) - 1
        last -= cost[j] - cost[k]
        if j < len(cost) - 1:
            break
        word, k, full = ladder.word_after(word, levels[-1], zero_for_one), 0, 0
        rung = ladder.down(word) if zero_for_one else ladder.up(word)
    below = amount_in - last % grain
    return below, below + grain


def _with_fee(amount_in: int, fee_pips: int) -> int:
    return amount_in - (-amount_in * fee_pips // (PIPS - fee_pips))


def _out_down(liquidity: int, price: int, used: int) -> int:
    """Token1 for ``used`` token0 (fee taken off) within one step."""
    shifted = liquidity << 96
    denominator = shifted + used * price
    if denominator < _UINT256_END:
        return liquidity * (price + (-shifted * price // denominator)) >> 96
    return liquidity * (price - next_sqrt_price_from_amount0_in(price, liquidity, used)) >> 96


def _out_up(liquidity: int, price: int, used: int) -> int:
    """Token0 for ``used`` token1 (fee taken off) within one step."""
    change = (used << 96) // liquidity
    return (liquidity << 96) * change // (price + change) // price


def _in_down(liquidity: int, price: int, amount_out: int) -> int:
    """Token0, without fee, for ``amount_out`` of token1 within one step."""
    change = -((-amount_out << 96) // liquidity)
    return -((-liquidity << 96) * change // price // (price - change))


def _in_up(liquidity: int, price: int, amount_out: int) -> int:
    """Token1, without fee, for ``amount_out`` of token0 within one step."""
    shifted = liquidity << 96
    change = -(-shifted * price // (shifted - amount_out * price)) - price
    return -(-liquidity * change >> 96)
