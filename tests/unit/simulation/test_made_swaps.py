"""A pool is quoted by making the swap: what it pays is what its own code, asked otherwise, says."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasharb.evm import DictState, Fork, MissingState
from flasharb.pools import InsufficientLiquidity, PoolSpec, V2Pool
from flasharb.pools.quoted.pool import QuotedPool, UnknownState
from flasharb.simulation import made_swaps
from flasharb.simulation.fork_state import ForkState
from flasharb.simulation.made_swaps import find_gift, largest_accepted, made_pool
from flasharb.simulation.replay import MachineState
from flasharb.simulation.trial import Place
from flasharb.units import ZERO_ADDRESS, Address
from tests.support.contract_world import ETHER
from tests.support.mixed_routes import MAKERS, MixedWorld, Step, quoted_spec
from tests.support.pool_bytecode import CONTEXT, TOKEN0, TOKEN1, v2_machine, v2_pair


@pytest.fixture(scope="module")
def world() -> Iterator[MixedWorld]:
    """Pools of every kind, and nothing pending."""
    return MixedWorld()


def place_of(world: MixedWorld) -> Place:
    world.next_block()
    machine = world.machine
    return Place(world.state, machine.context, machine.fork, world.weth, world.vault, ZERO_ADDRESS)


def pool_of(world: MixedWorld, step: Step) -> QuotedPool:
    """The step's pool; what goes into the step is the only token that can be given."""
    place = place_of(world)
    gift = find_gift(step.tokens[0], place)
    assert gift is not None
    return made_pool(quoted_spec(world, step), place, {step.tokens[0]: gift})


KINDS = ["v2", "v3", "solidly", "curve", "curve 3 silent", "curve 4 uint", "curve ether", "curve add 3"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_swap_that_is_made_pays_what_the_pool_says(world: MixedWorld, kind: str) -> None:
    """Through every shape of call that FlashArb has for such pools, WETH in or ether out included."""
    step = MAKERS[kind](world, world.weth, world.token(), 10_100)
    pool = pool_of(world, step)
    dice = Random(kind)
    for amount in (1000, *(int(10 ** dice.uniform(6, 20)) for _ in range(6))):
        assert pool.amount_out(step.i, step.j, amount) == step.quote(amount)
    with pytest.raises(UnknownState, match="nobody can be given"):
        pool.amount_out(step.j, step.i, 10**9)


def test_ether_that_comes_out_counts_as_its_wrapper(world: MixedWorld) -> None:
    step = MAKERS["curve ether"](world, world.token(), world.weth, 9_900)
    pool = pool_of(world, step)
    assert pool.amount_out(step.i, step.j, ETHER) == step.quote(ETHER) == ETHER * 99 // 100


@pytest.mark.parametrize("name", ["UniswapV2Pair", "PancakeV2Pair", "PancakeV2Pair25"])
def test_a_fee_that_nobody_told_is_found_by_what_the_pair_accepts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every quote is the exact formula's with the pair's true fee; once the fee is found a quote takes two swaps."""
    code, spec = v2_pair(name)
    known = V2Pool(spec, 4 * 10**21, 9 * 10**15)
    machine = v2_machine(code, known, 0, 0)
    place = Place(
        MachineState(machine, DictState({})), CONTEXT, Fork.PRAGUE, Address(b"\xee" * 20), ZERO_ADDRESS, ZERO_ADDRESS
    )
    gifts = {token: gift for token in (TOKEN0, TOKEN1) if (gift := find_gift(token, place)) is not None}
    pool = made_pool(PoolSpec(spec.address, "quoted_v2", spec.tokens, 0), place, gifts)
    made = []
    swap = made_swaps._Swaps.paid
    monkeypatch.setattr(made_swaps._Swaps, "paid", lambda self, *how: made.append(how) or swap(self, *how))
    first = 10**20
    assert pool.amount_out(0, 1, first) == known.amount_out(0, 1, first)
    made.clear()
    amounts = [int(10 ** Random(name).uniform(19, 21)) + n for n in range(4)]
    for amount in amounts:
        assert pool.amount_out(0, 1, amount) == known.amount_out(0, 1, amount)
    assert len(made) == 2 * len(amounts)
    assert pool.amount_out(1, 0, 10**14) == known.amount_out(1, 0, 10**14)


@given(st.integers(0, 10**30), st.integers(0, 10**30), st.integers(1, 10**30))
def test_the_largest_accepted_number_is_found_from_anywhere(answer: int, guess: int, bound: int) -> None:
    """In at most some 200 questions, two where the guess is right."""
    asked: list[int] = []

    def accepted(number: int) -> bool:
        asked.append(number)
        assert 0 <= number < bound
        return number <= answer

    guess = min(guess, bound - 1)
    found = largest_accepted(accepted, guess, bound)
    assert found == min(answer, bound - 1)
    assert len(asked) <= (2 if guess == answer else 220)


@pytest.mark.parametrize("kind", ["DevToken", "NoReturnToken", "FeeOnTransferToken"])
def test_a_balance_is_found_and_set(world: MixedWorld, kind: str) -> None:
    token = world.token(kind=kind)
    place = place_of(world)
    gift = find_gift(token, place)
    assert gift is not None
    assert gift.contract == token
    assert gift.amount > 1 << 111


def test_a_balance_that_is_a_share_is_not_given(world: MixedWorld) -> None:
    """Setting any slot would give another amount than the one set: nothing is guessed."""
    token = world.token(kind="RebasingToken")
    world.transact(token, "rebase(uint256)", 11 * 10**17)
    assert find_gift(token, place_of(world)) is None


def test_state_that_is_missing_is_said(world: MixedWorld) -> None:
    """A token or pool that is not known is neither given nor quoted, and nothing of it is zero."""
    empty = Place(ForkState(), world.machine.context, world.machine.fork, world.weth, world.vault, ZERO_ADDRESS)
    with pytest.raises(MissingState):
        find_gift(world.weth, empty)
    spec = PoolSpec(Address(b"\x77" * 20), "quoted_v2", (TOKEN0, TOKEN1), 0)
    with pytest.raises(UnknownState, match="not known"):
        made_pool(spec, empty, {})


def test_more_than_anybody_has_is_refused(world: MixedWorld) -> None:
    step = MAKERS["v2"](world, world.weth, world.token(), 10_000)
    pool = pool_of(world, step)
    for amount in (1 << 113, 1 << 128, (1 << 256) - 1):
        with pytest.raises(InsufficientLiquidity):
            pool.amount_out(step.i, step.j, amount)
