"""Sizing, detection and the market's step from block to block.

Sizes have a peer measured side by side: a golden-section search over the same exact quotes, which is what a general
scalar optimiser does with them. Markets are synthetic: five hub tokens, other tokens by popularity, prices that differ
by a fraction of a per cent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from math import exp, sqrt
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

from flasharb.feed.events import ClosedBlock, V2Sync
from flasharb.market import Market
from flasharb.pools import Pool, PoolSpec, TickLiquidity, Token, V2Pool, v3_pool
from flasharb.pools.concentrated.tick_math import sqrt_price_at_tick
from flasharb.settings import Pools, Settings
from flasharb.strategy.detect import Detector
from flasharb.strategy.limits import UNLIMITED
from flasharb.strategy.route import Route
from flasharb.strategy.search import Search, Tokens
from flasharb.strategy.size import size
from flasharb.strategy.trade import Hop, Opportunity, Trade
from flasharb.units import Address

Row = dict[str, Any]
POOLS_PER_PAIR = 16


def named(name: str) -> Address:
    """An address that depends on the name only."""
    return Address(sha256(name.encode()).digest()[:20])


WETH, TOKEN, OTHER = sorted(named(name) for name in ("weth", "token", "other"))


def v2(name: str, token0: Address, token1: Address, reserve0: float, reserve1: float, fee_pips: int = 3000) -> Pool:
    return V2Pool(PoolSpec(named(name), "uniswap_v2", (token0, token1), fee_pips), int(reserve0), int(reserve1))


def v3(name: str, token0: Address, token1: Address, tick: int, depth: int = 10**22) -> Pool:
    """A pool with liquidity in 200 positions of 240 ticks, thinner away from the price."""
    ticks: dict[int, TickLiquidity] = {}
    active = 0
    for n in range(-100, 100):
        lower, upper = n * 120, n * 120 + 240
        liquidity = int(depth * exp(-abs(n) / 40))
        for at, net in ((lower, liquidity), (upper, -liquidity)):
            known = ticks.get(at, TickLiquidity(0, 0))
            ticks[at] = TickLiquidity(known.gross + liquidity, known.net + net)
        active += liquidity if lower <= tick < upper else 0
    spec = PoolSpec(named(name), "uniswap_v3", (token0, token1), 3000, 60)
    return v3_pool(spec, sqrt_price_at_tick(tick), tick, active, ticks)


def routes() -> dict[str, list[Pool]]:
    """Cycles from and to WETH that gain about two per cent at the margin."""
    depth = 10**22
    return {
        "V2 > V2": [v2("a", WETH, TOKEN, depth, depth), v2("b", WETH, TOKEN, depth * 1.03, depth)],
        "V2 > V3": [v2("a", WETH, TOKEN, depth, depth * 1.03), v3("v", WETH, TOKEN, 0)],
        "V3 > V3": [v3("v", WETH, TOKEN, 600), v3("w", WETH, TOKEN, 0)],
        "V2 > V2 > V2": [
            v2("a", WETH, TOKEN, depth, depth),
            v2("b", TOKEN, OTHER, depth, depth),
            v2("c", WETH, OTHER, depth * 1.03, depth),
        ],
        "V3 > V2 > V3": [
            v3("v", WETH, TOKEN, 600),
            v2("b", TOKEN, OTHER, depth, depth),
            v3("w", WETH, OTHER, 0),
        ],
    }


def opportunity(market: Market, pools: list[Pool]) -> Opportunity:
    hops, token = [], WETH
    for pool in pools:
        zero_for_one = pool.spec.token0 == token
        after = pool.spec.token1 if zero_for_one else pool.spec.token0
        hops.append(Hop(pool.spec.address, token, after))
        token = after
    return Opportunity(1, tuple(hops), 1.02, market.number)


def per_call(work: Callable[[], object], seconds: float = 0.4) -> float:
    """Microseconds for one call: the best of several rounds."""
    work()
    calls, best, until = 1, float("inf"), perf_counter() + seconds
    while perf_counter() < until:
        start = perf_counter()
        for _ in range(calls):
            work()
        took = perf_counter() - start
        best = min(best, took / calls)
        calls = max(1, int(0.02 / best))
    return best * 1e6


def golden_section(route: Route, most: int) -> int:
    """The best gain that a golden-section search over the exact quotes finds, down to a relative 1e-9."""
    shrink = (sqrt(5) - 1) / 2

    def gain(amount: float) -> int:
        amounts = route.amounts(int(amount))
        return -(10**40) if amounts is None else amounts[-1] - amounts[0]

    low, high = 1.0, float(most)
    left, right = high - shrink * (high - low), low + shrink * (high - low)
    at_left, at_right = gain(left), gain(right)
    while high - low > 1e-9 * high:
        if at_left > at_right:
            high, right, at_right = right, left, at_left
            left = high - shrink * (high - low)
            at_left = gain(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + shrink * (high - low)
            at_right = gain(right)
    return max(at_left, at_right)


def sizing() -> list[Row]:
    rows = []
    for name, pools in routes().items():
        market = Market.load(1, pools, [])
        found = opportunity(market, pools)
        trade = size(market, found, UNLIMITED)
        assert isinstance(trade, Trade), trade
        route = Route.through(market, found.cycle)
        assert route is not None
        peer_gain = golden_section(route, trade.amount_in * 20)
        assert trade.gross_profit >= peer_gain - peer_gain // 10**9, "the peer must not gain more"
        ours = per_call(lambda market=market, found=found: size(market, found, UNLIMITED))
        theirs = per_call(lambda route=route, most=trade.amount_in * 20: golden_section(route, most))
        rows.append(
            {
                "case": f"size {name}",
                "value": ours,
                "unit": "us",
                "peer": "golden section over the exact quotes",
                "peer_value": theirs,
                "ratio": theirs / ours,
            }
        )
    return rows


def synthetic(count: int, seed: int = 1) -> Market:
    """A market of ``count`` pools around five hubs."""
    random = Random(seed)
    others = max(50, count // 3)
    tokens = [named(f"hub {n}") for n in range(5)] + [named(f"token {n}") for n in range(others)]
    worth = {token: exp(random.gauss(0, 3)) for token in tokens}
    hubs = [0.66, 0.14, 0.12, 0.05, 0.03]
    pools: list[Pool] = []
    between: Counter[tuple[Address, Address]] = Counter()
    for n in range(count):
        hub = tokens[random.choices(range(5), hubs)[0]]
        other = tokens[5 + n] if n < others else tokens[min(int(random.paretovariate(0.9)) + 4, len(tokens) - 1)]
        while other == hub or between[min(hub, other), max(hub, other)] >= POOLS_PER_PAIR:
            other = random.choice(tokens)
        token0, token1 = sorted((hub, other))
        between[token0, token1] += 1
        value = exp(random.gauss(11, 2))
        reserve0 = value / worth[token0] * 1e18
        reserve1 = value / worth[token1] * 1e18 * exp(random.gauss(0, 0.001))
        pools.append(v2(f"{count}/{n}", token0, token1, reserve0, reserve1))
    return Market.load(1, pools, [Token(token, "", 18) for token in tokens])


def detecting(count: int) -> list[Row]:
    market = synthetic(count)
    base = [named("hub 0")]
    random = Random(2)
    detector = Detector(3, base)
    detector.update(market, None)
    addresses = sorted(market.pools)
    times = []
    for number in range(2, 1002):
        address = random.choice(addresses)
        pool = market.pools[address]
        assert isinstance(pool, V2Pool)
        moved = pool.with_reserves(int(pool.reserve0 * random.uniform(0.999, 1.001)), pool.reserve1)
        market = replace(market, number=number, pools={**market.pools, address: moved})
        start = perf_counter()
        detector.update(market, (address,))
        times.append(perf_counter() - start)
    events = tuple(
        V2Sync(at, random.randrange(1, 10**24), random.randrange(1, 10**24), market.number + 1)
        for at in random.sample(addresses, 100)
    )
    block = ClosedBlock(market.number + 1, events, None)
    search = Search(Settings(pools=Pools(min_liquidity_usd=10_000)), Tokens((base[0],), (named("hub 1"),), base[0]))
    search.update(market, None, 10**9)
    figures = {
        f"detect after one pool changed, p50, {count:,} pools": median(times) * 1e6,
        f"detect after one pool changed, p99, {count:,} pools": sorted(times)[989] * 1e6,
        f"market.apply of 100 events, {count:,} pools": per_call(lambda: market.apply(block)),
        f"whole search of a quiet block, filters included, {count:,} pools": per_call(
            lambda: search.update(market, (), 10**9)
        ),
    }
    return [
        {"case": case, "value": value, "unit": "us", "peer": None, "peer_value": None, "ratio": None}
        for case, value in figures.items()
    ]


def rows() -> list[Row]:
    """All figures."""
    return [*sizing(), *detecting(1_000), *detecting(10_000)]
