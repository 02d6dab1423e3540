"""The devnet as others meet it: a process with sockets, used through our own clients, that ends when it is told."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
from eth_hash.auto import keccak

from flasharb.adapters.blockfile import read_block
from flasharb.adapters.bus import open_bus
from flasharb.adapters.node import Node, RpcError, open_node
from flasharb.adapters.node_source import events
from flasharb.adapters.relay import open_relays
from flasharb.devnet.__main__ import main
from flasharb.devnet.transactions import sign_dynamic_fee
from flasharb.devnet.world import devnet_key, load_world
from flasharb.execution.bundle import Bundle
from flasharb.execution.replies import Acknowledged, Refused
from flasharb.execution.signing import SigningKey
from flasharb.feed.events import FeedGap, Heartbeat, NewHead, PoolLog, V2Sync, V3Swap
from flasharb.feed.messages import Heartbeat as HeartbeatMessage
from flasharb.feed.messages import decode, encode
from flasharb.feed.reframer import Reframer
from flasharb.feed.stream import bus_decoder
from flasharb.settings import MessageBus
from flasharb.simulation.verify import verify
from flasharb.units import Address, address, hex0x

SLOT_S = "0.25"
IDENTITY = SigningKey(b"\x11" * 32)
READY_FIELDS = {
    "event",
    "chain_id",
    "genesis_hash",
    "rpc_url",
    "ws_url",
    "bus_path",
    "signal_path",
    "relay_url",
    "contract",
    "weth",
    "balancer_vault",
    "v4_manager",
    "pool_file",
    "token_file",
    "signer_key_file",
    "genesis_block",
}


@asynccontextmanager
async def devnet(run_dir: Path, *options: str) -> AsyncIterator[tuple[trio.Process, dict[str, Any]]]:
    """A running devnet and its ready line."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "flasharb.devnet", "--run-dir", str(run_dir), "--slot-s", SLOT_S, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = b""
        with trio.fail_after(60):
            while not line.endswith(b"\n"):
                part = await process.stdout.receive_some()
                assert part, f"the devnet ended early: {line!r}"
                line += part
        yield process, json.loads(line)
    finally:
        with trio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.wait()
            await process.stdout.aclose()
            if process.stdin is not None:
                await process.stdin.aclose()


async def ended(process: trio.Process) -> int:
    with trio.fail_after(20):
        return await process.wait()


def left_behind(run_dir: Path) -> set[str]:
    return {path.name for path in run_dir.iterdir()}


async def wait_for_receipt(node: Node, transaction_hash: bytes) -> dict[str, Any]:
    with trio.fail_after(30):
        while True:
            found: dict[str, Any] | None = await node.call("eth_getTransactionReceipt", hex0x(transaction_hash))
            if found is not None:
                return found
            # Receipts are not announced: there is nothing else to wait for.
            await trio.sleep(0.05)


def tip(nonce: int, wei: int = 10**15) -> bytes:
    """A transaction of trader 3 that pays the devnet's fee recipient."""
    return sign_dynamic_fee(
        devnet_key("trader 3"),
        chain_id=61861,
        nonce=nonce,
        fees=(0, 10**11),
        gas_limit=21_000,
        to=load_world().names["builder"],
        data=b"",
        value=wei,
    )


async def test_a_whole_life_through_its_sockets(tmp_path: Path) -> None:
    async with devnet(tmp_path, "--trades-per-slot", "0") as (process, ready):
        check_ready(ready)
        async with (
            open_node(ready["rpc_url"], timeout_s=10, batch_size=100) as node,
            open_relays([ready["relay_url"]], IDENTITY, 5.0) as relays,
        ):
            genesis = await node.call("eth_getBlockByNumber", "0x0", False)
            assert genesis["hash"] == ready["genesis_hash"]
            await check_batches_and_errors(node)
            receipt = await check_bundle(node, relays)

            unsigned = Bundle((tip(99),), int(receipt["blockNumber"], 16) + 1000)
            ((_, refusal),) = await relays.send(unsigned)
            assert isinstance(refusal, Refused)
            assert "is not among the next" in refusal.detail

        process.send_signal(signal.SIGTERM)
        assert await ended(process) == 0

    assert left_behind(tmp_path) == {"blocks"}
    number = int(receipt["blockNumber"], 16)
    block = read_block(tmp_path / "blocks" / f"{number}.json.gz")
    assert hex0x(block.hash) == receipt["blockHash"]
    assert verify(block).mismatches == ()
    recorded = sorted(int(path.name.split(".")[0]) for path in (tmp_path / "blocks").iterdir())
    assert recorded == list(range(1, len(recorded) + 1))


