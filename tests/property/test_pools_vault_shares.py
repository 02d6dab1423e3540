"""ERC-4626 vaults against the real code of OpenZeppelin, Solady and solmate.

``python -m tests.long.pools_vault_shares`` runs 20,000 cases of each kind.
"""

from __future__ import annotations

from collections import Counter

import pytest

from flasharb.pools.errors import QuoteUnavailable
from tests.support.vault_cases import KINDS, VAULTS, run_case, vault_case

CASES = 800


@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_the_vaults(kind: str) -> None:
    """Amounts, the two slots afterwards, what is refused, and the least input, to the unit."""
    assert [problem for number in range(CASES) if (problem := run_case(kind, number))] == []


def test_the_extreme_cases_are_extreme() -> None:
    """Refusals, dust that gives nothing, and plain answers; every vault, both directions."""
    found: Counter[str] = Counter()
    for number in range(CASES):
        name, pool, i, amount = vault_case("extreme", number)
        found[name] += 1
        found[f"token {i}"] += 1
        try:
            found["gives" if pool.amount_out(i, 1 - i, amount) else "nothing"] += 1
        except QuoteUnavailable:
            found["refused"] += 1
    assert min(found[name] for name in (*VAULTS, "token 0", "token 1", "gives", "nothing", "refused")) > CASES // 10
