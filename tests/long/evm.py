"""The EVM against stock py-evm on random programs and damaged calls of real contracts, a thousand cases a seed.

Run ``python -m tests.long.evm [FIRST_SEED [SEEDS]]``: by default seeds 1000 to 1999, a million cases, about an hour.
It prints a line a seed, so that a run that was cut short goes on at the seed after the last line; it exits 1 on any
difference, and every seed can be run again alone.
"""

from __future__ import annotations

import os

os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

import random
import resource
import sys
from itertools import islice
from time import perf_counter
from typing import Any, Final

from benchmarks.evm_world import World
from flasharb.evm.compiler import Compiler
from tests.support.evm_fuzz import CALLS, compare, compare_damaged_calls, pairs

WORLDS: Final = 100
DAMAGED_CALLS: Final = 1_000 - WORLDS * (CALLS + 1)


def run_seed(seed: int, real: World) -> Any:
    """The first difference of a seed's cases, None when there is none."""
    compiler = Compiler(warm=1 + seed % 3)
    for dice, pair, shown in islice(pairs(seed, compiler), WORLDS):
        difference = compare(dice, pair)
        if difference is not None:
            return shown, difference
    difference, _ = compare_damaged_calls(random.Random(seed), real, compiler, DAMAGED_CALLS)
    return difference


def main() -> None:
    """Run the seeds."""
    first = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    seeds = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000
    real = World("stock")
    start = perf_counter()
    failed = 0
    for number, seed in enumerate(range(first, first + seeds), 1):
        difference = run_seed(seed, real)
        failed += difference is not None
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        print(
            f"seed {seed}: {number * 1000:,} cases, {failed} differ, {perf_counter() - start:.0f} s, {memory} MB",
            flush=True,
        )
        if difference is not None:
            print(f"    {difference}", flush=True)
    raise SystemExit(int(failed > 0))


if __name__ == "__main__":
    main()
