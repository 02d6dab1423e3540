"""A devnet transaction does on anvil, loaded with the devnet's world, exactly what it did here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio
from eth_hash.auto import keccak

from flasharb.adapters.blockfile import read_block
from flasharb.adapters.node import Node, open_node
from flasharb.devnet.chain import Chain
from flasharb.devnet.example import BLOCKS_FOLDER
from flasharb.devnet.layout import TOKENS
from flasharb.devnet.recording import recorded
from flasharb.devnet.traders import Traders
from flasharb.devnet.world import World, load_world
from flasharb.simulation.recorded import RecordedBlock
from flasharb.units import checksum, hex0x
from tests.support.anvil_world import genesis_before
from tests.support.devnet import mine
from tests.support.node_tools import running_anvil

pytestmark = pytest.mark.node


def example_block() -> RecordedBlock:
    (path,) = BLOCKS_FOLDER.glob("*.json.gz")
    return read_block(path)


def traded_block() -> RecordedBlock:
    """A block with V2 and V3 swaps and new liquidity."""
    world = load_world()
    chain = Chain(world)
    built = mine(chain, Traders(chain, world, seed=5, trades_per_slot=6.0), 4)[-1]
    return recorded(built, chain.ledger.at(built.parent.number), chain.chain_id)


async def balances(node: Node, world: World, block: RecordedBlock) -> dict[tuple[str, str], int]:
    """Ether and every token of everybody whom the block's transactions and logs name."""
    people = {hex0x(receipt.sender) for receipt in block.receipts} | {block.header["miner"]}
    for receipt in block.receipts:
        for log in receipt.logs:
            people |= {hex0x(log.address), *(hex0x(topic[12:]) for topic in log.topics[1:] if topic[:12] == bytes(12))}
    asked = [(person, token.symbol, checksum(token.address)) for person in sorted(people) for token in TOKENS]
    calls: list[tuple[str, list[Any]]] = [
        ("eth_call", [{"to": token, "data": f"0x70a08231{person[2:]:0>64}"}, "latest"]) for person, _, token in asked
    ]
    held = await node.batch([*calls, *(("eth_getBalance", [person, "latest"]) for person in sorted(people))])
    keys = [(person, symbol) for person, symbol, _ in asked] + [(person, "ETH") for person in sorted(people)]
    return {key: int(amount, 16) for key, amount in zip(keys, held, strict=True)}


@pytest.mark.parametrize("make_block", [example_block, traded_block])
async def test_same_gas_logs_and_balance_changes(make_block: Any, tmp_path: Path) -> None:
    block, world = make_block(), load_world()
    header = block.header
    genesis = trio.Path(tmp_path / "genesis.json")
    await genesis.write_text(json.dumps(genesis_before(world, block)))
    options = ["--init", str(genesis), "--hardfork", "prague", "--no-mining", "--order", "fifo", "--accounts", "0"]
    async with running_anvil(*options) as place, open_node(f"http://{place}", timeout_s=60, batch_size=500) as node:
        await node.call("anvil_setCoinbase", header["miner"])
        await node.call("anvil_setNextBlockBaseFeePerGas", header["baseFeePerGas"])
        await node.call("evm_setNextBlockTimestamp", header["timestamp"])
        before = await balances(node, world, block)
        for raw in block.transactions:
            await node.call("eth_sendRawTransaction", hex0x(raw))
        await node.call("evm_mine")
        after = await balances(node, world, block)
        receipts = await node.call("eth_getBlockReceipts", "latest")

    assert len(receipts) == len(block.receipts) > 1
    for ours, theirs in zip(block.receipts, receipts, strict=True):
        assert theirs["transactionHash"] == hex0x(ours.hash)
        assert int(theirs["status"], 16) == ours.status == 1
        assert int(theirs["gasUsed"], 16) == ours.gas_used
        assert int(theirs["effectiveGasPrice"], 16) == ours.effective_gas_price
        assert [(log["address"], log["topics"], log["data"]) for log in theirs["logs"]] == [
            (hex0x(log.address), [hex0x(topic) for topic in log.topics], hex0x(log.data)) for log in ours.logs
        ]
    changes = {key: after[key] - before[key] for key in before if after[key] != before[key]}
    assert changes == expected_changes(world, block, before.keys())


def expected_changes(world: World, block: RecordedBlock, keys: Any) -> dict[tuple[str, str], int]:
    """The same changes read from the recorded block: ether of accounts, balance slots of tokens."""
    slots = {"WETH": 3, "USDC": 0, "USDT": 3, "DAI": 0, "WBTC": 0}
    tokens = {token.symbol: token.address for token in TOKENS}
    out: dict[tuple[str, str], int] = {}
    for person, symbol in keys:
        raw = bytes.fromhex(person[2:])
        if symbol == "ETH":
            post, pre = block.post_diff.get(raw), block.pre_state.get(raw)
            change = post.balance - (pre.balance if pre else 0) if post else 0
        else:
            slot = int.from_bytes(keccak(raw.rjust(32, b"\0") + slots[symbol].to_bytes(32, "big")), "big")
            post, pre = block.post_diff.get(tokens[symbol]), block.pre_state.get(tokens[symbol])
            known = post is not None and pre is not None and slot in post.storage
            change = post.storage[slot] - pre.storage[slot] if known else 0
        if change:
            out[person, symbol] = change
    return out
