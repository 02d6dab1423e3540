"""``flasharb backtest`` over the recorded blocks, one by one: replay, detection, sizing and trial, in CPU seconds.

Cycles up to four hops from and to wrapped ether, before each real arbitrage and at the block's end. Every block is
searched twice; the second time its contracts are compiled, as they are in a process that has run for a while.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from time import process_time
from typing import Any

from benchmarks.sizing_cases import SHARED
from flasharb.adapters.blockfile import read_block
from flasharb.cli.places import recorded_wrapped_native
from flasharb.settings import Settings, balancer_vault, v4_manager
from flasharb.simulation.backtest import Backtest, Terms, backtest
from flasharb.simulation.recorded import RecordedBlock
from flasharb.units import ZERO_ADDRESS


def rows() -> list[dict[str, Any]]:
    """Each block, the first time and again; nothing without the blocks."""
    return [row for path in sorted((SHARED / "mainnet").glob("[0-9]*.json.gz")) for row in _rows(read_block(path))]


def _rows(block: RecordedBlock) -> Iterator[dict[str, Any]]:
    first, _ = _seconds(block)
    again, result = _seconds(block)
    name = f"{block.context.number}, {len(block.transactions)} transactions, {result.pools} pools"
    yield _row(f"{name}, searched {len(result.moments)} times, first", first)
    yield _row(f"{name}, warm", again)


def _row(case: str, value: float) -> dict[str, Any]:
    return {"case": case, "value": value, "unit": "s", "peer": None, "peer_value": None, "ratio": None}


def _seconds(block: RecordedBlock) -> tuple[float, Backtest]:
    settings = Settings()
    there = replace(settings, chain=replace(settings.chain, id=block.chain_id))
    native = recorded_wrapped_native(settings, block.chain_id)
    vault, manager = balancer_vault(there) or ZERO_ADDRESS, v4_manager(there) or ZERO_ADDRESS
    terms = Terms((native,), native, vault, manager)
    start = process_time()
    result = backtest(block, terms)
    return process_time() - start, result
