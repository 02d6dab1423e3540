"""StableSwap contracts that no recorded block holds against their compiled code, which is not in this repository.

Run ``FLASHARB_CURVE=FOLDER python -m tests.long.curve_compiled [CASES [KIND...]]`` (2,000 of each kind by default; see
``tests.support.compiled_curve`` for the folder). Kinds are those of ``tests.support.compiled_cases``, and ``route``: a
coin through base pool and metapool. It prints a line a kind and exits 1 on any difference.
``python -m tests.long.curve_compiled record [CASES]`` writes what the contracts answer to ``fixtures/curve``.
"""

from __future__ import annotations

import os

os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

import sys
from functools import partial
from time import process_time

from tests.support.compiled_cases import KINDS, record, run_case, run_route
from tests.support.compiled_curve import FOLDER


def main() -> None:
    """Run or record all kinds, or run those named."""
    if not FOLDER:
        raise SystemExit("FLASHARB_CURVE must name the folder with the compiled contracts")
    arguments = sys.argv[1:]
    if arguments[:1] == ["record"]:
        record(int(arguments[1]) if len(arguments) > 1 else 500)
        return
    cases, failed = int(arguments[0]) if arguments else 2_000, False
    for kind in arguments[1:] or (*KINDS, "route"):
        run = run_route if kind == "route" else partial(run_case, kind)
        start = process_time()
        problems = [problem for number in range(cases) if (problem := run(number))]
        failed = failed or bool(problems)
        print(f"{kind:12} {cases} cases, {len(problems)} differ, {process_time() - start:.0f} s", flush=True)
        for problem in problems[:10]:
            print(f"    {problem}", flush=True)
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main()
