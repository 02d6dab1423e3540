"""Runs the official state tests: ``python -m tests.evm_tests [PATH...]``, a path being a category file or a folder.

Prints passed and failed per category (with CPU seconds) and the names of what failed; the last line is
``N passed, N failed``. Exit code 1 if anything failed.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from time import process_time
from typing import Any

os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

import click

from flasharb.evm.machine import SHARED_COMPILER
from tests.support import state_tests

DEFAULT = Path(__file__).resolve().parents[1].parent / "shared" / "ethereum_tests"


def categories(paths: tuple[Path, ...]) -> list[Path]:
    """The category files."""
    found: list[Path] = []
    for path in paths or (DEFAULT,):
        found += sorted(path.glob("*.json.gz")) if path.is_dir() else [path]
    return found


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--engine", type=click.Choice(["py-evm", "stock"]), default="py-evm", show_default=True)
@click.option("--warm", type=int, help="Entries after which a place is compiled; 1 compiles everything.")
@click.option("--without", multiple=True, metavar="NAME", help="A test left out by name; may be given again.")
def main(paths: tuple[Path, ...], engine: Any, warm: int | None, without: tuple[str, ...]) -> None:
    """Run the categories PATHS."""
    if warm is not None:
        SHARED_COMPILER.warm = warm
    passed = failed = 0
    for path in categories(paths):
        start = process_time()
        good, bad = 0, []
        for case in state_tests.cases(path):
            if case.test in without:
                click.echo(f"  LEFT OUT {case.name}")
                continue
            try:
                problem = state_tests.run(case, engine)
            except Exception as error:  # noqa: BLE001 - whatever it raises, the case has failed
                problem = f"{type(error).__name__}: {error}"
            if problem is None:
                good += 1
            else:
                bad.append(f"{case.name}: {problem}")
        for line in bad:
            click.echo(f"  FAILED {line}")
        seconds = process_time() - start
        click.echo(f"{path.name.removesuffix('.json.gz')}: {good} passed, {len(bad)} failed ({seconds:.1f} s)")
        passed += good
        failed += len(bad)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    click.echo(f"{process_time():.0f} s of CPU time, at most {memory} MB resident ({engine})")
    click.echo(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
