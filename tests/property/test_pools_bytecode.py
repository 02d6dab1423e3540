"""The pool mathematics against the pools' own bytecode: 1,000 cases of each kind.

``python -m tests.long.pools`` runs 10,000 of each.
"""

from __future__ import annotations

from collections import Counter

import pytest

from flasharb.pools import ends
from flasharb.pools.concentrated.tick_math import MIN_TICK, sqrt_price_at_tick
from tests.support.pool_cases import TIERS, V2_KINDS, V3_KINDS, V3Case, run_cases, v3_case

CASES = 1000


@pytest.mark.slow
@pytest.mark.timeout(900)  # a minute on two idle cores; a loaded machine takes its time
@pytest.mark.parametrize("kind", V3_KINDS + V2_KINDS)
def test_agrees_with_bytecode(kind: str) -> None:
    """Amounts, state afterwards and the ladder's quote are the contract's, bit for bit."""
    assert run_cases(kind, CASES) == []


@pytest.mark.parametrize(
    ("kind", "feature", "least"),
    [
        ("range", "crosses", 400),
        ("range", "filled", 800),
        ("edge", "starts on tick", 600),
        ("edge", "stands below its tick", 300),
        ("edge", "ends on tick", 600),
        ("gap", "meets a gap", 500),
        ("dry", "runs dry", 600),
        ("dry", "filled", 200),
    ],
)
def test_cases_are_what_they_claim(kind: str, feature: str, least: int) -> None:
    """The generator does reach the situations that the kinds are named for."""
    found = Counter(feature for number in range(CASES) for feature in features(v3_case(kind, number)))

    assert found[feature] >= least


def test_every_tier_and_direction_occurs() -> None:
    """Both protocols, every fee and spacing, both directions, exact-in and exact-out."""
    cases = [v3_case("range", number) for number in range(CASES)]

    assert {case.tier for case in cases} == set(TIERS)
    assert all(min(Counter(map(flag, cases)).values()) > CASES // 3 for flag in (_direction, _side))


def _direction(case: V3Case) -> bool:
    return case.zero_for_one


def _side(case: V3Case) -> bool:
    return case.exact_in


def features(case: V3Case) -> set[str]:
    """The situations that a case brings about."""
    pool = case.pool()
    i, j = ends(case.zero_for_one)
    result = pool.swapped(i, j, case.amount, exact_in=case.exact_in, sqrt_price_limit_x96=case.limit)
    filled = case.amount == (result.amount_in if case.exact_in else result.amount_out)
    low, high = sorted((pool.tick, result.pool.tick))
    above_start, above_end = sqrt_price_at_tick(pool.tick + 1), sqrt_price_at_tick(result.pool.tick + 1)
    end = result.pool.sqrt_price_x96
    empty = any(not level and low < tick <= high for tick, level in pool.ladder.initialised_below(high))
    return {
        name
        for name, holds in {
            "filled": filled,
            "runs dry": not filled and case.limit is None,
            "crosses": any(low < tick <= high for tick in pool.ladder.ticks),
            "starts on tick": pool.sqrt_price_x96 in (sqrt_price_at_tick(pool.tick), above_start),
            "stands below its tick": pool.sqrt_price_x96 == above_start,
            "ends on tick": end in (sqrt_price_at_tick(max(MIN_TICK, result.pool.tick)), above_end),
            "meets a gap": empty or not pool.liquidity,
        }.items()
        if holds
    }
