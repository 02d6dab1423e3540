"""The V2 mathematics against every swap of a V2 pool that the recorded mainnet blocks hold."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from eth_hash.auto import keccak

from flasharb.pools import V2Pool, ends
from flasharb.pools.protocols import PROTOCOLS, check_address
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address

SYNC = keccak(b"Sync(uint112,uint112)").hex()
SWAP = keccak(b"Swap(address,uint256,uint256,uint256,uint256,address)").hex()


@pytest.mark.mainnet
def test_no_recorded_swap_got_more_than_we_quote(mainnet_blocks: Path) -> None:
    """From the reserves before it, each swap's output is at most our quote, and in most cases exactly it."""
    exact = total = 0
    for recorded in json.loads((mainnet_blocks / "pools.json").read_text()):
        block = json.loads(gzip.decompress((mainnet_blocks / f"{recorded['block']}.json.gz").read_bytes()))
        pools = {one["pool"]: pool for one in recorded["pools"] if (pool := known_pair(one))}
        for address, data, topic, reserves in swaps(block):
            pool = pools.get(address)
            if pool is None:
                continue
            pools[address] = pool.with_reserves(*reserves)
            if topic != SWAP or bool(data[0]) == bool(data[1]):
                continue  # a mint or burn, or a swap that was paid in both tokens
            zero_for_one = bool(data[0])
            paid, given = (data[0], data[3]) if zero_for_one else (data[1], data[2])
            quote = pool.amount_out(*ends(zero_for_one), paid)

            assert given <= quote
            assert pool.amount_in(*ends(zero_for_one), given) <= paid
            total += 1
            exact += given == quote
            if not data[2] or not data[3]:
                expected = (pool.reserve0 + data[0] - data[2], pool.reserve1 + data[1] - data[3])
                assert (pools[address].reserve0, pools[address].reserve1) == expected
    assert total > 150
    assert exact > 0.8 * total


def known_pair(recorded: dict[str, Any]) -> V2Pool | None:
    """The pool at the parent block, if one of the deployments that we know created it."""
    if recorded["kind"] != "v2":
        return None
    raw = [Address(bytes.fromhex(recorded[key][2:])) for key in ("pool", "token0", "token1")]
    for name, protocol in PROTOCOLS.items():
        if protocol.kind == "v2" and protocol.create2_salt is not None and protocol.default_fee_pips is not None:
            spec = PoolSpec(raw[0], name, (raw[1], raw[2]), protocol.default_fee_pips)
            if check_address(spec, 1) is None:
                state = recorded["state_at_parent"]
                return V2Pool(spec, int(state["reserve0"]), int(state["reserve1"]))
    return None


def swaps(block: dict[str, Any]) -> list[tuple[str, list[int], str, tuple[int, int]]]:
    """(pool, words of the event after the Sync, its topic, reserves of the Sync), for every Sync of the block."""
    found = []
    for receipt in block["expected"]["receipts"]:
        logs = receipt["logs"]
        for (address, topics, data), following in pairwise([*logs, None]):
            if topics and topics[0][2:] == SYNC:
                reserves = words(data)
                same = following is not None and following[0] == address and following[1]
                topic = following[1][0][2:] if same else ""
                found.append((address, words(following[2]) if same else [], topic, (reserves[0], reserves[1])))
    return found


def words(data: str) -> list[int]:
    """The 32-byte words of an event's data."""
    raw = bytes.fromhex(data[2:])
    return [int.from_bytes(raw[at : at + 32], "big") for at in range(0, len(raw), 32)]
