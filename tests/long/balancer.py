"""Pools of the Vault against their bytecode, thousands of cases of each version.

Run ``python -m tests.long.balancer [CASES [VERSION...]]`` (2,000 of each by default); it prints a line a version and
kind of swap and exits 1 on any difference. Versions whose code is not in this repository are run where
``FLASHARB_BALANCER`` names a folder with it (see ``tests.support.balancer_world``), and then
``python -m tests.long.balancer record [CASES]`` writes what they answer to ``fixtures/balancer/cases.json.gz``.
All of it takes about a quarter of an hour on one idle core.
"""

from __future__ import annotations

import os

os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

import sys

from tests.support.balancer_cases import STABLE_KINDS, WEIGHTED_KINDS, run_case
from tests.support.balancer_recorded import VERSIONS, record
from tests.support.balancer_world import ARTIFACTS
from tests.support.long_run import run_kinds


def main() -> None:
    """Run all versions, or record those whose code is elsewhere."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["record"]:
        if not ARTIFACTS:
            raise SystemExit("FLASHARB_BALANCER must name the folder with the code")
        record(int(arguments[1]) if len(arguments) > 1 else 400)
        return
    here = (*WEIGHTED_KINDS, *STABLE_KINDS, *(VERSIONS if ARTIFACTS else ()))
    kinds = [f"{version} {kind}" for version in arguments[1:] or here for kind in _kinds(version)]
    run_kinds(_run, kinds, arguments[:1], 2_000)


def _kinds(version: str) -> tuple[str, ...]:
    return ("weighted",) if version.startswith("weighted") else ("stable", "bpt")


def _run(named: str, number: int) -> str | None:
    version, kind = named.split()
    return run_case(kind, number, version)


if __name__ == "__main__":
    main()
