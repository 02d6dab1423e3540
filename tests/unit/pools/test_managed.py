"""Pools inside Uniswap V4's PoolManager: admission by key, loading, and answers at the edges."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flasharb.errors import UsageError
from flasharb.pools.concentrated.liquidity import TickLiquidity
from flasharb.pools.errors import InsufficientLiquidity, Uninitialised
from flasharb.pools.files import parse_pools
from flasharb.pools.managed.fees import swap_fee
from flasharb.pools.managed.files import write_facts
from flasharb.pools.managed.key import DYNAMIC_FEE, PROTOCOL, ManagedFacts, PoolKey, admit, facts_of, key_of, spec_of
from flasharb.pools.managed.pool import MAX_AMOUNT, V4Pool, v4_pool
from flasharb.pools.managed.storage import load, state_slot
from flasharb.pools.protocols import check_address, holder_of, sources_of
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import CorruptPool, Elsewhere, Needs, Refused
from flasharb.units import ZERO_ADDRESS, Address, address, checksum

MANAGER = address("0x000000000004444c5dc75cB358380D2e3dE08A90")
USDC = address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")
KEY = PoolKey(ZERO_ADDRESS, USDC, 500, 10)
SPEC = spec_of(MANAGER, KEY)
TICKS = {-600: TickLiquidity(10**18, 10**18), 600: TickLiquidity(10**18, -(10**18))}


def hooks(bits: int) -> Address:
    """An address whose low 14 bits say what it may do."""
    return Address((0xABCD << 140 | bits).to_bytes(20, "big"))


def test_the_id_is_that_of_a_real_pool() -> None:
    """ETH/USDC 0.05 % on mainnet: its id as the manager emitted it."""
    assert KEY.pool_id().hex() == "21c67e77068de97969ba93d4aab21826d33ca12bb9f565d8496e8fda8a82ca27"
    assert SPEC.address.hex() == "21c67e77068de97969ba93d4aab21826d33ca12b"


@pytest.mark.parametrize("bits", [0, 0b11_1111_0000_0000, 1 << 13, 1 << 5 | 1 << 4, 1 << 8 | 1, 1 << 10 | 1 << 1])
def test_hooks_that_swaps_never_call_are_fine(bits: int) -> None:
    """Initialize, liquidity and donate hooks, with their return deltas."""
    assert admit(spec_of(MANAGER, replace(KEY, hooks=hooks(bits)))) is None


@pytest.mark.parametrize(
    ("bits", "name"),
    [
        (1 << 7, "beforeSwap"),
        (1 << 6, "afterSwap"),
        (1 << 7 | 1 << 3, "beforeSwap, beforeSwapReturnsDelta"),
        (1 << 6 | 1 << 2, "afterSwap, afterSwapReturnsDelta"),
    ],
)
def test_hooks_in_swaps_are_refused_by_name(bits: int, name: str) -> None:
    """Whatever they do: the outcome of a swap would be theirs to say."""
    assert (admit(spec_of(MANAGER, replace(KEY, hooks=hooks(bits)))) or "").endswith(f"in swaps: {name}")


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (replace(KEY, fee=DYNAMIC_FEE), "dynamic fee"),
        (replace(KEY, fee=1_000_000), "may reach the whole input"),
        (replace(KEY, fee=-1), "may reach the whole input"),
        (replace(KEY, tick_spacing=0), "tick spacing 0"),
        (replace(KEY, tick_spacing=40_000), "tick spacing 40000"),
        (replace(KEY, currency0=USDC, currency1=ZERO_ADDRESS), "currencies out of order"),
    ],
)
def test_keys_that_are_refused(key: PoolKey, reason: str) -> None:
    """Each by its own reason; numbers that no key can hold are refused before anything is hashed."""
    tokens = (key.currency0, key.currency1)
    spec = PoolSpec(MANAGER, PROTOCOL, tokens, key.fee, key.tick_spacing, ManagedFacts(MANAGER, bytes(32)))
    assert reason in (admit(spec) or "")


def test_a_foreign_id_is_refused() -> None:
    """A pool file cannot pass off one pool as another."""
    other = replace(SPEC, facts=ManagedFacts(MANAGER, bytes(32)))
    assert "is not that of its key" in (admit(other) or "")
    assert "is not how its id" in (admit(replace(SPEC, address=MANAGER)) or "")


def test_the_fees_combine_as_the_library_says() -> None:
    """protocol + lp - protocol * lp / 1e6, the product rounded down; the highest admitted stays below the whole."""
    assert swap_fee(1000, 3000) == 3997
    assert swap_fee(0, 500) == 500
    assert swap_fee(1000, 998_999) < 1_000_000
    assert admit(spec_of(MANAGER, replace(KEY, fee=998_999))) is None


def test_what_does_not_fit_the_managers_books_is_refused() -> None:
    """More than an int128 holds, in or out; negative amounts; no price."""
    pool = v4_pool(SPEC, (1 << 96, 0, 10**18), TICKS)

    for quote in (pool.amount_out, pool.amount_in, pool.amount_in_exact_out):
        with pytest.raises(InsufficientLiquidity, match="int128"):
            quote(0, 1, MAX_AMOUNT + 1)
        with pytest.raises(ValueError, match="negative"):
            quote(0, 1, -1)
        assert quote(0, 1, 0) == 0
    with pytest.raises(ValueError, match="positive"):
        pool.swapped(0, 1, 0)
    with pytest.raises(Uninitialised):
        pool.with_price(0, 0, 0).amount_out(0, 1, 1)
    with pytest.raises(Uninitialised):
        pool.with_price(0, 0, 0).reserve_in(0, 1)


def test_the_rate_begins_where_the_liquidity_does() -> None:
    """At the price 1 it is one less the fee of the direction; at the end of the liquidity it is refused that way."""
    pool = v4_pool(SPEC, (1 << 96, 0, 10**18), TICKS, 1000)
    far = v4_pool(SPEC, (1 << 100, 55_452, 0), TICKS)

    assert pool.marginal_rate(0, 1) == pytest.approx((1e6 - 1000 - 500 + 0) / 1e6, rel=1e-6)
    assert pool.marginal_rate(1, 0) == pytest.approx(0.9995, rel=1e-12)
    assert far.marginal_rate(0, 1) == pytest.approx(1.0001**600 * 0.9995, rel=1e-12)
    with pytest.raises(InsufficientLiquidity):
        far.marginal_rate(1, 0)
    assert pool.reserve_in(0, 1) == pool.reserve_in(1, 0) == 10**18
    assert pool.amount_out(0, 1, 10**9) / 10**9 == pytest.approx(pool.marginal_rate(0, 1), rel=1e-8)


def test_slots_of_another_pool_are_noticed() -> None:
    """The manager's own fee must be the key's; ticks must add up; a pool that is not admitted is refused."""
    at, spec = state_slot(KEY.pool_id()), SPEC
    with pytest.raises(CorruptPool, match="charges 3000 pips"):
        load(spec, Elsewhere({(MANAGER, at): 1 << 96 | 3000 << 208, (MANAGER, at + 3): 0}))
    slots = {(MANAGER, at): 1 << 96 | 500 << 208, (MANAGER, at + 3): 7}
    while isinstance(answer := _load(slots), Needs):
        assert not answer.slots
        slots |= dict.fromkeys(answer.elsewhere, 0)
    assert isinstance(answer, CorruptPool)
    dynamic = spec_of(MANAGER, replace(KEY, fee=DYNAMIC_FEE))
    assert load(dynamic, Elsewhere()) == Refused("dynamic fee: its hook may set another fee for each swap")


def _load(slots: dict[tuple[Address, int], int]) -> V4Pool | Needs | Refused | CorruptPool:
    try:
        return load(SPEC, Elsewhere(slots), 1 << 16)
    except CorruptPool as error:
        return error


ENTRY = {
    "address": "0x21C67e77068de97969BA93D4aaB21826d33Ca12B",
    "protocol": "uniswap_v4",
    "tokens": ["0x" + "00" * 20, "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"],
    "fee_pips": 500,
    "tick_spacing": 10,
    "facts": {"manager": "0x000000000004444c5dc75cB358380D2e3dE08A90", "pool_id": "0x" + KEY.pool_id().hex()},
}


def test_a_pool_file_names_manager_and_id() -> None:
    """They give the same spec as the key; the manager must be the chain's, the id that of the key."""
    (spec,) = parse_pools({"chain_id": 1, "pools": [ENTRY]}).pools
    assert spec == SPEC
    assert check_address(spec, 1) is None
    assert "no deployment of uniswap_v4 is known on chain 5" in (check_address(spec, 5) or "")
    assert "that is 0x0000" in (check_address(replace(spec, facts=ManagedFacts(USDC, KEY.pool_id())), 1) or "")
    assert "is not that of its key" in (check_address(replace(spec, fee_pips=3000), 1) or "")
    assert (holder_of(spec), sources_of(spec)) == (MANAGER, (MANAGER,))


