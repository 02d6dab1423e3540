"""Pairs known by their code: what each code really charges, found out by running it, and what is refused."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from eth_hash.auto import keccak

from flasharb.adapters.blockfile import read_block
from flasharb.evm import Account
from flasharb.pools import PoolSpec, V2Pool
from flasharb.pools.constant_product.forks import FORKS, Fork
from flasharb.pools.files import parse_pools, pool_file_json
from flasharb.pools.loading import load_pool
from flasharb.pools.protocols import PROTOCOLS, check_address
from flasharb.pools.storage import Elsewhere, Needs, Refused
from flasharb.units import Address, Hash32
from tests.support import curve_bytecode as chain
from tests.support.pool_bytecode import deployed_code

PAIR = Address(b"\xaf" * 20)
TOKENS = (Address(b"\x01" * 20), Address(b"\x02" * 20))
CASES = 30

RECORDED = {"SushiSwap": ("13217637", "ceff5175"), "SaitaSwap": ("17666333", "af974215")}
"""Block and beginning of the address of a pair whose code no registry has."""


def storage_of(fork: Fork, reserves: tuple[int, int], fee: tuple[int, int] = (2, 1000)) -> dict[int, int]:
    slots = {fork.layout.reserves: reserves[0] | reserves[1] << 112 | 1_700_000_000 << 224, 12: 1, 14: 1}
    slots |= {fork.tokens + k: int.from_bytes(token, "big") for k, token in enumerate(TOKENS)}
    return slots | dict(zip(fork.fee_slots or (), fee, strict=False))


def passes(code: bytes, storage: dict[int, int], paid: tuple[int, int], wanted: tuple[int, int]) -> bool:
    """Whether the pair lets so much out, once it holds its reserves and what was paid."""
    world = {PAIR: Account(nonce=1, code=code, storage=storage)}
    for token, held in zip(TOKENS, paid, strict=True):
        world[token] = chain.token(PAIR)
        world[token].storage[chain.number_of(PAIR)] = held
    to = chain.number_of(chain.TRADER)
    swap = "swap(uint256,uint256,address,bytes)"
    return chain.execute(chain.machine(world), PAIR, swap, *wanted, to, 128, 0).status == 1


def known(code: bytes) -> Elsewhere:
    return Elsewhere(code_hashes={PAIR: Hash32(keccak(code))}, codes={PAIR: code})


def check(code: bytes) -> None:
    """The greatest output that the code lets pass is the loaded pair's quote, to the unit, at any size."""
    fork = FORKS[keccak(code).hex()]
    dice = random.Random(fork.name)
    identify = PROTOCOLS["v2_fork"].identify
    assert identify is not None
    for _ in range(CASES):
        reserves = (dice.randint(10**4, 10**30), dice.randint(10**4, 10**30))
        storage = storage_of(fork, reserves)
        spec = identify(PAIR, storage, known(code))
        assert isinstance(spec, PoolSpec)
        pool = load_pool(spec, storage, elsewhere=known(code))
        assert isinstance(pool, V2Pool)
        i = dice.randrange(2)
        amount = max(1, int(reserves[i] * 10 ** dice.uniform(-6, 1)))
        quoted = pool.amount_out(i, 1 - i, amount)
        paid = (reserves[0] + (0 if i else amount), reserves[1] + (amount if i else 0))
        outputs = [(quoted + more, 0) if i else (0, quoted + more) for more in (0, 1)]
        assert [passes(code, storage, paid, wanted) for wanted in outputs] == [quoted > 0, False], (spec, amount)


@pytest.mark.parametrize("name", ["UniswapV2Pair", "SushiV2Pair", "PancakeV2Pair"])
def test_each_code_charges_what_is_said(name: str) -> None:
    """Of three builds from the registry."""
    check(deployed_code(name))


def recorded_code(folder: Path, name: str) -> bytes:
    number, begins = RECORDED[name]
    block = read_block(folder / f"{number}.json.gz")
    (account,) = (one for at, one in block.pre_state.items() if at.hex().startswith(begins))
    assert account is not None
    return block.codes[account.code_hash]


@pytest.mark.mainnet
@pytest.mark.parametrize("name", RECORDED)
def test_each_recorded_code_charges_what_is_said(mainnet_blocks: Path, name: str) -> None:
    """Of a fork with its own fee, and of a build that no registry has."""
    check(recorded_code(mainnet_blocks, name))


@pytest.mark.mainnet
def test_a_check_that_its_fee_breaks_is_refused(mainnet_blocks: Path) -> None:
    """SaitaSwap's check raises the denominator to the numerator: with 3/1000 nothing passes, with 1/1000 nearly all."""
    code = recorded_code(mainnet_blocks, "SaitaSwap")
    fork = FORKS[keccak(code).hex()]
    reserves, amount = (10**20, 10**20), 10**18
    for numerator, most in ((3, False), (1, True)):
        storage = storage_of(fork, reserves, (numerator, 1000))
        assert passes(code, storage, (reserves[0] + amount, reserves[1]), (0, 1)) is most
        spec = PoolSpec(PAIR, "v2_fork", TOKENS, numerator * 1000)
        refused = load_pool(spec, storage, elsewhere=known(code))
        assert refused == Refused(f"a fee of {numerator}/1000 is not what the pair's check enforces")
    greedy = storage_of(fork, reserves, (1, 1000))
    assert passes(code, greedy, (reserves[0] + amount, reserves[1]), (0, 9 * 10**19))


def test_code_and_storage_vouch_for_a_pair() -> None:
    """A pool file may name a pair of any factory; another code, tokens or fee than it says are refused."""
    spec = PoolSpec(PAIR, "v2_fork", TOKENS, 3000)
    entry = {"address": "0x" + PAIR.hex(), "protocol": "v2_fork", "fee_pips": 3000}
    entry |= {name: "0x" + token.hex() for name, token in zip(("token0", "token1"), TOKENS, strict=True)}
    file = parse_pools({"chain_id": 1, "pools": [entry]})
    assert file.pools == (spec,)
    assert parse_pools(pool_file_json(file)).pools == (spec,)
    assert check_address(spec, 1) is None

    code = deployed_code("UniswapV2Pair")
    fork = FORKS[keccak(code).hex()]
    storage = storage_of(fork, (1000, 2000))
    assert load_pool(spec, {}) == Needs(code=frozenset({PAIR}))
    assert load_pool(spec, {}, elsewhere=known(code)) == Needs(frozenset({6, 7}))
    assert load_pool(spec, {6: storage[6], 7: storage[7]}, elsewhere=known(code)) == Needs(frozenset({8}))
    assert load_pool(spec, storage, elsewhere=known(code)) == V2Pool(spec, 1000, 2000)
    for wrong, why in (
        (load_pool(spec, storage, elsewhere=known(code + b"\0")), "no fork"),
        (load_pool(replace(spec, fee_pips=2000), storage, elsewhere=known(code)), "by code and storage"),
        (load_pool(spec, storage | {7: 5}, elsewhere=known(code)), "by code and storage"),
    ):
        assert isinstance(wrong, Refused)
        assert why in wrong.reason
