"""Metapools: the base pool's price as a rate, live or copied for ten minutes, along time and along both pools' logs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_hash.auto import keccak

from flasharb.feed.events import ClosedBlock, PoolLog
from flasharb.market import Market
from flasharb.pools.contract import beside
from flasharb.pools.errors import Uninitialised
from flasharb.pools.events import StateUnknown
from flasharb.pools.protocols import sources_of
from flasharb.pools.spec import PoolSpec
from flasharb.pools.stableswap import StableFacts, StableSwapPool, events, identify, stable_pool
from flasharb.pools.stableswap.codes import PROTOCOL, THREE_POOL
from flasharb.pools.stableswap.pool import BasePrice, StableParameters
from flasharb.pools.stableswap.ramp import steady
from flasharb.pools.stableswap.rules import META, META_FACTORY_3
from flasharb.pools.stableswap.storage import state
from flasharb.pools.storage import Elsewhere, Needs, Refused
from flasharb.strategy.limits import UNLIMITED
from flasharb.strategy.route import Leg, Route
from flasharb.strategy.size import size
from flasharb.strategy.trade import Hop, Opportunity, Trade
from flasharb.units import Address
from tests.support.curve_samples import COINS, LP, NOW, POOL, WAD
from tests.support.market_samples import header, v2

CRV = THREE_POOL.tokens[3]
BASE_BALANCES = (95 * 10**24, 104 * 10**12, 102 * 10**12)
HEADER = replace(header(7), timestamp=NOW)
LIVE = StableFacts(META_FACTORY_3, (WAD, WAD), 19, base=THREE_POOL)
COPYING = StableFacts(META, (WAD, WAD), 4, base=THREE_POOL)


def base_pool(balances: tuple[int, ...] = BASE_BALANCES) -> StableSwapPool:
    """The base pool, whose LP token is worth 3 % more than par."""
    parameters = StableParameters(steady(2000), 10**6, 5 * 10**9)
    return stable_pool(THREE_POOL, parameters, balances=balances, supply=292 * 10**24, timestamp=NOW)


def metapool(facts: StableFacts = LIVE, copied: BasePrice | None = None) -> StableSwapPool:
    """A metapool upon it."""
    spec = PoolSpec(POOL, PROTOCOL, (COINS[0], CRV, POOL if facts is LIVE else LP), 0, facts=facts)
    parameters = StableParameters(steady(20_000), 4 * 10**6, 5 * 10**9)
    return stable_pool(
        spec,
        parameters,
        balances=(10**25, 9 * 10**24),
        supply=19 * 10**24,
        timestamp=NOW,
        base=base_pool(),
        copied=copied,
    )


def exchange_log(at: Address, i: int, amount: int, j: int, paid: int) -> PoolLog:
    """TokenExchange of the pool at this address."""
    topics = (keccak(b"TokenExchange(address,int128,uint256,int128,uint256)"), bytes(32))
    return PoolLog(at, topics, b"".join(word.to_bytes(32, "big") for word in (i, amount, j, paid)), 0, 0)


def test_the_last_coin_is_worth_the_base_pools_virtual_price() -> None:
    """And the logs of the base pool are heard."""
    pool = metapool()
    assert pool.rates == (WAD, base_pool().virtual_price())
    assert pool.rates[1] > WAD
    assert sources_of(pool.spec) == (THREE_POOL.address,)


def test_a_log_of_the_base_pool_moves_the_price() -> None:
    """To the state that it would be loaded with; the fee that was paid to the base pool makes its LP token dearer."""
    pool, base = metapool(), base_pool()
    swap = base.swapped(0, 1, 10**25)
    log = exchange_log(THREE_POOL.address, 0, 10**25, 1, swap.amount_out)
    after = events.RULES[log.topics[0]].apply(pool, log)

    assert isinstance(after, StableSwapPool)
    assert after.base == swap.pool
    assert after == pool.with_state(base=swap.pool)
    assert after.rates[1] == swap.pool.virtual_price() > pool.rates[1]
    assert after.amount_out(1, 0, 10**22) > pool.amount_out(1, 0, 10**22)


def test_a_market_moves_both_by_one_log() -> None:
    """The base pool and the metapool, whether or not the base pool is traded itself."""
    pool, base = metapool(), base_pool()
    swap = base.swapped(0, 1, 10**25)
    block = ClosedBlock(7, (exchange_log(THREE_POOL.address, 0, 10**25, 1, swap.amount_out),), HEADER)
    for others in ((), (base,)):
        market = Market.load(6, (pool, *others), ()).apply(block)
        after = market.pools[POOL]
        assert isinstance(after, StableSwapPool)
        assert after.base == swap.pool
        assert after.rates[1] == swap.pool.virtual_price()
        assert market.pools.get(THREE_POOL.address) == (swap.pool if others else None)
        assert market.reload == {}


def test_a_log_of_its_own_moves_only_itself() -> None:
    """The base pool is not touched by an exchange of its LP token."""
    pool = metapool()
    swap = pool.swapped(0, 1, 10**22)
    log = exchange_log(POOL, 0, 10**22, 1, swap.amount_out)

    assert events.RULES[log.topics[0]].apply(pool, log) == swap.pool
    assert swap.pool.base == pool.base
    with pytest.raises(StateUnknown, match="our state"):
        events.RULES[log.topics[0]].apply(pool, exchange_log(POOL, 0, 10**22, 1, swap.amount_out + 1))


@pytest.mark.parametrize(("age", "old"), [(0, False), (600, False), (601, True), (10**6, True)])
def test_a_copy_of_the_price_lasts_ten_minutes(age: int, old: bool) -> None:
    """Then the next hop goes by the price of now, and leaves a copy of it."""
    copied = BasePrice(101 * 10**16, NOW - age)
    pool = metapool(COPYING, copied)
    price = base_pool().virtual_price()
    after = pool.swapped(0, 1, 10**22).pool

    assert pool.rates[1] == (price if old else copied.price)
    assert after.copied == (BasePrice(price, NOW) if old else copied)
    assert pool.moves_with_time == (not old)
    later = pool.at(NOW + 10**7)
    assert later.rates[1] == price
    assert later == pool.with_state(timestamp=NOW + 10**7, base=base_pool().at(NOW + 10**7))


def test_a_base_pool_that_loses_its_price_takes_the_metapool_with_it() -> None:
    """At once, also where a copy still holds: later, a block's time alone would ask for the price."""
    emptied = base_pool((0, 0, 0))
    for pool in (metapool(), metapool(COPYING, BasePrice(WAD, NOW))):
        with pytest.raises(Uninitialised, match="no invariant"):
            pool.with_base(emptied)


