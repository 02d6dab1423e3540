"""A part of the official state tests: small categories whole, of the large ones the same sample each time.

``./just evm-tests`` runs all of them.
"""

from __future__ import annotations

from itertools import chain, islice
from pathlib import Path

import pytest

from tests.conftest import SHARED
from tests.support import state_tests

FOLDER = SHARED / "ethereum_tests"
CATEGORIES = sorted(FOLDER.glob("*.json.gz"))
WHOLE = 240
"""A category of at most so many cases runs whole; of a larger one as many are chosen, evenly, and all invalid ones."""

# Minutes each, and no rule that others do not try: loops of a million rounds, BLAKE2F's largest number of rounds.
TOO_LONG = ("loop-exp", "loop_exp", "loopExp", "loopMul", "performanceTester", "CALLBlake2f_MaxRounds")

pytestmark = [
    pytest.mark.official,
    pytest.mark.skipif(not CATEGORIES, reason=f"no official state tests at {FOLDER}"),
]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("category", [pytest.param(path, id=path.name.partition(".")[0]) for path in CATEGORIES])
def test_a_category(category: Path) -> None:
    """State root and logs hash of every case; what must be refused is refused and leaves the state as it was."""
    cases = [case for case in state_tests.cases(category) if not any(name in case.name for name in TOO_LONG)]
    step = -(-len(cases) // WHOLE)
    invalid = (case for n, case in enumerate(cases) if n % step and case.invalid is not None)
    answers = ((case.name, state_tests.run(case)) for case in chain(cases[::step], invalid))
    assert list(islice((answer for answer in answers if answer[1] is not None), 10)) == []
