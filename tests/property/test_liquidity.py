"""The liquidity filter, told of changes only, leaves out what a filter that looks at every pool leaves out."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flasharb.market import Market
from flasharb.market.liquidity import LiquidityFilter
from flasharb.market.prices import usd_prices
from flasharb.pools import Pool
from flasharb.units import Address
from tests.support.market_samples import DAI, USDC, WBTC, WETH, basket, market, token, v2, v3

USD = (USDC.address, DAI.address)
DUST = token("dust", 0)
OTHERS = (WBTC, token("pepe", 18), token("low", 2), DUST)
KNOWN = (USDC, DAI, WETH, *OTHERS)
STRANGE = token("strange", 18)
BY_ADDRESS = {one.address: one for one in KNOWN}


def worth(one: Address) -> float:
    """About what a whole unit is worth, in USD."""
    return {WETH.address: 3000.0, WBTC.address: 60_000.0, DUST.address: 2000.0}.get(one, 1.0)


def units_of(one: Address) -> int:
    return next(10**known.decimals for known in (*KNOWN, STRANGE) if known.address == one)


def random_pool(random: Random, n: int) -> Pool:
    """About as deep as the limit, so that verdicts change; now and then empty, unknown, or of an unlisted token."""
    named = random.choice(
        [(WETH, USDC), (WETH, random.choice(OTHERS)), tuple(random.sample(KNOWN, 2)), (WETH, STRANGE)]
    )
    a, b = named[0].address, named[1].address
    usd = 10 ** random.uniform(3, 5)

    def holding(one: Address) -> int:
        return int(usd / worth(one) * random.uniform(0.9, 1.1) * units_of(one))

    kind = random.random()
    if kind < 0.05:
        return v2(f"{n}", (a, 0), (b, 0))
    if kind < 0.1:
        return v3(f"{n}", (a, b), 0, [(-60, 60, 10**20)], tick_spacing=1, words=(0, 0))
    if kind < 0.15:
        three = [one.address for one in random.sample(KNOWN, 3)]
        return basket(f"{n}", {one: holding(one) + 1 for one in three})
    return v2(f"{n}", (a, holding(a)), (b, holding(b)))


def verdicts(
    liquidity: LiquidityFilter, snapshot: Market, feed: Decimal | None, touched: set[Address] | None
) -> object:
    prices = usd_prices(snapshot, USD, WETH.address, feed)
    left_out = liquidity.excluded(snapshot, prices, touched)
    return {at: (left.cause, left.about) for at, left in left_out.items()}


@given(st.integers(0, 2**32))
@settings(max_examples=120)
@example(63109)  # two prices of a token, one of which follows ETH past the other
def test_block_by_block_is_as_looking_at_every_pool(seed: int) -> None:
    """ETH moves with its pools or with a feed, a little or much; pools change, come and go."""
    random = Random(seed)
    pools = {n: random_pool(random, n) for n in range(random.randrange(1, 25))}
    fed = random.random() < 0.5
    feed = Decimal(3000) if fed else None
    running = LiquidityFilter(10_000)
    touched: set[Address] | None = None
    for _ in range(8):
        # as from block to block, where the tokens stay the same object
        snapshot = replace(market(*pools.values()), tokens=BY_ADDRESS)
        fresh = LiquidityFilter(10_000)
        assert verdicts(running, snapshot, feed, touched) == verdicts(fresh, snapshot, feed, None)
        touched = set()
        for n in random.sample(sorted(pools), random.choice([0, 0, 1, min(3, len(pools))])):
            touched.add(pools[n].spec.address)
            pools[n] = random_pool(random, n)
            touched.add(pools[n].spec.address)
            if random.random() < 0.2 and len(pools) > 1:
                del pools[n]
        if feed is not None:
            feed *= Decimal(random.choice([1, 1.0001, 0.9999, 1.2, 0.7]))


@pytest.mark.parametrize("move", ["1.0001", "0.9999"])
def test_a_block_that_passes_no_mark_looks_at_no_pool(move: str) -> None:
    """ETH's price moves a little: the answer is the object of before."""
    pools = [v2(f"{n}", (WETH.address, (n + 5) * 10**18), (USDC.address, 3000 * (n + 5) * 10**6)) for n in range(50)]
    snapshot = market(*pools, tokens=KNOWN)
    liquidity = LiquidityFilter(30_050)
    before = liquidity.excluded(snapshot, usd_prices(snapshot, USD, WETH.address, Decimal(3000)), None)
    assert 0 < len(before) < 50
    after = liquidity.excluded(snapshot, usd_prices(snapshot, USD, WETH.address, 3000 * Decimal(move)), set())
    assert after is before
    far = liquidity.excluded(snapshot, usd_prices(snapshot, USD, WETH.address, 3000 * Decimal(move) ** 5000), set())
    assert far is not before
