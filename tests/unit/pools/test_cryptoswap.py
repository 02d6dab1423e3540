"""CryptoSwap pools from storage and events: ramps, what is missing, what is refused, what needs a reload."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from eth_hash.auto import keccak

from flasharb.feed.events import PoolLog
from flasharb.pools.cryptoswap import (
    TRICRYPTO2,
    TWOCRYPTO,
    TWOCRYPTO_NG,
    CryptoFacts,
    CryptoSwapPool,
    GammaRamp,
    admission,
    crypto_pool,
    events,
    identify,
    load,
    state,
)
from flasharb.pools.errors import Uninitialised
from flasharb.pools.events import StateUnknown
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import CorruptPool, Elsewhere, Needs, Refused
from tests.support.crypto_cases import codes
from tests.support.curve_bytecode import needs_mainnet, recorded_address, recorded_code
from tests.support.curve_samples import LP, NOW, POOL, WAD, crypto, crypto_spec

FACTS = CryptoFacts(TWOCRYPTO, (1, 1), (LP, 8))
SPEC = crypto_spec(FACTS)
KNOWN = Elsewhere({(LP, 8): 7}, timestamp=NOW)
A_GAMMA = 400_000 << 128 | 145 * 10**12
SLOTS = {
    4: 2 * WAD, 5: 2 * WAD, 6: 2 * WAD, 7: NOW - 12, 9: A_GAMMA, 11: 0, 12: 2 * 10**12, 14: 23 * 10**13,
    16: 146 * 10**12, 18: 600, 20: 26 * 10**6, 21: 45 * 10**6, 26: 10**24, 27: 5 * 10**23, 28: 2 * 10**24,
    30: WAD, 32: WAD, 33: 0,
}  # fmt: skip


def test_loading_asks_for_what_is_missing_and_takes_nothing_for_zero() -> None:
    """Own slots, then the supply in the LP token's contract; a pool that is adjusting needs no allowed profit."""
    assert state(SPEC, SLOTS, Elsewhere(timestamp=NOW)) == Needs(elsewhere=frozenset({(LP, 8)}))
    without = {slot: value for slot, value in SLOTS.items() if slot != 12}
    assert state(SPEC, without, Elsewhere(timestamp=NOW)) == Needs(frozenset({12}))
    adjusting = state(SPEC, without | {33: 1}, KNOWN)
    pool = state(SPEC, SLOTS, KNOWN)

    assert isinstance(adjusting, CryptoSwapPool)
    assert adjusting.parameters.allowed_extra_profit is None
    assert isinstance(pool, CryptoSwapPool)
    assert pool.supply == 7
    assert pool.xp == (10**24, 10**24)
    assert pool.d_now == 2 * 10**24


def test_a_ramp_moves_a_and_gamma_and_d() -> None:
    """While it lasts D is computed anew; the older contracts still do in the trade after its end."""
    ramping = SLOTS | {11: NOW + 100}
    assert state(SPEC, ramping, KNOWN) == Needs(frozenset({8, 10}))
    begun = ramping | {8: 200_000 << 128 | 100 * 10**12, 10: NOW - 100}
    pool = state(SPEC, begun | {28: 10**24}, KNOWN)

    assert isinstance(pool, CryptoSwapPool)
    assert (pool.ann, pool.gamma) == (300_000, 1225 * 10**11)
    assert pool.d_now == 2 * 10**24
    assert (pool.at(NOW + 100).ann, pool.at(NOW + 100).gamma) == (400_000, 145 * 10**12)
    assert pool.at(NOW + 200).d_now == 2 * 10**24
    ng = crypto((10**24, 10**24), rules=TWOCRYPTO_NG, ramp=GammaRamp((300_000, 10**14), (400_000, 10**14), 0, NOW))
    assert ng.d_now == ng.d
    with pytest.raises(CorruptPool, match="begins at"):
        state(SPEC, begun | {10: NOW + 1}, KNOWN)


