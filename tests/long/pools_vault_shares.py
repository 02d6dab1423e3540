"""ERC-4626 vaults against their real code, 20,000 cases of each kind.

Run ``python -m tests.long.pools_vault_shares [CASES [KIND...]]``; it prints a line a kind and exits 1 on any
difference. About two minutes on an idle core.
"""

from __future__ import annotations

import os

os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

import sys

from tests.support.long_run import run_kinds
from tests.support.vault_cases import KINDS, run_case

if __name__ == "__main__":
    run_kinds(run_case, KINDS, sys.argv[1:], 20_000)