def test_ether_may_go_by_the_name_of_its_wrapper() -> None:
    """The key stays that of ether; the market trades the wrapper, which must be the chain's own."""
    weth = address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")
    facts = {**ENTRY["facts"], "native": True}
    named = {**ENTRY, "tokens": [checksum(weth), ENTRY["tokens"][1]], "facts": facts}
    (spec,) = parse_pools({"chain_id": 1, "pools": [named]}).pools
    assert spec == spec_of(MANAGER, KEY, weth)
    assert write_facts(facts_of(spec)) == facts
    assert (spec.tokens, spec.address, key_of(spec)) == ((weth, USDC), SPEC.address, KEY)
    assert check_address(spec, 1) is None
    assert "is not how the market calls ether" in (check_address(replace(spec, tokens=(MANAGER, USDC)), 1) or "")
    # ether against its own wrapper cannot go by one name
    assert spec_of(MANAGER, PoolKey(ZERO_ADDRESS, weth, 100, 1), weth).tokens == (ZERO_ADDRESS, weth)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"facts": {}}, "facts: expected the keys manager, pool_id"),
        ({"facts": ENTRY["facts"] | {"pool_id": "0x12"}}, "facts: pool_id: expected 32 bytes of hex"),
        ({"facts": ENTRY["facts"] | {"hooks": 7}}, "facts: hooks: expected text"),
        ({"tick_spacing": 32768}, "tick_spacing: expected a whole number from 1 to 32767"),
    ],
)
def test_wrong_entries_are_named(change: dict[str, object], problem: str) -> None:
    """What is wrong, and where."""
    with pytest.raises(UsageError, match=problem):
        parse_pools({"chain_id": 1, "pools": [ENTRY | change]})
