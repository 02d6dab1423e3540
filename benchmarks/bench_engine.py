"""What the compiling engine costs beside warm calls: first calls, long code, deep calls, memory, the cache on disk."""

from __future__ import annotations

import json
import marshal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.bench_blocks import MAINNET
from benchmarks.bench_evm import row, seconds
from benchmarks.evm_world import CONTEXT, ME, World
from flasharb.adapters.blockfile import read_block
from flasharb.adapters.code_cache import CodeCache
from flasharb.evm import Account, DictState, Fork, Machine
from flasharb.evm.compiler import Compiler
from flasharb.simulation.recorded import RecordedState
from tests.support.assembly import assemble

CONTRACTS = 2_000
LOADED = 300
CODE = b"\xc0" * 20
PEER = f"stock py-evm {version('py-evm')}"


def rows() -> list[dict[str, Any]]:
    """All of it."""
    found = [*_first_calls(), _long_code(), _deep_calls()]
    paths = sorted(MAINNET.glob("[0-9]*.json.gz"))
    if paths:
        with tempfile.TemporaryDirectory() as directory:
            found += _held(paths, Path(directory))
    return found


def _first_calls() -> Iterator[dict[str, Any]]:
    """Calls of contracts that were never seen before, with nothing on disk."""
    world = World()
    for name, (to, data) in world.workloads().items():
        ours = theirs = float("inf")
        for _ in range(5):
            fresh = Machine(world.state, CONTEXT, world.fork, compiler=Compiler())
            ours = min(ours, seconds(partial(fresh.call, to, data, sender=ME), 1))
            theirs = min(theirs, seconds(partial(world.machine("stock").call, to, data, sender=ME), 1))
        yield row(f"{name}, the very first call", ours, PEER, theirs)


def _warm(code: bytes, data: bytes = b"", repeat: int = 5) -> float:
    """Seconds of a call of this code when it has run often."""
    world = DictState({CODE: Account(code=code)})
    machine = Machine(world, CONTEXT, Fork.CANCUN, compiler=Compiler(warm=1))
    call = partial(machine.call, CODE, data, sender=ME, gas=1 << 60)
    for _ in range(3):
        if not call().success:
            raise RuntimeError("the measured code fails")
    return seconds(call, repeat)


def _long_code() -> dict[str, Any]:
    """An instruction is as cheap in long code as in short code."""

    def loop(size: int, rounds: int) -> float:
        body = b"\x34\x80\x01\x80\x02\x50" * (size // 6)
        count_down = b"\x60\x01\x90\x03\x80\x60\x04\x57"
        return _warm(b"\x62" + rounds.to_bytes(3, "big") + b"\x5b" + body + count_down)

    return row(
        "2.4 million instructions, in a loop of 24,000", loop(24_000, 100), "in a loop of 240", loop(240, 10_000)
    )


def _deep_calls() -> dict[str, Any]:
    """A call is as cheap a thousand calls deep as above."""
    code = assemble(
        f"0 CALLDATALOAD DUP1 @deeper JUMPI 0 0 RETURN deeper: 1 SWAP1 SUB 0 MSTORE 0 0 32 0 0 0x{CODE.hex()} GAS CALL"
    )

    def nested(depth: int) -> float:
        return _warm(code, depth.to_bytes(32, "big")) / depth

    return row("a call, 1,000 deep", nested(1_000), "10 deep", nested(10))


def _held(paths: list[Path], directory: Path) -> Iterator[dict[str, Any]]:
    """All contracts that the recorded blocks call, compiled wherever they were entered, from the cache on disk."""
    compiler = Compiler(CodeCache(directory), warm=1)
    for path in paths:
        block = read_block(path)
        machine = Machine(RecordedState(block), block.context, block.fork, compiler=compiler)
        machine.begin_block()
        for transaction in block.transactions:
            machine.apply(transaction)
    compiler.save()
    command = [sys.executable, "-m", "benchmarks.evm_memory", str(directory), str(CONTRACTS)]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    case = f"resident memory of a worker with {said['contracts']:,} contracts, {said['functions']:,} functions"
    yield {"case": case, "value": said["mb"], "unit": "MB", "peer": None, "peer_value": None, "ratio": None}
    cache = CodeCache(directory)
    names = sorted(path.name for path in directory.iterdir())[:LOADED]
    took = seconds(lambda: [marshal.loads(cache.load(name) or b"") for name in names], 3)
    case = f"load {len(names)} contracts from the cache on disk"
    yield {"case": case, "value": took * 1e3, "unit": "ms", "peer": None, "peer_value": None, "ratio": None}
