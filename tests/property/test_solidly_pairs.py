"""Pairs of Solidly and its forks against what real pairs answered, and against the pairs themselves where they are.

The recorded answers are those of the pairs' own bytecode; ``tests.long.solidly`` makes them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flasharb.pools import InsufficientLiquidity, PoolSpec, QuoteUnavailable, Uninitialised
from flasharb.pools.solidly import LAYOUTS, SolidlyFacts, SolidlyPool, load
from flasharb.pools.storage import Elsewhere, Needs, Refused
from flasharb.units import Address
from tests.support.solidly_cases import KINDS, case_of, recorded, run_case
from tests.support.solidly_world import ARTIFACTS, CONTRACTS

FACTORY = Address(b"\3" * 20)


def test_agrees_with_recorded_answers() -> None:
    """Quote and reserves afterwards are the real pair's in every recorded case, and so is every refusal."""
    found: Counter[str] = Counter()
    for case, quote, paid, after in recorded():
        pool = case.pool()
        i, j = case.i, 1 - case.i
        if quote is None:
            with pytest.raises(InsufficientLiquidity):
                pool.amount_out(i, j, case.amount_in)
            found["refused"] += 1
            continue
        assert pool.quoted(i, j, case.amount_in) == quote, case
        if after is not None:
            result = pool.swapped(i, j, case.amount_in)
            assert (result.amount_out, result.pool.reserves) == (paid, after), case
        found["lowered"] += paid != quote
        found[f"{case.kind} {'stable' if case.stable else 'volatile'}"] += 1

    assert set(found) == {"refused", "lowered", *(f"{kind} {shape}" for kind in CONTRACTS for shape in KINDS)}
    assert min(found.values()) > 20


@pytest.mark.skipif(not ARTIFACTS, reason="FLASHARB_SOLIDLY does not name a folder with the compiled pairs")
@pytest.mark.parametrize("shape", KINDS)
def test_agrees_with_bytecode(shape: str) -> None:
    """Quote, what the pair lets pass, and its reserves afterwards are the real pair's."""
    problems = [run_case(shape, index) for index in range(300)]

    assert [problem for problem in problems if problem] == []


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 10**6), st.integers(1, 10**6))
def test_the_least_input_gives_enough_and_one_less_does_not(shape: str, index: int, millionths: int) -> None:
    """``amount_in`` is the inverse of ``amount_out``."""
    case = case_of(shape, index)
    pool, i, j = case.pool(), case.i, 1 - case.i
    wanted = pool.reserves[j] * millionths // (2 * 10**6)
    try:
        needed = pool.amount_in(i, j, wanted)
    except QuoteUnavailable:
        return
    assert pool.amount_out(i, j, needed) >= wanted
    assert not needed or pool.amount_out(i, j, needed - 1) < wanted


@pytest.mark.parametrize("shape", KINDS)
def test_the_marginal_rate_is_the_limit_of_small_swaps(shape: str) -> None:
    """A millionth of a large reserve pays the marginal rate up to what it moves the price."""
    case = replace(case_of(shape, 1), decimals=(18, 6), reserves=(10**27, 2 * 10**15), amount_in=1)
    pool = case.pool()
    for i, j in ((0, 1), (1, 0)):
        amount = pool.reserves[i] // 10**6
        paid = pool.amount_out(i, j, amount) / amount
        assert paid == pytest.approx(pool.marginal_rate(i, j), rel=1e-5)
        assert paid < pool.marginal_rate(i, j)


def test_refuses_what_no_swap_can_be() -> None:
    """Negative amounts, the same token twice, an empty pair, more than the pair has."""
    pool = case_of("stable", 1).pool()
    for quote in (pool.amount_out, pool.amount_in):
        assert quote(0, 1, 0) == 0
        with pytest.raises(ValueError, match="negative"):
            quote(0, 1, -1)
        with pytest.raises(ValueError, match="itself"):
            quote(1, 1, 5)
        with pytest.raises(Uninitialised):
            getattr(pool.after_sync(0, 0), quote.__name__)(0, 1, 5)
    with pytest.raises(InsufficientLiquidity):
        pool.amount_in(0, 1, pool.reserves[1])
    with pytest.raises(ValueError, match="positive"):
        pool.swapped(0, 1, 0)


@pytest.mark.parametrize("kind", CONTRACTS)
def test_loading_never_takes_unknown_for_zero_and_refuses_a_paused_factory(kind: str) -> None:
    """The pair asks for the slots of its own and of its factory that it needs, the pause among them."""
    facts = SolidlyFacts(kind, True, (10**18, 10**6), FACTORY)  # type: ignore[arg-type]
    spec = PoolSpec(Address(b"\7" * 20), kind, (Address(b"\1" * 20), Address(b"\2" * 20)), 0, facts=facts)
    first = load(spec, {}, Elsewhere())
    assert isinstance(first, Needs)
    assert first.slots == {LAYOUTS[kind].reserves, LAYOUTS[kind].reserves + 1}
    own, others = dict.fromkeys(first.slots, 10**9), dict.fromkeys(first.elsewhere, 5)

    pool = load(spec, own, Elsewhere({**others, (FACTORY, 0): 0xABC00}))
    paused = load(spec, own, Elsewhere({**others, (FACTORY, 0): 0xABC01}))

    assert isinstance(pool, SolidlyPool)
    assert (pool.reserves, pool.fee_bps) == ((10**9, 10**9), 1 if kind == "solidly_v1" else 5)
    assert isinstance(paused, Refused)


@pytest.mark.parametrize("kind", ["velodrome_v1", "velodrome_v2", "velodrome_v2_r2"])
def test_a_factory_that_takes_the_whole_input_is_refused(kind: str) -> None:
    """A fee of 10,000 basis points leaves nothing to quote, and nothing to divide by."""
    facts = SolidlyFacts(kind, True, (10**18, 10**6), FACTORY)  # type: ignore[arg-type]
    spec = PoolSpec(Address(b"\7" * 20), kind, (Address(b"\1" * 20), Address(b"\2" * 20)), 0, facts=facts)
    first = load(spec, {}, Elsewhere())
    assert isinstance(first, Needs)
    own, others = dict.fromkeys(first.slots, 10**9), dict.fromkeys(first.elsewhere, 10_000)
    answer = load(spec, own, Elsewhere({**others, (FACTORY, 0): 0}))
    assert isinstance(answer, Refused)
    assert "10000 basis points" in answer.reason
