"""The rate of a concentrated pool for an infinitesimal amount."""

from __future__ import annotations

from flasharb.pools.concentrated.ladder import Ladder
from flasharb.pools.concentrated.ranges import stop_price
from flasharb.pools.concentrated.tick_math import Q96
from flasharb.pools.errors import InsufficientLiquidity, Uninitialised
from flasharb.units import PIPS


def marginal_rate(ladder: Ladder, state: tuple[int, int, int], zero_for_one: bool) -> float:
    """Output per input in smallest units, fee taken off; ``state`` is (sqrt price, tick, liquidity).

    In a stretch without liquidity it is the rate where the liquidity begins. So it is on a tick that a swap ended on
    and has still to cross: what is active there says nothing about what comes next.

    Raises:
        Uninitialised: no price.
        InsufficientLiquidity: no liquidity in this direction within the known ticks.
    """
    price, tick, liquidity = state
    if not price:
        raise Uninitialised("the pool has no price yet")
    stops = ladder.initialised_below(tick) if zero_for_one else ladder.initialised_above(tick)
    for stop, beyond in stops:
        end = stop_price(stop)
        if liquidity and end != price:
            break
        price, liquidity = end, beyond
    if not liquidity:
        raise InsufficientLiquidity("no liquidity in this direction within the known ticks")
    root = price / Q96
    gamma = (PIPS - ladder.fees[0 if zero_for_one else 1]) / PIPS
    return gamma * (root * root) if zero_for_one else gamma / (root * root)
