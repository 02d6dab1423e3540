"""From storage slots to pools: what is asked for, and what is refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from flasharb.pools import V2Pool, V3Pool
from flasharb.pools.concentrated.tick_bitmap import full_range
from flasharb.pools.loading import CorruptPool, Needs, load_pool, mapping_slot
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address
from tests.support.pool_bytecode import POOL, TOKEN0, TOKEN1, v3_spec, v3_storage
from tests.support.pool_cases import pool_of

SPEC = v3_spec("uniswap_v3", 3000, 60)
POSITIONS = [(-6000, 6000, 10**18), (-60, 120, 7), (60_000, 75_000, 10**12)]
WHOLE = pool_of(SPEC, POSITIONS, 1 << 96, 0)
STORAGE = v3_storage("uniswap_v3", (1 << 96, 0, 10**18 + 7), WHOLE.ladder.info, 60)


def test_three_rounds() -> None:
    """Price and liquidity, then the words, then the ticks that the words name; nothing twice."""
    slots: dict[int, int] = {}
    asked = []
    while isinstance(answer := load_pool(SPEC, slots, 1000), Needs):
        asked.append(len(answer.slots))
        slots |= {slot: STORAGE.get(slot, 0) for slot in answer.slots}

    low, high = full_range(60)
    assert asked == [2, high - low + 1, 6]
    assert answer == WHOLE


def test_only_the_words_around() -> None:
    """By default what ±10 % needs; what is not loaded is unknown, not empty."""
    slots = dict.fromkeys(range(8), 0) | STORAGE
    slots |= {mapping_slot(word, 6): STORAGE.get(mapping_slot(word, 6), 0) for word in range(-3, 4)}
    near = load_pool(SPEC, slots)

    assert isinstance(near, V3Pool)
    assert (near.ladder.low_word, near.ladder.high_word) == (-1, 1)
    assert near.ladder.ticks == (-6000, -60, 120, 6000)
    fine = load_pool(v3_spec("uniswap_v3", 100, 1), {0: 1 << 96, 4: 0})
    assert isinstance(fine, Needs)
    assert len(fine.slots) == 11


def test_mapping_slots() -> None:
    """keccak(key . slot) with the key as a signed 256-bit number."""
    assert mapping_slot(0, 0) == 0xAD3228B676F7D3CD4284A5443F17F1962B36E491B30A40B2405849E597BA5FB5
    assert mapping_slot(-1, 6) != mapping_slot(1, 6)


def test_pairs() -> None:
    """Two uint112 in one slot, the time above them."""
    spec = PoolSpec(POOL, "sushiswap_v2", (TOKEN0, TOKEN1), 3000)

    assert load_pool(spec, {}) == Needs(frozenset({8}))
    assert load_pool(spec, {8: 5 | ((1 << 112) - 1) << 112 | 1_700_000_000 << 224}) == V2Pool(spec, 5, (1 << 112) - 1)


def test_contradictory_storage() -> None:
    """Slots of two different blocks do not make a pool."""
    slots = {mapping_slot(word, 6): 0 for word in range(*full_range(60))} | {mapping_slot(57, 6): 0} | STORAGE

    with pytest.raises(CorruptPool, match="do not add up"):
        load_pool(SPEC, slots | {4: 10**18 + 8}, 1000)


def test_an_empty_account_is_an_uninitialised_pool() -> None:
    """All zero: no price, which no quote comes from."""
    zeros = dict.fromkeys((0, 4), 0) | {mapping_slot(word, 6): 0 for word in range(-1, 2)}
    empty = load_pool(SPEC, zeros)

    assert isinstance(empty, V3Pool)
    assert empty.sqrt_price_x96 == 0


@pytest.mark.mainnet
def test_recorded_pairs_load(mainnet_blocks: Path) -> None:
    """Every recorded V2 pool of the deployments we know has its reserves where we look for them."""
    loaded = 0
    for block in json.loads((mainnet_blocks / "pools.json").read_text()):
        state = json.loads(gzip.decompress((mainnet_blocks / f"{block['block']}.json.gz").read_bytes()))["pre_state"]
        for pool in block["pools"]:
            if pool["kind"] != "v2" or pool["pool"] in FOREIGN:
                continue
            slots = {int(slot, 16): int(value, 16) for slot, value in state[pool["pool"]]["storage"].items()}
            spec = PoolSpec(Address(bytes.fromhex(pool["pool"][2:])), "uniswap_v2", (TOKEN0, TOKEN1), 3000)
            recorded = pool["state_at_parent"]

            assert load_pool(spec, slots) == V2Pool(spec, int(recorded["reserve0"]), int(recorded["reserve1"]))
            loaded += 1
    assert loaded == 136


FOREIGN = {
    # pairs of a fork that keeps its fee in storage, before the reserves
    "0xaf9742157a67e35f1aa0803e6ec589ca4cfd0864",
    "0x9467a2d9c07cebce3708ca32eeb2b9219aeb31b8",
}
