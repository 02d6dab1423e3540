"""Tick.sol and LiquidityMath.sol: what a tick knows, and how a position changes it."""

from __future__ import annotations

from typing import NamedTuple

MAX_UINT128 = (1 << 128) - 1


class TickLiquidity(NamedTuple):
    """Liquidity that ends or begins at a tick.

    ``gross`` counts every position bound (zero = not initialised); ``net`` is added to the active liquidity when the
    price crosses the tick upwards and may be zero on an initialised tick.
    """

    gross: int
    net: int


NOT_INITIALISED = TickLiquidity(0, 0)


def with_position(tick: TickLiquidity, delta: int, is_upper: bool) -> TickLiquidity:
    """The tick after a position that ends here changed by ``delta`` (negative: burnt).

    Raises:
        ValueError: more is burnt than the tick holds, so the ticks and the events belong to different histories.
    """
    gross = tick.gross + delta
    if not 0 <= gross <= MAX_UINT128:
        raise ValueError(f"tick with liquidity {tick.gross} cannot change by {delta}: events were missed")
    return TickLiquidity(gross, tick.net - delta if is_upper else tick.net + delta)
