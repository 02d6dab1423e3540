"""The Curve mathematics against the contracts' own code, 2,000 cases of each kind.

Run ``python -m tests.long.curve [CASES [KIND...]]``; it prints a line a kind and exits 1 on any difference. It needs
the recorded mainnet blocks, out of which it takes the code. About ten minutes on an idle core.
"""

from __future__ import annotations

import os

os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

import sys
from time import process_time

from tests.support import crypto_cases, stable_cases
from tests.support.curve_bytecode import MAINNET


def main() -> None:
    """Run all kinds, or those named."""
    if not MAINNET.is_dir():
        raise SystemExit(f"no recorded mainnet blocks at {MAINNET}")
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    failed = False
    for kind in tuple(sys.argv[2:]) or stable_cases.KINDS + crypto_cases.KINDS:
        run_case = stable_cases.run_case if kind in stable_cases.KINDS else crypto_cases.run_case
        start = process_time()
        problems = [problem for number in range(cases) if (problem := run_case(kind, number))]
        failed = failed or bool(problems)
        print(f"{kind:12} {cases} cases, {len(problems)} differ, {process_time() - start:.0f} s", flush=True)
        for problem in problems[:10]:
            print(f"    {problem}", flush=True)
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main()
