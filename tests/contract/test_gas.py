"""What an execution costs, and that every EVM says so."""

from __future__ import annotations

import pytest
import trio

from flasharb.adapters.node import open_node
from flasharb.execution.program import encode_call
from flasharb.units import hex0x
from tests.support.contract_world import COINBASE, OWNER, World
from tests.support.hard_limit import limit_gas, measured_world
from tests.support.node_tools import running_anvil

SHAPES = [("v2", "v2"), ("v2", "v3"), ("v3", "v2"), ("v3", "v3")]
GROWTH, FLOOR = {}, {"balance_before": 1}  # type: ignore[var-annotated]  # terms of encode_call


@pytest.mark.parametrize("shape", SHAPES, ids=">".join)
def test_an_execution_is_near_the_hard_limit(shape: tuple[str, str]) -> None:
    world, trade = measured_world(shape)
    limit = limit_gas(world, trade)
    growth = world.execute(trade, min_profit=trade.gross_profit).gas_used
    world.restart_block()
    floor = world.execute(trade, min_profit=trade.gross_profit, balance_before=1).gas_used

    assert growth - limit <= 6_000
    assert floor - limit <= 5_200
    assert growth - floor > 700


@pytest.mark.parametrize("shape", SHAPES, ids=">".join)
def test_stock_py_evm_uses_the_same_gas(shape: tuple[str, str]) -> None:
    results = []
    for engine in ("py-evm", "stock"):
        world, trade = measured_world(shape, engine)
        result = world.execute(trade, min_profit=trade.gross_profit, bid_wei=trade.gross_profit // 3)
        results.append((result.gas_used, result.logs, result.coinbase_payment))

    assert results[0] == results[1]


@pytest.mark.node
@pytest.mark.slow
async def test_anvil_uses_the_same_gas_and_writes_the_same_logs() -> None:
    """The world is copied into anvil account by account, and the same transaction runs there."""
    for shape in SHAPES:
        world, trade = measured_world(shape)
        data = encode_call(
            trade,
            weth=world.weth,
            loan="flash_swap",
            min_profit=trade.gross_profit,
            bid_wei=trade.gross_profit // 3,
            deadline_block=2**32 - 1,
        )
        expected = world.send(world.contract, data, sender=OWNER)
        assert expected.status == 1
        options = ("--chain-id", "31337", "--hardfork", "prague", "--base-fee", str(world.base_fee))
        options += ("--no-mining", "--timestamp", str(world.timestamp - 1_000))
        async with running_anvil(*options) as host, open_node(f"http://{host}", timeout_s=30) as node:
            await copy_world(world, node)
            await node.call("anvil_impersonateAccount", hex0x(OWNER))
            await node.call("evm_setNextBlockTimestamp", hex(world.timestamp))
            sent = await node.call(
                "eth_sendTransaction",
                {
                    "from": hex0x(OWNER),
                    "to": hex0x(world.contract),
                    "data": hex0x(data),
                    "gas": hex(3_000_000),
                    "maxFeePerGas": hex(world.base_fee),
                    "maxPriorityFeePerGas": "0x0",
                },
            )
            await node.call("evm_mine")
            with trio.fail_after(30):
                while (receipt := await node.call("eth_getTransactionReceipt", sent)) is None:
                    await trio.lowlevel.checkpoint()
        assert receipt["status"] == "0x1"
        assert int(receipt["gasUsed"], 16) == expected.gas_used
        logs = [(log["address"], log["topics"], log["data"]) for log in receipt["logs"]]
        assert logs == [
            (hex0x(log.address), [hex0x(_word(topic)) for topic in log.topics], hex0x(log.data))
            for log in expected.logs
        ]


def _word(topic: int | bytes) -> bytes:
    return topic if isinstance(topic, bytes) else topic.to_bytes(32, "big")


async def copy_world(world: World, node: object) -> None:
    """Every account of the world, with code and storage, into anvil."""
    calls: list[tuple[str, list[str]]] = []
    for address, account in world.state.accounts.items():
        if account is None:
            continue
        at = hex0x(address)
        calls += [("anvil_setBalance", [at, hex(account.balance)]), ("anvil_setNonce", [at, hex(account.nonce)])]
        if account.code:
            calls.append(("anvil_setCode", [at, hex0x(account.code)]))
        for slot, value in account.storage.items():
            word = [hex0x(number.to_bytes(32, "big")) for number in (slot, value)]
            calls.append(("anvil_setStorageAt", [at, *word]))
    calls.append(("anvil_setCoinbase", [hex0x(COINBASE)]))
    await node.batch(calls)  # type: ignore[attr-defined]  # Node
