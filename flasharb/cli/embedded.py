"""The embedded devnet as a child process, and the settings that point at it.

The child has a session of its own, so that Ctrl-C in the terminal reaches only us and we can drain first, and it holds
a pipe as stdin, so that it ends when we do, however we end. Everything it says goes to ``devnet.log`` in its run
directory.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
import trio

from flasharb.errors import OutsideError
from flasharb.settings import DEVNET_CHAIN_ID, Settings, Signer

READY_LIMIT_S: Final = 60.0
STOP_LIMIT_S: Final = 5.0
GRACE_S: Final = 0.3
LOG_NAME: Final = "devnet.log"
LONGEST_RUN_DIR: Final = 85
"""Bytes of a directory in which ``market_data.sock`` still is a possible path for a socket."""
LAST_WORDS: Final = 15
"""Lines of its log that are shown when it fails."""


class DevnetError(OutsideError):
    """The embedded devnet does not start, or ended while it was needed."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The line that ``python -m flasharb.devnet`` prints when everything is open."""

    event: str
    chain_id: int
    genesis_hash: str
    rpc_url: str
    ws_url: str
    bus_path: str
    signal_path: str
    relay_url: str
    contract: str
    weth: str
    balancer_vault: str
    v4_manager: str
    pool_file: str
    token_file: str
    signer_key_file: str
    genesis_block: int


@dataclass(frozen=True, slots=True)
class EmbeddedDevnet:
    """A running devnet and the settings with every empty key filled in from it."""

    ready: Ready
    settings: Settings
    run_dir: Path


@asynccontextmanager
async def embedded_devnet(settings: Settings, data_dir: Path) -> AsyncIterator[EmbeddedDevnet]:
    """Start the devnet, wait until it is ready, and end it after the block.

    Raises:
        DevnetError: it is not ready within a minute, or it ends while the block runs.
    """
    run_dir = _new_run_dir(data_dir, settings.storage.keep_runs)
    with _short_name(run_dir) as named:
        async with _running(settings, run_dir, named) as devnet:
            yield devnet


@contextmanager
def _short_name(run_dir: Path) -> Iterator[Path]:
    """A name of the directory that leaves room for a Unix socket's path (107 bytes): a link where it is too long."""
    if len(os.fsencode(run_dir.absolute())) <= LONGEST_RUN_DIR:
        yield run_dir
        return
    with TemporaryDirectory(prefix="flasharb-") as short:
        link = Path(short) / "run"
        link.symlink_to(run_dir.absolute(), target_is_directory=True)
        yield link


@asynccontextmanager
async def _running(settings: Settings, run_dir: Path, named: Path) -> AsyncIterator[EmbeddedDevnet]:
    process = await _start(settings, run_dir, named)
    try:
        ready = await _ready(process, run_dir)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_watch, process, run_dir)
            try:
                yield EmbeddedDevnet(ready, filled(settings, ready), run_dir)
            except (OutsideError, BaseExceptionGroup):
                # A call that failed may only be the first to feel the devnet's end; then its last words are the reason.
                await trio.sleep(GRACE_S)
                raise
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await _stop(process)


def filled(settings: Settings, ready: Ready) -> Settings:
    """The settings with the devnet's addresses, files and keys wherever they were left empty."""
    bus = settings.message_bus
    return replace(
        settings,
        message_bus=replace(
            bus,
            address=bus.address or ready.bus_path,
            signal_address=bus.signal_address or ready.signal_path,
        ),
        chain=replace(settings.chain, wrapped_native=settings.chain.wrapped_native or ready.weth),
        node=replace(settings.node, url=ready.rpc_url if bus.transport != "node" else ready.ws_url),
        # Its contract obeys its own key alone; a key for another chain may well be in the environment.
        signer=Signer(key_env="", key_file=ready.signer_key_file),
        relays=replace(settings.relays, urls=settings.relays.urls or (ready.relay_url,)),
        contract=replace(
            settings.contract,
            address=settings.contract.address or ready.contract,
            balancer_vault=settings.contract.balancer_vault or ready.balancer_vault,
            v4_manager=settings.contract.v4_manager or ready.v4_manager,
        ),
        pools=replace(
            settings.pools,
            files=settings.pools.files or (ready.pool_file,),
            token_files=settings.pools.token_files or (ready.token_file,),
        ),
    )


def _new_run_dir(data_dir: Path, keep: int) -> Path:
    runs = data_dir / "runs"
    try:
        runs.mkdir(parents=True, exist_ok=True)
        older = sorted(path for path in runs.iterdir() if path.is_dir())
        for path in older[: max(0, len(older) - keep + 1)]:
            shutil.rmtree(path, ignore_errors=True)
        # Microseconds, so that two runs started in one second do not share a directory.
        run_dir = runs / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
        run_dir.mkdir()
    except OSError as error:
        raise DevnetError(f"cannot make a run directory in {runs}: {error.strerror}; set storage.data_dir") from error
    return run_dir


async def _start(settings: Settings, run_dir: Path, named: Path) -> trio.Process:
    command = [
        *(sys.executable, "-m", "flasharb.devnet"),
        *("--seed", str(settings.devnet.seed), "--slot-s", str(settings.chain.slot_s)),
        *("--trades-per-slot", str(settings.devnet.trades_per_slot), "--run-dir", str(named)),
    ]
    with (run_dir / LOG_NAME).open("wb") as log:
        return await trio.lowlevel.open_process(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )


async def _ready(process: trio.Process, run_dir: Path) -> Ready:
    assert process.stdout is not None
    line = bytearray()
    with trio.move_on_after(READY_LIMIT_S):
        async for chunk in process.stdout:
            line += chunk
            if b"\n" in line:
                break
        else:
            status = await process.wait()
            raise DevnetError(f"the embedded devnet ended at its start with status {status}{_last_words(run_dir)}")
    try:
        ready = msgspec.json.decode(bytes(line).split(b"\n")[0], type=Ready)
    except msgspec.MsgspecError as error:
        raise DevnetError(
            f"the embedded devnet was not ready after {READY_LIMIT_S:.0f} s ({error}){_last_words(run_dir)}"
        ) from None
    if ready.chain_id != DEVNET_CHAIN_ID:
        raise DevnetError(f"the embedded devnet has chain id {ready.chain_id}, expected {DEVNET_CHAIN_ID}")
    return ready


async def _watch(process: trio.Process, run_dir: Path) -> None:
    status = await process.wait()
    raise DevnetError(f"the embedded devnet ended with status {status}{_last_words(run_dir)}")


def _last_words(run_dir: Path) -> str:
    log = run_dir / LOG_NAME
    lines = log.read_text(errors="replace").splitlines()[-LAST_WORDS:]
    return (
        "".join(f"\n  {line}" for line in (f"the end of {log}:", *lines))
        if lines
        else f" ({log} is empty: is the disk full?)"
    )


async def _stop(process: trio.Process) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            await stream.aclose()
    with trio.move_on_after(STOP_LIMIT_S):
        await process.wait()
        return
    process.kill()
    await process.wait()
