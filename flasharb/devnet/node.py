"""The devnet as a whole: chain, traders, sockets and the slot clock under one nursery."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import trio

from flasharb.devnet.chain import Built, Chain
from flasharb.devnet.messages import bus_pools, encode_block
from flasharb.devnet.publisher import Broadcaster, whole_messages
from flasharb.devnet.recording import record
from flasharb.devnet.relay import BundleRelay
from flasharb.devnet.rpc import EvmThread, Rpc
from flasharb.devnet.server import App, serve_app
from flasharb.devnet.traders import Traders
from flasharb.devnet.world import World, devnet_key
from flasharb.units import checksum, hex0x


@dataclass(frozen=True, slots=True)
class Options:
    """How a devnet runs. ``blocks`` None: until it is told to stop."""

    run_dir: Path
    seed: int = 1
    slot_s: float = 2.0
    trades_per_slot: float = 2.0
    blocks: int | None = None


class Devnet:
    """One run of the devnet."""

    def __init__(self, world: World, options: Options) -> None:
        self.world = world
        self.options = options
        self.chain = Chain(world)
        self.traders = Traders(self.chain, world, options.seed, options.trades_per_slot)
        self._evm = EvmThread()
        self._app = App(Rpc(self.chain, self._evm), BundleRelay(self.chain, self._evm))
        self._pools = bus_pools(world)
        folder = options.run_dir
        self._bus = Broadcaster(folder / "market_data.sock")
        self._signals = Broadcaster(folder / "signals.sock", whole_messages)
        self._blocks_folder = folder / "blocks"
        self._files = {
            "pool_file": (folder / "pools.json", msgspec.json.encode(world.pools)),
            "token_file": (folder / "tokens.json", msgspec.json.encode(world.tokens)),
            "signer_key_file": (folder / "signer.key", hex0x(devnet_key("signer")).encode() + b"\n"),
        }

    async def run(self, ready: Callable[[dict[str, Any]], None], stop: trio.Event) -> None:
        """Serve and make blocks until ``stop`` is set or the last block is made; ``ready`` gets the ready line."""
        self._blocks_folder.mkdir(parents=True, exist_ok=True)
        try:
            self._write_files()
            async with trio.open_nursery() as servers:
                await servers.start(self._bus.serve)
                await servers.start(self._signals.serve)
                closing = trio.Event()
                port: int = await servers.start(partial(serve_app, self._app, closing))
                ready(self._ready_line(port))
                async with trio.open_nursery() as clock:
                    clock.start_soon(self._slots, clock.cancel_scope)
                    clock.start_soon(_cancel_after, stop, clock.cancel_scope)
                closing.set()
                self._bus.close()
                self._signals.close()
        finally:
            for path, _ in self._files.values():
                path.unlink(missing_ok=True)

    def _write_files(self) -> None:
        for path, content in self._files.values():
            path.unlink(missing_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)

    def _ready_line(self, port: int) -> dict[str, Any]:
        names, genesis = self.world.names, self.world.genesis
        return {
            "event": "ready",
            "chain_id": self.world.chain_id,
            "genesis_hash": hex0x(genesis.hash),
            "genesis_block": genesis.number,
            "rpc_url": f"http://127.0.0.1:{port}",
            "ws_url": f"ws://127.0.0.1:{port}",
            "relay_url": f"http://127.0.0.1:{port}/relay",
            "bus_path": str(self._bus.path),
            "signal_path": str(self._signals.path),
            "contract": checksum(names["flasharb"]),
            "weth": checksum(names["weth"]),
            "balancer_vault": checksum(names["balancer_vault"]),
            "v4_manager": checksum(names["v4_manager"]),
            **{name: str(path) for name, (path, _) in self._files.items()},
        }

    async def _slots(self, scope: trio.CancelScope) -> None:
        """One block a slot; a slot that is late is made at once, none is left out."""
        slot_s, limit = self.options.slot_s, self.options.blocks
        start, start_unix = trio.current_time(), time.time()
        count = 0
        while limit is None or count < limit:
            count += 1
            await trio.sleep_until(start + count * slot_s)
            await self._make_block(math.ceil(start_unix + count * slot_s))
        scope.cancel()

    async def _make_block(self, timestamp: int) -> None:
        self.traders.act()
        plan = self.chain.plan(timestamp)
        built = await self._evm.run(lambda: self.chain.build(plan))
        block = self.chain.commit(built)
        self.traders.observe(block)
        self._app.announce(block)
        self._bus.publish(encode_block(block, self._pools, time.time_ns()))
        await trio.to_thread.run_sync(self._record, built)

    def _record(self, built: Built) -> None:
        parent = self.chain.ledger.at(built.parent.number)
        record(self._blocks_folder, built, parent, self.chain.chain_id)


async def _cancel_after(stop: trio.Event, scope: trio.CancelScope) -> None:
    await stop.wait()
    scope.cancel()
