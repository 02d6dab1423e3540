"""Sizing at a gap of 1 %, the search without a closed form, and the joint optimum of 20 pools.

"optimum and amounts" is what a hit costs: the real optimum from the pools' state, and the exact amounts along the route
for it. "whole size" adds the search over whole units with its bound and the trade itself. No state is kept between two
calls. Peers, in the same run and on the same pools: degenbot where it can be imported (its last stable release, and the
Rust engine of its next one, both through their public interface), and a search that expects nothing of the gain.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from math import inf
from random import Random
from time import process_time
from typing import Any

from benchmarks.bench_strategy import OTHER, TOKEN, WETH, named, opportunity, v2, v3
from flasharb.market import Market
from flasharb.pools import Pool, PoolSpec, Swapped, V2Pool, V3Pool
from flasharb.strategy.joint import solve
from flasharb.strategy.limits import NO_BOUND, UNLIMITED
from flasharb.strategy.optimum import optimum
from flasharb.strategy.route import Leg, Route
from flasharb.strategy.size import Problem, _bracketed, _searched, size
from flasharb.strategy.trade import Trade
from flasharb.units import checksum

Row = dict[str, Any]
DEPTH = 10**22
KEEPS = 0.997


class Unmodelled:
    """A V2 pool of which the sizing knows nothing but its quotes."""

    def __init__(self, pool: V2Pool) -> None:
        self.inner = pool

    @property
    def spec(self) -> PoolSpec:
        return self.inner.spec

    def amount_out(self, i: int, j: int, amount: int) -> int:
        return self.inner.amount_out(i, j, amount)

    def amount_in(self, i: int, j: int, amount: int) -> int:
        return self.inner.amount_in(i, j, amount)

    def marginal_rate(self, i: int, j: int) -> float:
        return self.inner.marginal_rate(i, j)

    def reserve_in(self, i: int, j: int) -> int:
        return self.inner.reserve_in(i, j)

    def depth(self) -> tuple[int, ...]:
        return self.inner.depth()

    def swapped(self, i: int, j: int, amount: int) -> Swapped[Pool]:
        taken, given, after = self.inner.swapped(i, j, amount)
        return Swapped(taken, given, after)


def routes() -> dict[str, list[Pool]]:
    """Cycles from and to WETH whose marginal rate is 1.01."""
    two, three = 1.01 / KEEPS**2, 1.01 / KEEPS**3
    return {
        "V2 > V2": [v2("a", WETH, TOKEN, DEPTH, DEPTH), v2("b", WETH, TOKEN, DEPTH * two, DEPTH)],
        "V2 > V3": [v2("a", WETH, TOKEN, DEPTH, DEPTH * two), v3("v", WETH, TOKEN, 0)],
        "V3 > V3": [v3("v", WETH, TOKEN, 160), v3("w", WETH, TOKEN, 0)],
        "V2 > V2 > V2": [
            v2("a", WETH, TOKEN, DEPTH, DEPTH),
            v2("b", TOKEN, OTHER, DEPTH, DEPTH),
            v2("c", WETH, OTHER, DEPTH * three, DEPTH),
        ],
        "V3 > V3 > V3": [v3("v", WETH, TOKEN, 190), v3("u", TOKEN, OTHER, 0), v3("w", WETH, OTHER, 0)],
    }


def per_call(work: Callable[[], object], seconds: float = 0.4) -> float:
    """Microseconds of the processor for one call: the best of several rounds. (Others may use the machine as well.)"""
    work()
    calls, best, spent = 1, float("inf"), 0.0
    while spent < seconds:
        start = process_time()
        for _ in range(calls):
            work()
        took = process_time() - start
        best, spent = min(best, took / calls), spent + took
        calls = max(1, int(0.02 / max(best, 1e-7)))
    return best * 1e6


def _row(case: str, value: float, unit: str = "us", peer: str | None = None, peer_value: float | None = None) -> Row:
    ratio = None if peer_value is None else peer_value / value
    return {"case": case, "value": value, "unit": unit, "peer": peer, "peer_value": peer_value, "ratio": ratio}


def _fast(route: Route) -> tuple[int, ...] | None:
    return route.amounts(optimum(route).amount_in)


def sizing() -> list[Row]:
    rows = []
    peers = [peer for peer in (_stable(), _engine()) if peer is not None]
    for name, pools in routes().items():
        market = Market.load(1, pools, [])
        found = opportunity(market, pools)
        route = Route.through(market, found.cycle)
        trade = size(market, found, UNLIMITED)
        assert route is not None
        assert isinstance(trade, Trade)
        ours = per_call(lambda route=route: _fast(route))
        rows.append(_row(f"optimum and amounts {name}", ours))
        for label, prepare in peers:
            run, gain = prepare(pools, trade.amount_in)
            # it tells its gain as a float
            assert gain <= trade.gross_profit * (1 + 1e-12), f"{label} gains {gain} on {name}"
            rows.append(_row(f"optimum and amounts {name}", ours, "us", label, per_call(run)))
        rows.append(_row(f"whole size {name}", per_call(lambda m=market, f=found: size(m, f, UNLIMITED))))
    return rows


def searching() -> list[Row]:
    """A route with a pool that has no closed form."""
    pool = v2("a", WETH, TOKEN, DEPTH, DEPTH)
    assert isinstance(pool, V2Pool)
    pools: list[Pool] = [Unmodelled(pool), v2("b", WETH, TOKEN, DEPTH * 1.01 / KEEPS**2, DEPTH)]
    market = Market.load(1, pools, [])
    route = Route.through(market, opportunity(market, pools).cycle)
    assert route is not None
    problem = Problem(route, (NO_BOUND, NO_BOUND))
    ours = per_call(lambda: _searched(problem))
    theirs = per_call(lambda: _bracketed(problem, NO_BOUND))
    return [_row("optimum and bound from quotes alone, 2 hops", ours, "us", "bracketed search", theirs)]


def neighbourhood(count: int, seed: int) -> list[Leg]:
    """Both directions of ``count`` pools of both kinds between three tokens, each about a per cent off."""
    random = Random(seed)
    legs = []
    for n in range(count):
        token0, token1 = ((WETH, TOKEN), (WETH, OTHER), (TOKEN, OTHER))[n % 3]
        token0, token1 = sorted((token0, token1))
        if n % 2:
            pool = v3(f"{n}", token0, token1, round(random.gauss(0, 100)), int(DEPTH * random.uniform(0.3, 3)))
        else:
            depth = DEPTH * random.uniform(0.3, 3)
            pool = v2(f"{n}", token0, token1, depth, depth * (1 + random.gauss(0, 0.01)))
        legs += [Leg(pool, 0, 1), Leg(pool, 1, 0)]
    return legs


def joint() -> list[Row]:
    times = []
    for seed in range(20):
        legs = neighbourhood(20, seed)
        assert solve(legs, WETH, 1.0, [inf] * len(legs)) is not None
        times.append(per_call(lambda legs=legs: solve(legs, WETH, 1.0, [inf] * len(legs)), 0.1) / 1000)
    times.sort()
    return [
        _row("joint optimum and bound, 20 pools, median of 20", times[10], "ms"),
        _row("joint optimum and bound, 20 pools, slowest of 20", times[-1], "ms"),
    ]


# --- degenbot ---------------------------------------------------------------------------------------------------------

Prepared = tuple[Callable[[], object], int]
Peer = tuple[str, Callable[[list[Pool], int], Prepared]]


def _version() -> str | None:
    if importlib.util.find_spec("degenbot") is None:
        return None
    return importlib.import_module("importlib.metadata").version("degenbot")  # type: ignore[no-any-return]


def _stable() -> Peer | None:
    """Its stable release: ``UniswapLpCycle.calculate``, on pools made without a node."""
    version = _version()
    if version is None or not version.startswith("0.5"):
        return None
    from degenbot.arbitrage.uniswap_lp_cycle import UniswapLpCycle

    def prepare(pools: list[Pool], about: int) -> Prepared:
        tokens: dict[bytes, Any] = {}
        made = [_stable_pool(pool, tokens) for pool in pools]
        cycle = UniswapLpCycle(input_token=tokens[WETH], swap_pools=made, id="bench", max_input=20 * about)
        return cycle.calculate, cycle.calculate().profit_amount

    return f"degenbot {version}", prepare


def _stable_pool(pool: Pool, tokens: dict[bytes, Any]) -> Any:
    from fractions import Fraction
    from threading import Lock
    from weakref import WeakSet

    from degenbot.erc20 import Erc20Token
    from degenbot.uniswap.v2_liquidity_pool import UniswapV2Pool
    from degenbot.uniswap.v2_types import UniswapV2PoolState
    from degenbot.uniswap.v3_liquidity_pool import UniswapV3Pool
    from degenbot.uniswap.v3_types import UniswapV3BitmapAtWord, UniswapV3LiquidityAtTick, UniswapV3PoolState

    for address in pool.spec.tokens:
        if address not in tokens:
            token = object.__new__(Erc20Token)
            token.address, token.symbol, token.decimals, token.name = checksum(address), "T", 18, "T"
            token._chain_id = 1
            tokens[address] = token
    kind = UniswapV2Pool if isinstance(pool, V2Pool) else UniswapV3Pool
    made = object.__new__(kind)
    made.address, made._chain_id, made.name = checksum(pool.spec.address), 1, "bench"
    made.token0, made.token1 = (tokens[address] for address in pool.spec.tokens)
    made._state_lock, made._subscribers = Lock(), WeakSet()
    if isinstance(pool, V2Pool):
        made.fee_token0 = made.fee_token1 = Fraction(pool.spec.fee_pips, 10**6)
        made._state = UniswapV2PoolState(
            address=made.address, reserves_token0=pool.reserve0, reserves_token1=pool.reserve1, block=1
        )
        return made
    assert isinstance(pool, V3Pool)
    made.fee, made.tick_spacing, made.sparse_liquidity_map = pool.spec.fee_pips, pool.spec.tick_spacing, False
    bitmap: dict[int, int] = dict.fromkeys(range(-60, 60), 0)
    for tick in pool.ladder.ticks:
        compressed = tick // pool.spec.tick_spacing
        bitmap[compressed >> 8] |= 1 << (compressed & 255)
    made._swap_step_cache, made._swap_step_cache_lock = {}, Lock()
    made._state = UniswapV3PoolState(
        address=made.address,
        block=1,
        liquidity=pool.liquidity,
        sqrt_price_x96=pool.sqrt_price_x96,
        tick=pool.tick,
        tick_bitmap={word: UniswapV3BitmapAtWord(bitmap=bits) for word, bits in bitmap.items()},
        tick_data={
            tick: UniswapV3LiquidityAtTick(liquidity_net=info.net, liquidity_gross=info.gross)
            for tick, info in pool.ladder.info.items()
        },
    )
    return made


def _engine() -> Peer | None:
    """The Rust engine of its alpha: one path registered, ``solve_all_paths`` after a change of the first pool."""
    version = _version()
    if version is None or version.startswith("0.5"):
        return None
    from degenbot._ffi import ArbitrageEngine, Bot

    def prepare(pools: list[Pool], about: int) -> Prepared:
        bot = Bot(1)
        refs, token = [], WETH
        for pool in pools:
            refs.append(_engine_pool(bot, pool, token))
            token = pool.spec.token1 if pool.spec.token0 == token else pool.spec.token0
        engine = ArbitrageEngine(bot)
        engine.register_path(refs)
        block = iter(range(2, 10**9))
        engine.solve_all_paths(1)
        results, _ = engine.latest_results()
        return (lambda: engine.solve_all_paths(next(block))), int(results[0][2])

    return f"degenbot {version}, Rust engine", prepare


def _engine_pool(bot: Any, pool: Pool, token_in: bytes) -> tuple[int, bool]:
    address, (token0, token1) = checksum(pool.spec.address), map(checksum, pool.spec.tokens)
    factory = checksum(named("factory"))
    if isinstance(pool, V2Pool):
        keeps = 10**6 - pool.spec.fee_pips
        fee = (keeps, 10**6, keeps, 10**6)
        key = bot.register_v2_pool_test_only(
            address, token0, token1, pool.reserve0, pool.reserve1, *fee, factory, 1, "uniswap-v2", False, None
        )
        return key, pool.spec.token0 == token_in
    assert isinstance(pool, V3Pool)
    ticks = {tick: (info.gross, info.net, 1) for tick, info in pool.ladder.info.items()}
    state = (pool.sqrt_price_x96, pool.liquidity, pool.tick, ticks, 1, "tracked")
    key = bot.register_v3_pool(address, token0, token1, pool.spec.fee_pips, pool.spec.tick_spacing, factory, *state)
    return key, pool.spec.token0 == token_in


def rows() -> list[Row]:
    """All figures."""
    return [*sizing(), *searching(), *joint()]
