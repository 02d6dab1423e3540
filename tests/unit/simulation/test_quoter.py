"""A pool that is quoted by running its code gives what the modelled pool gives, and is sized like it."""

from __future__ import annotations

from random import Random

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from flasharb.evm import Account, DictState, Fork, Machine, TransactionResult, UnsignedTransaction
from flasharb.market import Market
from flasharb.pools import InsufficientLiquidity, PoolSpec, V2Pool
from flasharb.pools.protocols import DEPLOYMENTS, pool_address
from flasharb.pools.quoted.pool import QuotedPool, UnknownState
from flasharb.simulation.quoter import View, quotes_on
from flasharb.strategy.limits import UNLIMITED
from flasharb.strategy.size import size
from flasharb.strategy.trade import Hop, Opportunity, Trade
from flasharb.units import Address
from tests.support.market_samples import address_of
from tests.support.pool_bytecode import CONTEXT, SENDER, TOKEN0, TOKEN1, creation_code, deployed_code, number

UNISWAP = DEPLOYMENTS[1]["uniswap_v2"]
RESERVES = 10**21, 4 * 10**21


def pair() -> V2Pool:
    spec = PoolSpec(TOKEN0, "uniswap_v2", (TOKEN0, TOKEN1), 3000)
    at = pool_address(UNISWAP, spec)
    assert at is not None
    return V2Pool(PoolSpec(at, "uniswap_v2", spec.tokens, 3000), *RESERVES)


def machine(known: V2Pool) -> tuple[Machine, Address]:
    """The pair where its factory creates it, and a router beside it."""
    slots = {6: number(TOKEN0), 7: number(TOKEN1), 8: known.reserve0 | known.reserve1 << 112, 12: 1}
    accounts = {
        known.spec.address: Account(nonce=1, code=deployed_code("UniswapV2Pair"), storage=slots),
        SENDER: Account(balance=10**30),
    }
    world = Machine(DictState(accounts), CONTEXT, Fork.PRAGUE)
    data = creation_code("UniswapV2Router02") + encode(["address", "address"], [UNISWAP.factory, bytes(20)])
    created = send(world, b"", data, 0)
    assert created.contract_address is not None, created.error
    return world, Address(created.contract_address)


def send(world: Machine, to: bytes, data: bytes, nonce: int) -> TransactionResult:
    return world.apply(UnsignedTransaction(SENDER, to, data, 0, nonce, 8_000_000, 0, 0))


def quoted(known: V2Pool) -> QuotedPool:
    """The pair by the router's own ``getAmountsOut``, under an address of its own."""
    world, router = machine(known)
    selector = keccak(b"getAmountsOut(uint256,address[])")[:4]

    def call(i: int, j: int, amount: int) -> bytes:
        path = [known.spec.tokens[i], known.spec.tokens[j]]
        return selector + encode(["uint256", "address[]"], [amount, path])

    spec = PoolSpec(address_of("quoted"), "uniswap_v2", known.spec.tokens, 3000)
    return QuotedPool(spec, (known.reserve0, known.reserve1), quotes_on(world, View(router, call, word=3)))


def test_the_code_s_quotes_are_the_model_s() -> None:
    """Outputs and least inputs in both directions, over twelve decimal orders."""
    known, dice = pair(), Random(4)
    pool = quoted(known)
    for _ in range(25):
        i, j = dice.choice([(0, 1), (1, 0)])
        amount = int(10 ** dice.uniform(9, 21))
        assert pool.amount_out(i, j, amount) == known.amount_out(i, j, amount)
        wanted = dice.randrange(1, RESERVES[j] // 2)
        assert pool.amount_in(i, j, wanted) == known.amount_in(i, j, wanted)
    for ends in ((0, 1), (1, 0)):
        assert pool.marginal_rate(*ends) == pytest.approx(known.marginal_rate(*ends), rel=2e-4)
        assert pool.marginal_rate(*ends) <= known.marginal_rate(*ends)


def test_a_route_through_the_code_is_sized_like_the_model() -> None:
    known = pair()
    other = V2Pool(PoolSpec(address_of("other"), "uniswap_v2", (TOKEN0, TOKEN1), 3000), 10**21, 37 * 10**20)
    trades = []
    for there in (known, quoted(known)):
        cycle = Hop(there.spec.address, TOKEN0, TOKEN1), Hop(other.spec.address, TOKEN1, TOKEN0)
        trade = size(Market.load(1, (there, other), ()), Opportunity(1, cycle, 1.07, 1), UNLIMITED)
        assert isinstance(trade, Trade)
        trades.append(trade)
    modelled, run = trades
    assert run.gross_profit == pytest.approx(modelled.gross_profit, rel=1e-9)
    assert run.gain_bound >= modelled.gross_profit


def test_the_quotes_are_of_the_moment_when_they_were_made_and_asked_once() -> None:
    known = pair()
    world, _ = machine(known)
    asked = []

    def counting(i: int, j: int, amount: int) -> int | None:
        asked.append(amount)
        return known.amount_out(i, j, amount) if amount < 10**24 else None

    pool = QuotedPool(known.spec, RESERVES, counting)
    assert pool.amount_out(0, 1, 10**18) == pool.amount_out(0, 1, 10**18) == known.amount_out(0, 1, 10**18)
    assert asked == [10**18]
    with pytest.raises(InsufficientLiquidity, match="reverts"):
        pool.amount_out(0, 1, 10**24)
    with pytest.raises(UnknownState):
        pool.swapped(0, 1, 1)
    pool_before = quotes_on(world, View(known.spec.address, lambda _i, _j, _x: keccak(b"getReserves()")[:4]))
    assert pool_before(0, 1, 1) == known.reserve0
    send(world, known.spec.address, keccak(b"sync()")[:4], 1)
    assert pool_before(0, 1, 2) == known.reserve0


def test_a_quote_that_falls_has_no_inverse() -> None:
    def falling(_i: int, _j: int, amount: int) -> int | None:
        return max(0, 1000 - amount)

    pool = QuotedPool(PoolSpec(address_of("odd"), "uniswap_v2", (TOKEN0, TOKEN1), 0), (10**6, 10**6), falling)
    with pytest.raises(InsufficientLiquidity):
        pool.amount_in(0, 1, 999_999)
