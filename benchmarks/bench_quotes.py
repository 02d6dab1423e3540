"""The quotes of all protocols side by side with degenbot's, where it can be imported; no rows where it cannot.

Its stable release (0.5; 0.3 for V2 and V3 alone) by the method of its pool objects, which are filled by hand where they
would ask a node; its alpha by the functions of its Rust engine. Where its amount is not ours to the unit, the row says
by how much it is off. A V3 or V4 pool of the stable release keeps the steps that it made, so it is asked twice: with
these emptied before each quote, as they are the first time at a price, and with them. It has neither ERC-4626 vaults
nor wstETH, and no CryptoSwap mathematics that runs without a node; its engine quotes no Curve pool without one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from importlib import import_module
from threading import Lock
from typing import Any

from benchmarks.bench_balancer import solidly_pair, weighted_pool
from benchmarks.bench_curve import FEES, THREE
from benchmarks.bench_pools import _input_across, _spec, busy_pool
from benchmarks.bench_pools_kept import kept_pool
from benchmarks.bench_sizing import per_call
from benchmarks.degenbot_engine import Engine, is_engine
from benchmarks.degenbot_stable import StablePools, degenbot_version, is_stable
from flasharb.pools import V2Pool
from flasharb.pools.stableswap import EARLY
from flasharb.pools.stableswap.ramp import steady
from tests.support.curve_samples import stable

Row = dict[str, Any]
Quote = Callable[[], int]
Named = tuple[str, Quote]
ONE = 10**18
_NEAR = 1e-15


def rows() -> list[Row]:
    """Our quote and the peer's; nothing without a peer."""
    if is_engine():
        cases = _engine_cases()
    elif is_stable():
        cases = _stable_cases()
    else:
        return []
    found = []
    for case, ours, peers in cases:
        answer, took = ours(), per_call(ours, 0.2)
        for way, theirs in peers:
            peer = f"degenbot {degenbot_version()}{way}"
            off = abs(theirs() - answer)
            assert off <= answer * _NEAR, f"{case}: {peer} says {theirs()}, not {answer}"
            if off:
                peer += f", {off / answer:.0e} off"
            peer_took = per_call(theirs, 0.2)
            found.append(
                {
                    "case": case,
                    "value": took,
                    "unit": "µs",
                    "peer": peer,
                    "peer_value": peer_took,
                    "ratio": peer_took / took,
                }
            )
    return found


PAIR = V2Pool(_spec("uniswap_v2", 0), 10**12, 3 * 10**23)
BUSY = busy_pool()
WITHIN, ACROSS = _input_across(BUSY, 0) // 2, _input_across(BUSY, 125)
CONCENTRATED = (("in range", WITHIN), ("across 125 ticks", ACROSS))
COINS = stable(THREE, rules=EARLY, decimals=(18, 6, 6), ramp=steady(2000), fees=FEES)
WEIGHTED = weighted_pool((6 * 10**17, 4 * 10**17))
SOLIDLY, VOLATILE = solidly_pair("velodrome_v2", True), solidly_pair("velodrome_v2", False)


def _stable_cases() -> Iterator[tuple[str, Quote, list[Named]]]:
    copies = StablePools((PAIR, BUSY))
    pair, busy = copies.pools
    into, out = copies.token(PAIR.spec.token0), copies.token(PAIR.spec.token1)
    yield "V2 exact-in", partial(PAIR.amount_out, 0, 1, 10**6), [("", _out(pair, into, 10**6))]
    quote = partial(pair.calculate_tokens_in_from_tokens_out, token_out=out, token_out_quantity=10**15)
    yield "V2 exact-out", partial(PAIR.amount_in, 0, 1, 10**15), [("", quote)]
    for name, amount in CONCENTRATED:
        yield f"V3 exact-in, {name}", partial(BUSY.amount_out, 0, 1, amount), list(_kept_ways(busy, into, amount))
    if copies.old:
        return
    managed, its = _managed(copies)
    kept = kept_pool()
    for name, amount in CONCENTRATED:
        # with its kept steps it forgets the protocol's fee, and quotes too much
        ways = list(_kept_ways(managed, its, amount))[:1]
        yield f"V4 exact-in, {name}", partial(kept.amount_out, 0, 1, amount), ways
    (coins,) = StablePools((COINS,)).pools
    amount = 100_000 * 10**6
    yield (
        "Curve stable, 3 coins",
        partial(COINS.amount_out, 1, 0, amount),
        [("", partial(coins.get_dy, 1, 0, amount, block_identifier=1))],
    )
    amount = 10 * ONE
    yield "Balancer weighted 60/40", partial(WEIGHTED.amount_out, 0, 1, amount), [("", _weighted(copies, amount))]
    amount = 10_000 * ONE
    yield "Solidly stable, getAmountOut", partial(SOLIDLY.quoted, 0, 1, amount), [("", _solidly(amount))]
    yield "Solidly volatile, getAmountOut", partial(VOLATILE.quoted, 0, 1, amount), [("", _volatile(amount))]


