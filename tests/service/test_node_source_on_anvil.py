"""A real node, real pool bytecode: what happens to a pool on chain arrives as the right events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from web3 import AsyncWeb3
from web3.exceptions import TransactionNotFound

from flasharb.adapters import node_source
from flasharb.adapters.node import Node, open_node
from flasharb.adapters.web3_provider import FlasharbProvider, web3_on
from flasharb.feed.blocks import BlockAssembler
from flasharb.feed.events import (
    ClosedBlock,
    Event,
    FeedGap,
    Heartbeat,
    NewHead,
    V2Sync,
    V3Burn,
    V3Initialize,
    V3Mint,
    V3Swap,
)
from flasharb.units import Address
from tests.support.node_tools import REPOSITORY, running_anvil

pytestmark = [pytest.mark.node, pytest.mark.slow]

ETH = 10**18
DEADLINE = 2**63
Q96 = 1 << 96


class Chain:
    """Contracts deployed on anvil, called through our own web3 provider."""

    def __init__(self, web3: AsyncWeb3[FlasharbProvider], account: str) -> None:
        self.web3 = web3
        self.account = account

    async def deploy(self, name: str, *arguments: Any) -> Any:
        artifact = json.loads((REPOSITORY / "fixtures" / "bytecode" / f"{name}.json").read_text())
        factory = self.web3.eth.contract(abi=artifact["abi"], bytecode=artifact["bytecode"])
        receipt = await self.send(factory.constructor(*arguments))
        return self.at(name, receipt["contractAddress"])

    def at(self, name: str, address: str) -> Any:
        artifact = json.loads((REPOSITORY / "fixtures" / "bytecode" / f"{name}.json").read_text())
        return self.web3.eth.contract(address=address, abi=artifact["abi"])

    async def send(self, call: Any) -> Any:
        return await self.send_value(call, 0)

    async def token(self) -> Any:
        token = await self.deploy("WETH9")
        await self.send_value(token.functions.deposit(), 1000 * ETH)
        return token

    async def send_value(self, call: Any, value: int) -> Any:
        options = {"from": self.account, "gas": 8_000_000, "value": value, "gasPrice": 10**11}
        tx_hash = await call.transact(options)
        with trio.fail_after(20):
            while True:
                try:
                    receipt = await self.web3.eth.get_transaction_receipt(tx_hash)
                    break
                except TransactionNotFound:
                    # A real node mines in its own time; web3's own way of waiting needs asyncio.
                    await trio.sleep(0.01)
        assert receipt["status"] == 1
        return receipt


@pytest.fixture
async def anvil() -> AsyncIterator[str]:
    async with running_anvil() as place:
        yield place


@pytest.fixture
async def node(anvil: str) -> AsyncIterator[Node]:
    async with open_node(f"ws://{anvil}") as node:
        yield node


@pytest.fixture
async def chain(node: Node) -> Chain:
    web3 = web3_on(node)
    return Chain(web3, (await web3.eth.accounts)[0])


async def until(
    batches: trio.MemoryReceiveChannel[tuple[Event, ...]], block_number: int
) -> tuple[list[Event], list[ClosedBlock]]:
    """Every event up to the closing of a block, and the blocks that the assembler makes of them."""
    assembler = BlockAssembler()
    seen: list[Event] = []
    closed: list[ClosedBlock] = []
    with trio.fail_after(30):
        async for batch in batches:
            for event in batch:
                seen.append(event)
                closed += assembler.add(event)
            if closed and closed[-1].number >= block_number:
                return seen, closed
    raise AssertionError("the source ended")


def raw(contract: Any) -> Address:
    return Address(bytes.fromhex(contract.address[2:]))


async def v2_pool(chain: Chain) -> Any:
    first, second = await chain.token(), await chain.token()
    factory = await chain.deploy("UniswapV2Factory", chain.account)
    await chain.send(factory.functions.createPair(first.address, second.address))
    pool = chain.at("UniswapV2Pair", await factory.functions.getPair(first.address, second.address).call())
    return pool, first, second


async def test_v2_sync_arrives_with_the_reserves_of_the_contract(anvil: str, chain: Chain) -> None:
    pool, first, second = await v2_pool(chain)
    async with node_source.events(f"ws://{anvil}", pools=[raw(pool)]) as batches:
        for token, amount in ((first, 100 * ETH), (second, 400 * ETH)):
            await chain.send(token.functions.transfer(pool.address, amount))
        minted = await chain.send(pool.functions.mint(chain.account))
        seen, closed = await until(batches, minted["blockNumber"])
    reserve0, reserve1, _ = await pool.functions.getReserves().call()
    assert {reserve0, reserve1} == {100 * ETH, 400 * ETH}
    assert [block.number for block in closed] == sorted({block.number for block in closed})
    syncs = [event for event in closed[-1].events if isinstance(event, V2Sync)]
    assert [(s.pool, s.reserve0, s.reserve1, s.block_number) for s in syncs] == [
        (raw(pool), reserve0, reserve1, minted["blockNumber"])
    ]
    assert closed[-1].header is not None
    assert closed[-1].header.hash == minted["blockHash"]
    assert not [event for event in seen if isinstance(event, FeedGap)]


async def test_v3_life_of_a_pool_arrives_exactly(anvil: str, chain: Chain) -> None:
    weth, other = await chain.token(), await chain.token()
    factory = await chain.deploy("UniswapV3Factory")
    positions = await chain.deploy("NonfungiblePositionManager", factory.address, weth.address, chain.account)
    router = await chain.deploy("SwapRouter", factory.address, weth.address)
    token0, token1 = sorted((weth, other), key=lambda token: bytes.fromhex(token.address[2:]))
    for token in (token0, token1):
        for spender in (positions, router):
            await chain.send(token.functions.approve(spender.address, 2**255))
    async with node_source.events(f"ws://{anvil}") as batches:
        await chain.send(factory.functions.createPool(token0.address, token1.address, 3000))
        pool = chain.at("UniswapV3Pool", await factory.functions.getPool(token0.address, token1.address, 3000).call())
        await chain.send(pool.functions.initialize(Q96))
        mint = (token0.address, token1.address, 3000, -6000, 6000, 10 * ETH, 10 * ETH, 0, 0, chain.account, DEADLINE)
        await chain.send(positions.functions.mint(mint))
        swap = (token0.address, token1.address, 3000, chain.account, DEADLINE, ETH, 0, 0)
        swapped = await chain.send(router.functions.exactInputSingle(swap))
        price, tick = (await pool.functions.slot0().call(block_identifier=swapped["blockNumber"]))[:2]
        liquidity = await pool.functions.liquidity().call()
        burned = await chain.send(positions.functions.decreaseLiquidity((1, liquidity // 2, 0, 0, DEADLINE)))
        _, closed = await until(batches, burned["blockNumber"])
    found = [event for block in closed for event in block.events if event.pool == raw(pool)]
    assert [type(event) for event in found] == [V3Initialize, V3Mint, V3Swap, V3Burn]
    initialize, mint_event, swap_event, burn_event = found
    assert isinstance(initialize, V3Initialize)
    assert (initialize.sqrt_price_x96, initialize.tick) == (Q96, 0)
    assert isinstance(mint_event, V3Mint)
    assert (mint_event.tick_lower, mint_event.tick_upper, mint_event.liquidity) == (-6000, 6000, liquidity)
    assert isinstance(swap_event, V3Swap)
    assert (swap_event.sqrt_price_x96, swap_event.tick, swap_event.liquidity) == (price, tick, liquidity)
    assert tick < 0
    assert isinstance(burn_event, V3Burn)
    assert (burn_event.tick_lower, burn_event.tick_upper, burn_event.liquidity) == (-6000, 6000, liquidity // 2)


async def test_reorganisation_is_told_from_the_fork_on(anvil: str, node: Node, chain: Chain) -> None:
    pool, first, second = await v2_pool(chain)
    for token in (first, second):
        await chain.send(token.functions.transfer(pool.address, 100 * ETH))
    async with node_source.events(f"ws://{anvil}", pools=[raw(pool)]) as batches:
        snapshot = await node.call("evm_snapshot")
        minted = await chain.send(pool.functions.mint(chain.account))
        before, _ = await until(batches, minted["blockNumber"])
        assert await node.call("evm_revert", snapshot)
        await node.call("evm_increaseTime", 5)
        await node.call("evm_mine")
        await node.call("evm_mine")
        after, closed = await until(batches, minted["blockNumber"] + 1)
    told = [event.header for event in after if isinstance(event, NewHead)]
    assert [header.number for header in told] == [minted["blockNumber"], minted["blockNumber"] + 1]
    old = next(e.header for e in before if isinstance(e, NewHead) and e.header.number == minted["blockNumber"])
    assert told[0].hash != old.hash
    assert told[0].parent_hash == old.parent_hash
    assert told[1].parent_hash == told[0].hash
    assert [block.events for block in closed] == [(), ()]
    assert isinstance(after[-1], Heartbeat)
