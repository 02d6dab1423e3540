"""The shared replay server: a recorded block as a read-only JSON-RPC node on loopback, in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import SHARED

SCRIPT = SHARED / "tools" / "replay_rpc.py"


@contextmanager
def replayed(path: Path) -> Iterator[str]:
    """Serve a recorded block, strictly; gives the URL."""
    if not SCRIPT.is_file():
        pytest.skip(f"no replay server at {SCRIPT}")
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), str(path), "--port", "0", "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            assert found is not None, line
            yield found.group()
        finally:
            server.terminate()
