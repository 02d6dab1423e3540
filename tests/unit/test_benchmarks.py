"""The benchmarks are run by hand; that they still fit the code is seen here."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

MODULES = sorted(path.stem for path in Path(__file__).parents[2].joinpath("benchmarks").glob("bench_*.py"))


def test_there_are_benchmarks() -> None:
    assert "bench_pools" in MODULES


@pytest.mark.parametrize("name", MODULES)
def test_a_benchmark_can_be_imported_and_has_rows(name: str) -> None:
    """A name that moved elsewhere is found out before somebody needs a figure."""
    assert callable(import_module(f"benchmarks.{name}").rows)
