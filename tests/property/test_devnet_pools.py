"""The devnet's own pools, which stand in for contracts that may not be copied, are held to the real ones.

The Solidly pair to what real pairs answered (``fixtures/solidly``), the StableSwap pool to the recorded mainnet code of
the two-coin template where that is; both to our mathematics, which the real contracts are compared with elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from eth_hash.auto import keccak

from flasharb.evm import Machine
from flasharb.pools.stableswap.admission import recognise
from flasharb.pools.stableswap.rules import TEMPLATE_2
from flasharb.units import Address
from tests.support import curve_bytecode, solidly_cases, stable_cases
from tests.support.abi import encode
from tests.support.balancer_world import token
from tests.support.curve_bytecode import needs_mainnet
from tests.support.pool_bytecode import RevertedError, number, send
from tests.support.solidly_world import PairWorld, devnet_world
from tests.support.stable_cases import DEVNET_KINDS, StableCase, stable_case

CASES = 500
RECORDED_CASES = 1000
STABLE_SLOTS = range(1, 13)


def test_the_pair_answers_as_real_pairs_did() -> None:
    """Quote, what it lets pass, the refusal of one unit more, and the reserves afterwards, in every recorded case.

    Those of stable pairs that search by another loop are left out.
    """
    found: Counter[str] = Counter()
    for recorded, quote, paid, after in solidly_cases.recorded():
        case = recorded.on_devnet()
        if case is None:
            continue
        world = devnet_world(case.stable, case.decimals)
        assert solidly_cases.real_quote(case, world) == quote, case
        if after is not None:
            assert paid is not None
            assert solidly_cases.takes(case, world, paid) == after, case
        if quote is not None and paid is not None and paid < quote:
            assert solidly_cases.takes(case, world, paid + 1) is None, case
            found["lowered"] += 1
        found["refused" if quote is None else "stable" if case.stable else "volatile"] += 1

    assert found["volatile"] == 500
    assert found["stable"] > 250
    assert min(found["refused"], found["lowered"]) > 20


@pytest.mark.parametrize("shape", solidly_cases.KINDS)
def test_the_pair_agrees_with_our_mathematics(shape: str) -> None:
    """On states beyond the recorded ones: quote, what passes, refusal of a unit more, reserves afterwards."""
    cases = (solidly_cases.case_of(shape, index).on_devnet() for index in range(10_000, 10_000 + CASES))
    problems = [
        problem
        for case in cases
        if case is not None
        and (problem := solidly_cases.compare(case, devnet_world(case.stable, case.decimals))) is not None
    ]

    assert problems == []


def test_a_paused_factory_stops_its_pairs_and_only_its_owner_sets_pause_and_fee() -> None:
    world = devnet_world(False, (18, 6))
    machine = _shop(world)
    other = Address(b"\x77" * 20)
    for call in ("setPause(bool)", "setFee(bool,uint256)"):
        with pytest.raises(RevertedError):
            send(machine, world.factory, _selector(call) + encode(True, 5), sender=other)
    before = world.quote(machine, 0, 10**18)

    send(machine, world.factory, _selector("setFee(bool,uint256)") + encode(False, 100))
    assert world.quote(machine, 0, 10**18) < before
    _pay(machine, world, 10**18)
    world.swap(machine, 1, 1)
    send(machine, world.factory, _selector("setPause(bool)") + encode(True))
    _pay(machine, world, 10**18)
    with pytest.raises(RevertedError):
        world.swap(machine, 1, 1)


def test_a_pair_is_made_once_in_either_order_of_its_tokens() -> None:
    world = devnet_world(True, (18, 6))
    machine = _shop(world)
    create = _selector("createPair(address,address,bool)")
    for first, second, stable in ((0, 1, True), (1, 0, True), (0, 0, False)):
        with pytest.raises(RevertedError):
            send(machine, world.factory, create + encode(token(first), token(second), stable))

    volatile = send(machine, world.factory, create + encode(token(1), token(0), False))
    assert volatile[12:] not in (world.pair, bytes(20))


@pytest.mark.parametrize("kind", DEVNET_KINDS)
def test_the_stable_pool_agrees_with_our_mathematics(kind: str) -> None:
    """Amount, balances, LP supply, and the pool that the events lead to; reverts where ours refuses."""
    assert [problem for n in range(CASES) if (problem := stable_cases.run_case(kind, n))] == []


def test_the_stable_pool_s_views_and_deposits_agree_with_our_mathematics() -> None:
    for n in range(40):
        case = stable_case("devnet", n)
        local = case.machine()
        pool, lp = case.load(local), case.lp
        words = case.i, case.j, case.amount
        quote = curve_bytecode.execute(local, stable_cases.POOL, "get_dy(int128,int128,uint256)", *words)
        withdrawal = "calc_withdraw_one_coin(uint256,int128)"
        taken = curve_bytecode.execute(local, stable_cases.POOL, withdrawal, case.supply // 7, case.j)
        amounts = [balance * (k + n % 3) // 10 for k, balance in enumerate(pool.balances)]
        deposited = curve_bytecode.execute(local, stable_cases.POOL, "add_liquidity(uint256[2],uint256)", *amounts, 0)

        assert not quote.status or _number(quote.output) == pool.amount_out(*words)
        assert not taken.status or _number(taken.output) == pool.amount_out(lp, case.j, case.supply // 7)
        assert not deposited.status or stable_cases.follow(pool, deposited) == case.load(local)


def test_the_stable_pool_s_code_is_what_admission_knows() -> None:
    """The compiled contract, with coins of 18 and 6 decimals and the storage of the template."""
    code = recognise(stable_cases.devnet_code())

    assert code is not None
    assert getattr(code, "rules", None) == TEMPLATE_2
    assert getattr(code, "rates", None) == (10**18, 10**30)


@needs_mainnet
@pytest.mark.mainnet
@pytest.mark.parametrize("kind", DEVNET_KINDS)
def test_the_stable_pool_does_what_the_recorded_template_does(kind: str) -> None:
    """Result, storage, balances of all three tokens, and every log, on random states; both revert, or neither does."""
    reverts = 0
    for n in range(RECORDED_CASES):
        case = stable_case(kind, n)
        ours, theirs = (list(_outcome(one)) for one in (case, replace(case, code=_template())))
        assert ours == theirs, case
        reverts += not ours[0]

    assert 0 < reverts < RECORDED_CASES // 10


def _template() -> bytes:
    return curve_bytecode.recorded_code("fraxbp")


def _outcome(case: StableCase) -> Iterator[Any]:
    local = case.machine()
    result = stable_cases.call(local, case)
    yield result.status
    yield result.output if result.status else b""
    yield curve_bytecode.slots_of(local, stable_cases.POOL, STABLE_SLOTS)
    for at in case.spec.tokens:
        holders = (stable_cases.POOL, curve_bytecode.TRADER)
        yield [local.storage(at, number(holder)) for holder in holders], local.storage(at, curve_bytecode.SUPPLY_SLOT)
    yield [(log.address, log.topics, log.data) for log in result.logs]


def _shop(world: PairWorld) -> Machine:
    """The pair with reserves and a supply of shares."""
    return world.machine({world.pair: {2: 10**18, 8: 10**24, 9: 10**12}}, (10**24, 10**12))


def _pay(machine: Machine, world: PairWorld, amount: int) -> None:
    send(machine, world.tokens[0], _selector("transfer(address,uint256)") + encode(world.pair, amount))


def _selector(signature: str) -> bytes:
    return keccak(signature.encode())[:4]


def _number(output: bytes) -> int:
    return int.from_bytes(output, "big")