def _out(pool: Any, token: Any, amount: int) -> Quote:
    return partial(pool.calculate_tokens_out_from_tokens_in, token_in=token, token_in_quantity=amount)


def _kept_ways(pool: Any, token: Any, amount: int) -> Iterator[Named]:
    quote = _out(pool, token, amount)
    if hasattr(pool, "clear_swap_step_cache"):
        yield ", steps emptied", lambda: pool.clear_swap_step_cache() or quote()
    yield "", quote


def _managed(copies: StablePools) -> tuple[Any, Any]:
    """Its V4 pool with the state and the protocol fee of ours."""
    kept = kept_pool()
    module, types = import_module("degenbot.uniswap.v4_liquidity_pool"), import_module("degenbot.uniswap.v4_types")
    like: Any = copies._state(BUSY)
    pool = object.__new__(module.UniswapV4Pool)
    pool.token0, pool.token1 = (copies.token(at) for at in BUSY.spec.tokens)
    pool.protocol_fee = module.ProtocolFee(zero_for_one=500, one_for_zero=0)
    pool.lp_fee, pool.active_hooks, pool.sparse_liquidity_map = 3000, frozenset(), False
    nobody = "0x" + "00" * 20
    pool._pool_key = types.UniswapV4PoolKey(
        currency0=pool.token0.address, currency1=pool.token1.address, fee=3000, tick_spacing=60, hooks=nobody
    )
    pool._swap_step_cache, pool._swap_step_cache_lock, pool._state_lock = {}, Lock(), Lock()
    pool._state = types.UniswapV4PoolState(
        address=nobody,
        block=1,
        id=b"",
        liquidity=kept.liquidity,
        sqrt_price_x96=kept.sqrt_price_x96,
        tick=kept.tick,
        tick_bitmap=like.tick_bitmap,
        tick_data=like.tick_data,
    )
    return pool, pool.token0


def _weighted(copies: StablePools, amount: int) -> Quote:
    module = import_module("degenbot.balancer.pools")
    pool = object.__new__(module.BalancerV2Pool)
    pool.tokens = tuple(copies.token(at) for at in WEIGHTED.spec.tokens)
    pool.scaling_factors, pool.weights, pool.fee = (ONE, ONE), WEIGHTED.facts.weights, Fraction(3, 1000)
    pool._state = import_module("degenbot.balancer.types").BalancerV2PoolState(
        address="", block=1, balances=WEIGHTED.cash
    )
    return partial(
        pool.calculate_tokens_out_from_tokens_in,
        token_in=pool.tokens[0],
        token_in_quantity=amount,
        token_out=pool.tokens[1],
    )


def _solidly(amount: int) -> Quote:
    quote = import_module("degenbot.aerodrome.functions").calc_exact_in_stable
    return partial(quote, amount, 0, *SOLIDLY.reserves, ONE, 10**6, Fraction(5, 10_000))


def _volatile(amount: int) -> Quote:
    quote = import_module("degenbot.solidly.solidly_functions").general_calc_exact_in_volatile
    return partial(quote, amount, 0, *VOLATILE.reserves, Fraction(5, 10_000))


def _engine_cases() -> Iterator[tuple[str, Quote, list[Named]]]:
    engine = Engine()
    for name, pool, amount in (
        ("V2 exact-in", PAIR, 10**6),
        *((f"V3 exact-in, {name}", BUSY, amount) for name, amount in CONCENTRATED),
    ):
        made = Engine() if pool is BUSY else engine
        quote = partial(made.bot.calculate_tokens_out, made.register(pool), True, amount)
        yield name, partial(pool.amount_out, 0, 1, amount), [(", Rust engine", quote)]
    kept = kept_pool()
    key = engine.register_managed(kept, 500)
    for name, amount in CONCENTRATED:
        quote = partial(engine.bot.calculate_tokens_out, key, True, amount)
        yield f"V4 exact-in, {name}", partial(kept.amount_out, 0, 1, amount), [(", Rust engine", quote)]
    amount = 10 * ONE
    weights, (into, out) = WEIGHTED.facts.weights, WEIGHTED.cash
    function = import_module("degenbot._ffi.balancer_math").weighted_calc_out_given_in
    quote = partial(function, into, weights[0], out, weights[1], amount - amount * 3 // 1000, 2)
    yield (
        "Balancer weighted 60/40",
        partial(WEIGHTED.amount_out, 0, 1, amount),
        [(", Rust function, without fee and scaling", quote)],
    )
    amount = 10_000 * ONE
    solidly = import_module("degenbot._ffi.solidly_math")
    for name, pair, function in (
        ("Solidly stable, getAmountOut", SOLIDLY, solidly.calc_exact_in_stable_solidly),
        ("Solidly volatile, getAmountOut", VOLATILE, solidly.calc_exact_in_volatile),
    ):
        decimals = (ONE, 10**6) if pair is SOLIDLY else ()
        quote = partial(function, amount, 0, *pair.reserves, *decimals, 5, 10_000)
        yield name, partial(pair.quoted, 0, 1, amount), [(", Rust functions", quote)]
