"""Cycles to be sized: made-up pools, a real ladder, and the arbitrages of the recorded blocks; and states near theirs.

The real ladder is a WBTC/WETH pool with 458 initialised ticks. Of the pools of the recorded arbitrages the price and
the liquidity at it are known, which is taken to reach 400 tick spacings to either side.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import log
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.bench_curve import FEES, THREE
from benchmarks.bench_strategy import OTHER, TOKEN, WETH, v2, v3
from flasharb.market import Market
from flasharb.pools import Pool, PoolSpec, TickLiquidity, V2Pool, V3Pool, v3_pool
from flasharb.pools.concentrated.tick_math import sqrt_price_at_tick, tick_at_sqrt_price
from flasharb.pools.stableswap import EARLY, StableSwapPool
from flasharb.pools.stableswap.ramp import steady
from flasharb.strategy.route import Route
from flasharb.strategy.trade import Hop, Opportunity
from flasharb.units import Address, address
from tests.support.curve_samples import stable

SHARED = Path(__file__).parents[2] / "shared"
GAPS = (0.001, 0.01, 0.05)
DEPTH = 10**22
KEEPS = 0.997
_STATES = 64
_REACH = 400


@dataclass(frozen=True, slots=True)
class Case:
    """A cycle from and to ``base`` through ``pools``."""

    name: str
    base: Address
    pools: tuple[Pool, ...]

    def opportunity(self) -> Opportunity:
        """What the detector would hand on."""
        hops, token = [], self.base
        for pool, following in zip(self.pools, (*self.pools[1:], None), strict=True):
            onward = (self.base,) if following is None else following.spec.tokens
            after = next(end for end in pool.spec.tokens if end != token and end in onward)
            hops.append(Hop(pool.spec.address, token, after))
            token = after
        return Opportunity(1, tuple(hops), 1.0, 1)

    def market(self) -> Market:
        """A market of these pools alone."""
        return Market.load(1, self.pools, [])

    def route(self) -> Route:
        """The cycle bound to its pools."""
        route = Route.through(self.market(), self.opportunity().cycle)
        assert route is not None
        return route

    def states(self, count: int = _STATES) -> list[Case]:
        """The case as it stands after small swaps: a hit always follows one."""
        dice = Random(3)
        return [replace(self, pools=tuple(_moved(pool, dice) for pool in self.pools)) for _ in range(count)]


def cases() -> Iterator[Case]:
    """All, the made-up ones first."""
    for gap in GAPS:
        yield from _made_up(gap)
    for gap in GAPS:
        yield from _real_ladder(gap)
    yield from _recorded()
    for gap in GAPS:
        yield _through_curve(gap)


def _named(name: str, gap: float) -> str:
    return f"{name}, gap {gap:.1%}"


def _made_up(gap: float) -> Iterator[Case]:
    """Pools of 18-decimals tokens; V3 pools have 200 positions, a range ends every 120 ticks."""
    two, three = (1 + gap) / KEEPS**2, (1 + gap) / KEEPS**3

    def made(name: str, *pools: Pool) -> Case:
        return Case(_named(name, gap), WETH, pools)

    yield made("V2 > V2", v2("a", WETH, TOKEN, DEPTH, DEPTH), v2("b", WETH, TOKEN, DEPTH * two, DEPTH))
    yield made("V2 > V3", v2("a", WETH, TOKEN, DEPTH, DEPTH * two), v3("v", WETH, TOKEN, 0))
    yield made("V3 > V3", v3("v", WETH, TOKEN, _ticks(two)), v3("w", WETH, TOKEN, 0))
    yield made(
        "V2 > V2 > V2",
        v2("a", WETH, TOKEN, DEPTH, DEPTH),
        v2("b", TOKEN, OTHER, DEPTH, DEPTH),
        v2("c", WETH, OTHER, DEPTH * three, DEPTH),
    )
    yield made("V3 > V3 > V3", v3("v", WETH, TOKEN, _ticks(three)), v3("u", TOKEN, OTHER, 0), v3("w", WETH, OTHER, 0))


def _through_curve(gap: float) -> Case:
    """Two dollars of 6 and 18 decimals, and a pool of Curve's between them: no closed form."""
    coins = stable(THREE, rules=EARLY, decimals=(18, 6, 6), ramp=steady(2000), fees=FEES)
    eighteen, six = coins.spec.tokens[:2]
    factor = (1 + gap) / KEEPS**2 / (coins.marginal_rate(1, 0) / 1e12)
    first = v2("a", *sorted((six, WETH)), *_held({WETH: 1e21, six: 3e12 * factor}))
    last = v2("b", *sorted((eighteen, WETH)), *_held({WETH: 1e21, eighteen: 3e24}))
    return Case(_named("V2 > Curve > V2", gap), WETH, (first, coins, last))


