"""Whole recorded mainnet blocks, verified against their headers: CPU seconds of ours and of stock py-evm.

Ours three ways: the very first run (nothing compiled, no cache), the first run of a process that finds the compiled
code on disk, and warm (the blocks have been executed before). Reading the files is not counted.
"""

from __future__ import annotations

import tempfile
from importlib.metadata import version
from pathlib import Path
from time import process_time
from typing import Any

from flasharb.adapters.blockfile import read_block
from flasharb.adapters.code_cache import CodeCache
from flasharb.evm.machine import SHARED_COMPILER
from flasharb.simulation.recorded import RecordedBlock
from flasharb.simulation.verify import verify

MAINNET = Path(__file__).resolve().parents[2] / "shared" / "mainnet"
WARM_UP = 14
PAIRINGS = frozenset({17666333, 18426253})


def rows() -> list[dict[str, Any]]:
    """Totals over the blocks, and each block warm."""
    paths = sorted(MAINNET.glob("[0-9]*.json.gz"))
    if not paths:
        return []
    blocks = [read_block(path) for path in paths]
    stock = [_seconds(block, "stock") for block in blocks]
    with tempfile.TemporaryDirectory() as directory:
        first = _fresh(blocks, None)
        SHARED_COMPILER.store = CodeCache(Path(directory))
        for _ in range(WARM_UP):
            for block in blocks:
                _seconds(block, "py-evm")
        SHARED_COMPILER.save()
        warm = [min(_seconds(block, "py-evm") for _ in range(3)) for block in blocks]
        cached = _fresh(blocks, CodeCache(Path(directory)))
        SHARED_COMPILER.store = None
    peer = f"stock py-evm {version('py-evm')}"
    gas = sum(block.gas_used for block in blocks) / 1e6
    plain = [index for index, block in enumerate(blocks) if block.context.number not in PAIRINGS]
    return [
        _row("all, very first run", sum(first), peer, sum(stock)),
        _row("all, first run with the cache on disk", sum(cached), peer, sum(stock)),
        _row(f"all, warm ({gas / sum(warm):.1f} Mgas/s)", sum(warm), peer, sum(stock)),
        _row("without pairings, warm", sum(warm[n] for n in plain), peer, sum(stock[n] for n in plain)),
        *(
            _row(f"{block.context.number} ({block.gas_used / 1e6:.1f} Mgas), warm", warm[n], peer, stock[n])
            for n, block in enumerate(blocks)
        ),
    ]


def _fresh(blocks: list[RecordedBlock], store: CodeCache | None) -> list[float]:
    SHARED_COMPILER.programs.clear()
    SHARED_COMPILER.store = store
    return [_seconds(block, "py-evm") for block in blocks]


def _seconds(block: RecordedBlock, engine: Any) -> float:
    start = process_time()
    answer = verify(block, engine)
    seconds = process_time() - start
    if not answer.ok:
        raise RuntimeError(f"block {block.context.number} does not verify on {engine}: {answer.mismatches}")
    return seconds


def _row(case: str, value: float, peer: str, peer_value: float) -> dict[str, Any]:
    ratio = peer_value / value
    return {"case": case, "value": value, "unit": "s", "peer": peer, "peer_value": peer_value, "ratio": ratio}
