"""Exact quotes and state updates of pools, in microseconds (best of several rounds).

The concentrated pool is made up, in the shape of a busy 0.3 % pool: 456 initialised ticks, wide positions under narrow
ones. Its peer is the contract's own loop over bitmap words and ticks, in Python (``pools.concentrated.swap``).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from time import perf_counter
from typing import Any

from flasharb.pools import PoolSpec, TickLiquidity, V2Pool, V3Pool, v3_pool
from flasharb.pools.concentrated.tick_math import sqrt_price_at_tick
from flasharb.pools.constant_rate.pool import ConstantRatePool
from flasharb.units import Address

PRICE_TICK = 265_269
SPACING = 60
TICKS = 456


def rows() -> list[dict[str, Any]]:
    """Quote and update figures."""
    pair = V2Pool(_spec("uniswap_v2", 0), 10**12, 3 * 10**23)
    psm = ConstantRatePool(_spec("maker_lite_psm", 0), 10**12, 10**15, 0, (10**14, 10**26))
    pool = busy_pool()
    within, across = _input_across(pool, 0) // 2, _input_across(pool, 125)
    out_within, out_across = pool.amount_out(0, 1, within), pool.amount_out(0, 1, across)
    price, tick, liquidity = pool.sqrt_price_x96, pool.tick, pool.liquidity
    lower, upper = (PRICE_TICK // SPACING - 5) * SPACING, (PRICE_TICK // SPACING + 5) * SPACING
    minted = pool.with_liquidity_change(lower, upper, 10**12)

    def v3(case: str, ours: Callable[[], object], loop: Callable[[], object]) -> dict[str, Any]:
        return _row(case, _best(ours), "contract's loop in Python", _best(loop, 60))

    def rebuild() -> V3Pool:
        return v3_pool(pool.spec, price, tick, liquidity, pool.ladder.info)

    def mint_and_quote() -> int:
        return pool.with_liquidity_change(lower, upper, 10**12).amount_out(0, 1, within)

    return [
        _row("V2 quote exact-in", _best(lambda: pair.amount_out(0, 1, 10**6))),
        _row("V2 quote exact-out", _best(lambda: pair.amount_in(0, 1, 10**15))),
        _row("constant-rate quote exact-in", _best(lambda: psm.amount_out(0, 1, 10**6))),
        v3("V3 quote exact-in, in range", lambda: pool.amount_out(0, 1, within), lambda: pool.swapped(0, 1, within)),
        v3(
            "V3 quote exact-in, 125 ticks",
            lambda: pool.amount_out(0, 1, across),
            lambda: pool.swapped(0, 1, across),
        ),
        v3(
            "V3 quote exact-out, in range",
            lambda: pool.amount_in_exact_out(0, 1, out_within),
            lambda: pool.swapped(0, 1, out_within, exact_in=False),
        ),
        v3(
            "V3 quote exact-out, 125 ticks",
            lambda: pool.amount_in_exact_out(0, 1, out_across),
            lambda: pool.swapped(0, 1, out_across, exact_in=False),
        ),
        _row("V3 swap update", _best(lambda: pool.with_price(price, tick, liquidity))),
        _row(
            f"V3 mint update, {TICKS} ticks",
            _best(lambda: pool.with_liquidity_change(lower, upper, 10**12)),
            "rebuilt from its ticks",
            _best(rebuild, 60),
        ),
        _row(f"V3 burn update, {TICKS} ticks", _best(lambda: minted.with_liquidity_change(lower, upper, -(10**12)))),
        _row("V3 mint update and first quote after", _best(mint_and_quote, 200)),
    ]


def busy_pool() -> V3Pool:
    """The made-up pool."""
    dice = random.Random(7)
    middle = PRICE_TICK // SPACING
    ticks: dict[int, TickLiquidity] = {}
    while len(ticks) < TICKS:
        reach = dice.choice((10, 60, 300, 1500))
        lower, upper = (bound * SPACING for bound in (middle - dice.randint(1, reach), middle + dice.randint(1, reach)))
        liquidity = dice.randint(10**12, 10**14)
        for tick, net in ((lower, liquidity), (upper, -liquidity)):
            known = ticks.get(tick, TickLiquidity(0, 0))
            ticks[tick] = TickLiquidity(known.gross + liquidity, known.net + net)
    active = sum(known.net for tick, known in ticks.items() if tick <= PRICE_TICK)
    price = sqrt_price_at_tick(PRICE_TICK) + 10**9
    return v3_pool(_spec("uniswap_v3", SPACING), price, PRICE_TICK, active, ticks)


def _spec(protocol: str, spacing: int) -> PoolSpec:
    return PoolSpec(Address(b"\1" * 20), protocol, (Address(b"\2" * 20), Address(b"\3" * 20)), 3000, spacing)


def _input_across(pool: V3Pool, stops: int) -> int:
    """Token0 that moves the price down over this many initialised ticks, and to the middle of the next stretch."""
    prices = [pool.sqrt_price_x96, *(sqrt_price_at_tick(tick) for tick, _ in pool.ladder.initialised_below(pool.tick))]
    end = (prices[stops] + prices[stops + 1]) // 2
    return pool.swapped(0, 1, 1 << 200, sqrt_price_limit_x96=end).amount_in


def _best(call: Callable[[], object], repeat: int = 4000, rounds: int = 7) -> float:
    """Microseconds a call, in the best round."""
    call()
    best = float("inf")
    for _ in range(rounds):
        start = perf_counter()
        for _ in range(repeat):
            call()
        best = min(best, (perf_counter() - start) / repeat)
    return best * 1e6


def _row(case: str, value: float, peer: str | None = None, peer_value: float | None = None) -> dict[str, Any]:
    ratio = None if peer_value is None else peer_value / value
    return {"case": case, "value": value, "unit": "µs", "peer": peer, "peer_value": peer_value, "ratio": ratio}
