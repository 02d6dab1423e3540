"""The service on the embedded devnet: how soon it sees something, and how much memory all its processes hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BLOCKS = 10
MEGABYTE = 1_000_000


def rows() -> list[dict[str, Any]]:
    """Start to first opportunity, peak resident memory of the whole process tree, latencies."""
    with tempfile.TemporaryDirectory(prefix="fa-bench-") as folder:
        began = time.monotonic()
        environment = {**os.environ, "FLASHARB_STORAGE_DATA_DIR": folder}
        command = [sys.executable, "-m", "flasharb", "run", "--blocks", str(BLOCKS), "--json"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            first_trade_s, most_bytes, summary = None, 0, {}
            for line in process.stdout:
                record = json.loads(line)
                most_bytes = max(most_bytes, _resident(process.pid))
                if record["event"] == "trade" and first_trade_s is None:
                    first_trade_s = time.monotonic() - began
                if record["event"] == "summary":
                    summary = record
        latency = summary["latency_ms"]
    return [
        _row("start to first trade found, devnet start included", first_trade_s, "s"),
        _row("peak resident memory: service, 2 workers, devnet", most_bytes / MEGABYTE, "MB"),
        _row("bus to opportunity, p50", latency["bus_to_opportunity"]["p50"], "ms"),
        _row("bus to opportunity, p99", latency["bus_to_opportunity"]["p99"], "ms"),
        _row("bus to bundle, p50", latency["bus_to_bundle"]["p50"], "ms"),
        _row("bus to bundle, p99", latency["bus_to_bundle"]["p99"], "ms"),
    ]


def _row(case: str, value: float | None, unit: str) -> dict[str, Any]:
    return {"case": case, "value": value, "unit": unit, "peer": None, "peer_value": None, "ratio": None}


def _resident(root: int) -> int:
    """Resident bytes of a process and all its descendants (Linux); shared pages count in each."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry.parent.name)] = int(fields[1])
    tree = {root}
    while more := {child for child, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return sum(_pages(process) for process in tree) * os.sysconf("SC_PAGE_SIZE")


def _pages(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return 0
