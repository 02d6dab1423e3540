"""The two filters, at their exact edges."""

from __future__ import annotations

import pytest

from flasharb.market.filters import Cause, resolve, tracked
from flasharb.market.liquidity import LiquidityFilter
from flasharb.market.prices import usd_prices
from flasharb.pools import Pool
from flasharb.units import checksum
from tests.support.market_samples import DAI, TOKENS, USDC, WBTC, WETH, market, token, v2, v3

USD = (USDC.address, DAI.address)


def causes(limit: float, *pools: Pool) -> dict[bytes, Cause]:
    snapshot = market(*pools)
    prices = usd_prices(snapshot, USD, WETH.address)
    return {at: left.cause for at, left in LiquidityFilter(limit).excluded(snapshot, prices).items()}


@pytest.mark.parametrize(("dai", "kept"), [(10_000 * 10**18, True), (10_000 * 10**18 - 1, False)])
def test_a_constant_product_pool_needs_both_reserves(dai: int, kept: bool) -> None:
    pool = v2("edge", (USDC.address, 10_000 * 10**6), (DAI.address, dai))
    assert causes(10_000, pool) == ({} if kept else {pool.spec.address: Cause.BELOW_MIN_LIQUIDITY})
    other = v2("other", (USDC.address, 10_000 * 10**6 - 1), (DAI.address, 10**30))
    assert causes(10_000, other) == {other.spec.address: Cause.BELOW_MIN_LIQUIDITY}


def test_a_concentrated_pool_needs_both_tokens_within_ten_percent() -> None:
    pool = v3("edge", (USDC.address, DAI.address), 0, [(-60, 120, 10**12), (-60_000, -30_000, 10**30)])
    amount0, amount1 = pool.depth()
    assert USDC.address < DAI.address, "token0 is USDC"
    usd0, usd1 = amount0 / 10**6, amount1 / 10**18
    least = min(usd0, usd1)
    assert causes(least * 0.999999, pool) == {}
    assert causes(least * 1.000001, pool) == {pool.spec.address: Cause.BELOW_MIN_LIQUIDITY}


def test_what_lies_further_than_ten_percent_does_not_count() -> None:
    away = v3("away", (USDC.address, DAI.address), 0, [(1200, 6000, 10**30), (-6000, -1200, 10**30)])
    assert causes(0.01, away) == {away.spec.address: Cause.BELOW_MIN_LIQUIDITY}


def test_no_price_is_a_cause_of_its_own() -> None:
    pool = v2("unpriced", (WBTC.address, 10**30), (WETH.address, 10**30))
    assert causes(1, pool) == {pool.spec.address: Cause.NO_PRICE_FOR_LIQUIDITY}
    snapshot = market(pool)
    left = LiquidityFilter(1).excluded(snapshot, usd_prices(snapshot, USD, WETH.address))
    assert "no pool of the market" in left[pool.spec.address].detail


def test_unknown_depth_is_a_cause_of_its_own() -> None:
    narrow = v3("narrow", (USDC.address, DAI.address), 0, [(-60, 60, 10**30)], tick_spacing=1, words=(0, 0))
    assert causes(1, narrow) == {narrow.spec.address: Cause.DEPTH_UNKNOWN}
    empty = v2("empty", (USDC.address, 0), (DAI.address, 0))
    assert causes(1, empty) == {empty.spec.address: Cause.DEPTH_UNKNOWN}


def test_zero_lets_every_pool_pass() -> None:
    assert causes(0, v2("unpriced", (WBTC.address, 1), (WETH.address, 1))) == {}


def test_the_verdict_follows_the_pool_and_the_price() -> None:
    pool = v2("p", (WETH.address, 4 * 10**18), (USDC.address, 12_000 * 10**6))
    deep = v2("deep", (WETH.address, 10**21), (USDC.address, 3_000_000 * 10**6))
    liquidity = LiquidityFilter(10_000)

    def left_out(*pools: Pool) -> set[bytes]:
        snapshot = market(*pools)
        return set(liquidity.excluded(snapshot, usd_prices(snapshot, USD, WETH.address)))

    assert left_out(pool, deep) == set()
    assert left_out(pool.with_reserves(pool.reserve0 // 2, pool.reserve1 * 2), deep) == {pool.spec.address}
    assert left_out(pool, deep) == set()
    # ETH falls to 2000: the untouched pool's 4 ETH are worth 8000 now
    assert left_out(pool, v2("deep", (WETH.address, 10**21), (USDC.address, 2_000_000 * 10**6))) == {pool.spec.address}


def test_track_all_or_only_listed_tokens() -> None:
    strange = token("STRANGE")
    ours = v2("ours", (WETH.address, 1), (USDC.address, 1)).spec
    theirs = v2("theirs", (WETH.address, 1), (strange.address, 1)).spec
    listed = {WETH.address, USDC.address}
    kept, left_out = tracked([ours, theirs], track_all=False, listed=listed, kinds={"v2"})
    assert kept == [ours]
    assert left_out[theirs.address].cause is Cause.NOT_TRACKED
    assert checksum(strange.address) in left_out[theirs.address].detail
    assert tracked([ours, theirs], track_all=True, listed=listed, kinds={"v2"}) == ([ours, theirs], {})
    kept, left_out = tracked([ours, theirs], track_all=True, listed=listed, kinds={"v3"})
    assert not kept
    assert {one.cause for one in left_out.values()} == {Cause.NOT_EXECUTABLE}


def test_tokens_are_named_by_symbol_or_address() -> None:
    assert resolve(["WETH", checksum(DAI.address)], TOKENS) == (WETH.address, DAI.address)
    with pytest.raises(ValueError, match=r"no listed token has the symbol 'weth' \(listed: DAI, USDC"):
        resolve(["weth"], TOKENS)
    twin = token("USDC", 6)
    with pytest.raises(ValueError, match="several tokens are called 'USDC'"):
        resolve(["USDC"], [*TOKENS, twin])