def test_parameters_outside_the_limits_quote_nothing() -> None:
    """A pool whose balances the contract refuses while a ramp lasts."""
    pool = crypto((10**24, 10**24), rules=TWOCRYPTO)
    ramp = GammaRamp((300_000, 10**14), (400_000, 10**14), 0, NOW + 1)
    lopsided = crypto_pool(
        SPEC, pool.parameters._replace(ramp=ramp), balances=(10**24, 1), d=pool.d, prices=pool.prices,
        supply=1, timestamp=NOW,
    )  # fmt: skip

    with pytest.raises(Uninitialised, match="limits"):
        lopsided.amount_out(0, 1, 10**18)


def test_a_swap_needs_the_supply() -> None:
    """Quotes do not."""
    pool = state(SPEC, SLOTS, Elsewhere(timestamp=NOW, unknown={(LP, 8)}))

    assert isinstance(pool, CryptoSwapPool)

    assert pool.amount_out(0, 1, 10**20) > 0
    with pytest.raises(StateUnknown, match="supply"):
        pool.swapped(0, 1, 10**20)


def test_the_oracle_ages_with_the_time_between_blocks() -> None:
    """The older contracts halve the distance to the last price every ``ma_time`` seconds."""
    pool = crypto((10**24, 10**24), rules=TWOCRYPTO)
    last = pool.prices.scale[0] * 11 // 10
    moved = msgspec.structs.replace(pool, prices=pool.prices._replace(last=(last,), last_timestamp=NOW - 600))

    after = moved.swapped(0, 1, 10**20).pool
    assert after.prices.oracle[0] == (last + pool.prices.scale[0]) // 2
    assert after.prices.last_timestamp == NOW


def test_an_exchange_is_followed_or_needs_a_reload() -> None:
    """Its output and price scale must be ours to the unit, at the block's time."""
    pool = crypto((10**24, 10**24), rules=TWOCRYPTO_NG, a_gamma=(400_000, 145 * 10**12))
    swap = pool.at(NOW + 12).swapped(0, 1, 10**20)
    amounts = (0, 10**20, 1, swap.amount_out)
    scale = swap.pool.prices.scale[0]

    pool = pool.at(NOW + 12)
    assert events.after_token_exchange(pool, amounts, scale) == swap.pool
    with pytest.raises(StateUnknown, match="price scale"):
        events.after_token_exchange(pool, amounts, scale + 1)
    with pytest.raises(StateUnknown, match="our state"):
        events.after_token_exchange(pool, (0, 10**20, 1, 5))
    with pytest.raises(StateUnknown, match="not have been able"):
        events.after_token_exchange(pool, (0, 10**30, 1, 5))


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        ("AddLiquidity(address,uint256[3],uint256,uint256)", "deposit"),
        ("AddLiquidity(address,uint256[2],uint256,uint256,uint256)", "deposit"),
        ("RemoveLiquidity(address,uint256[3],uint256)", "withdrawal"),
        ("RemoveLiquidityOne(address,uint256,uint256,uint256)", "withdrawal"),
        ("RemoveLiquidityOne(address,uint256,uint256,uint256,uint256,uint256)", "withdrawal"),
        ("ClaimAdminFee(address,uint256)", "fees"),
        ("NewParameters(uint256,uint256,uint256,uint256,uint256,uint256,uint256)", "parameters"),
        ("RampAgamma(uint256,uint256,uint256,uint256,uint256,uint256)", "ramp"),
        ("StopRampA(uint256,uint256,uint256)", "ramp"),
        ("Transfer(address,address,uint256)", None),
    ],
)
def test_other_events_name_why_the_pool_must_be_loaded(signature: str, reason: str | None) -> None:
    """Deposits, withdrawals, collected fees, parameters and ramps; transfers change nothing."""
    rule = events.RULES.get(keccak(signature.encode()))

    assert (rule is None) == (reason is None)
    if rule is not None:
        assert rule.signature == signature
        with pytest.raises(StateUnknown, match=reason):
            rule.apply(crypto((10**24, 10**24), rules=TWOCRYPTO), PoolLog(POOL, (rule.topic,), b"", 0, 0))