def _held(reserves: dict[Address, float]) -> list[float]:
    return [reserves[token] for token in sorted(reserves)]


def _ticks(factor: float) -> int:
    return round(log(factor) / log(1.0001))


def _real_ladder(gap: float) -> Iterator[Case]:
    """WETH to WBTC and back: the real pool against a V2 pool, and against itself at another price."""
    file = SHARED / "quotes" / "univ3_wbtc_weth_24407242.json"
    if not file.exists():
        return
    known = json.loads(file.read_text())
    state, tokens = known["scalars"], (address(known["token0"]["address"]), address(known["token1"]["address"]))
    ticks = {int(at): TickLiquidity(gross, net) for at, (gross, net, _) in known["tick_data"].items()}
    spec = PoolSpec(address(known["pool"]), "uniswap_v3", tokens, state["fee"], state["tick_spacing"])
    pool = v3_pool(spec, state["sqrt_price_x96"], state["tick"], state["liquidity"], ticks)
    factor = (1 + gap) / KEEPS**2
    price = (state["sqrt_price_x96"] / 2**96) ** 2
    pair = v2("pair", *tokens, 60e8, 60e8 * price / factor)
    yield Case(_named("V2 > V3 WBTC/WETH", gap), tokens[1], (pair, pool))
    cheap, dear = _priced(pool, "cheap", factor**-0.5), _priced(pool, "dear", factor**0.5)
    yield Case(_named("V3 > V3 WBTC/WETH", gap), tokens[1], (cheap, dear))


def _priced(pool: V3Pool, name: str, factor: float) -> V3Pool:
    """A pool with the same positions and another price."""
    spec = replace(pool.spec, address=v2(name, WETH, TOKEN, 1, 1).spec.address)
    return _at(V3Pool(spec, 0, 0, 0, pool.ladder), int(pool.sqrt_price_x96 * factor**0.5))


def _at(pool: V3Pool, price: int) -> V3Pool:
    tick = tick_at_sqrt_price(price)
    return pool.with_price(price, tick, pool.ladder.liquidity_at(tick))


def _moved(pool: Pool, dice: Random) -> Pool:
    by = 1 + dice.gauss(0, 1e-6)
    if isinstance(pool, StableSwapPool):
        return pool
    if isinstance(pool, V2Pool):
        return pool.with_reserves(int(pool.reserve0 * by), int(pool.reserve1 / by))
    assert isinstance(pool, V3Pool)
    return _at(pool, int(pool.sqrt_price_x96 * by))


def _recorded() -> Iterator[Case]:
    """The real arbitrages through V2 and V3 pools alone, at the state before them."""
    file = SHARED / "mainnet" / "arbs.json"
    for arbitrage in json.loads(file.read_text()) if file.exists() else ():
        legs = arbitrage["legs"]
        pools = [_recorded_pool(leg) for leg in legs if leg["kind"] in ("v2", "v3") and "pool_state_before_tx" in leg]
        if len(pools) == len(legs):
            kinds = " > ".join(leg["kind"].upper() for leg in legs)
            name = f"{kinds} recorded, {arbitrage['block']}#{arbitrage['index']}"
            yield Case(name, address(legs[0]["token_in"]), tuple(pools))


def _recorded_pool(leg: dict[str, Any]) -> Pool:
    token0, token1 = sorted((address(leg["token_in"]), address(leg["token_out"])))
    state, at = leg["pool_state_before_tx"], address(leg["pool"])
    if leg["kind"] == "v2":
        spec = PoolSpec(at, "uniswap_v2", (token0, token1), 3000)
        return V2Pool(spec, int(state["reserve0"]), int(state["reserve1"]))
    price, spacing, liquidity = int(state["sqrtPriceX96"]), state["tickSpacing"], int(state["liquidity"])
    middle = state["tick"] // spacing * spacing
    ticks = {
        middle - _REACH * spacing: TickLiquidity(liquidity, liquidity),
        middle + _REACH * spacing: TickLiquidity(liquidity, -liquidity),
    }
    assert sqrt_price_at_tick(state["tick"]) <= price
    return v3_pool(
        PoolSpec(at, "uniswap_v3", (token0, token1), state["fee"], spacing), price, state["tick"], liquidity, ticks
    )
