"""Pools from a node: a fake one that serves storage, over the same interface as the real ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from flasharb.adapters.node import Node
from flasharb.adapters.pool_loader import load_pools
from flasharb.errors import NodeError
from flasharb.pools import V2Pool
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address, Hash32, hex0x
from tests.support.pool_bytecode import TOKEN0, TOKEN1, v3_spec, v3_storage
from tests.support.pool_cases import pool_of

V3 = v3_spec("pancakeswap_v3", 2500, 50)
V2 = PoolSpec(Address(b"\x02" * 20), "uniswap_v2", (TOKEN0, TOKEN1), 3000)
WHOLE = pool_of(V3, [(-5000, 5000, 10**18), (100, 150, 77)], 1 << 96, 0)


class StorageNode(Node):
    """Serves ``eth_getStorageAt`` from dicts; ``answer`` replaces every word."""

    def __init__(self, storage: dict[bytes, dict[int, int]], answer: Any = None) -> None:
        super().__init__("http://fake", timeout_s=1.0, batch_size=1000)
        self.storage = storage
        self.answer = answer
        self.rounds: list[int] = []
        self.blocks: list[Any] = []

    async def _exchange(self, requests: Sequence[dict[str, Any]], what: str) -> dict[int, Any]:
        self.rounds.append(len(requests))
        return {request["id"]: self.reply(*request["params"]) for request in requests}

    def reply(self, account: str, slot: str, block: Any) -> dict[str, Any]:
        self.blocks.append(block)
        if isinstance(self.answer, dict):
            return self.answer
        word = self.storage[bytes.fromhex(account[2:])].get(int(slot, 16), 0)
        return {"jsonrpc": "2.0", "result": f"0x{word:064x}" if self.answer is None else self.answer}


def node(answer: Any = None) -> StorageNode:
    """A node with one V3 and one V2 pool."""
    v3 = v3_storage("pancakeswap_v3", (WHOLE.sqrt_price_x96, WHOLE.tick, WHOLE.liquidity), WHOLE.ladder.info, 50)
    return StorageNode({V3.address: v3, V2.address: {8: 1000 | 2000 << 112}}, answer)


async def test_all_pools_in_three_rounds() -> None:
    """In the order asked for, at one block, whatever their number."""
    fake = node()
    loaded = await load_pools(fake, [V2, V3], 17, v3_words=4000)

    assert loaded.pools == (V2Pool(V2, 1000, 2000), WHOLE)
    assert len(fake.rounds) == 3
    assert set(fake.blocks) == {"0x11"}


async def test_at_a_block_hash() -> None:
    """A reorg cannot mix two blocks then."""
    fake = node()
    await load_pools(fake, [V2], Hash32(b"\x07" * 32))

    assert fake.blocks == [{"blockHash": hex0x(b"\x07" * 32)}]


async def test_no_pools() -> None:
    """Nothing is asked."""
    fake = node()

    assert (await load_pools(fake, [], 1)).pools == ()
    assert fake.rounds == []


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"error": {"code": -32000, "message": "missing trie node"}}, "missing trie node"),
        ("0xzz", "not a storage word: '0xzz'"),
        (7, "not a storage word: 7"),
        ("0x1" + "0" * 64, "not a storage word"),
        ("-0x1", "not a storage word"),
    ],
)
async def test_bad_answers(answer: Any, says: str) -> None:
    """What, where, and of which pool."""
    with pytest.raises(NodeError, match="slot 0x8 of uniswap_v2 pool 0x0202") as caught:
        await load_pools(node(answer), [V2], 1)

    assert says in str(caught.value)


async def test_storage_of_something_else() -> None:
    """A contract that is no such pool is refused with a hint; the others are loaded all the same."""
    fake = node()
    fake.storage[V3.address][5] += 1

    loaded = await load_pools(fake, [V3, V2], 1, v3_words=4000)
    assert [pool.spec for pool in loaded.pools] == [V2]
    assert loaded.refused.keys() == {V3.address}
    assert re.search(r"not that of such a pool .* check the pool file", loaded.refused[V3.address])
