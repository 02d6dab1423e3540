"""Pairs of Solidly and its forks against their real bytecode, which is not in this repository.

Run ``FLASHARB_SOLIDLY=FOLDER python -m tests.long.solidly [CASES]`` (3,000 of each kind by default; see
``tests.support.solidly_world`` for the folder); it prints a line a kind and exits 1 on any difference.
``python -m tests.long.solidly record [CASES]`` writes what the real pairs answer to ``fixtures/solidly/cases.json.gz``.
"""

from __future__ import annotations

import os

os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

import sys
from time import perf_counter

from tests.support.solidly_cases import KINDS, record, run_case
from tests.support.solidly_world import ARTIFACTS


def main() -> None:
    """Run or record all kinds."""
    if not ARTIFACTS:
        raise SystemExit("FLASHARB_SOLIDLY must name the folder with the compiled pairs")
    arguments = sys.argv[1:]
    if arguments[:1] == ["record"]:
        record(int(arguments[1]) if len(arguments) > 1 else 500)
        return
    cases, failed = int(arguments[0]) if arguments else 3_000, False
    for kind in KINDS:
        start = perf_counter()
        problems = [problem for index in range(cases) if (problem := run_case(kind, index))]
        failed = failed or bool(problems)
        print(f"{kind:8} {cases} cases, {len(problems)} differ, {perf_counter() - start:.0f} s", flush=True)
        for problem in problems[:10]:
            print(f"    {problem}", flush=True)
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main()
