"""Following the chain: links by hash, reorgs, late and early loads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flasharb.feed.events import PoolsInvalidated, V2Sync
from flasharb.market import Advanced, History, Market, NeedsReload
from tests.support.market_samples import DAI, USDC, WETH, block_hash, closed, market, v2

A = v2("a", (WETH.address, 10**21), (USDC.address, 3 * 10**12))
B = v2("b", (WETH.address, 10**20), (DAI.address, 3 * 10**23))
AT_A, AT_B = A.spec.address, B.spec.address


def sync(number: int, value: int, pool: bytes = AT_A) -> V2Sync:
    return V2Sync(pool, value, value, number)  # type: ignore[arg-type]


def advanced(result: Advanced | NeedsReload) -> Market:
    assert isinstance(result, Advanced), result
    return result.market


def test_blocks_follow_the_head() -> None:
    history = History(market(A))
    result = history.advance(closed(101, sync(101, 5)))
    assert result == Advanced(history.head)
    assert history.head.pools[AT_A] == A.with_reserves(5, 5)


def test_the_same_block_again_changes_nothing() -> None:
    history = History(market(A))
    history.advance(closed(101, sync(101, 5)))
    again = advanced(history.advance(closed(101, sync(101, 5))))
    assert again.touched == frozenset()
    assert again.pools == history.head.pools
    assert history.advance(closed(102)) == Advanced(history.head)


def test_a_reorg_goes_back_to_the_fork_and_touches_what_differs() -> None:
    history = History(market(A, B))
    history.advance(closed(101, sync(101, 5)))
    history.advance(closed(102, sync(102, 6, AT_B)))
    history.advance(closed(103))
    result = history.advance(closed(102, sync(102, 7), branch="b", parent_branch="a"))
    assert isinstance(result, Advanced)
    assert result.dropped == 2
    assert result.market.pools == {AT_A: A.with_reserves(7, 7), AT_B: B}
    assert result.market.touched >= {AT_A, AT_B}
    assert advanced(history.advance(closed(103, branch="b"))).number == 103


def test_a_reorg_may_be_rewound_by_hash_alone() -> None:
    history = History(market(A))
    history.advance(closed(101, sync(101, 5)))
    history.advance(closed(102, sync(102, 6)))
    result = history.rewind(block_hash(100))
    assert isinstance(result, Advanced)
    assert result.dropped == 2
    assert result.market == replace(market(A), touched=result.market.touched)
    assert result.market.touched == {AT_A}


def test_a_reorg_deeper_than_the_history_is_named() -> None:
    history = History(market(A), depth=2)
    for number in (101, 102, 103):
        history.advance(closed(number))
    result = history.advance(closed(102, branch="b", parent_branch="a"))
    assert isinstance(result, NeedsReload)
    assert result.reason == "reorg_too_deep"
    assert history.head.number == 103, "nothing was dropped"


def test_missing_blocks_are_named() -> None:
    result = History(market(A)).advance(closed(103))
    assert isinstance(result, NeedsReload)
    assert result.reason == "missing_blocks"


def test_blocks_without_headers_follow_by_number() -> None:
    history = History(market(A))
    assert advanced(history.advance(replace(closed(101, sync(101, 5)), header=None))).number == 101
    assert advanced(history.advance(replace(closed(104), header=None))).number == 104
    result = history.advance(replace(closed(104), header=None))
    assert isinstance(result, NeedsReload)
    assert result.reason == "not_after_head"


def test_a_load_at_an_older_block_is_brought_up_to_the_head() -> None:
    history = History(market(A))
    history.advance(closed(101, sync(101, 5, AT_B)))
    history.advance(closed(102, sync(102, 6, AT_B)))
    market_now = advanced(history.insert([B], 101, block_hash(101)))
    assert market_now.pools[AT_B] == B.with_reserves(6, 6), "block 101 is in the load, block 102 is not"
    assert AT_B in market_now.touched
    at_101 = advanced(history.rewind(block_hash(101)))
    assert at_101.pools[AT_B] == B
    at_100 = advanced(history.rewind(block_hash(100)))
    assert AT_B not in at_100.pools
    assert "later block" in at_100.reload[AT_B]


def test_a_load_from_ahead_waits_for_the_head() -> None:
    history = History(market(A))
    assert AT_B not in advanced(history.insert([B], 102, block_hash(102))).pools
    assert AT_B not in advanced(history.advance(closed(101, sync(101, 5, AT_B)))).pools
    after = advanced(history.advance(closed(102, sync(102, 6, AT_B))))
    assert after.pools[AT_B] == B
    assert advanced(history.advance(closed(103, sync(103, 7, AT_B)))).pools[AT_B] == B.with_reserves(7, 7)


def test_a_load_from_ahead_of_another_branch_is_loaded_again() -> None:
    history = History(market(A))
    history.insert([B], 101, block_hash(101, "b"))
    after = advanced(history.advance(closed(101)))
    assert AT_B not in after.pools
    assert after.reload == {AT_B: "loaded on another branch"}


@pytest.mark.parametrize(("at", "branch"), [(99, "a"), (101, "b")])
def test_a_load_before_the_history_or_of_another_branch_is_refused(at: int, branch: str) -> None:
    history = History(market(A))
    history.advance(closed(101))
    result = history.insert([B], at, block_hash(at, branch))
    assert isinstance(result, NeedsReload)
    assert result.reason == "load_too_old"


def test_what_is_withdrawn_does_not_come_back_by_a_rewind() -> None:
    history = History(market(A, B))
    history.advance(closed(101))
    history.withdraw({AT_A: "looks wrong"})
    history.gap(frozenset({AT_B}), "lost messages")
    back = advanced(history.rewind(block_hash(100)))
    assert back.pools == {}
    assert back.reload == {AT_A: "looks wrong", AT_B: "feed gap: lost messages"}
    assert history.invalidate(PoolsInvalidated(300, (1,), "stale")).reload == back.reload


@pytest.mark.parametrize("lost", ["gap", "withdrawal", "invalidation", "retirement"])
def test_what_is_withdrawn_between_blocks_is_touched_by_the_next_one(lost: str) -> None:
    """Whoever was shown the head before must hear of it, or keeps a pool that is not in the market any more."""
    history = History(market(A, B))
    history.advance(closed(101))
    if lost == "gap":
        history.gap(frozenset({AT_B}), "lost messages")
    elif lost == "withdrawal":
        history.withdraw({AT_B: "looks wrong"})
    elif lost == "retirement":
        history.retire({AT_B})
    else:
        (venue, asset_id) = next(key for key, pools in history.head.index.by_asset_id.items() if AT_B in pools)
        history.invalidate(PoolsInvalidated(venue, (asset_id,), "stale"))
    gone = {AT_A, AT_B} - history.head.pools.keys()
    assert AT_B in gone
    after = advanced(history.advance(closed(102)))
    assert after.touched == gone
    assert advanced(history.advance(closed(103))).touched == frozenset()


def test_a_history_keeps_something() -> None:
    with pytest.raises(ValueError, match="at least one"):
        History(market(A), depth=0)
