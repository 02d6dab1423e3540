"""The shared replay server: a recorded block as a read-only JSON-RPC node on loopback."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SHARED

SCRIPT = SHARED / "tools" / "replay_rpc.py"


@contextmanager
def replayed(path: Path, *, strict: bool = True) -> Iterator[tuple[str, Any]]:
    """Serve a recorded block; gives the URL and the server's node (``stats()`` counts what was asked in vain)."""
    if not SCRIPT.is_file():
        pytest.skip(f"no replay server at {SCRIPT}")
    spec = importlib.util.spec_from_file_location("replay_rpc", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    node = module.Node(module.load(path), strict=strict)
    server = module.serve(node)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", node
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
