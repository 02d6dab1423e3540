"""StableSwap contracts that no recorded block holds against what they answered, and against their code where it is.

The recorded answers are those of the contracts' own code; ``tests.long.curve_compiled`` makes them.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from flasharb.pools.stableswap.codes import IMPLEMENTATIONS, OWN
from flasharb.pools.stableswap.rules import EARLY, NG_7, NG_META, TEMPLATE_2, facts_of
from tests.support.compiled_cases import (
    KINDS,
    compare,
    compiled_case,
    made_by_flasharb,
    recorded,
    rules_of,
    run_case,
    run_route,
)
from tests.support.compiled_curve import FOLDER


@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_recorded_answers(kind: str) -> None:
    """What is paid, every slot afterwards and the LP supply; ours refuses where the contract reverts."""
    found: Counter[str] = Counter()
    for case, answer in recorded(kind):
        assert compare(case, answer) is None, case
        found["reverts" if answer is None else "pays"] += 1
        if case.copied_price_is_old():
            found["renews"] += 1

    assert found.total() >= 500
    assert found["pays"] > 450
    assert (found["renews"] > 50) == (kind == "meta")


@pytest.mark.parametrize("kind", KINDS)
def test_a_unit_more_or_less_is_noticed(kind: str) -> None:
    """The comparison fails where a contract would have paid, or stored, something else, or refused."""
    for case, answer in islice((one for one in recorded(kind) if one[1] is not None), 20):
        assert answer is not None
        paid, slots, supply = answer
        at = case.facts.rules.slots
        assert compare(case, (paid + 1, slots, supply))
        for moving in (at.balances, at.total_supply):
            moved = [value + (slot == moving) for slot, value in zip(case.wanted(), slots, strict=True)]
            assert compare(case, (paid, moved, supply + (moving is None)))
        assert compare(case, None)


def test_every_code_that_is_admitted_was_run() -> None:
    """All codes and all rules of these contracts are among the recorded cases."""
    codes = {compiled_case(kind, number).code for kind in KINDS for number in range(500)}
    rules = {one for kind in KINDS for one in rules_of(kind, 500)}

    assert codes >= IMPLEMENTATIONS.keys() | {at for at, code in OWN.items() if code.rules is not TEMPLATE_2}
    assert rules == {code.rules for code in (*OWN.values(), *IMPLEMENTATIONS.values())} - {TEMPLATE_2} | {NG_7, NG_META}
    assert facts_of(compiled_case("3crv", 0).spec).rules is EARLY


@pytest.mark.skipif(not FOLDER, reason="FLASHARB_CURVE does not name a folder with the compiled contracts")
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_compiled_code(kind: str) -> None:
    """What is paid, storage afterwards, the pool that the logs lead to; admission takes the contract for what it is."""
    assert [problem for number in range(100) if (problem := run_case(kind, number))] == []


@pytest.mark.skipif(not FOLDER, reason="FLASHARB_CURVE does not name a folder with the compiled contracts")
def test_a_route_through_base_pool_and_metapool_pays_what_it_quotes() -> None:
    """Both contracts one after the other: the metapool looks at the price that the deposit left."""
    assert [problem for number in range(100) if (problem := run_route(number))] == []


@pytest.mark.skipif(not FOLDER, reason="FLASHARB_CURVE does not name a folder with the compiled contracts")
@pytest.mark.parametrize("kind", KINDS)
def test_flasharb_gets_what_is_quoted(kind: str) -> None:
    """By the commands of a trade: exchange and LP token, ether for WETH, 3Crv approved."""
    made = [made_by_flasharb(kind, number) for number in range(40)]

    assert [one for one in made if one[0] != one[1]] == []
    assert sum(one[0] is not None for one in made) > 30
