"""Pairs of Solidly and its forks against their real bytecode, which is not in this repository.

Run ``FLASHARB_SOLIDLY=FOLDER python -m tests.long.solidly [CASES]`` (3,000 of each kind by default; see
``tests.support.solidly_world`` for the folder); it prints a line a kind and exits 1 on any difference.
``python -m tests.long.solidly routes [CASES]`` executes whole routes through Velodrome V1's pair with FlashArb (1,000
by default). ``python -m tests.long.solidly record [CASES]`` writes what the real pairs answer to
``fixtures/solidly/cases.json.gz``.
"""

from __future__ import annotations

import os

os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

import sys

from flasharb.units import Address
from tests.support.contract_world import World
from tests.support.long_run import run_kinds
from tests.support.solidly_cases import KINDS, record, run_case
from tests.support.solidly_routes import run_route
from tests.support.solidly_world import ARTIFACTS, CONTRACTS, creation_codes


def velodrome_factory(world: World) -> Address:
    """Velodrome V1's own factory, by a transaction."""
    created = world.send(None, creation_codes("velodrome_v1")[CONTRACTS["velodrome_v1"][2]]).contract_address
    assert created is not None
    return Address(created)


def velodrome_route(_kind: str, number: int) -> str | None:
    """A whole route."""
    return run_route(velodrome_factory, "velodrome_v1", number)


def main() -> None:
    """Run or record all kinds."""
    if not ARTIFACTS:
        raise SystemExit("FLASHARB_SOLIDLY must name the folder with the compiled pairs")
    arguments = sys.argv[1:]
    if arguments[:1] == ["record"]:
        record(int(arguments[1]) if len(arguments) > 1 else 500)
        return
    if arguments[:1] == ["routes"]:
        run_kinds(velodrome_route, ("routes",), arguments[1:2], 1_000)
    run_kinds(run_case, KINDS, arguments, 3_000)


if __name__ == "__main__":
    main()
