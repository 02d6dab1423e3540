"""TickMath.sol: between a tick and its sqrt price (Q64.96)."""

from __future__ import annotations

from functools import lru_cache
from math import log
from typing import Final

MIN_TICK: Final = -887272
MAX_TICK: Final = 887272
MIN_SQRT_PRICE_X96: Final = 4295128739
MAX_SQRT_PRICE_X96: Final = 1461446703485210103287273052203988822378723970342

Q96: Final = 1 << 96
_MAX_UINT256: Final = (1 << 256) - 1
_LOG_SQRT_TICK: Final = log(1.0001) / 2

# sqrt(1.0001) ** -(2 ** i) in Q128.128, for the bits of |tick|
_FACTORS: Final = tuple(
    enumerate(
        (
            0xFFFCB933BD6FAD37AA2D162D1A594001,
            0xFFF97272373D413259A46990580E213A,
            0xFFF2E50F5F656932EF12357CF3C7FDCC,
            0xFFE5CACA7E10E4E61C3624EAA0941CD0,
            0xFFCB9843D60F6159C9DB58835C926644,
            0xFF973B41FA98C081472E6896DFB254C0,
            0xFF2EA16466C96A3843EC78B326B52861,
            0xFE5DEE046A99A2A811C461F1969C3053,
            0xFCBE86C7900A88AEDCFFC83B479AA3A4,
            0xF987A7253AC413176F2B074CF7815E54,
            0xF3392B0822B70005940C7A398E4B70F3,
            0xE7159475A2C29B7443B29C7FA6E889D9,
            0xD097F3BDFD2022B8845AD8F792AA5825,
            0xA9F746462D870FDF8A65DC1F90E061E5,
            0x70D869A156D2A1B890BB3DF62BAF32F7,
            0x31BE135F97D08FD981231505542FCFA6,
            0x9AA508B5B7A84E1C677DE54F3E99BC9,
            0x5D6AF8DEDB81196699C329225EE604,
            0x2216E584F5FA1EA926041BEDFE98,
            0x48A170391F7DC42444E8FA2,
        )
    )
)


@lru_cache(maxsize=1 << 17)
def sqrt_price_at_tick(tick: int) -> int:
    """The sqrt price at ``tick``, rounded up as on chain (getSqrtRatioAtTick).

    Raises:
        ValueError: a tick outside ``MIN_TICK`` to ``MAX_TICK``.
    """
    magnitude = abs(tick)
    if magnitude > MAX_TICK:
        raise ValueError(f"tick {tick} is outside {MIN_TICK} to {MAX_TICK}")
    ratio = 1 << 128
    for bit, factor in _FACTORS:
        if magnitude >> bit & 1:
            ratio = ratio * factor >> 128
    if tick > 0:
        ratio = _MAX_UINT256 // ratio
    return -(-ratio >> 32)


def tick_at_sqrt_price(sqrt_price_x96: int) -> int:
    """The greatest tick whose sqrt price is at most ``sqrt_price_x96`` (getTickAtSqrtRatio).

    A floating logarithm guesses within a tick; the exact prices of the neighbours decide.

    Raises:
        ValueError: a price outside ``MIN_SQRT_PRICE_X96`` (included) to ``MAX_SQRT_PRICE_X96`` (excluded).
    """
    if not MIN_SQRT_PRICE_X96 <= sqrt_price_x96 < MAX_SQRT_PRICE_X96:
        raise ValueError(f"sqrt price {sqrt_price_x96} is outside {MIN_SQRT_PRICE_X96} to {MAX_SQRT_PRICE_X96}")
    tick = max(MIN_TICK, min(MAX_TICK - 1, int(log(sqrt_price_x96 / Q96) // _LOG_SQRT_TICK)))
    while sqrt_price_at_tick(tick) > sqrt_price_x96:
        tick -= 1
    while sqrt_price_at_tick(tick + 1) <= sqrt_price_x96:
        tick += 1
    return tick
