"""The feed's tick check and the pools' tick maths are neighbours that may not import each other: they must agree."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flasharb.feed import tick_check
from flasharb.pools.concentrated import tick_math


def test_the_limits_are_the_same() -> None:
    assert (tick_check.MIN_TICK, tick_check.MAX_TICK) == (tick_math.MIN_TICK, tick_math.MAX_TICK)


def test_every_power_of_two_has_the_same_price() -> None:
    """Each factor alone, in both directions: a digit wrong in one of the two tables shows here."""
    for tick in (sign * (1 << bit) for bit in range(20) for sign in (1, -1)):
        assert tick_check.sqrt_price_x96_at(tick) == tick_math.sqrt_price_at_tick(tick)


@given(st.integers(tick_math.MIN_TICK, tick_math.MAX_TICK))
def test_any_tick_has_the_same_price(tick: int) -> None:
    assert tick_check.sqrt_price_x96_at(tick) == tick_math.sqrt_price_at_tick(tick)
