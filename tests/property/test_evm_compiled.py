"""The compiling engine against stock py-evm: 20,000 calls of random programs and damaged calls of real contracts."""

from __future__ import annotations

import random
from typing import Any

import pytest

from benchmarks.evm_world import ME, World
from flasharb.evm import Machine
from flasharb.evm.compiler import Compiler
from tests.support.evm_fuzz import compare, pairs, plain

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
    dice = random.Random(11)
    compiler = Compiler(warm=2)
    stock = real_world.machine("stock")
    ours = Machine(real_world.state, stock.context, real_world.fork, "py-evm", compiler=compiler)
    loads = list(real_world.workloads().values())
    succeeded = 0
    for _ in range(900):
        to, data = dice.choice(loads)
        data = damaged(dice, data)
        gas = dice.choice((dice.randrange(30_000), dice.randrange(30_000), dice.randrange(200_000)))
        results: list[Any] = [plain(machine.call(to, data, sender=ME, gas=gas)) for machine in (stock, ours)]
        assert results[0] == results[1], (to.hex(), data.hex(), gas)
        assert stock.touched == ours.touched, (to.hex(), data.hex(), gas)
        succeeded += results[0][0]
    assert succeeded > 20


def damaged(dice: random.Random, data: bytes) -> bytes:
    """Call data with a few things wrong, sometimes none."""
    raw = bytearray(data)
    for _ in range(dice.choice((0, 1, 1, 2, 4))):
        kind = dice.randrange(4)
        if kind == 0 and raw:
            raw[dice.randrange(len(raw))] = dice.randrange(256)
        elif kind == 1:
            del raw[dice.randrange(len(raw) + 1) :]
        elif kind == 2:
            raw += dice.randbytes(dice.randrange(40))
        elif len(raw) > 40:
            at = 4 + 32 * dice.randrange((len(raw) - 4) // 32)
            raw[at : at + 32] = dice.choice((bytes(32), b"\xff" * 32, bytes(31) + b"\1", dice.randbytes(32)))
    return bytes(raw)
