"""Fault 23: a whole run with canary keys, and then a search for them in everything that it said and wrote."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from flasharb.devnet.world import devnet_key

CANARY = "c0ffee" * 10 + "abcd"
PASSWORD = "correct-horse-battery-staple"


def content_of(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder with a short name: a Unix socket's path has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="fa") as folder:
        yield Path(folder)


@pytest.mark.slow
def test_no_key_appears_in_anything_a_run_says_or_writes(short_path: Path) -> None:
    """The signer's key, the relay identity, an unused key of the environment and a relay's password, at level debug."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("FLASHARB_")}
    environ |= {
        "FLASHARB_SIGNER_KEY": CANARY,
        "FLASHARB_LOGGING_LEVEL": "debug",
        "FLASHARB_STORAGE_DATA_DIR": str(short_path / "data"),
        # A second relay that cannot be reached, so that its failures are logged too.
        "FLASHARB_RELAYS_URLS": f"http://user:{PASSWORD}@127.0.0.1:1/",
    }

    result = subprocess.run(
        [sys.executable, "-m", "flasharb", "run", "--blocks", "4", "--json"],
        cwd=short_path, env=environ, capture_output=True, timeout=110, check=False,
    )  # fmt: skip

    assert result.returncode == 0, result.stderr.decode()
    identity = short_path / "data" / "relay_identity.key"
    secrets = [CANARY, devnet_key("signer").hex(), identity.read_text().strip()[2:], PASSWORD]
    said = {"stdout": result.stdout, "stderr": result.stderr}
    written = {str(path): content_of(path) for path in short_path.rglob("*") if path.is_file() and path != identity}
    assert any(name.endswith("journal.jsonl") for name in written)
    for place, content in (said | written).items():
        for secret in secrets:
            assert secret.encode() not in content.lower(), place
            assert len(secret) != 64 or bytes.fromhex(secret) not in content, place
