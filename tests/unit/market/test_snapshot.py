"""One block's passage over the market, and where pools are found."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from flasharb.feed.events import (
    PoolLog,
    PoolsInvalidated,
    PoolUnreliable,
    V2Sync,
    V3Burn,
    V3Initialize,
    V3Mint,
    V3Swap,
)
from flasharb.feed.instrument import PoolInstrumentId, pool_asset_id, token_id
from flasharb.market import Market, transition
from flasharb.market.index import Index
from flasharb.market.snapshot import Counts
from flasharb.pools import V2Pool, V3Pool, protocols, v3_pool
from flasharb.pools.concentrated.tick_math import sqrt_price_at_tick
from flasharb.pools.events import Rule, reload, word
from flasharb.pools.protocols import PROTOCOLS
from tests.support.market_samples import DAI, USDC, WBTC, WETH, address_of, basket, closed, header, market, v2, v3

A = v2("a", (WETH.address, 10**21), (USDC.address, 3 * 10**12))
B = v2("b", (WETH.address, 10**20), (DAI.address, 3 * 10**23), protocol="sushiswap_v2")
C = v3("c", (WETH.address, USDC.address), 0, [(-600, 600, 10**15), (-60, 60, 10**16)], words=(-1, 0))
ADDRESS_A, ADDRESS_B, ADDRESS_C = (pool.spec.address for pool in (A, B, C))


def v3_state(snapshot: Market) -> V3Pool:
    pool = snapshot.pools[ADDRESS_C]
    assert isinstance(pool, V3Pool)
    return pool


def test_pools_are_found_by_address_hash_tokens_and_asset_id() -> None:
    snapshot = market(A, B, C)
    assert snapshot.pools[ADDRESS_B] is B
    uniswap_v2 = PoolInstrumentId.of(300, [token_id(WETH.address), token_id(USDC.address)])
    uniswap_v3 = PoolInstrumentId.of(301, [token_id(USDC.address), token_id(WETH.address)])
    assert snapshot.by_fast_hash(uniswap_v2.fast_hash) == (ADDRESS_A,)
    assert snapshot.by_fast_hash(uniswap_v3.fast_hash) == (ADDRESS_C,)
    assert snapshot.by_fast_hash(1) == ()
    asset = pool_asset_id(token_id(DAI.address), token_id(WETH.address))
    assert snapshot.by_asset_id(302, asset) == (ADDRESS_B,)
    assert snapshot.by_asset_id(300, asset) == ()
    assert snapshot.pools_of(DAI.address) == (ADDRESS_B,)
    assert set(snapshot.pools_of(WETH.address)) == {ADDRESS_A, ADDRESS_B, ADDRESS_C}
    assert snapshot.pools_between(USDC.address, WETH.address) == snapshot.pools_between(WETH.address, USDC.address)
    assert set(snapshot.pools_between(WETH.address, USDC.address)) == {ADDRESS_A, ADDRESS_C}
    assert snapshot.pools_between(WBTC.address, USDC.address) == ()


def test_two_fee_tiers_share_a_fast_hash() -> None:
    cheap = v3("cheap", (WETH.address, USDC.address), 0, [(-60, 60, 10**15)], fee_pips=500, tick_spacing=10)
    snapshot = market(C, cheap)
    shared = PoolInstrumentId.of(301, [token_id(WETH.address), token_id(USDC.address)]).fast_hash
    assert set(snapshot.by_fast_hash(shared)) == {ADDRESS_C, cheap.spec.address}


def test_a_block_makes_a_new_snapshot_and_leaves_the_old_one() -> None:
    before = market(A, B, C)
    after = before.apply(closed(101, V2Sync(ADDRESS_A, 5, 7, 101), V2Sync(ADDRESS_A, 6, 8, 101)))
    assert before.pools[ADDRESS_A] is A
    assert after.pools[ADDRESS_A] == A.with_reserves(6, 8)
    assert after.pools[ADDRESS_B] is B
    assert after.touched == {ADDRESS_A}
    assert (after.number, after.block) == (101, header(101))
    assert after.counts == Counts(applied=2)
    assert after.index is before.index


def test_an_empty_block_copies_nothing() -> None:
    before = market(A)
    after = before.apply(closed(101))
    assert after.pools is before.pools
    assert after.touched == frozenset()


def test_concentrated_events_move_price_and_ticks() -> None:
    price = sqrt_price_at_tick(120)
    events = (
        V3Swap(ADDRESS_C, price, 120, 10**15, 101),
        V3Mint(ADDRESS_C, 60, 180, 5 * 10**15, 101),
        V3Burn(ADDRESS_C, -60, 60, 10**16, 101),
    )
    after = v3_state(market(C).apply(closed(101, *events)))
    expected = v3("c", (WETH.address, USDC.address), 120, [(-600, 600, 10**15), (60, 180, 5 * 10**15)], words=(-1, 0))
    assert after == expected


def test_the_first_price_comes_by_an_event() -> None:
    blank = v3_pool(C.spec, 0, 0, 0, {}, (-4, 4))
    price = sqrt_price_at_tick(77)
    after = v3_state(market(blank).apply(closed(101, V3Initialize(ADDRESS_C, price, 77, 101))))
    assert (after.sqrt_price_x96, after.tick, after.liquidity) == (price, 77, 0)


def test_untracked_pools_are_counted_and_ignored() -> None:
    before = market(A)
    after = before.apply(closed(101, V2Sync(ADDRESS_B, 1, 2, 101)))
    assert after.counts == Counts(untracked=1)
    assert after.pools is before.pools


def test_events_that_the_load_already_holds_are_dropped() -> None:
    before = market(A).inserting([B], loaded_at=102)
    after = before.apply(closed(101, V2Sync(ADDRESS_B, 1, 2, 101), V2Sync(ADDRESS_A, 3, 4, 101)))
    assert after.pools[ADDRESS_B] is B
    assert after.counts == Counts(applied=1, superseded=1)
    at_load = after.apply(closed(102, V2Sync(ADDRESS_B, 1, 2, 102)))
    assert at_load.pools[ADDRESS_B] is B
    later = at_load.apply(closed(103, V2Sync(ADDRESS_B, 1, 2, 103)))
    assert later.pools[ADDRESS_B] == B.with_reserves(1, 2)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (PoolUnreliable(ADDRESS_C, "truncated price", 101), "truncated price"),
        (V2Sync(ADDRESS_C, 1, 1, 101), "a V2 sync for a concentrated pool"),
        (V3Swap(ADDRESS_C, sqrt_price_at_tick(10), 10, 5, 101), "contradicts the ticks"),
        (V3Swap(ADDRESS_C, sqrt_price_at_tick(60_000), 60_000, 0, 101), "left the loaded ticks"),
        (V3Burn(ADDRESS_C, -60, 60, 10**18, 101), "events were missed"),
    ],
)
def test_a_pool_whose_state_became_unknown_is_taken_out_and_listed(event: object, reason: str) -> None:
    swap = V3Swap(ADDRESS_C, sqrt_price_at_tick(1), 1, 11 * 10**15, 101)
    after = market(A, C).apply(closed(101, event, swap))  # type: ignore[arg-type]
    assert ADDRESS_C not in after.pools
    assert reason in after.reload[ADDRESS_C]
    assert after.touched == {ADDRESS_C}
    assert after.counts == Counts(unusable=2)
    assert after.pools_of(USDC.address) == (ADDRESS_A,)
    # its events are ignored until it is loaded, and then counted again
    ignored = after.apply(closed(102, swap))
    assert ignored.counts == Counts(untracked=1)
    reloaded = ignored.inserting([C], 102)
    assert reloaded.reload == {}
    assert reloaded.apply(closed(103, swap)).counts == Counts(applied=1)


def test_a_concentrated_event_for_a_constant_product_pool_takes_it_out() -> None:
    after = market(A).apply(closed(101, V3Mint(ADDRESS_A, -60, 60, 1, 101)))
    assert "constant-product" in after.reload[ADDRESS_A]


def test_withdrawn_pools_are_deleted_everywhere() -> None:
    asset = pool_asset_id(token_id(WETH.address), token_id(USDC.address))
    after = market(A, B, C).invalidating(PoolsInvalidated(301, (asset, 12345), "disconnect"))
    assert set(after.pools) == {ADDRESS_A, ADDRESS_B}
    assert after.reload == {ADDRESS_C: "withdrawn by the feed: disconnect"}
    assert after.index == market(A, B).index


def test_a_gap_takes_out_what_it_concerns() -> None:
    before = market(A, B)
    some = before.after_gap(frozenset({ADDRESS_B, address_of("untracked")}), "lost 3 messages")
    assert set(some.pools) == {ADDRESS_A}
    assert set(some.reload) == {ADDRESS_B}
    everything = before.after_gap(None, "reconnected")
    assert everything.pools == {}
    assert set(everything.reload) == {ADDRESS_A, ADDRESS_B}
    assert everything.index == Index()


def test_stale_pools_are_retired_exactly_after_the_configured_blocks() -> None:
    snapshot = market(A, B, stale_after_blocks=3)
    sync = V2Sync(ADDRESS_A, 1, 1, 102)
    for number in (101, 102):
        snapshot = snapshot.apply(closed(number, *([sync] if number == 102 else [])))
        assert set(snapshot.pools) == {ADDRESS_A, ADDRESS_B}
    snapshot = snapshot.apply(closed(103))
    assert set(snapshot.pools) == {ADDRESS_A}
    assert snapshot.retired == {ADDRESS_B}
    assert snapshot.touched == {ADDRESS_B}
    snapshot = snapshot.apply(closed(104, V2Sync(ADDRESS_B, 1, 1, 104)))
    assert snapshot.retired == frozenset()
    assert "active again" in snapshot.reload[ADDRESS_B]
    assert market(A, B).apply(closed(10_000)).pools == market(A, B).pools


def test_a_block_that_is_not_later_is_refused() -> None:
    with pytest.raises(ValueError, match="rewind first"):
        market(A).apply(closed(100))


def test_a_market_crosses_processes_unchanged() -> None:
    snapshot = market(A, B, C).apply(closed(101, V2Sync(ADDRESS_A, 5, 7, 101)))
    copy = pickle.loads(pickle.dumps(snapshot))
    assert copy == snapshot
    assert isinstance(copy.pools[ADDRESS_A], V2Pool)


def test_a_pool_of_three_tokens_stands_under_each_of_them_and_each_pair() -> None:
    three = basket("three", {WETH.address: 10**18, DAI.address: 10**18, USDC.address: 10**6})
    snapshot = market(A, three)
    at = three.spec.address
    for one, other in ((WETH, DAI), (DAI, USDC), (USDC, WETH)):
        assert at in snapshot.pools_of(one.address)
        assert at in snapshot.pools_between(one.address, other.address)
    ids = [token_id(token.address) for token in (WETH, DAI, USDC)]
    assert snapshot.by_fast_hash(PoolInstrumentId.of(300, ids).fast_hash) == (at,)


def test_a_log_that_is_none_of_a_pool_s_protocol_changes_nothing() -> None:
    before = market(A)
    after = before.apply(closed(101, PoolLog(ADDRESS_A, (bytes(32),), b"", 101, 0)))
    assert after.pools[ADDRESS_A] is A
    assert not after.reload


def test_logs_of_another_contract_move_the_pools_that_listen_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rate provider's log reaches every pool that names it as a source; what it does not tell costs a reload."""
    provider, told, untold = address_of("provider"), bytes([1] * 32), bytes([2] * 32)
    halves = Rule("Rate(uint256)", 0, 1, lambda pool, log: pool.with_reserves(word(log, 0), pool.reserve1))
    moves = {told: halves, untold: replace(halves, apply=reload("a jump"))}
    known = replace(PROTOCOLS["uniswap_v2"], sources=lambda _spec: (provider,), rules=moves)
    monkeypatch.setattr(protocols, "PROTOCOLS", {**PROTOCOLS, "uniswap_v2": known})
    monkeypatch.setattr(transition, "PROTOCOLS", {**PROTOCOLS, "uniswap_v2": known})
    before = market(A, B)
    after = before.apply(closed(101, PoolLog(provider, (told,), (7).to_bytes(32, "big"), 101, 0)))
    assert after.pools[ADDRESS_A] == A.with_reserves(7, A.reserve1)
    assert after.pools[ADDRESS_B] is B
    assert (after.touched, after.counts.applied, after.counts.untracked) == ({ADDRESS_A}, 1, 0)
    gone = after.apply(closed(102, PoolLog(provider, (untold,), bytes(32), 102, 0)))
    assert gone.reload == {ADDRESS_A: "a jump"}
    odd = after.apply(closed(102, PoolLog(provider, (told,), bytes(64), 102, 0)))
    assert "another shape" in odd.reload[ADDRESS_A]
