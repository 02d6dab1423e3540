"""A trade of several paths on the real pools' bytecode: one transaction, exactly the profit that was sized."""

from __future__ import annotations

from itertools import product

import pytest

from flasharb.execution.program import encode_call, pick_loan
from flasharb.market import Market
from flasharb.pools import Pool as ModelPool
from flasharb.pools import PoolSpec, TickLiquidity, V2Pool, v3_pool
from flasharb.settings import Settings
from flasharb.strategy.detect import Detector
from flasharb.strategy.limits import UNLIMITED
from flasharb.strategy.size import size
from flasharb.strategy.split import Terms, splits
from flasharb.strategy.trade import Trade
from tests.support.contract_world import ETHER, OWNER, V3_FEES, Pool, World

KINDS = ("v2", "v3")
GAS_PRICE = 10**9


def modelled(world: World, pool: Pool) -> ModelPool:
    """The pool's state as the chain has it."""
    tokens = (pool.token0, pool.token1)
    if not pool.is_v3:
        spec = PoolSpec(pool.address, pool.protocol, tokens, pool.fee_pips)
        reserves = world.read(pool.address, "getReserves()", "uint112,uint112,uint32")
        return V2Pool(spec, reserves[0], reserves[1])
    spacing = V3_FEES[pool.fee_pips]
    spec = PoolSpec(pool.address, pool.protocol, tokens, pool.fee_pips, spacing)
    slot0 = world.read(pool.address, "slot0()", "uint160,int24,uint16,uint16,uint16,uint8,bool")
    liquidity = int(world.read(pool.address, "liquidity()", "uint128"))
    limit = 887_272 // spacing * spacing
    ticks = {-limit: TickLiquidity(liquidity, liquidity), limit: TickLiquidity(liquidity, -liquidity)}
    return v3_pool(spec, slot0[0], slot0[1], liquidity, ticks)


def parallel_pools(world: World, shape: tuple[str, ...]) -> list[Pool]:
    """One pool where WETH buys much, and two side by side where it is bought back."""
    token = world.token()
    pools = []
    for n, kind in enumerate(shape):
        there = 2_150 * ETHER if n == 0 else 2_000 * ETHER
        reserves = {world.weth: 2_000 * ETHER + 1_234_567 * n, token: there + 89 * n}
        fee = (3000, 500, 10000)[n]
        pools.append(world.v2_pool(reserves) if kind == "v2" else world.v3_pool(reserves, fee))
    world.next_block()
    for pool in pools:
        # a pool's first swaps ever fill slots, which costs gas that no later one pays
        world.swap(pool, world.weth, ETHER // 10)
        world.swap(pool, token, ETHER // 10)
    world.next_block()
    return pools


def found(world: World, pools: list[Pool]) -> tuple[list[Trade], list[Trade]]:
    """The single cycles, and the trades of several paths."""
    market = Market.load(world.number, [modelled(world, pool) for pool in pools], [])
    sized = [size(market, opportunity, UNLIMITED) for opportunity in Detector(2, (world.weth,)).update(market, None)]
    trades = [trade for trade in sized if isinstance(trade, Trade)]
    terms = Terms(UNLIMITED, 0, lambda trade: trade.gross_profit - trade.gas_estimate * GAS_PRICE)
    return trades, splits(market, trades, terms)


@pytest.mark.parametrize("shape", list(product(KINDS, repeat=3)), ids="-".join)
def test_a_split_trade_makes_exactly_what_was_sized(shape: tuple[str, ...]) -> None:
    """In one transaction, and more than the best single cycle even after its gas."""
    world = World()
    pools = parallel_pools(world, shape)
    world.wrap(world.contract, 1)
    trades, (trade,) = found(world, pools)
    alone = max(trades, key=lambda one: one.gross_profit)
    assert len(trade.paths) == 2
    assert alone.gross_profit < trade.gross_profit <= trade.gain_bound

    data = encode_call(
        trade,
        weth=world.weth,
        loan=pick_loan(trade, Settings()),
        min_profit=trade.gross_profit,
        bid_wei=0,
        deadline_block=world.number,
    )
    result = world.send(world.contract, data, sender=OWNER)

    assert result.status == 1, (result.error, result.output.hex())
    assert world.balance(world.weth, world.contract) == 1 + trade.gross_profit
    (token,) = {one.hop.token_in for one in trade.hops} - {world.weth}
    assert world.balance(token, world.contract) == 0
    assert trade.gas_estimate <= result.gas_used <= 1.06 * trade.gas_estimate
    more_gas = trade.gas_estimate - alone.gas_estimate
    assert trade.gross_profit - alone.gross_profit > more_gas * GAS_PRICE
