"""A profit that only a cycle of more than four pools has: found by the service's detector, executed to the unit."""

from __future__ import annotations

import pytest
import trio

from flasharb.execution.program import encode_call, pick_loan
from flasharb.market import Market
from flasharb.pools import Token
from flasharb.service.conflated import Conflated
from flasharb.service.detector import Detector
from flasharb.service.figures import Figures
from flasharb.service.messages import Candidates, Update, newest
from flasharb.service.reports import Report, TradeFound
from flasharb.settings import Pools, Settings, Strategy
from flasharb.strategy.search import Search, Tokens
from flasharb.strategy.trade import Trade
from tests.contract.test_split_routes import modelled
from tests.support.contract_world import ETHER, OWNER, Pool, World
from tests.support.market_samples import header


def ring(world: World, length: int) -> list[Pool]:
    """Pools of both kinds, each between two tokens that no other has, all the way round from WETH to WETH."""
    tokens = [world.weth, *(world.token() for _ in range(length - 1))]
    pools = []
    for n, token in enumerate(tokens):
        reserves = {token: 2_000 * ETHER, tokens[(n + 1) % length]: 2_050 * ETHER}
        pools.append(world.v3_pool(reserves) if n % 3 == 1 else world.v2_pool(reserves))
    world.next_block()
    return pools


async def searched(world: World, pools: list[Pool], settings: Settings) -> tuple[list[Trade], list[Report]]:
    """The trades that the service's detector hands on, and what it reports."""
    tokens = [Token(world.weth, "WETH", 18)]
    market = Market.load(world.number, [modelled(world, pool) for pool in pools], tokens)
    reports: list[Report] = []
    detector = Detector(Search(settings, Tokens((world.weth,), (), world.weth)), Figures(), reports.append)
    updates: Conflated[Update] = Conflated(newest)
    updates.put(Update(market, header(world.number), None, trio.current_time(), trio.current_time() + 1e6))
    updates.close()
    send, receive = trio.open_memory_channel[Candidates](1)
    await detector.run(updates, send)
    return [trade for found in receive_all(receive) for trade in found.trades], reports


def receive_all(channel: trio.MemoryReceiveChannel[Candidates]) -> list[Candidates]:
    found = []
    try:
        while True:
            found.append(channel.receive_nowait())
    except (trio.EndOfChannel, trio.WouldBlock):
        return found


@pytest.mark.parametrize("length", [5, 6])
async def test_the_only_profit_is_a_long_cycle(length: int) -> None:
    """Without the setting there is nothing; with it a trade, whose transaction makes exactly its profit."""
    world = World()
    pools = ring(world, length)
    world.wrap(world.contract, 1)
    settings = Settings(
        strategy=Strategy(min_profit_usd=0.0, max_hops=4, longest_cycle=length), pools=Pools(min_liquidity_usd=0.0)
    )
    short = Settings(strategy=Strategy(min_profit_usd=0.0, max_hops=4), pools=settings.pools)
    assert await searched(world, pools, short) == ([], [])

    (trade,), (report,) = await searched(world, pools, settings)

    assert isinstance(report, TradeFound)
    assert [one.hop.pool for one in trade.hops] == [pool.address for pool in pools]
    assert trade.net_profit_wei_estimate > 0
    loan = pick_loan(trade, settings)
    assert loan is not None
    data = encode_call(
        trade, weth=world.weth, loan=loan, min_profit=trade.gross_profit, bid_wei=0, deadline_block=world.number
    )
    result = world.send(world.contract, data, sender=OWNER)
    assert result.status == 1, (result.error, result.output.hex())
    assert world.balance(world.weth, world.contract) == 1 + trade.gross_profit
    assert trade.gas_estimate <= result.gas_used
