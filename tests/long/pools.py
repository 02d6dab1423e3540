"""The pool mathematics against the pools' bytecode, 10,000 cases of each kind.

Run ``python -m tests.long.pools [CASES [WORKERS [KIND...]]]``; it prints a line a kind and exits 1 on any difference.
About a quarter of an hour on two idle cores.
"""

from __future__ import annotations

import os

os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

import sys
from time import perf_counter

from tests.support.pool_cases import V2_KINDS, V3_KINDS, run_cases


def main() -> None:
    """Run all kinds."""
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    failed = False
    for kind in tuple(sys.argv[3:]) or V3_KINDS + V2_KINDS:
        start = perf_counter()
        problems = run_cases(kind, cases, workers)
        failed = failed or bool(problems)
        print(f"{kind:6} {cases} cases, {len(problems)} differ, {perf_counter() - start:.0f} s", flush=True)
        for problem in problems[:10]:
            print(f"    {problem}", flush=True)
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main()