def test_a_killed_pool_is_refused() -> None:
    """Generations that cannot be killed are not asked."""
    spec = crypto_spec(CryptoFacts(TRICRYPTO2, (1, 1, 1), None))
    needed = state(spec, {}, KNOWN)
    assert isinstance(needed, Needs)
    assert 30 in needed.slots
    slots = dict.fromkeys(needed.slots, 0)

    assert state(spec, slots | {30: 1}, KNOWN) == Refused("the pool is killed")
    assert isinstance(state(spec, slots, KNOWN), CryptoSwapPool)


@needs_mainnet
@pytest.mark.mainnet
def test_pools_are_recognised_with_the_contracts_that_they_call() -> None:
    """The mathematics contract must be the proven one; a proxy must lead to the proven implementation."""
    for name in ("tricrypto2", "tricrypto-ng", "twocrypto-ng"):
        code = recorded_code(name)
        assert isinstance(admission.recognise(code, codes()), admission.CryptoCode)
        (other,) = admission.related(code)
        assert "mathematics contract" in str(admission.recognise(code, {other: b"\0"}))
    assert admission.recognise(recorded_code("3pool"), {}) is None
    implementation = recorded_address("twocrypto")
    proxy = bytes.fromhex("363d3d373d3d3d363d73") + implementation + bytes.fromhex("5af43d82803e903d91602b57fd5bf3")
    assert isinstance(admission.recognise(proxy, codes()), admission.CryptoCode)
    assert admission.recognise(proxy, {implementation: b"\0"}) is None


@needs_mainnet
@pytest.mark.mainnet
def test_code_and_storage_vouch_for_the_spec() -> None:
    """What the code and storage say of a pool is its spec; what they do not say is refused."""
    pool = recorded_address("twocrypto-ng")
    answer = load(crypto_spec(FACTS), {}, Elsewhere())
    assert answer == Needs(code=frozenset({POOL}))
    spec = identify(pool, {}, Elsewhere(codes=codes()))
    assert isinstance(spec, PoolSpec)
    known = Elsewhere(codes=codes(), timestamp=NOW)
    assert isinstance(load(spec, {}, known), Needs)
    assert "tokens are" in str(load(replace(spec, tokens=spec.tokens[::-1]), {}, known))
    assert "proven here" in str(load(spec, {}, replace(known, codes={pool: b"\0"})))


def test_precisions_that_no_token_can_have_are_refused_before_they_are_computed() -> None:
    """Whoever sets up a proxy of his own writes any word there; the power of it would fill the memory."""
    at = TWOCRYPTO.slots
    assert at.precisions is not None
    assert at.coins is not None
    assert at.lp_token is not None
    slots = {at.coins: 1, at.coins + 1: 2, at.lp_token: 3}
    code = admission.CryptoCode(TWOCRYPTO)

    told = code.spec(POOL, slots | {at.precisions: 12 << 8})
    assert isinstance(told, PoolSpec)
    assert told.facts.precisions == (1, 10**12)  # type: ignore[attr-defined]
    assert code.spec(POOL, slots | {at.precisions: 19 << 8}) == Refused("its coins would have less than no decimals")
    assert code.spec(POOL, slots | {at.precisions: 1 << 255}) == Refused("its coins would have less than no decimals")


def test_a_proxy_that_nobody_set_up_is_refused() -> None:
    """Its two coins are then the same address."""
    at = TWOCRYPTO.slots
    wanted = admission.CryptoCode(TWOCRYPTO).spec(POOL, {})
    assert isinstance(wanted, Needs)
    assert at.precisions in wanted.slots
    told = admission.CryptoCode(TWOCRYPTO).spec(POOL, dict.fromkeys(wanted.slots, 0))
    assert isinstance(told, Refused)
    assert "by code and storage it is none" in told.reason
