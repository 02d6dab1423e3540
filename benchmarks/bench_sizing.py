"""Sizing, the search without a closed form, and the joint optimum of 20 pools.

"optimum and amounts" is what a hit costs: the real optimum from the pools' state, and the exact amounts along the route
for it. "whole size" adds the search over whole units with its bound and the trade itself. A hit follows an update, so
every call is made on another state of the pools, ours and the peers'; times are medians. Peers, in the same run and on
the same pools: degenbot where it can be imported (a stable release or the Rust engine of its next one, each through its
public interface), and a search that expects nothing of the gain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import inf
from random import Random
from statistics import median
from time import process_time, process_time_ns
from typing import Any

from benchmarks.bench_strategy import OTHER, TOKEN, WETH, opportunity, v2, v3
from benchmarks.degenbot_engine import Engine, is_engine
from benchmarks.degenbot_stable import StableCycle, degenbot_version, is_stable
from benchmarks.sizing_cases import DEPTH, KEEPS, Case, cases
from flasharb.market import Market
from flasharb.pools import Pool, PoolSpec, Swapped, V2Pool, V3Pool
from flasharb.strategy.joint import solve
from flasharb.strategy.limits import NO_BOUND, UNLIMITED
from flasharb.strategy.optimum import optimum
from flasharb.strategy.route import Leg, Route
from flasharb.strategy.size import Problem, _bracketed, _searched, size
from flasharb.strategy.trade import Trade

Row = dict[str, Any]
STATES = 48


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


def sizing() -> list[Row]:
    rows = []
    for case in cases():
        states = case.states(STATES)
        subjects = [(state.market(), state.opportunity()) for state in states]
        routes = [state.route() for state in states]
        whole = _median([lambda at=at: size(*at, UNLIMITED) for at in subjects])
        trades = [size(*at, UNLIMITED) for at in subjects]
        gains = [trade.gross_profit if isinstance(trade, Trade) else 0 for trade in trades]
        name, ours = f"whole size, {case.name}", whole
        if routes[0].is_piecewise():
            name = f"optimum and amounts, {case.name}"
            ours = _median([lambda route=route: route.amounts(optimum(route).amount_in) for route in routes])
            rows.append(_row(f"whole size, {case.name}", whole))
        peers = [
            _row(name, ours, "us", f"{way}{_share(found, gains)}", took) for way, took, found in _peers(case, states)
        ]
        rows += peers or [_row(name, ours)]
    return rows


def _median(calls: Sequence[Callable[[], object]], rounds: int = 9) -> float:
    """Microseconds of the processor for one call, each on a state of its own: the median round."""
    times = []
    for _ in range(rounds):
        start = process_time_ns()
        for call in calls:
            call()
        times.append((process_time_ns() - start) / len(calls) / 1e3)
    return median(times)


def _share(found: Sequence[int], gains: Sequence[int]) -> str:
    """What a peer gains, where that is not what ours gains."""
    share = sum(found) / sum(gains)
    return "" if not found or abs(share - 1) < 1e-4 else f", gains {share:.3f} of ours"


def _peers(case: Case, states: Sequence[Case]) -> Iterator[tuple[str, float, list[int]]]:
    """Way, median microseconds of single calls, and what was gained; nothing without a peer."""
    version = degenbot_version()
    plain = all(isinstance(pool, V2Pool | V3Pool) for pool in case.pools)
    if is_stable("0.5") or (is_stable() and plain):
        yield from _stable_ways(case, states, f"degenbot {version}")
    elif is_engine() and plain:
        engine = Engine()
        engine.register_path(case.pools, case.base)
        gains, times = [], []
        for state in states:
            for pool in state.pools:
                engine.update(pool)
            times.append(_timed(engine.solve)[0])
            gains.append(engine.best_gain())
        yield f"degenbot {version}, Rust engine", median(times), gains


def _stable_ways(case: Case, states: Sequence[Case], name: str) -> Iterator[tuple[str, float, list[int]]]:
    """Its cycle's ``calculate`` in each way that is public; by default it looks at inputs up to 100 units of 1e18."""
    trade = size(states[0].market(), states[0].opportunity(), UNLIMITED)
    about = 2 * trade.amount_in if isinstance(trade, Trade) else None
    for way, most, sparse in (
        ("", None, False),
        (", map sparse", None, True),
        (", told the size within a factor of two", about, False),
    ):
        yield f"{name}{way}", *_after_updates(StableCycle(case.pools, case.base, most, sparse), states)
    cycle = StableCycle(case.pools, case.base)
    timed = [_timed(partial(cycle.calculate, cycle.overrides(state.pools))) for state in states]
    yield f"{name}, state_overrides", median(took for took, _ in timed), [gain for _, gain in timed]
    yield f"{name}, calculate_with_pool", *_after_updates(cycle, states, in_executor=True)
    cycle.calculate()
    yield f"{name}, the same state again and again", median(_timed(cycle.calculate)[0] for _ in states), []
    cycle.close()


def _after_updates(cycle: StableCycle, states: Sequence[Case], in_executor: bool = False) -> tuple[float, list[int]]:
    times, gains = [], []
    for state in states:
        cycle.apply(cycle.updates(state.pools))
        took, gain = _timed(cycle.calculate_in_executor if in_executor else cycle.calculate)
        times.append(took)
        gains.append(gain)
    if not in_executor:
        cycle.close()
    return median(times), gains


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    start = process_time_ns()
    answer = call()
    return (process_time_ns() - start) / 1e3, answer


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


def rows() -> list[Row]:
    """All figures."""
    return [*sizing(), *searching(), *joint()]
