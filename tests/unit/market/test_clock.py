"""Pools that answer for one block time: moved to the block that a trade is meant for, traded at the block's own."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from flasharb.feed.events import PoolLog
from flasharb.market import Market
from flasharb.pools.cryptoswap import RULES as CRYPTO_RULES
from flasharb.pools.cryptoswap import TRICRYPTO2, CryptoSwapPool
from flasharb.pools.stableswap import Ramp, StableSwapPool
from tests.support.curve_samples import POOL, WAD, crypto, stable
from tests.support.market_samples import closed, header

SLOT_S = 12
START = header(100).timestamp
EXCHANGE = "TokenExchange(address,uint256,uint256,uint256,uint256)"


def ramping(until: int) -> StableSwapPool:
    """A pool whose A doubles from ``START`` on."""
    return stable((10**24, 2 * 10**24), ramp=Ramp(20_000, 40_000, START, until)).at(START)


def market(pool: StableSwapPool | CryptoSwapPool) -> Market:
    return Market.load(100, [pool], (), block=header(100), slot_s=SLOT_S)


def exchange(pool: CryptoSwapPool, number: int) -> PoolLog:
    """The log of a trade in that block."""
    paid = pool.at(header(number).timestamp).swapped(0, 1, 10**21).amount_out
    (topic,) = (topic for topic, rule in CRYPTO_RULES.items() if rule.signature == EXCHANGE)
    data = b"".join(one.to_bytes(32, "big") for one in (0, 10**21, 1, paid))
    return PoolLog(POOL, (topic, bytes(32)), data, number, 0)


def test_a_ramping_pool_answers_for_the_next_block() -> None:
    """Without a log it differs from block to block, and counts as touched, until the ramp is over."""
    pool = ramping(START + 36)
    first = market(pool).apply(closed(101))
    second = first.apply(closed(102))
    third = second.apply(closed(103))

    assert first.pools[POOL] == pool.at(START + 24)
    assert second.pools[POOL] == pool.at(START + 36)
    assert first.touched == second.touched == {POOL}
    assert third.pools[POOL] is second.pools[POOL]
    assert third.touched == frozenset()
    # the larger A, the nearer to par is the coin that there is too much of
    assert first.pools[POOL].amount_out(0, 1, 10**23) < pool.amount_out(0, 1, 10**23)


def test_a_clock_is_no_sign_of_life() -> None:
    """A pool that only moves by the clock grows stale as any other."""
    quiet = replace(market(ramping(START + 10**6)), stale_after_blocks=2)
    assert quiet.apply(closed(101)).retired == frozenset()
    assert quiet.apply(closed(101)).apply(closed(102)).retired == {POOL}


def test_a_loaded_pool_is_moved_as_well() -> None:
    """It was loaded at a block's own time."""
    pool = ramping(START + 36)
    assert market(pool).inserting([pool], 100).pools[POOL] == pool.at(START + 12)
    still = stable((10**24, 10**24)).at(START)
    assert market(still).inserting([still], 100).pools[POOL] is still


def test_a_trade_is_followed_at_its_block_s_time() -> None:
    """The price oracle takes in the time since the last trade: the state is that of the trade's own block."""
    pool = crypto((10**24, 10**24, 10**24), rules=TRICRYPTO2).at(START)
    moved = msgspec.structs.replace(
        pool, prices=pool.prices._replace(last=(31_000 * WAD, 2_000 * WAD), last_timestamp=START - 600)
    )
    event = exchange(moved, 105)
    after = market(moved).apply(closed(105, event))

    assert after.pools[POOL] == moved.at(header(105).timestamp).swapped(0, 1, 10**21).pool
    assert after.pools[POOL] != moved.swapped(0, 1, 10**21).pool
    assert after.counts.applied == 1


def test_without_a_header_its_trades_cannot_be_followed() -> None:
    """The time is unknown then: the pool is loaded anew."""
    pool = crypto((10**24, 10**24, 10**24), rules=TRICRYPTO2)
    before = Market.load(100, [pool], ())
    after = before.apply(replace(closed(101, exchange(pool, 101)), header=None))
    assert "needs its time" in after.reload[POOL]
