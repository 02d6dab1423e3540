"""wstETH against Lido's own contracts in a recorded block, 10,000 cases.

Run ``python -m tests.long.pools_wsteth [CASES]``; it exits 1 on any difference. About two minutes on an idle core.
"""

from __future__ import annotations

import os

os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

import sys

from tests.support.long_run import run_kinds
from tests.support.wsteth_cases import KINDS, run_case

if __name__ == "__main__":
    run_kinds(run_case, KINDS, sys.argv[1:], 10_000)
