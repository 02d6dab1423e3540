"""The search for a least input where the quotes themselves are bad."""

from __future__ import annotations

import pytest

from flasharb.pools.errors import QuoteUnavailable
from flasharb.pools.inverse import Unsettled, least_input
from flasharb.pools.stableswap import NG
from tests.support.curve_samples import stable


def _never_settles(_amount: int) -> int:
    raise Unsettled("no end")


def test_where_the_iteration_ends_nowhere_there_is_no_quote() -> None:
    """By name, and after a bounded number of tries."""
    with pytest.raises(Unsettled, match="nowhere near an input of 10"):
        least_input(_never_settles, 5, 10)


def test_a_few_inputs_that_do_not_settle_are_passed_over() -> None:
    """The next one that does is the least."""

    def quote(amount: int) -> int:
        if 90 <= amount < 120:
            raise Unsettled("no end")
        return amount

    assert least_input(quote, 95, 95) == 120


def test_a_pool_of_dust_refuses_by_name() -> None:
    """Anybody can open one at a factory; where the contract would divide by nothing, it reverts."""
    pool = stable((1, 1), rules=NG, fees=(5 * 10**9, 10**10, 10**10 + 10**9), supply=10**24)
    for j in (0, 1):
        for burnt in (1, 10**12, 10**24 - 1, 10**24):
            with pytest.raises(QuoteUnavailable):
                pool.amount_out(2, j, burnt)
