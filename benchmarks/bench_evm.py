"""Warm calls of real contracts on the local EVM: CPU time of state snapshot, call and revert, best of several.

The peer is py-evm's own computation and account database on the same world, in the same process.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from time import process_time
from typing import Any

from benchmarks.evm_world import ME, World

ROUNDS = 5


def rows() -> list[dict[str, Any]]:
    """One row a workload."""
    world = World()
    ours, stock = world.machine("py-evm"), world.machine("stock")
    peer = f"stock py-evm {version('py-evm')}"
    figures = []
    for name, (to, data) in world.workloads().items():
        ours_result, stock_result = (machine.call(to, data, sender=ME) for machine in (ours, stock))
        if ours_result != stock_result or not ours_result.success:
            raise RuntimeError(f"{name}: {ours_result} where py-evm says {stock_result}")
        best = {"ours": float("inf"), "stock": float("inf")}
        for _ in range(ROUNDS):
            # Side by side, so that both have the same share of a busy machine.
            best["stock"] = min(best["stock"], _best(partial(stock.call, to, data, sender=ME), 3))
            best["ours"] = min(best["ours"], _best(partial(ours.call, to, data, sender=ME), 40))
        case = f"{name} ({ours_result.gas_used:,} gas)"
        figures.append(_row(case, best["ours"] * 1e3, peer, best["stock"] * 1e3))
    return figures


def _best(call: Callable[[], object], repeat: int) -> float:
    """CPU seconds of the fastest call."""
    best = float("inf")
    gc.collect()
    for _ in range(repeat):
        start = process_time()
        call()
        best = min(best, process_time() - start)
    return best


def _row(case: str, value: float, peer: str, peer_value: float) -> dict[str, Any]:
    ratio = peer_value / value
    return {"case": case, "value": value, "unit": "ms", "peer": peer, "peer_value": peer_value, "ratio": ratio}