def check_ready(ready: dict[str, Any]) -> None:
    assert ready.keys() == READY_FIELDS
    assert ready["event"] == "ready"
    key_file = Path(ready["signer_key_file"])
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert SigningKey.from_hex(key_file.read_text()).address == load_world().names["signer"]
    assert json.loads(Path(ready["pool_file"]).read_text())["chain_id"] == 61861
    assert json.loads(Path(ready["token_file"]).read_text())["chain_id"] == 61861


def pool_addresses(ready: dict[str, Any]) -> list[Address]:
    return [address(pool["address"]) for pool in json.loads(Path(ready["pool_file"]).read_text())["pools"]]


async def check_batches_and_errors(node: Node) -> None:
    batch = await node.batch([("eth_chainId", ()), ("eth_nothing", ()), ("eth_getBalance", ("0x12", "latest"))])

    assert batch[0] == "0xf1a5"
    assert [failure.code for failure in batch[1:]] == [-32601, -32602]
    with pytest.raises(RpcError, match="notifications not supported"):
        await node.call("eth_subscribe", "newHeads")


async def check_bundle(node: Node, relays: Any) -> dict[str, Any]:
    """Send a bundle for the next blocks until it lands; returns its receipt."""
    nonce = int(await node.call("eth_getTransactionCount", load_world_address("trader_3"), "latest"), 16)
    raw = tip(nonce)
    builder = load_world_address("builder")
    head = int(await node.call("eth_blockNumber"), 16)
    bundles = [Bundle((raw,), head + ahead) for ahead in range(2, 10)]
    for bundle in bundles:
        ((_, reply),) = await relays.send(bundle)
        assert reply == Acknowledged(bundle.hash)
    receipt = await wait_for_receipt(node, keccak(raw))
    number = int(receipt["blockNumber"], 16)
    before = int(await node.call("eth_getBalance", builder, hex(number - 1)), 16)
    after = int(await node.call("eth_getBalance", builder, {"blockHash": receipt["blockHash"]}), 16)

    assert receipt["status"] == "0x1"
    assert receipt["transactionIndex"] == "0x0"
    assert after - before == 10**15
    return receipt


def load_world_address(name: str) -> str:
    return hex0x(load_world().names[name])


class Told:
    """Events by block, as one source tells them."""

    def __init__(self) -> None:
        self.blocks: dict[int, list[Any]] = {}
        self.heads: list[NewHead] = []

    def add(self, event: Any) -> None:
        if isinstance(event, NewHead):
            self.heads.append(event)
        elif not isinstance(event, Heartbeat | PoolLog):
            # The bus has messages for pairs and V3 pools; the logs of others come from the node alone.
            # All of an event but its log index, which the bus does not have.
            content = {name: getattr(event, name) for name in event.__slots__ if name != "log_index"}
            self.blocks.setdefault(event.block_number, []).append((type(event), content))


async def listen_to_bus(place: str, told: Told) -> None:
    decoder = bus_decoder()
    async with open_bus(MessageBus(transport="unix", address=place)) as bus:
        async for chunk in bus:
            assert not isinstance(chunk, FeedGap)
            for event in decoder.feed(chunk):
                told.add(event)


async def listen_to_node(url: str, pools: list[Address], heads: int, told: Told) -> None:
    async with events(url, pools=pools) as batches:
        async for batch in batches:
            for event in batch:
                told.add(event)
            if len(told.heads) >= heads:
                return


