"""StableSwap pools from storage and events: ramps, what is missing, what is refused, what needs a reload."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flasharb.pools.errors import InsufficientLiquidity, Uninitialised
from flasharb.pools.events import StateUnknown
from flasharb.pools.spec import PoolSpec
from flasharb.pools.stableswap import (
    NG,
    TEMPLATE_2,
    Ramp,
    StableFacts,
    StableSwapPool,
    admission,
    events,
    identify,
    load,
    state,
    state_slots,
)
from flasharb.pools.stableswap.ramp import steady
from flasharb.pools.storage import CorruptPool, Elsewhere, Needs, Refused
from flasharb.units import Address
from tests.support.curve_bytecode import needs_mainnet, recorded_code
from tests.support.curve_samples import COINS, LP, NOW, POOL, stable, stable_spec

FACTS = StableFacts(TEMPLATE_2, (10**18, 10**30), 7)
SPEC = stable_spec(FACTS)
# balances 3 and 4, fee 5, admin fee 6, A 10 until time 12
SLOTS = {3: 10**24, 4: 10**12, 5: 4 * 10**6, 6: 5 * 10**9, 10: 150_000, 12: 0, 18: 0}
WITHOUT_SUPPLY = Elsewhere(timestamp=NOW)
SUPPLY = Elsewhere({(LP, 7): 2 * 10**24}, timestamp=NOW)


def loaded(slots: dict[int, int], elsewhere: Elsewhere = SUPPLY) -> StableSwapPool:
    """The pool, nothing missing."""
    pool = state(SPEC, slots, elsewhere)
    assert isinstance(pool, StableSwapPool)
    return pool


def test_loading_asks_for_what_is_missing_and_takes_nothing_for_zero() -> None:
    """Own slots first, then the supply in the LP token's contract, then the pool."""
    supply = frozenset({(LP, 7)})
    without_fee = state(SPEC, {slot: value for slot, value in SLOTS.items() if slot != 5}, SUPPLY)

    assert state(SPEC, {}, Elsewhere()) == Needs(timestamp=True)
    assert state(SPEC, {}, WITHOUT_SUPPLY) == Needs(frozenset({*state_slots(FACTS), 18}), supply)
    assert without_fee == Needs(frozenset({5}))
    assert state(SPEC, SLOTS, WITHOUT_SUPPLY) == Needs(elsewhere=supply)
    assert loaded(SLOTS).balances == (10**24, 10**12)
    assert loaded(SLOTS).d == 2 * 10**24


def test_where_a_ramp_began_is_asked_for_while_it_lasts() -> None:
    """A moves linearly between its two times, by the block's time, and stands still after."""
    ramping = SLOTS | {12: NOW + 100}
    assert state(SPEC, ramping, SUPPLY) == Needs(frozenset({9, 11}))

    pool = loaded(ramping | {9: 100_000, 11: NOW - 100})
    assert pool.ann == 2 * 125_000
    assert pool.at(NOW + 50).ann == 2 * 137_500
    assert pool.at(NOW + 100).ann == pool.at(NOW + 10**6).ann == 2 * 150_000
    assert pool.at(NOW + 50).d == pool.with_state(timestamp=NOW + 50).d
    assert Ramp(500, 100, 0, 4).at(3) == 200
    with pytest.raises(CorruptPool, match="begins at"):
        state(SPEC, ramping | {9: 100_000, 11: NOW + 1}, SUPPLY)


def test_without_a_known_supply_there_are_no_lp_hops() -> None:
    """Coins trade; hops on the LP token say why not."""
    pool = loaded(SLOTS, Elsewhere(timestamp=NOW, unknown={(LP, 7)}))

    assert pool.amount_out(0, 1, 10**20) > 0
    for i, j in ((0, 2), (2, 1)):
        with pytest.raises(Uninitialised, match="supply"):
            pool.amount_out(i, j, 10**6)
    with pytest.raises(Uninitialised, match="supply"):
        pool.virtual_price()


def test_a_pool_with_an_empty_side_quotes_nothing() -> None:
    """As the contract reverts."""
    pool = loaded(SLOTS | {4: 0})

    with pytest.raises(Uninitialised, match="empty"):
        pool.amount_out(0, 1, 10**18)
    with pytest.raises(Uninitialised):
        pool.marginal_rate(0, 1)


def test_more_lp_tokens_than_there_are_cannot_be_burnt() -> None:
    """The contract underflows."""
    with pytest.raises(InsufficientLiquidity, match="more than there are"):
        loaded(SLOTS).amount_out(2, 0, 2 * 10**24 + 1)


@pytest.mark.parametrize(
    ("facts", "slots", "reason"),
    [
        (FACTS, {18: 0}, None),
        (FACTS, {18: 1}, "killed"),
        (replace(FACTS, rules=NG), {26: 0, 27: 5}, "rate oracle"),
    ],
)
def test_admission_names_its_reason(facts: StableFacts, slots: dict[int, int], reason: str | None) -> None:
    """Killed pools, and coins with a rate of their own."""
    assert admission.watched(facts).keys() == slots.keys()
    answer = admission.refused(stable_spec(facts), slots)

    assert (answer is None) == (reason is None)
    assert reason is None or reason in str(answer)


def test_native_ether_is_refused() -> None:
    """Under the name that Curve gives it."""
    spec = replace(SPEC, tokens=(Address(b"\xee" * 20), *SPEC.tokens[1:]))

    assert state(spec, SLOTS, SUPPLY) == Refused(str(admission.refused(spec, {18: 0})))
    assert "native ether" in str(admission.refused(spec, {18: 0}))


