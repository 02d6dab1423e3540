"""The V4 mathematics and the storage layout against the real PoolManager of a recorded mainnet block."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_abi.abi import decode

from flasharb.adapters.blockfile import read_block
from flasharb.evm import CallFrame, LogEntry, Machine, MissingState
from flasharb.pools.managed.key import PROTOCOL, PoolKey, admit, facts_of, spec_of
from flasharb.pools.managed.pool import V4Pool
from flasharb.pools.managed.storage import known_part
from flasharb.pools.spec import PoolSpec
from flasharb.simulation.quotes import check_quotes
from flasharb.simulation.recorded import RecordedState
from flasharb.simulation.recorded_pools import offered
from flasharb.simulation.replay import Replay
from flasharb.units import Address, address
from tests.support import managed_chain as chain

MANAGER = address("0x000000000004444c5dc75cB358380D2e3dE08A90")
BLOCK = "22944300"


@pytest.mark.mainnet
def test_every_recorded_swap_is_our_quote(mainnet_blocks: Path) -> None:
    """Five swaps of four pools, with hooks or without: amounts and state afterwards as the events say."""
    block = read_block(mainnet_blocks / f"{BLOCK}.json.gz")
    machine = Machine(RecordedState(block), block.context, block.fork)
    machine.begin_block()
    exact = 0
    pools = set()
    for transaction in block.transactions:
        before = machine.snapshot()
        result = machine.apply(transaction, trace=True)
        swaps = [log for log in result.logs if log.address == MANAGER and log.topics[0] == chain.SWAPPED]
        if not swaps:
            continue
        assert result.trace is not None
        keys = {key.pool_id(): key for key in keys_of(result.trace)}
        # the four pools are swapped in once a transaction, so the state before it is the state before the swap
        assert len({log.topics[1] for log in swaps}) == len(swaps)
        for log in swaps:
            spec = spec_of(MANAGER, keys[log.topics[1]])
            assert admit(spec) is None
            with machine.rewound(before):
                pool = known_pool(machine, spec)
            agrees(pool, log)
            exact += 1
            pools.add(spec.address)
    assert (exact, len(pools)) == (5, 4)


def agrees(pool: V4Pool, log: LogEntry) -> None:
    """The quote and the pool afterwards are the event's."""
    one, two, price, liquidity, tick, fee = decode(
        ["int128", "int128", "uint160", "uint128", "int24", "uint24"], log.data
    )
    i, paid, given = (0, -one, two) if one < 0 else (1, -two, one)
    swapped = pool.swapped(i, 1 - i, paid)

    assert pool.amount_out(i, 1 - i, paid) == given
    assert (swapped.amount_in, swapped.amount_out) == (paid, given)
    after = swapped.pool
    assert (after.sqrt_price_x96, after.liquidity, after.tick) == (price, liquidity, tick)
    assert pool.after_swap((one, two), price, liquidity, tick, fee) == after


def keys_of(frame: CallFrame) -> Iterator[PoolKey]:
    """The keys of the pools that were swapped in, as the callers gave them to the manager."""
    if frame.address == MANAGER and frame.input[:4] == chain.SWAP:
        fields = decode(["address", "address", "uint24", "int24", "address"], frame.input[4:164])
        currency0, currency1, hooks = (Address(bytes.fromhex(fields[at][2:])) for at in (0, 1, 4))
        yield PoolKey(currency0, currency1, fields[2], fields[3], hooks)
    for call in frame.calls:
        yield from keys_of(call)


def known_pool(machine: Machine, spec: PoolSpec) -> V4Pool:
    """The pool as far as the block's file knows its ticks."""

    def read(slot: int) -> int | None:
        try:
            return machine.storage(MANAGER, slot)
        except MissingState:
            return None

    pool = known_part(spec, read)
    assert pool is not None
    return pool


@pytest.mark.mainnet
def test_the_block_offers_its_v4_pools_and_quotes_them(mainnet_blocks: Path) -> None:
    """Found by the manager's logs, their keys by its calls; ether goes by the name of its wrapper."""
    block = read_block(mainnet_blocks / f"{BLOCK}.json.gz")
    specs = [spec for spec in offered(Replay(block)).specs.values() if spec.protocol == PROTOCOL]
    assert len(specs) == 4
    assert any(facts_of(spec).native for spec in specs)
    tally = check_quotes(block).by_protocol[PROTOCOL]
    assert (tally.swaps, tally.exact) == (5, 5)


@pytest.mark.mainnet
def test_a_block_offers_what_its_balancer_logs_name(mainnet_blocks: Path) -> None:
    """The pool's code vouches for it; its fee is set inside the transaction of its swap, before and after it."""
    block = read_block(mainnet_blocks / "19929064.json.gz")
    (spec,) = [spec for spec in offered(Replay(block)).specs.values() if spec.protocol == "balancer_weighted"]
    assert len(spec.tokens) == 2
    tally = check_quotes(block).by_protocol["balancer_weighted"]
    assert (tally.swaps, tally.exact) == (1, 1)
