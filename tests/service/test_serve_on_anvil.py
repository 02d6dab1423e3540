"""Any Ethereum node as the only source: real pools on anvil, a price moved, the candidate seen and simulated."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
from web3 import Web3

from flasharb.adapters.journal import Journal
from flasharb.adapters.node import open_node
from flasharb.adapters.web3_provider import web3_on
from flasharb.execution.artifact import creation_code
from flasharb.execution.outcome import DryRun
from flasharb.pools.protocols import DEPLOYMENTS
from flasharb.service.figures import Figures
from flasharb.service.preflight import Plan
from flasharb.service.reports import Report, Started, TradeFound
from flasharb.service.serve import serve
from flasharb.settings import Chain as ChainSettings
from flasharb.settings import Contract, MessageBus, Node, Pools, Settings, Simulation, Strategy
from flasharb.units import ZERO_ADDRESS
from tests.service.test_node_source_on_anvil import DEADLINE, ETH, Q96, Chain, raw
from tests.support.node_tools import running_anvil

pytestmark = [pytest.mark.node, pytest.mark.slow]

ANVIL_CHAIN_ID = 31_337


class World:
    """WETH and a dollar in a V2 and a V3 pool at the same price, and FlashArb."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.weth: Any = None
        self.dollar: Any = None
        self.router: Any = None
        self.pair: Any = None
        self.pool: Any = None
        self.contract = ""
        self.factories: dict[str, str] = {}

    async def build(self) -> None:
        chain = self.chain
        self.weth, self.dollar = await chain.token(), await chain.token()
        token0, token1 = sorted((self.weth, self.dollar), key=raw)
        v2 = await chain.deploy("UniswapV2Factory", chain.account)
        await chain.send(v2.functions.createPair(token0.address, token1.address))
        self.pair = chain.at("UniswapV2Pair", await v2.functions.getPair(token0.address, token1.address).call())
        for token in (token0, token1):
            await chain.send(token.functions.transfer(self.pair.address, 100 * ETH))
        await chain.send(self.pair.functions.mint(chain.account))
        v3 = await chain.deploy("UniswapV3Factory")
        positions = await chain.deploy("NonfungiblePositionManager", v3.address, self.weth.address, chain.account)
        self.router = await chain.deploy("SwapRouter", v3.address, self.weth.address)
        for token in (token0, token1):
            for spender in (positions, self.router):
                await chain.send(token.functions.approve(spender.address, 2**255))
        await chain.send(v3.functions.createPool(token0.address, token1.address, 3000))
        self.pool = chain.at("UniswapV3Pool", await v3.functions.getPool(token0.address, token1.address, 3000).call())
        await chain.send(self.pool.functions.initialize(Q96))
        mint = (token0.address, token1.address, 3000, -6000, 6000, 30 * ETH, 30 * ETH, 0, 0, chain.account, DEADLINE)
        await chain.send(positions.functions.mint(mint))
        self.factories = {"uniswap_v2": v2.address, "uniswap_v3": v3.address}
        owner = bytes.fromhex(chain.account[2:])
        code = creation_code(owner, raw(self.weth), ZERO_ADDRESS)  # type: ignore[arg-type]  # 20 bytes
        receipt = await chain.send(_Creation(chain, code))
        self.contract = Web3.to_checksum_address(receipt["contractAddress"])

    async def move_price(self) -> None:
        """Someone sells WETH on V3."""
        await self.swap(12 * ETH)

    async def swap(self, amount: int) -> None:
        chain = self.chain
        order = (self.weth.address, self.dollar.address, 3000, chain.account, DEADLINE, amount, 0, 0)
        await chain.send(self.router.functions.exactInputSingle(order))

    def settings(self, folder: Path, url: str) -> Settings:
        token0, token1 = sorted((self.weth, self.dollar), key=raw)
        common = {"token0": token0.address, "token1": token1.address, "fee_pips": 3000}
        pools = [
            {**common, "address": self.pair.address, "protocol": "uniswap_v2"},
            {**common, "address": self.pool.address, "protocol": "uniswap_v3", "tick_spacing": 60},
        ]
        tokens = [
            {"address": self.weth.address, "symbol": "WETH", "decimals": 18},
            {"address": self.dollar.address, "symbol": "USD", "decimals": 18},
        ]
        deployments = {
            name: {"factory": factory, "init_code_hash": "0x" + DEPLOYMENTS[1][name].init_code_hash.hex()}
            for name, factory in self.factories.items()
        }
        pool_file = {"chain_id": ANVIL_CHAIN_ID, "deployments": deployments, "pools": pools}
        (folder / "pools.json").write_text(json.dumps(pool_file))
        (folder / "tokens.json").write_text(json.dumps({"chain_id": ANVIL_CHAIN_ID, "tokens": tokens}))
        return Settings(
            strategy=Strategy(min_profit_usd=0.01, max_position_pct=0.9),
            pools=Pools(
                files=(str(folder / "pools.json"),),
                token_files=(str(folder / "tokens.json"),),
                usd_tokens=("USD",),
                min_liquidity_usd=1.0,
            ),
            message_bus=MessageBus(transport="node"),
            chain=ChainSettings(id=ANVIL_CHAIN_ID, slot_s=12.0, fork="prague"),
            node=Node(url=url),
            contract=Contract(address=self.contract),
            simulation=Simulation(workers=1, wall_budget_s=30.0),
        )