async def test_bus_and_node_tell_the_same_blocks(tmp_path: Path) -> None:
    async with devnet(tmp_path, "--trades-per-slot", "4", "--seed", "2") as (process, ready):
        by_bus, by_node = Told(), Told()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen_to_bus, ready["bus_path"], by_bus)
            with trio.fail_after(60):
                await listen_to_node(ready["ws_url"], pool_addresses(ready), 8, by_node)
            nursery.cancel_scope.cancel()

        both = by_bus.blocks.keys() & by_node.blocks.keys()
        assert len(both) >= 3
        for number in both:
            assert by_bus.blocks[number] == by_node.blocks[number]
        for earlier, later in pairwise(by_node.heads):
            assert later.header.parent_hash == earlier.header.hash
        assert {V2Sync, V3Swap} <= {kind for block in by_node.blocks.values() for kind, _ in block}

        # The parent dies: its end of the pipe closes.
        assert process.stdin is not None
        await process.stdin.aclose()
        assert await ended(process) == 0
    assert left_behind(tmp_path) == {"blocks"}


async def heard(stream: trio.SocketStream, reframer: Reframer, block_number: int) -> None:
    """Wait for the heartbeat of that block; earlier ones may come first, anything else may not."""
    with trio.fail_after(60):
        while True:
            for frame in reframer.feed(await stream.receive_some(4096)):
                (message,) = decode(frame)
                assert isinstance(message, HeartbeatMessage)
                if message.block_number == block_number:
                    return


async def test_signals_reach_every_listener_whole(tmp_path: Path) -> None:
    def heartbeat(block_number: int) -> bytes:
        return encode(HeartbeatMessage(timestamp_ns=1, block_number=block_number), source=20, timestamp_ns=1)

    async with devnet(tmp_path, "--trades-per-slot", "0") as (_, ready):
        sender = await trio.open_unix_socket(ready["signal_path"])
        listener = await trio.open_unix_socket(ready["signal_path"])
        async with sender, listener:
            # A connection stands before the server has accepted it: one is a listener when its own words come back.
            of_sender, of_listener = Reframer(), Reframer()
            await listener.send_all(heartbeat(1))
            await heard(listener, of_listener, 1)
            # Garbage, then a message in two parts: only the whole message is passed on.
            message = heartbeat(2)
            await sender.send_all(b"\x00garbage\xff" + message[:20])
            await sender.send_all(message[20:])
            for stream, reframer in ((listener, of_listener), (sender, of_sender)):
                await heard(stream, reframer, 2)
                assert reframer.counters.dropped_bytes == 0


async def test_it_ends_by_itself_after_the_asked_number_of_blocks(tmp_path: Path) -> None:
    async with devnet(tmp_path, "--blocks", "2") as (process, _):
        assert await ended(process) == 0
    assert {path.name for path in (tmp_path / "blocks").iterdir()} == {"1.json.gz", "2.json.gz"}


async def test_ctrl_c_ends_it_in_order(tmp_path: Path) -> None:
    async with devnet(tmp_path) as (process, _):
        os.kill(process.pid, signal.SIGINT)
        assert await ended(process) == 0
    assert left_behind(tmp_path) == {"blocks"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "--run-dir"),
        (["--run-dir", "x", "--slot-s", "0"], "expected 0.01 to 3600 seconds"),
        (["--run-dir", "x", "--slot-s", "nan"], "expected 0.01 to 3600 seconds"),
        (["--run-dir", "x", "--trades-per-slot", "51"], "expected 0 to 50"),
        (["--run-dir", "x", "--blocks", "0"], "expected at least 1"),
        (["--run-dir", "/" + "x" * 120], "a Unix socket's path has at most 107 bytes"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_why(
    options: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["devnet", *options])
    with pytest.raises(SystemExit) as ended:
        sys.exit(main())

    assert ended.value.code == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""
