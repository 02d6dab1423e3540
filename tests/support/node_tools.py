"""The Node.js tools that some tests hold us against, and an anvil to talk to."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def find_tool(name: str) -> Path | None:
    """The executable of an npm package: in ``$FLASHARB_NODE_MODULES``, in ``solidity/node_modules``, or on PATH."""
    folders = [REPOSITORY / "solidity" / "node_modules"]
    if named := os.environ.get("FLASHARB_NODE_MODULES"):
        folders.insert(0, Path(named))
    for folder in folders:
        tool = folder / ".bin" / name
        if tool.exists() and shutil.which("node"):
            return tool
    found = shutil.which(name)
    return Path(found) if found else None


def require_tool(name: str) -> Path:
    """The tool, or a skip that says how to get it."""
    tool = find_tool(name)
    if tool is None:
        pytest.skip(
            f"{name} is not installed (./just node-tools, or name a node_modules folder in FLASHARB_NODE_MODULES)"
        )
    return tool


@asynccontextmanager
async def running_anvil(*options: str) -> AsyncIterator[str]:
    """A fresh anvil on a port of its own choice: gives ``127.0.0.1:PORT``."""
    tool = require_tool("anvil")
    process = await trio.lowlevel.open_process(
        [str(tool), "--host", "127.0.0.1", "--port", "0", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        said = ""
        with trio.fail_after(60):
            while "Listening on " not in said or "\n" not in said.partition("Listening on ")[2]:
                part = await process.stdout.receive_some()
                assert part, f"anvil ended early: {said}"
                said += part.decode()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_drain, process.stdout)
            yield said.partition("Listening on ")[2].split()[0]
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            # The npm package starts the real anvil as its child: end both.
            os.killpg(process.pid, 15)
            await process.wait()


async def _drain(stdout: trio.abc.ReceiveStream) -> None:
    while await stdout.receive_some():
        pass
