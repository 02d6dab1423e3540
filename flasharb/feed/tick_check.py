"""Does a sqrt price belong to its tick? Exact, so that a truncated price is never taken for a real one.

A pool's price lies in ``[sqrt(tick), sqrt(tick + 1)]``. The upper end belongs to it: a swap that moves the price down
onto an initialised tick t leaves tick t - 1 behind (UniswapV3Pool.swap: ``zeroForOne ? step.tickNext - 1``).
A price of 2**128 or more that lost its upper bits falls far below its tick's range, so the check tells them apart.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

MIN_TICK: Final = -887_272
MAX_TICK: Final = 887_272
MIN_SQRT_PRICE_X96: Final = 4_295_128_739
MAX_SQRT_PRICE_X96: Final = 1_461_446_703_485_210_103_287_273_052_203_988_822_378_723_970_342

# TickMath.getSqrtRatioAtTick: 1.0001 ** -(2**i / 2) in Q128.128, one per bit of the tick.
_FACTORS: Final = (
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


@lru_cache(maxsize=65_536)
def sqrt_price_x96_at(tick: int) -> int:
    """The square root of 1.0001 ** tick as Q64.96, rounded up as the contract does."""
    ratio = 1 << 128
    for bit, factor in enumerate(_FACTORS):
        if abs(tick) >> bit & 1:
            ratio = ratio * factor >> 128
    if tick > 0:
        ratio = ((1 << 256) - 1) // ratio
    return -(-ratio >> 32)


def is_price_of_tick(sqrt_price_x96: int, tick: int) -> bool:
    """Whether a pool can be at this price and tick at once."""
    if not MIN_TICK <= tick < MAX_TICK or not MIN_SQRT_PRICE_X96 <= sqrt_price_x96 < MAX_SQRT_PRICE_X96:
        return False
    return sqrt_price_x96_at(tick) <= sqrt_price_x96 <= sqrt_price_x96_at(tick + 1)
