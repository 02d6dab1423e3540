"""The Curve mathematics against the contracts' own code, 2,000 cases of each kind.

Run ``python -m tests.long.curve [CASES [KIND...]]``; it prints a line a kind and exits 1 on any difference. It needs
the recorded mainnet blocks, out of which it takes the code. About a minute on an idle core.
"""

from __future__ import annotations

import os

os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

import sys

from tests.support import crypto_cases, stable_cases
from tests.support.curve_bytecode import MAINNET
from tests.support.long_run import run_kinds


def run_case(kind: str, number: int) -> str | None:
    """A case of either kind of pool."""
    run = stable_cases.run_case if kind in stable_cases.KINDS else crypto_cases.run_case
    return run(kind, number)


if __name__ == "__main__":
    if not MAINNET.is_dir():
        raise SystemExit(f"no recorded mainnet blocks at {MAINNET}")
    run_kinds(run_case, stable_cases.KINDS + crypto_cases.KINDS, sys.argv[1:], 2_000)
