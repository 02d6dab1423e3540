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

from tests.support.compiled_cases import KINDS, record, run_case, run_route
from tests.support.compiled_curve import FOLDER
from tests.support.long_run import run_kinds


def main() -> None:
    """Run or record all kinds, or run those named."""
    if not FOLDER:
        raise SystemExit("FLASHARB_CURVE must name the folder with the compiled contracts")
    arguments = sys.argv[1:]
    if arguments[:1] == ["record"]:
        record(int(arguments[1]) if len(arguments) > 1 else 500)
        return
    run_kinds(_run, (*KINDS, "route"), arguments, 2_000)


def _run(kind: str, number: int) -> str | None:
    return run_route(number) if kind == "route" else run_case(kind, number)


if __name__ == "__main__":
    main()