class _Creation:
    """A bare creation transaction in the shape of a web3 call."""

    def __init__(self, chain: Chain, code: bytes) -> None:
        self._chain = chain
        self._code = code

    async def transact(self, options: dict[str, Any]) -> Any:
        return await self._chain.web3.eth.send_transaction({**options, "data": "0x" + self._code.hex()})


async def test_a_moved_price_becomes_a_simulated_candidate(tmp_path: Path) -> None:
    """Without --live nothing is sent, whatever the chain: the trade ends as a dry run with its exact profit."""
    async with running_anvil() as place, open_node(f"ws://{place}") as node:
        web3 = web3_on(node)
        world = World(Chain(web3, (await web3.eth.accounts)[0]))
        await world.build()
        settings = world.settings(tmp_path, f"ws://{place}")
        stop, started, seen = trio.Event(), trio.Event(), list[Report]()

        def show(report: Report) -> None:
            seen.append(report)
            if isinstance(report, Started):
                started.set()
            if isinstance(report, DryRun):
                stop.set()

        plan = Plan(settings, tmp_path, None, False, None, {})
        with Journal(tmp_path, "test") as journal:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(serve, plan, journal, Figures(), show, stop)
                with trio.fail_after(60):
                    await started.wait()
                await world.swap(ETH // 1000)
                await world.move_price()
                with trio.fail_after(60):
                    await stop.wait()
        assert await world.dollar.functions.balanceOf(world.contract).call() == 0
    found = [report for report in seen if isinstance(report, TradeFound)]
    dry = [report for report in seen if isinstance(report, DryRun)]
    assert [hop.protocol for hop in found[-1].trade.hops] in (
        ["uniswap_v2", "uniswap_v3"],
        ["uniswap_v3", "uniswap_v2"],
    )
    assert dry[-1].gross_profit == found[-1].trade.gross_profit
    assert dry[-1].net_profit_wei > 0


async def test_a_contract_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """The pair is no FlashArb; the message says what stands there."""
    async with running_anvil() as place, open_node(f"ws://{place}") as node:
        web3 = web3_on(node)
        world = World(Chain(web3, (await web3.eth.accounts)[0]))
        await world.build()
        settings = world.settings(tmp_path, f"ws://{place}")
        wrong = replace(settings, contract=Contract(address=world.pair.address))
        plan = Plan(wrong, tmp_path, None, False, None, {})
        with Journal(tmp_path, "test") as journal, pytest.raises(Exception, match="no FlashArb of this version"):
            await serve(plan, journal, Figures(), lambda report: None, trio.Event())
