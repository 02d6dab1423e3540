"""Pools of the Vault: inverse, rates, events, loading and admission, beside what the bytecode tests prove."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flasharb.pools import InsufficientLiquidity, QuoteUnavailable, Uninitialised
from flasharb.pools.balancer import Ramp, StablePool, UnknownRate, WeightedPool, load_stable, load_weighted
from flasharb.pools.balancer.log_exp import power, root
from flasharb.pools.events import StateUnknown
from flasharb.pools.storage import CorruptPool, Elsewhere, Needs, Refused
from tests.support.balancer_cases import NOW, case_of

KINDS = st.sampled_from(("weighted", "stable", "bpt"))


def loaded(kind: str, number: int) -> tuple[WeightedPool | StablePool, int, int]:
    """A pool of the random cases and the direction of its case."""
    case = case_of(kind, number)
    return case.pool(case.machine()), case.i, case.j


@settings(max_examples=150, deadline=None)
@given(KINDS, st.integers(0, 100), st.integers(1, 10**6), st.integers(0, 9))
def test_the_least_input_gives_enough_and_one_less_does_not(kind: str, number: int, part: int, digits: int) -> None:
    """``amount_in`` is the inverse of ``amount_out``, from next to nothing to a third of what there is."""
    pool, i, j = loaded(kind, number)
    there = pool.cash[j]
    if isinstance(pool, StablePool) and j == pool.facts.bpt:
        there = max(0, pool.supply - there)
    wanted = there * part // (3 * 10**6) // 10**digits
    try:
        needed = pool.amount_in(i, j, wanted)
        enough, less = pool.amount_out(i, j, needed), pool.amount_out(i, j, max(0, needed - 1))
    except QuoteUnavailable:
        return
    assert enough >= wanted
    assert not needed or less < wanted


def test_the_marginal_rate_is_the_limit_of_small_swaps() -> None:
    """In pools of large balances a small swap pays the marginal rate, up to its rounding and what it moves."""
    compared = 0
    for kind in ("weighted", "stable", "bpt"):
        for number in range(80):
            pool, i, j = loaded(kind, number)
            if isinstance(pool, StablePool) and min(pool.scaled) < 10**15:
                continue
            amount = pool.reserve_in(i, j) // 10**7
            if isinstance(pool, StablePool) and i == pool.facts.bpt:
                amount = (pool.supply - pool.cash[i] - pool.managed[i]) // 10**7
            try:
                paid = pool.amount_out(i, j, amount)
            except QuoteUnavailable:
                continue
            if min(amount, paid) > 10**9:
                assert paid / amount == pytest.approx(pool.marginal_rate(i, j), rel=3e-5), (kind, number)
                compared += 1
    assert compared > 40


@pytest.mark.parametrize(
    ("base", "exponent", "expected"),
    [
        (10**18, 5 * 10**17, 1.0),
        (15 * 10**17, 25 * 10**17, 1.5**2.5),
        (7 * 10**17, 33 * 10**17, 0.7**3.3),
        (105 * 10**16, 10**18, 1.05),
        (10**30, 4 * 10**17, 1e12**0.4),
    ],
)
def test_power_is_near_the_true_value(base: int, exponent: int, expected: float) -> None:
    """The contract's power has thirteen digits; whether it is the contract's to the last, the bytecode tests say."""
    assert power(base, exponent) / 10**18 == pytest.approx(expected, rel=1e-13)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 10**18), st.integers(0, 17), st.integers(10**16, 99 * 10**18))
def test_the_root_is_the_greatest_base_of_a_power_that_is_small_enough(part: int, digits: int, exponent: int) -> None:
    """Its power is at most the value and that of the next base is not; 0 stands for any base below 1 / e."""
    value = max(1, 10**18 - 1 - part // 10**digits)
    base = root(value, exponent)

    assert base is not None
    assert (power(base, exponent) if base else 0) <= value < power(max(base + 1, 4 * 10**17), exponent)


@pytest.mark.parametrize(("base", "exponent"), [(1 << 255, 1), (2, 1 << 200), (10**20, 10**20), (10**16, 10**19)])
def test_power_refuses_what_does_not_fit(base: int, exponent: int) -> None:
    """Arguments and results out of bounds, which revert in the contract."""
    with pytest.raises(ValueError, match="out of bounds"):
        power(base, exponent)


def test_refuses_what_no_swap_can_be() -> None:
    """Negative amounts, the same token twice, an empty pool, more than the Vault has."""
    for kind in ("weighted", "stable"):
        pool, i, j = loaded(kind, 3)
        for quote in (pool.amount_out, pool.amount_in, pool.amount_in_exact_out):
            assert quote(i, j, 0) == 0
            with pytest.raises(ValueError, match="negative"):
                quote(i, j, -1)
            with pytest.raises(ValueError, match="itself"):
                quote(i, i, 1)
        with pytest.raises(InsufficientLiquidity):
            pool.amount_in(i, j, pool.cash[j] + 1)
        with pytest.raises(ValueError, match="positive"):
            pool.swapped(i, j, 0)
        nothing = [-c for c in pool.cash]
        if isinstance(pool, WeightedPool):
            empty = pool.after_pool_balance_changed(nothing, [0] * len(nothing))
            with pytest.raises(Uninitialised):
                empty.amount_out(i, j, 1)


def test_events_of_the_vault_move_cash_and_managed_amounts() -> None:
    """A join pays its protocol fee out of the pool, and a managed amount leaves the cash but not the balance."""
    pool, _, _ = loaded("weighted", 1)
    count = len(pool.cash)
    joined = pool.after_pool_balance_changed([100] * count, [3] * count)
    managed = joined.after_pool_balance_managed(0, -50, 50)

    assert joined.cash == tuple(c + 97 for c in pool.cash)
    assert managed.cash[0] + managed.managed[0] == joined.cash[0] + joined.managed[0]
    assert managed.depth()[0] == joined.cash[0] - 50
    assert pool.after_swap_fee_changed(7).fee == 7
    with pytest.raises(ValueError, match="negative"):
        pool.after_swap(0, 1, 1, pool.cash[1] + 1)


def _rated() -> tuple[StablePool, int, int]:
    for number in range(100):
        pool, i, j = loaded("stable", number)
        if isinstance(pool, StablePool) and pool.facts.has_rate[i]:
            return pool, i, j
    raise AssertionError("no case has a rate")


def test_an_expired_rate_refuses_every_quote_until_a_new_one_is_known() -> None:
    """After its expiry the pool would ask the provider; its ``TokenRateCacheUpdated`` event makes it known again."""
    pool, i, j = _rated()
    amount = pool.reserve_in(i, j) // 1000
    later = pool.at(pool.fresh_until + 1)

    assert pool.at(pool.fresh_until).amount_out(i, j, amount) == pool.amount_out(i, j, amount)
    for quote in (later.amount_out, later.amount_in_exact_out):
        with pytest.raises(UnknownRate):
            quote(i, j, amount)
    with pytest.raises(StateUnknown):
        later.after_swap(i, j, amount, amount)
    fresh = later
    for k, flag in enumerate(pool.facts.has_rate):
        if flag:
            fresh = fresh.after_rate_updated(k, pool.rates[k].current, later.timestamp)
    assert fresh.amount_out(i, j, amount) == pool.at(pool.timestamp).amount_out(i, j, amount)


def test_what_the_events_of_a_stable_pool_do_not_tell_asks_for_a_reload() -> None:
    """Joins and exits, as such or as swaps of the pool's own token, change storage that no event names."""
    pool, i, j = loaded("bpt", 1)

    with pytest.raises(StateUnknown):
        pool.after_pool_balance_changed([0] * len(pool.cash), [0] * len(pool.cash))
    with pytest.raises(StateUnknown):
        pool.after_swap(i, j, 1, 1)


