"""A sample of the official Ethereum state tests: state root, logs hash, and refusal of invalid transactions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import SHARED
from tests.support.state_tests import cases, run

FOLDER = SHARED / "ethereum_tests"
CATEGORIES = (
    "stExample",
    "stSStoreTest",
    "stRefundTest",
    "stEIP2930",
    "stEIP3607",
    "stEIP150Specific",
    "stEIP158Specific",
    "stExtCodeHash",
    "stInitCodeTest",
    "stLogTests",
    "stCallCodes",
    "stTransactionTest",
    "stSelfBalance",
    "Shanghai",
)
PER_CATEGORY = 60


@pytest.mark.slow
@pytest.mark.parametrize("category", CATEGORIES)
def test_a_sample_of_the_category(category: str) -> None:
    """Evenly spread over the category's cases."""
    path = Path(FOLDER / f"{category}.json.gz")
    if not path.is_file():
        pytest.skip(f"no official state tests at {FOLDER}")
    everything = list(cases(path))
    step = max(1, len(everything) // PER_CATEGORY)
    failures = [(case.name, problem) for case in everything[::step] if (problem := run(case)) is not None]
    assert failures == []
