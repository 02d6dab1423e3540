"""Curve pools as the service has them: loaded from a node that serves a recorded block, then followed by its logs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flasharb.adapters.blockfile import read_block
from flasharb.adapters.chain import header_of
from flasharb.adapters.node import Node
from flasharb.adapters.pool_loader import load_pools
from flasharb.feed.events import ClosedBlock
from flasharb.feed.logs import event_of
from flasharb.market import Market
from flasharb.pools import Pool
from flasharb.pools.cryptoswap import CryptoSwapPool
from flasharb.pools.protocols import LOG_TOPICS
from flasharb.pools.stableswap import StableSwapPool
from flasharb.simulation.quotes import as_json
from flasharb.simulation.recorded_pools import known_pools, offered
from flasharb.simulation.replay import Replay
from flasharb.units import Address, hex0x

pytestmark = pytest.mark.mainnet


class RecordedNode(Node):
    """Answers for a replay's position; slots that the block never touches are zero, and no quote depends on them."""

    def __init__(self, replay: Replay) -> None:
        super().__init__("http://fake", timeout_s=1.0, batch_size=1000)
        self.replay = replay

    async def _exchange(self, requests: Sequence[dict[str, Any]], what: str) -> dict[int, Any]:
        return {request["id"]: self.reply(request["method"], *request["params"]) for request in requests}

    def reply(self, method: str, *params: Any) -> dict[str, Any]:
        block = self.replay.block
        if method == "eth_getBlockByNumber":
            return {"result": {**block.header, "hash": hex0x(block.hash)}}
        at = Address(bytes.fromhex(params[0][2:]))
        if method == "eth_getCode":
            return {"result": hex0x(self.replay.code(at) or b"")}
        assert method == "eth_getStorageAt"
        return {"result": f"0x{self.replay.slot(at, int(params[1], 16)) or 0:064x}"}


def same(pool: Pool, known: Pool) -> bool:
    """Whether two states agree in all that is known of the second: its LP supply and one parameter may not be."""
    assert isinstance(known, StableSwapPool | CryptoSwapPool)
    assert isinstance(pool, type(known))
    if known.supply is None:
        pool = msgspec.structs.replace(pool, supply=None)
    if isinstance(pool, CryptoSwapPool) and known.parameters.allowed_extra_profit is None:
        pool = msgspec.structs.replace(pool, parameters=pool.parameters._replace(allowed_extra_profit=None))
    return pool == known


@pytest.mark.parametrize(
    ("number", "reloads"),
    [(13217637, {}), (18884864, {}), (18885292, {"4149d103": "fees were collected"}), (19932148, {}), (21066632, {})],
)
async def test_loaded_and_followed_they_are_what_storage_holds(
    mainnet_blocks: Path, number: int, reloads: dict[str, str]
) -> None:
    """Every pool that the block trades with, its LP token's supply included, at the block's end."""
    block = read_block(mainnet_blocks / f"{number}.json.gz")
    replay = Replay(block)
    touched = {log.address for receipt in block.receipts for log in receipt.logs}
    found = offered(replay).specs.values()
    specs = [spec for spec in found if spec.protocol.startswith("curve") and spec.address in touched]
    assert specs

    loaded = await load_pools(RecordedNode(replay), specs, number - 1)
    assert loaded.refused == {}
    known = known_pools(replay, specs).pools
    assert len(loaded.pools) == len(known) == len(specs)
    assert all(same(pool, known[pool.spec.address]) for pool in loaded.pools)

    header = header_of({**block.header, "hash": hex0x(block.hash)})
    logs = [log for receipt in block.receipts for log in receipt.logs]
    events = (event_of(as_json(log, number, position), LOG_TOPICS) for position, log in enumerate(logs))
    market = Market.load(number - 1, loaded.pools, ())
    after = market.apply(ClosedBlock(number, tuple(event for event in events if event is not None), header))
    for _ in block.transactions:
        replay.advance()

    assert {at.hex()[:8]: why for at, why in after.reload.items()} == reloads
    known = known_pools(replay, specs).pools
    assert after.pools.keys() == known.keys() - after.reload.keys()
    assert all(same(pool, known[at]) for at, pool in after.pools.items())
    assert after.counts.applied >= len(after.pools)


async def test_the_code_on_the_chain_decides(mainnet_blocks: Path) -> None:
    """A contract whose code was replaced is refused, whatever the pool file says of it."""
    replay = Replay(read_block(mainnet_blocks / "21066632.json.gz"))
    (spec,) = (spec for spec in offered(replay).specs.values() if spec.protocol == "curve_cryptoswap")

    class Replaced(RecordedNode):
        def reply(self, method: str, *params: Any) -> dict[str, Any]:
            replaced = method == "eth_getCode" and params[0] == hex0x(spec.address)
            return {"result": "0x6001"} if replaced else super().reply(method, *params)

    loaded = await load_pools(Replaced(replay), [spec], 21066631)
    assert loaded.pools == ()
    assert "proven here" in loaded.refused[spec.address]
