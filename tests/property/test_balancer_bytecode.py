"""Pools of the Vault against the Vault's and the pools' own bytecode: a few hundred cases of each kind.

``python -m tests.long.balancer`` runs thousands.
"""

from __future__ import annotations

from collections import Counter

import pytest
from eth_hash.auto import keccak

from flasharb.pools import QuoteUnavailable
from flasharb.pools.balancer import StablePool, WeightedPool
from tests.support.abi import encode
from tests.support.balancer_cases import Case, case_of, outcome, run_case
from tests.support.balancer_recorded import VERSIONS, recorded
from tests.support.balancer_world import ARTIFACTS
from tests.support.pool_bytecode import SENDER, send

CASES = {"weighted": 400, "stable": 300, "bpt": 200}
BATCH_SWAP = keccak(
    b"batchSwap(uint8,(bytes32,uint256,uint256,uint256,bytes)[],address[],(address,bool,address,bool),int256[],uint256)"
)[:4]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", CASES)
def test_agrees_with_bytecode(kind: str) -> None:
    """Amounts of both kinds of swap, refusals, and storage afterwards are the Vault's, to the last bit."""
    problems = [run_case(kind, number) for number in range(CASES[kind])]

    assert [problem for problem in problems if problem] == []


@pytest.mark.skipif(not ARTIFACTS, reason="FLASHARB_BALANCER does not name a folder with the code of this version")
@pytest.mark.parametrize("kind", ["stable", "bpt"])
def test_agrees_with_bytecode_that_is_not_here(kind: str) -> None:
    """The same for the versions whose code is not in this repository."""
    problems = [run_case(kind, number, version) for number in range(200) for version in VERSIONS]

    assert [problem for problem in problems if problem] == []


def test_agrees_with_recorded_answers() -> None:
    """Amounts, refusals and the pool afterwards are the real pool's in every swap that is recorded."""
    found: Counter[str] = Counter()
    for each in recorded():
        pool, i, j = each.before, each.i, each.j
        quote = pool.amount_in_exact_out if each.given_out else pool.amount_out
        found["with BPT" if pool.facts.bpt in (i, j) else "without"] += 1
        if each.other is None:
            with pytest.raises(QuoteUnavailable):
                quote(i, j, each.amount)
            found["refused"] += 1
            continue
        assert quote(i, j, each.amount) == each.other, each
        if not each.given_out:
            assert pool.swapped(i, j, each.amount).pool == each.after, each
            found["followed"] += 1
    assert set(found) == {"with BPT", "without", "refused", "followed"}
    assert min(found.values()) > 20


@pytest.mark.parametrize("kind", CASES)
def test_cases_are_what_they_claim(kind: str) -> None:
    """Most swaps pay, some are too small to pay anything, some are refused."""
    found = Counter(outcome(kind, number) for number in range(120))

    assert found["pays"] > 50
    assert found["refused"] + found["nothing"] > 2


def test_every_kind_of_pool_occurs() -> None:
    """All versions and all ways in which the Vault keeps balances are among the cases."""
    cases = [case_of(kind, number) for kind in CASES for number in range(60)]

    assert {case.facts.kind for case in cases} == {
        *("weighted_v1", "weighted_2tokens_v1", "weighted_v2", "weighted_v3"),
        *("stable_v1", "stable_v2", "stable_v3"),
    }
    assert {case.facts.pool_id[20:22] for case in cases} == {b"\0\0", b"\0\1", b"\0\2"}
    assert {len(case.world.tokens) for case in cases} == {2, 3, 4, 5, 6, 8}


@pytest.mark.parametrize("kind", ["weighted", "stable"])
def test_a_batch_swap_is_its_hops_one_after_the_other(kind: str) -> None:
    """Two hops through the same pool in one ``batchSwap`` pay what the second gives in the state after the first."""
    done = 0
    for number in range(60):
        case = case_of(kind, number)
        pool = case.pool(case.machine())
        own = pool.facts.bpt if isinstance(pool, StablePool) else -1
        third = next((k for k in range(len(pool.cash)) if k not in (case.i, case.j, own)), None)
        amount = pool.cash[case.i] // 100
        if third is None or not amount:
            continue
        try:
            first = pool.swapped(case.i, case.j, amount)
            second = first.pool.swapped(case.j, third, max(1, first.amount_out))
        except QuoteUnavailable:
            continue
        if not first.amount_out:
            continue

        deltas, after = _batch(case, (case.i, case.j, third), amount)

        assert deltas == [amount, 0, -second.amount_out]
        assert after == second.pool
        done += 1
    assert done > 5


def _batch(case: Case, route: tuple[int, int, int], amount: int) -> tuple[list[int], WeightedPool | StablePool]:
    machine = case.machine()
    steps = [(case.world.pool_id, 0, 1, amount, bytearray()), (case.world.pool_id, 1, 2, 0, bytearray())]
    assets = [case.world.tokens[k] for k in route]
    arguments = encode(0, steps, assets, (SENDER, 0, SENDER, 0), [1 << 200] * 3, 1 << 60)
    output = send(machine, case.world.vault, BATCH_SWAP + arguments)
    words = [int.from_bytes(output[at : at + 32], "big", signed=True) for at in range(64, 160, 32)]
    return words, case.pool(machine)
