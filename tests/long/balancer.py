"""Pools of the Vault against their bytecode, thousands of cases of each kind.

Run ``python -m tests.long.balancer [CASES [KIND...]]``; it prints a line a kind and exits 1 on any difference. 3,000
cases of each take about five minutes on one idle core.
"""

from __future__ import annotations

import os

os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

import sys
from time import perf_counter

from tests.support.balancer_cases import KINDS, run_case


def main() -> None:
    """Run all kinds."""
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000
    failed = False
    for kind in tuple(sys.argv[2:]) or KINDS:
        start = perf_counter()
        problems = [problem for number in range(cases) if (problem := run_case(kind, number))]
        failed = failed or bool(problems)
        print(f"{kind:8} {cases} cases, {len(problems)} differ, {perf_counter() - start:.0f} s", flush=True)
        for problem in problems[:10]:
            print(f"    {problem}", flush=True)
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main()
