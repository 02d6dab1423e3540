"""The devnet's world for anvil: the state before a recorded block as a genesis file."""

from __future__ import annotations

from typing import Any

from flasharb.devnet.world import World
from flasharb.simulation.recorded import RecordedBlock
from flasharb.units import hex0x


def genesis_before(world: World, block: RecordedBlock) -> dict[str, Any]:
    """A geth genesis file: the whole world, overlaid with what ``block`` knows of the state before it."""
    alloc: dict[str, dict[str, Any]] = {}
    for address, account in world.accounts().items():
        alloc[hex0x(address)] = _entry(
            account.nonce, account.balance, world.codes.get(account.code_hash, b""), account.storage
        )
    for address, known in block.pre_state.items():
        if known is None:
            alloc.pop(hex0x(address), None)
            continue
        old = alloc.get(hex0x(address), {"storage": {}})
        entry = _entry(known.nonce, known.balance, block.codes.get(known.code_hash, b""), known.storage)
        alloc[hex0x(address)] = entry | {"storage": old["storage"] | entry["storage"]}
    header = block.header
    assert block.parent_header is not None
    return {
        "config": {
            "chainId": block.chain_id,
            **dict.fromkeys(
                (
                    *("homesteadBlock", "eip150Block", "eip155Block", "eip158Block", "byzantiumBlock"),
                    *("constantinopleBlock", "petersburgBlock", "istanbulBlock", "berlinBlock", "londonBlock"),
                    *("mergeNetsplitBlock", "shanghaiTime", "cancunTime", "pragueTime"),
                ),
                0,
            ),
            "terminalTotalDifficulty": 0,
            "terminalTotalDifficultyPassed": True,
        },
        "nonce": "0x0",
        "timestamp": block.parent_header["timestamp"],
        "extraData": "0x",
        "gasLimit": header["gasLimit"],
        "difficulty": "0x0",
        "mixHash": "0x" + "00" * 32,
        "coinbase": header["miner"],
        "baseFeePerGas": header["baseFeePerGas"],
        "alloc": alloc,
    }


def _entry(nonce: int, balance: int, code: bytes, storage: Any) -> dict[str, Any]:
    return {
        "nonce": hex(nonce),
        "balance": hex(balance),
        "code": hex0x(code),
        "storage": {f"0x{slot:064x}": f"0x{value:064x}" for slot, value in storage.items()},
    }