@needs_mainnet
@pytest.mark.mainnet
def test_coins_of_ng_pools_are_read_from_the_code() -> None:
    """Addresses and decimals stand behind the common part; coins of other asset types are refused by name."""
    code = recorded_code("stable-ng")
    spec = identify(POOL, {}, Elsewhere(codes={POOL: code}))
    assert isinstance(spec, PoolSpec)
    assert [token.hex()[:4] for token in spec.tokens] == ["4c9e", "a0b8", "aaaa"]
    assert spec.facts == StableFacts(NG, (10**18, 10**30), 49)

    rebasing = bytearray(code)
    rebasing[admission.NG_CODE_LENGTH + 32 * 14 - 1] = 2
    assert "asset types" in str(identify(POOL, {}, Elsewhere(codes={POOL: bytes(rebasing)})))
    assert identify(POOL, {}, Elsewhere(codes={POOL: code[:-1]})) is None
    for number in (0, 1, 9):
        # no constructor lets that pass, but anybody can put the code there without one
        none = bytearray(code)
        none[admission.NG_CODE_LENGTH + 31] = number
        assert identify(POOL, {}, Elsewhere(codes={POOL: bytes(none)})) == Refused(f"no such pool has {number} coins")


@needs_mainnet
@pytest.mark.mainnet
def test_code_and_storage_vouch_for_the_spec() -> None:
    """A template pool's coins and LP token stand in its storage; a spec that says otherwise is refused, naming both."""
    known = Elsewhere(SUPPLY.slots, timestamp=NOW, codes={POOL: recorded_code("fraxbp")})
    tokens = {1: COINS[0], 2: COINS[1], 8: LP}
    stored = SLOTS | {slot: int.from_bytes(token, "big") for slot, token in tokens.items()}

    assert load(SPEC, {}, Elsewhere()) == Needs(code=frozenset({POOL}))
    assert load(SPEC, SLOTS, known) == Needs(frozenset(tokens))
    assert load(SPEC, stored, known) == loaded(SLOTS)
    assert "tokens are" in str(load(replace(SPEC, tokens=(*COINS[:2], COINS[3])), stored, known))
    assert "facts are" in str(load(replace(SPEC, facts=replace(FACTS, rates=(10**18, 10**18))), stored, known))
    foreign = replace(known, codes={POOL: b"\0"})
    assert "proven here" in str(load(SPEC, stored, foreign))


def test_an_exchange_that_our_state_cannot_have_done_needs_a_reload() -> None:
    """The event's output must be ours to the unit."""
    pool = stable((10**24, 10**24))
    swap = pool.swapped(0, 1, 10**20)

    assert events.after_token_exchange(pool, 0, 10**20, 1, swap.amount_out) == swap.pool
    with pytest.raises(StateUnknown, match="our state"):
        events.after_token_exchange(pool, 0, 10**20, 1, swap.amount_out + 1)
    with pytest.raises(StateUnknown, match="not have been able"):
        events.after_token_exchange(pool.with_state(balances=(0, 10**24)), 0, 10**20, 1, 5)


def test_withdrawals_and_deposits_follow_their_events() -> None:
    """Amounts leave the balances, the admin's part of the fees too; a wrong invariant needs a reload."""
    pool = stable((10**24, 3 * 10**24), fees=(4 * 10**6, 5 * 10**9, 0))

    after = events.after_remove_liquidity(pool, (10**20, 3 * 10**20), 4 * 10**24 - 4 * 10**20)
    assert after.balances == (10**24 - 10**20, 3 * 10**24 - 3 * 10**20)
    assert after.supply == 4 * 10**24 - 4 * 10**20
    with pytest.raises(StateUnknown, match="more than the pool had"):
        events.after_remove_liquidity(pool, (2 * 10**24, 0), 1)

    gone = pool.with_state(balances=(10**24 - 10**21, 3 * 10**24))
    imbalance = events.after_remove_liquidity_imbalance(pool, (10**21, 0), (10**10, 2 * 10**10), gone.d, 5)
    assert imbalance.balances == (10**24 - 10**21 - 5 * 10**9, 3 * 10**24 - 10**10)
    assert imbalance.supply == 5
    with pytest.raises(StateUnknown, match="invariant"):
        events.after_add_liquidity(pool, (10**21, 0), (0, 0), gone.d, 5)


def test_a_withdrawal_that_fits_two_coins_needs_a_reload() -> None:
    """The early event does not name the coin; in a pool in balance either would be paid alike."""
    pool = stable((10**24, 10**24))
    swap = pool.swapped(2, 0, 10**20)

    with pytest.raises(StateUnknown, match="fits 2"):
        events.after_remove_liquidity_one(pool, 10**20, swap.amount_out)
    assert events.after_remove_liquidity_one(pool, 10**20, swap.amount_out, coin=0) == swap.pool


def test_fees_and_ramps_follow_their_events() -> None:
    """NewFee of the older contracts gives the admin fee, ApplyNewFee of "ng" the off-peg multiplier."""
    pool, ng = stable((10**24, 10**24)), stable((10**24, 10**24), rules=NG)

    assert events.after_new_fee(pool, 7, 8).parameters[1:] == (7, 8, 0)
    assert events.after_new_fee(ng, 7, 2 * 10**10).parameters[1:] == (7, 5 * 10**9, 2 * 10**10)
    ramped = events.after_ramp_a(pool, Ramp(20_000, 40_000, NOW, NOW + 100)).at(NOW + 50)
    assert ramped.ann == 2 * 30_000
    assert events.after_stop_ramp_a(ramped, 30_000, NOW + 50).parameters.ramp == Ramp(
        30_000, 30_000, NOW + 50, NOW + 50
    )
    assert steady(5).at(0) == 5