@pytest.mark.parametrize(("timestamp", "expected"), [(100, 1000), (150, 1500), (199, 1990), (200, 2000), (999, 2000)])
def test_the_amplification_ramps_by_time(timestamp: int, expected: int) -> None:
    """In a straight line from start to end, and stays there."""
    assert Ramp(1000, 2000, 100, 200).at(timestamp) == expected
    assert Ramp(2000, 1000, 100, 200).at(timestamp) == 3000 - expected


def test_loading_names_every_unknown_slot_and_refuses_foreign_tokens() -> None:
    """Nothing is taken for zero, the time neither; the Vault must know the pool by its tokens."""
    pool, _, _ = loaded("stable", 1)
    assert load_stable(pool.spec, {}, Elsewhere()) == Needs(timestamp=True)
    needs = load_stable(pool.spec, {}, Elsewhere(timestamp=NOW))
    assert isinstance(needs, Needs)
    assert {2, 7, 8, 9, 11, 12} <= needs.slots
    nothing = Elsewhere(dict.fromkeys(needs.elsewhere, 0), timestamp=NOW)
    with pytest.raises(CorruptPool):
        load_stable(pool.spec, dict.fromkeys(needs.slots, 0), nothing)

    weighted, _, _ = loaded("weighted", 1)
    last = weighted.facts.pausable_until
    wanted, later = (load_weighted(weighted.spec, {}, Elsewhere(timestamp=time)) for time in (last, last + 1))
    assert isinstance(wanted, Needs)
    assert isinstance(later, Needs)
    assert len(wanted.slots) == 2
    assert len(later.slots) == 1, "a pause that cannot hold any more need not be known"
    assert len(wanted.elsewhere) > 2


def test_a_pool_that_the_vault_never_heard_of_is_not_one_with_nothing_in_it() -> None:
    """Slots that were never written read as zero, which is no balance to quote from."""
    pool, _, _ = loaded("weighted", 1)
    needs = load_weighted(pool.spec, {}, Elsewhere(timestamp=NOW))
    assert isinstance(needs, Needs)
    empty = Elsewhere(dict.fromkeys(needs.elsewhere, 0), timestamp=NOW)

    assert load_weighted(pool.spec, dict.fromkeys(needs.slots, 0), empty) == Refused(
        "the Vault holds nothing for the pool"
    )


@pytest.mark.parametrize(
    ("vault_word", "own", "reason"),
    [(0xABC01, {}, "the Vault is paused"), (0, {7: 1}, "the pool is paused"), (0, {8: 1 << 255}, "recovery mode")],
)
def test_pauses_and_recovery_keep_a_pool_out(vault_word: int, own: dict[int, int], reason: str) -> None:
    """The Vault's pause in the lowest byte of its word, the pool's own, and recovery mode."""
    pool, _, _ = loaded("stable", 1)
    assert isinstance(pool, StablePool)
    needs = load_stable(pool.spec, {}, Elsewhere(timestamp=NOW))
    assert isinstance(needs, Needs)
    others = {**dict.fromkeys(needs.elsewhere, 0), (pool.facts.vault, 3): vault_word}

    refused = load_stable(pool.spec, {**dict.fromkeys(needs.slots, 0), **own}, Elsewhere(others, timestamp=NOW))

    assert isinstance(refused, Refused)
    assert reason in refused.reason
