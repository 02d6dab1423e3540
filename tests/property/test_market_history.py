"""Whatever the chain does, the market is what replaying the surviving branch from scratch gives."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from flasharb.feed.events import BlockHeader, ClosedBlock, PoolEvent, PoolUnreliable, V2Sync, V3Burn, V3Mint, V3Swap
from flasharb.market import Advanced, History, Market
from flasharb.pools import Pool, V3Pool
from flasharb.pools.concentrated.tick_math import sqrt_price_at_tick
from tests.support.market_samples import DAI, USDC, WBTC, WETH, header, market, v2, v3

POOLS: tuple[Pool, ...] = (
    v2("a", (WETH.address, 10**21), (USDC.address, 3 * 10**12)),
    v2("b", (WETH.address, 10**20), (DAI.address, 3 * 10**23)),
    v3("c", (WETH.address, DAI.address), 0, [(-6000, 6000, 10**18)]),
    v3("d", (WBTC.address, WETH.address), 60, [(-6000, 6000, 10**15), (0, 120, 10**15)]),
)
ADDRESSES = [pool.spec.address for pool in POOLS]
CONCENTRATED = [pool.spec.address for pool in POOLS if isinstance(pool, V3Pool)]


def same(left: Market, right: Market) -> bool:
    """Equal in all but how they were reached."""
    return replace(left, touched=frozenset(), counts=right.counts) == replace(right, touched=frozenset())


@st.composite
def events_of_a_block(draw: st.DrawFn, number: int) -> tuple[PoolEvent | PoolUnreliable, ...]:
    """Swaps, mints, burns and now and then nonsense, as a block may bring them."""
    events: list[PoolEvent | PoolUnreliable] = []
    for _ in range(draw(st.integers(0, 4))):
        pool = draw(st.sampled_from(ADDRESSES))
        if pool not in CONCENTRATED:
            events.append(V2Sync(pool, draw(st.integers(1, 10**24)), draw(st.integers(1, 10**24)), number))
            continue
        kind = draw(st.sampled_from(["swap", "mint", "burn", "unreliable"]))
        lower = draw(st.integers(-5, 4)) * 60
        upper = lower + draw(st.integers(1, 5)) * 60
        amount = draw(st.integers(1, 10**15))
        match kind:
            case "swap":
                tick = draw(st.integers(-400, 400))
                events.append(V3Swap(pool, sqrt_price_at_tick(tick), tick, 10**18, number))
            case "mint":
                events.append(V3Mint(pool, lower, upper, amount, number))
            case "burn":
                events.append(V3Burn(pool, lower, upper, amount, number))
            case _:
                events.append(PoolUnreliable(pool, "cut off", number))
    return tuple(events)


@st.composite
def chains(draw: st.DrawFn) -> list[ClosedBlock]:
    """Blocks in the order a node reports them: a chain that forks off itself again and again."""
    reported: list[ClosedBlock] = []
    branch = [header(100)]
    for n in range(draw(st.integers(1, 14))):
        if draw(st.integers(0, 3)) == 0:
            branch = branch[: draw(st.integers(1, len(branch)))]
        parent = branch[-1]
        block = replace(header(parent.number + 1, f"branch {n}"), parent_hash=parent.hash)
        reported.append(ClosedBlock(block.number, draw(events_of_a_block(block.number)), block))
        branch.append(block)
    return reported


def surviving(reported: list[ClosedBlock]) -> list[ClosedBlock]:
    """The branch that the last block stands on, oldest first."""
    by_hash: dict[bytes, ClosedBlock] = {}
    for block in reported:
        assert block.header is not None
        by_hash[block.header.hash] = block
    branch: list[ClosedBlock] = []
    at: BlockHeader | None = reported[-1].header
    while at is not None and at.hash in by_hash:
        branch.append(by_hash[at.hash])
        parent = by_hash.get(at.parent_hash)
        at = None if parent is None else parent.header
    return branch[::-1]


@given(chains(), st.integers(0, 4))
def test_state_is_that_of_a_replay_from_scratch(reported: list[ClosedBlock], stale_after_blocks: int) -> None:
    start = market(*POOLS, stale_after_blocks=stale_after_blocks)
    history, replayed = History(start), start
    for block in reported:
        assert isinstance(history.advance(block), Advanced)
    for block in surviving(reported):
        replayed = replayed.apply(block)
    assert same(history.head, replayed)


@given(chains())
def test_going_on_and_back_is_the_identity(reported: list[ClosedBlock]) -> None:
    branch = surviving(reported)
    history = History(market(*POOLS))
    snapshots = [history.head]
    for block in branch:
        assert isinstance(history.advance(block), Advanced)
        snapshots.append(history.head)
    last = snapshots[-1]
    for before in reversed(snapshots[:-1]):
        assert before.block is not None
        result = history.rewind(before.block.hash)
        assert isinstance(result, Advanced)
        assert same(result.market, before)
        differing = {at for at in ADDRESSES if before.pools.get(at) != last.pools.get(at)}
        assert differing <= result.market.touched


@given(chains())
def test_touched_covers_every_difference(reported: list[ClosedBlock]) -> None:
    """What the detector is told is enough for it: nothing else differs from the head before."""
    history = History(market(*POOLS))
    for block in reported:
        before = history.head
        result = history.advance(block)
        assert isinstance(result, Advanced)
        now = result.market
        differing = {at for at in ADDRESSES if before.pools.get(at) is not now.pools.get(at)}
        assert differing <= now.touched


@given(chains(), st.data())
def test_a_pool_loaded_late_is_as_if_it_had_always_been_there(reported: list[ClosedBlock], data: st.DataObject) -> None:
    """Loaded at any block of the branch, early or late, a pool ends in the state of one tracked from that block on."""
    branch = surviving(reported)
    at = data.draw(st.integers(0, len(branch)))
    inserted_after = data.draw(st.integers(0, len(branch)))
    always = History(market(*POOLS))
    for block in branch[:at]:
        always.advance(block)
    late = [pool for address, pool in always.head.pools.items() if address in ADDRESSES[1::2]]
    for block in branch[at:]:
        always.advance(block)
    history = History(market(*POOLS[0::2]))
    for n in range(len(branch) + 1):
        if n:
            assert isinstance(history.advance(branch[n - 1]), Advanced)
        if n == inserted_after:
            assert isinstance(history.insert(late, 100 + at), Advanced)
    for pool in late:
        address = pool.spec.address
        assert history.head.pools.get(address) == always.head.pools.get(address)
