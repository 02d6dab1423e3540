"""The compiling engine against stock py-evm: 20,000 calls of random programs and damaged calls of real contracts."""

from __future__ import annotations

import random

import pytest

from benchmarks.evm_world import World
from flasharb.evm.compiler import Compiler
from tests.support.evm_fuzz import compare, compare_damaged_calls, pairs

WORLDS = 2_400
PARTS = 6


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_random_programs_run_as_on_py_evm(part: int) -> None:
    """Success, output, gas, logs, changed and read state of eight calls and a transaction in each random world.

    Some parts compile at once, others only what was seen before, which also tries the paths that were usual.
    """
    compiler = Compiler(warm=1 + part % 3)
    worlds = pairs(seed=part, compiler=compiler)
    for _ in range(WORLDS // PARTS):
        dice, pair, shown = next(worlds)
        difference = compare(dice, pair)
        assert difference is None, (shown, difference)
    assert sum(len(program.contracts) for program in compiler.programs.values()) > WORLDS // PARTS


@pytest.fixture(scope="module")
def real_world() -> World:
    """Uniswap V2 and V3 with liquidity."""
    return World("stock")


def test_the_world_is_the_same_built_by_either(real_world: World) -> None:
    """Deployments, mints and swaps lead to the same state."""
    assert World("py-evm").state.accounts == real_world.state.accounts


@pytest.mark.slow
def test_damaged_calls_of_real_contracts_run_as_on_py_evm(real_world: World) -> None:
    """Flipped, cut and lengthened call data, with any gas."""
    difference, succeeded = compare_damaged_calls(random.Random(11), real_world, Compiler(warm=2), 900)
    assert difference is None
    assert succeeded > 20
