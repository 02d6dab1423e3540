"""``flasharb run`` while its node goes away and comes back: nothing is traded meanwhile, then it goes on by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trio

SLOT_S = 0.5
ENDED_S = 60


class Cable:
    """Forwards a port of this machine to another one until it is cut."""

    def __init__(self, nursery: trio.Nursery, target: int) -> None:
        self._nursery = nursery
        self._target = target
        self._scope = trio.CancelScope()
        self.port = 0

    async def plug(self) -> None:
        self._scope = trio.CancelScope()
        await self._nursery.start(self._serve)

    def cut(self) -> None:
        self._scope.cancel()

    async def _serve(self, *, task_status: trio.TaskStatus[None]) -> None:
        with self._scope:
            async with trio.open_nursery() as nursery:
                serve = partial(trio.serve_tcp, self._connect, self.port, host="127.0.0.1")
                (listener,) = await nursery.start(serve)
                self.port = listener.socket.getsockname()[1]
                task_status.started()

    async def _connect(self, near: trio.SocketStream) -> None:
        try:
            async with await trio.open_tcp_stream("127.0.0.1", self._target) as far, trio.open_nursery() as nursery:
                nursery.start_soon(_pump, near, far, nursery.cancel_scope)
                nursery.start_soon(_pump, far, near, nursery.cancel_scope)
        except OSError:
            return


async def _pump(source: trio.SocketStream, sink: trio.SocketStream, ends: trio.CancelScope) -> None:
    try:
        async for part in source:
            await sink.send_all(part)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    ends.cancel()


@asynccontextmanager
async def process(*command: str, **environment: str) -> AsyncIterator[trio.Process]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FLASHARB_")}
    opened = await trio.lowlevel.open_process(
        [sys.executable, "-m", *command],
        env={**clean, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if command[0] == "flasharb" else subprocess.DEVNULL,
    )
    try:
        yield opened
    finally:
        opened.kill()
        with trio.CancelScope(shield=True):
            await opened.wait()
            for stream in (opened.stdin, opened.stdout, opened.stderr):
                if stream is not None:
                    await stream.aclose()


class Lines:
    """The JSON lines of a process (no generator: it is left in the middle)."""

    def __init__(self, opened: trio.Process) -> None:
        assert opened.stdout is not None
        self._stdout = opened.stdout
        self._rest = b""

    def __aiter__(self) -> Lines:
        return self

    async def __anext__(self) -> dict[str, Any]:
        while b"\n" not in self._rest:
            part = await self._stdout.receive_some()
            if not part:
                raise StopAsyncIteration
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        record: dict[str, Any] = json.loads(line)
        return record


def configuration(ready: dict[str, Any], directory: Path, url: str) -> dict[str, str]:
    """The devnet as any other chain: nobody here has started it, so nothing is sent."""
    return {
        "FLASHARB_STORAGE_DATA_DIR": str(directory / "s"),
        "FLASHARB_CHAIN_SLOT_S": str(SLOT_S),
        "FLASHARB_NODE_URL": url,
        "FLASHARB_MESSAGE_BUS_ADDRESS": ready["bus_path"],
        "FLASHARB_CHAIN_WRAPPED_NATIVE": ready["weth"],
        "FLASHARB_CONTRACT_ADDRESS": ready["contract"],
        "FLASHARB_CONTRACT_BALANCER_VAULT": ready["balancer_vault"],
        "FLASHARB_POOLS_FILES": ready["pool_file"],
        "FLASHARB_POOLS_TOKEN_FILES": ready["token_file"],
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rpc_url", "ws_url"])
async def test_a_node_that_dies_is_seen_and_a_node_that_returns_is_used(kind: str) -> None:
    with tempfile.TemporaryDirectory(prefix="fa-out-") as name, trio.fail_after(100):
        directory = Path(name)
        devnet = ("flasharb.devnet", "--slot-s", str(SLOT_S), "--run-dir", str(directory))
        async with process(*devnet) as chain, trio.open_nursery() as nursery:
            ready = await anext(Lines(chain))
            place = urlsplit(ready[kind])
            assert place.port is not None
            cable = Cable(nursery, place.port)
            await cable.plug()
            settings = configuration(ready, directory, f"{place.scheme}://127.0.0.1:{cable.port}")
            async with process("flasharb", "run", "--json", **settings) as service:
                events = Lines(service)
                assert service.stderr is not None
                said = bytearray()
                nursery.start_soon(_collect, service.stderr, said)
                await _until(events, event="block")
                cable.cut()
                await _until(events, event="notice", subject="node_failed")
                await cable.plug()
                await _until(events, event="notice", subject="reloaded")
                await _until(events, event="block")
                service.terminate()
                summary = [record async for record in events][-1]
                assert await service.wait() == 0
            nursery.cancel_scope.cancel()
    assert summary["event"] == "summary"
    assert b"Traceback" not in said
    assert (b"connected again" in said) == (kind == "ws_url")


async def _until(events: Lines, **wanted: str) -> None:
    async for record in events:
        assert record["event"] != "summary"
        if wanted.items() <= record.items():
            return
    raise AssertionError(f"ended without {wanted}")


async def _collect(stream: trio.abc.ReceiveStream, into: bytearray) -> None:
    try:
        async for part in stream:
            into += part
    except trio.ClosedResourceError:
        return
