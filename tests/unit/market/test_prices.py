"""USD prices from the market's own pools."""

from __future__ import annotations

from decimal import Decimal
from math import log

import pytest

from flasharb.market.prices import NoPrice, Reference, chainlink_usd, usd_prices, weighted_median
from flasharb.pools import V2Pool
from tests.support.market_samples import DAI, USDC, USDT, WBTC, WETH, address_of, market, token, v2, v3

USD = (USDC.address, USDT.address, DAI.address)


def eth_usd(name: str, eth: int, usdc: int) -> V2Pool:
    """A WETH/USDC pool with whole amounts."""
    return v2(name, (WETH.address, eth * 10**18), (USDC.address, usdc * 10**6))


def test_usd_tokens_count_as_one() -> None:
    prices = usd_prices(market(), USD, WETH.address)
    assert prices.of(USDC.address) == 1
    assert prices.usd(USDC.address, 2_500_000) == Decimal("2.5")
    assert prices.usd(DAI.address, 10**18 // 4) == Decimal("0.25")


def test_decimals_of_both_sides_count() -> None:
    pools = [
        eth_usd("eth", 100, 300_000),
        v2("btc", (WBTC.address, 5 * 10**8), (USDC.address, 300_000 * 10**6)),
        v2("dai", (WETH.address, 10 * 10**18), (DAI.address, 30_000 * 10**18)),
    ]
    prices = usd_prices(market(*pools), USD, WETH.address)
    assert prices.of(WETH.address) == 3000
    assert prices.of(WBTC.address) == 60_000
    assert prices.usd(WBTC.address, 1) == Decimal("0.0006")
    assert prices.units(WETH.address, Decimal(3)) == 10**15
    assert prices.rate(WETH.address, USDC.address) == Decimal(3) / 10**9
    assert prices.rate(WETH.address, WETH.address) == 1


def test_a_token_is_priced_through_wrapped_eth() -> None:
    pepe = token("PEPE", 18)
    pools = [eth_usd("eth", 100, 300_000), v2("p", (WETH.address, 10**18), (pepe.address, 10**24))]
    prices = usd_prices(market(*pools, tokens=(WETH, USDC, pepe)), USD, WETH.address)
    assert prices.of(pepe.address) == Decimal("0.003")


def test_a_concentrated_pool_says_the_same_price() -> None:
    # raw price of token1 per token0 for 3000 USDC (6 decimals) per WETH (18 decimals)
    raw = 3000 * 10**6 / 10**18
    tick = round(log(raw if WETH.address < USDC.address else 1 / raw) / log(1.0001) / 60) * 60
    pool = v3("eth", (WETH.address, USDC.address), tick, [(tick - 6000, tick + 6000, 10**18)])
    price = usd_prices(market(pool), USD, WETH.address).of(WETH.address)
    assert isinstance(price, Decimal)
    assert abs(price - 3000) < 20


def test_a_thin_pool_cannot_move_the_price() -> None:
    pools = [
        eth_usd("deep", 1000, 3_000_000),
        eth_usd("also deep", 800, 2_408_000),
        eth_usd("manipulated", 1, 1_000_000),
        v2("worthless", (WETH.address, 1), (USDC.address, 10**6)),
    ]
    prices = usd_prices(market(*pools), USD, WETH.address)
    assert prices.of(WETH.address) == 3010
    assert len(prices.references(WETH.address)) == 4


def test_the_median_is_weighted() -> None:
    def at(price: int, weight: int) -> Reference:
        return Reference(address_of(str(price)), Decimal(price), Decimal(weight))

    assert weighted_median([at(3, 1), at(1, 1), at(2, 1)]) == 2
    assert weighted_median([at(3, 5), at(1, 1), at(2, 1)]) == 3
    assert weighted_median([at(1, 1), at(2, 1)]) == 1
    with pytest.raises(ValueError, match="no references"):
        weighted_median([])


def test_a_configured_feed_goes_before_the_pools() -> None:
    fed = chainlink_usd(312_345_000_000, 8)
    assert fed == Decimal("3123.45")
    prices = usd_prices(market(eth_usd("eth", 100, 300_000)), USD, WETH.address, fed)
    assert prices.of(WETH.address) == Decimal("3123.45")


@pytest.mark.parametrize("answer", [0, -5])
def test_a_feed_that_says_nothing_positive_is_no_price(answer: int) -> None:
    fed = chainlink_usd(answer, 8)
    price = usd_prices(market(eth_usd("eth", 100, 300_000)), USD, WETH.address, fed).of(WETH.address)
    assert isinstance(price, NoPrice)
    assert "price feed" in price.reason


def test_without_a_pool_there_is_no_price_and_a_reason() -> None:
    prices = usd_prices(market(), USD, WETH.address)
    for unpriced in (prices.of(WETH.address), prices.usd(WETH.address, 1), prices.units(WETH.address, Decimal(1))):
        assert isinstance(unpriced, NoPrice)
        assert "no pool" in unpriced.reason
    assert isinstance(prices.rate(USDC.address, WETH.address), NoPrice)
    assert isinstance(prices.rate(WETH.address, USDC.address), NoPrice)


def test_without_decimals_there_is_no_price() -> None:
    strange = token("STRANGE")
    pool = v2("s", (strange.address, 10**18), (USDC.address, 10**6))
    price = usd_prices(market(pool), USD, WETH.address).of(strange.address)
    assert isinstance(price, NoPrice)
    assert "decimals" in price.reason
    # a listed USD token without known decimals counts nothing either
    prices = usd_prices(market(pool, tokens=(strange,)), USD, WETH.address)
    assert isinstance(prices.of(strange.address), NoPrice)
    assert isinstance(prices.usd(USDC.address, 10**6), NoPrice)
    assert isinstance(prices.units(USDC.address, Decimal(1)), NoPrice)


def test_pools_without_reserves_or_known_depth_say_nothing() -> None:
    empty = v2("empty", (WETH.address, 0), (USDC.address, 0))
    narrow = v3("narrow", (WETH.address, USDC.address), 0, [(-600, 600, 10**15)], tick_spacing=1, words=(0, 0))
    prices = usd_prices(market(empty, narrow), USD, WETH.address)
    assert prices.references(WETH.address) == []
    assert isinstance(prices.of(WETH.address), NoPrice)
