"""Seeded wraps and unwraps of wstETH in Lido's own contracts, in the state of a recorded mainnet block.

``run_case(kind, number)`` answers None, or what differs; there is one kind, ``wsteth``.
"""

from __future__ import annotations

import random
from functools import cache

from eth_hash.auto import keccak

from flasharb.adapters.blockfile import read_block
from flasharb.evm import BlockContext, Fork, Machine
from flasharb.pools.storage import Elsewhere
from flasharb.pools.wrapped_steth.pool import STETH, WrappedFacts, WrappedPool, spec_of
from flasharb.pools.wrapped_steth.storage import BUFFERED, REPORTED, SHARES, SLOTS, load
from flasharb.simulation.fork_state import ForkState
from flasharb.simulation.overlay import Overlay
from flasharb.simulation.recorded import RecordedState
from flasharb.units import Address, address
from tests.conftest import SHARED
from tests.support.contract_world import call_data

KINDS = ("wsteth",)
BLOCK = SHARED / "mainnet" / "18085863.json.gz"
FACTS = WrappedFacts(
    address("0xae7ab96520DE3A18E5e111B5EaAb095312D7fE84"), address("0x7f39C581F595B53c5cb19bD0b3f8dA6c935E2Ca0")
)
USER = Address(b"\x22" * 19 + b"\x01")
ETHER = 10**18


@cache
def world() -> tuple[ForkState, BlockContext, Fork]:
    """The state before the block, with a fresh account of ours."""
    block = read_block(BLOCK)
    state = ForkState(RecordedState(block))
    state.create_account(USER, balance=10**9 * ETHER)
    return state, block.context, block.fork


@cache
def stored() -> dict[tuple[Address, int], int]:
    """Lido's slots."""
    state = world()[0]
    return {(FACTS.steth, slot): state.storage(FACTS.steth, slot) for slot in SLOTS}


def mapping(owner: Address, slot: int) -> int:
    return int.from_bytes(keccak(bytes(12) + owner + slot.to_bytes(32, "big")), "big")


def case(number: int) -> tuple[WrappedPool, dict[tuple[bytes, int], int], int, int]:
    """(pool, slots, token index, amount): Lido's totals as they are or as they might be, and a rich user."""
    dice = random.Random(f"wsteth {number}")
    slots = dict(stored())
    if dice.random() < 0.8:
        slots[FACTS.steth, BUFFERED] = dice.randint(0, 10 ** dice.choice((5, 19, 24)))
        slots[FACTS.steth, REPORTED] = dice.randint(0, 10 ** dice.choice((20, 25, 27)))
        slots[FACTS.steth, SHARES] = dice.randint(1, 10 ** dice.choice((3, 20, 25, 27)))
    pool = load(spec_of(FACTS), Elsewhere(slots))
    assert isinstance(pool, WrappedPool)
    i = dice.randint(0, 1)
    most = max(1, pool.shares if i else pool.pooled)
    amount = dice.choice((1, 2, dice.randint(1, most), dice.randint(1, min(most, 10**6)), most))
    return pool, {(bytes(at), slot): value for (at, slot), value in slots.items()}, i, amount


def run_case(kind: str, number: int) -> str | None:
    """Wrap or unwrap in the real contracts, and compare what is given and what arrives."""
    state, context, fork = world()
    pool, slots, i, amount = case(number)
    if i == STETH:
        # all shares are the user's: what he has is all pooled ether, and the wrapper may take as much
        slots[FACTS.steth, mapping(USER, 0)] = pool.shares
    else:
        slots[FACTS.wsteth, mapping(USER, 0)] = slots[FACTS.wsteth, 2] = amount
        slots[FACTS.steth, mapping(FACTS.wsteth, 0)] = pool.shares
    machine = Machine(Overlay(state, slots), context, fork)
    if i == STETH:
        act(machine, FACTS.steth, "approve(address,uint256)", FACTS.wsteth, amount)
    act(machine, FACTS.wsteth, "unwrap(uint256)" if i else "wrap(uint256)", amount)
    arrived = read(machine, FACTS.steth if i else FACTS.wsteth, "balanceOf(address)", USER)
    ours = pool.amount_out(i, 1 - i, amount)
    where = f"{kind} {number}: {pool.pooled} wei, {pool.shares} shares, token {i}, {amount}"
    if ours != arrived:
        return f"{where}: {arrived} arrives, ours {ours}"
    least = pool.amount_in(i, 1 - i, arrived)
    if pool.amount_out(i, 1 - i, least) < arrived or (least and pool.amount_out(i, 1 - i, least - 1) >= arrived):
        return f"{where}: {least} is not the least input for {arrived}"
    return None


def act(machine: Machine, to: Address, signature: str, *arguments: object) -> int:
    """A call of the user, kept."""
    result = machine.act(USER, to, call_data(signature, *arguments), origin=USER)
    assert result.success, (signature, arguments, result.error, result.output)
    return int.from_bytes(result.output, "big")


def read(machine: Machine, to: Address, signature: str, *arguments: object) -> int:
    """What a view answers."""
    result = machine.call(to, call_data(signature, *arguments))
    assert result.success, (signature, result.error)
    return int.from_bytes(result.output, "big")
