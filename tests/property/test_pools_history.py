"""A real pool's history, mints, burns and swaps in its bytecode, followed by events and by its storage."""

from __future__ import annotations

import random

import pytest

from flasharb.evm import Machine
from flasharb.pools import V2Pool, V3Pool, ends
from flasharb.pools.concentrated.tick_math import MAX_TICK, MIN_TICK, sqrt_price_at_tick
from flasharb.pools.loading import Needs, load_pool
from flasharb.pools.spec import PoolSpec
from tests.support import pool_bytecode as chain
from tests.support.pool_cases import TIERS

ALL_WORDS = 10_000


def loaded(machine: Machine, spec: PoolSpec, words: int | None = ALL_WORDS) -> V2Pool | V3Pool:
    """The pool that the loader makes of the storage."""
    slots: dict[int, int] = {}
    for _ in range(4):
        answer = load_pool(spec, slots, words)
        if not isinstance(answer, Needs):
            return answer
        assert not answer.slots & slots.keys()
        slots |= {slot: machine.storage(spec.address, slot) for slot in answer.slots}
    raise AssertionError("the loader never has enough")


@pytest.mark.parametrize("seed", range(24))
def test_events_and_storage_tell_the_same(seed: int) -> None:
    """After every mint, burn and swap the followed pool is the one that the loader reads out of storage."""
    dice = random.Random(seed)
    protocol, contract, fee_pips, spacing = TIERS[seed % len(TIERS)]
    spec = chain.v3_spec(protocol, fee_pips, spacing)
    # small spacings have thousands of words: look at those around, the rest stays unknown on both sides
    words = 2 if spacing < 50 else ALL_WORDS
    machine = chain.v3_machine(chain.deployed_code(contract, fee_pips, spacing), {})
    centre = dice.randint(-20, 20) * spacing
    price = sqrt_price_at_tick(centre) + dice.randint(0, 10**9)
    chain.send(machine, chain.POOL, chain.INITIALIZE_V3 + chain.word(price))
    pool = loaded(machine, spec, words)
    assert isinstance(pool, V3Pool)
    assert pool.sqrt_price_x96 == price
    positions: list[tuple[int, int, int]] = []
    for _ in range(20):
        action = dice.choice(("mint", "mint", "burn", "swap"))
        if action == "mint" or not positions:
            bounds = sorted(dice.sample(range(-60, 61), 2))
            lower, upper = (max(-(MAX_TICK // spacing), min(MAX_TICK // spacing, b)) * spacing for b in bounds)
            if lower == upper:
                continue
            liquidity = dice.randint(10**6, 10**15)
            chain.v3_mint(machine, lower, upper, liquidity)
            positions.append((lower, upper, liquidity))
            pool = pool.with_liquidity_change(lower, upper, liquidity)
        elif action == "burn":
            lower, upper, liquidity = positions.pop(dice.randrange(len(positions)))
            burnt = liquidity if dice.random() < 0.7 else dice.randint(0, liquidity)
            chain.v3_burn(machine, lower, upper, burnt)
            if burnt < liquidity:
                positions.append((lower, upper, liquidity - burnt))
            pool = pool.with_liquidity_change(lower, upper, -burnt)
        else:
            zero_for_one = dice.random() < 0.5
            target = pool.tick + dice.randint(1, 12 * spacing) * (-1 if zero_for_one else 1)
            limit = sqrt_price_at_tick(max(MIN_TICK + 1, min(MAX_TICK - 1, target)))
            amount = dice.randint(1, 10**15)
            expected = pool.swapped(*ends(zero_for_one), amount, sqrt_price_limit_x96=limit)
            assert chain.v3_swap(machine, zero_for_one, amount, limit) == (expected.amount_in, expected.amount_out)
            pool = pool.with_price(*chain.v3_state(machine, protocol))
            assert pool == expected.pool
        assert pool.ticks_agree()
        now = loaded(machine, spec, words)
        if words == ALL_WORDS:
            assert now == pool
        else:
            assert isinstance(now, V3Pool)
            assert chain.v3_facts(now) == chain.v3_facts(pool)
            assert now.ladder.info == pool.ladder.info


@pytest.mark.parametrize("name", ["UniswapV2Pair", "SushiV2Pair", "PancakeV2Pair", "PancakeV2Pair25"])
def test_pairs_load_from_their_storage(name: str) -> None:
    """Reserves after a real swap, read from the packed slot."""
    code, spec = chain.v2_pair(name)
    pool = V2Pool(spec, 10**21 + 7, (1 << 112) - 10**9)
    swapped = pool.swapped(0, 1, 10**18)
    machine = chain.v2_machine(code, pool, 10**18, 0)
    chain.send(machine, chain.POOL, chain.v2_swap_data(0, swapped.amount_out))

    assert loaded(machine, spec) == swapped.pool