def test_underlying_coins_are_two_hops() -> None:
    """Coin to LP token here, LP token to coin in the base pool, as the contract's ``exchange_underlying`` does it."""
    pool = metapool()
    lp_tokens = pool.amount_out(0, 1, 10**22)
    paid = base_pool().amount_out(3, 1, lp_tokens)

    assert 9_990 * 10**6 < paid < 10_020 * 10**6


def test_a_base_pool_without_a_known_price_is_no_base() -> None:
    """Its state is asked for, slots and the LP token's supply; unknown, the metapool is refused, not guessed."""
    spec = metapool().spec
    asked = state(spec, {}, Elsewhere(timestamp=NOW))
    assert isinstance(asked, Needs)
    assert (CRV, 5) in asked.elsewhere
    assert {at for at, _slot in asked.elsewhere} == {CRV, THREE_POOL.address}

    own = dict.fromkeys(asked.slots, 10**9)
    others = dict.fromkeys(asked.elsewhere, 0)
    assert "its base pool's price is not known" in str(state(spec, own, Elsewhere(others, timestamp=NOW)))
    killed = others | {(THREE_POOL.address, 15): 1}
    assert state(spec, own, Elsewhere(killed, timestamp=NOW)) == Refused("its base pool: the pool is killed")
    with pytest.raises(Uninitialised):
        metapool().with_state(base=base_pool((0, 0, 0)))


def test_forwarded_code_that_nobody_ran_is_none_of_ours() -> None:
    """Both forms of forwarder lead to the contract whose code decides."""
    target = Address(b"\x77" * 20)
    for head, tail in (
        ("363d3d373d3d3d363d73", "5af43d82803e903d91602b57fd5bf3"),
        ("366000600037611000600036600073", "5af4602c57600080fd5b6110006000f3"),
    ):
        proxy = bytes.fromhex(head) + target + bytes.fromhex(tail)
        assert identify(POOL, {}, Elsewhere(codes={POOL: proxy})) == Needs(code=frozenset({target}))
        assert identify(POOL, {}, Elsewhere(codes={POOL: proxy, target: b"\0"})) is None


def test_a_route_through_the_base_pool_first_goes_by_the_price_that_it_leaves() -> None:
    """The deposit's fee makes the LP token dearer; without that hop before it the metapool answers as it stands."""
    pool, base = metapool(), base_pool()
    deposit = base.swapped(1, 3, 10**13)
    exact = pool.with_base(deposit.pool).amount_out(1, 0, deposit.amount_out)
    route, back = Route((Leg(base, 1, 3), Leg(pool, 1, 0))), Route((Leg(pool, 0, 1), Leg(base, 3, 1)))

    assert (route.is_moving, back.is_moving) == (True, False)
    assert route.amounts(10**13) == (10**13, deposit.amount_out, exact)
    assert exact != pool.amount_out(1, 0, deposit.amount_out)
    assert route.amounts(0) == (0, 0, 0)
    assert route.amounts(10**60) is None
    assert beside(pool, pool) is pool


def test_no_bound_is_claimed_where_one_swap_moves_the_curve_of_the_next() -> None:
    """USDC to the LP token of the base pool, that to the metapool's coin, and back over a pair: exact, but unbounded.

    The other way round the metapool is swapped before the base pool moves, and the bound stands.
    """
    usdc, coin = THREE_POOL.tokens[1], COINS[0]
    pair = v2("pair", (usdc, 10**14), (coin, 9 * 10**25))
    snapshot = Market.load(7, [metapool(), base_pool(), pair], [], block=HEADER)
    there = (
        Hop(THREE_POOL.address, usdc, CRV),
        Hop(POOL, CRV, coin),
        Hop(pair.spec.address, coin, usdc),
    )
    trade = size(snapshot, Opportunity(1, there, 1.05, 7), UNLIMITED)
    assert isinstance(trade, Trade)
    assert trade.gain_bound == 0

    cheap = v2("pair", (usdc, 10**14), (coin, 11 * 10**25))
    snapshot = Market.load(7, [metapool(), base_pool(), cheap], [], block=HEADER)
    back = (
        Hop(cheap.spec.address, usdc, coin),
        Hop(POOL, coin, CRV),
        Hop(THREE_POOL.address, CRV, usdc),
    )
    trade = size(snapshot, Opportunity(2, back, 1.05, 7), UNLIMITED)
    assert isinstance(trade, Trade)
    assert trade.gain_bound >= trade.gross_profit
