"""Settings of every test: deterministic hypothesis profiles and the places of recorded data."""

from __future__ import annotations

import atexit
import inspect
import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

import pytest
from hypothesis import HealthCheck, settings

from tests.support.node_tools import require_tool

# Compiled EVM code is kept for this run alone, and shared with the processes that the tests start.
os.environ["XDG_CACHE_HOME"] = _cache = tempfile.mkdtemp(prefix="flasharb-tests-")
atexit.register(shutil.rmtree, _cache, ignore_errors=True)

settings.register_profile(
    "repeatable", derandomize=True, deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "long", deadline=None, max_examples=10_000, suppress_health_check=list(HealthCheck), print_blob=True
)
settings.load_profile(os.environ.get("FLASHARB_HYPOTHESIS_PROFILE", "repeatable"))

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared"


@pytest.fixture(scope="session")
def mainnet_blocks() -> Path:
    """The folder of recorded mainnet blocks, or a skip that says where it was looked for."""
    folder = SHARED / "mainnet"
    if not folder.is_dir():
        pytest.skip(f"no recorded mainnet blocks at {folder}")
    return folder


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """What talks to an anvil is skipped here where there is none: a skip inside Trio loses its reason."""
    if item.get_closest_marker("node") and inspect.iscoroutinefunction(inspect.unwrap(getattr(item, "obj", None))):
        require_tool("anvil")
