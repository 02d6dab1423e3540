"""Warm calls of real contracts on the local EVM, and of a whole candidate through FlashArb, against other EVMs.

Ours and stock py-evm: CPU time of state snapshot, call and revert, best of several, on the same world in the same
process. pyrevm (where it is installed): the call alone. anvil (where the npm tools are): a round trip over HTTP on this
machine, which is what a program without an EVM of its own would wait for. What the engine costs beside warm calls is
in ``bench_engine``.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from time import process_time
from typing import Any

from benchmarks.evm_peers import Anvil, revm_name, revm_seconds, running_anvil
from benchmarks.evm_world import ME, World
from flasharb.execution.program import encode_call
from tests.support.contract_world import OWNER
from tests.support.contract_world import World as ContractWorld
from tests.support.contract_world import call_data as contract_call_data
from tests.support.hard_limit import LIMIT, hard_limit, measured_world

ROUNDS = 5


def rows() -> list[dict[str, Any]]:
    """A row for each workload and peer, and the candidate."""
    world = World()
    with running_anvil(world.state) as anvil:
        found = [row for name in world.workloads() for row in _workload(world, name, anvil)]
    return [*found, *_candidate()]


def _workload(world: World, name: str, anvil: Anvil | None) -> Iterator[dict[str, Any]]:
    to, data = world.workloads()[name]
    ours, stock = world.machine(), world.machine("stock")
    result, stock_result = (machine.call(to, data, sender=ME) for machine in (ours, stock))
    if result != stock_result or not result.success:
        raise RuntimeError(f"{name}: {result} where py-evm says {stock_result}")
    mine = theirs = over_http = float("inf")
    for _ in range(ROUNDS):
        # Side by side, so that all have the same share of a busy machine.
        theirs = min(theirs, seconds(partial(stock.call, to, data, sender=ME), 3))
        mine = min(mine, seconds(partial(ours.call, to, data, sender=ME), 40))
        if anvil is not None:
            over_http = min(over_http, anvil.seconds(to, data, result.output))
    case = f"{name} ({result.gas_used:,} gas)"
    yield row(case, mine, f"stock py-evm {version('py-evm')}", theirs)
    if anvil is not None:
        yield row(case, mine, anvil.name, over_http)
    if (revm := revm_name()) is not None:
        yield row(case, mine, revm, revm_seconds(world.state, to, data, result.output))


def _candidate() -> Iterator[dict[str, Any]]:
    """V2 to V3 with a flash swap through FlashArb, against its two swaps alone, made by code that checks nothing."""
    world, trade = measured_world(("v2", "v3"))
    world.place_code(LIMIT, hard_limit(world, trade))
    terms = {"loan": "flash_swap", "min_profit": 0, "bid_wei": 0, "deadline_block": world.number}
    candidate = encode_call(trade, weth=world.weth, **terms)  # type: ignore[arg-type]  # terms of several types
    calls = {
        "candidate": (OWNER, world.contract, candidate),
        "hard-wired": (OWNER, LIMIT, b""),
        **dict(zip(("first", "last"), _swaps(world, trade), strict=True)),
    }
    best = dict.fromkeys(calls, float("inf"))
    for name, (sender, to, data) in calls.items():
        for _ in range(20):
            if not world.machine.call(to, data, sender=sender).success:
                raise RuntimeError(f"{name} fails")
    for _ in range(ROUNDS):
        for name, (sender, to, data) in calls.items():
            best[name] = min(best[name], seconds(partial(world.machine.call, to, data, sender=sender), 40))
    yield row("candidate V2>V3", best["candidate"], "its two swaps by a contract alone", best["first"] + best["last"])
    yield row("candidate V2>V3", best["candidate"], "hard-wired, checks nothing", best["hard-wired"])


def _swaps(world: ContractWorld, trade: Any) -> Iterator[tuple[bytes, bytes, bytes]]:
    """The trade's swaps one by one, by a contract that has the tokens."""
    for hop in trade.hops:
        way, token_in = hop.hop.zero_for_one, hop.hop.token_in
        if world.pools[hop.hop.pool].is_v3:
            data = contract_call_data("swapV3(address,bool,int256)", hop.hop.pool, way, hop.amount_in)
        else:
            outs = (0, hop.amount_out) if way else (hop.amount_out, 0)
            signature = "swapV2(address,address,uint256,uint256,uint256)"
            data = contract_call_data(signature, hop.hop.pool, token_in, hop.amount_in, *outs)
        yield OWNER, world.user, data


def seconds(call: Callable[[], object], repeat: int) -> float:
    """CPU seconds of the fastest call."""
    best = float("inf")
    gc.collect()
    for _ in range(repeat):
        start = process_time()
        call()
        best = min(best, process_time() - start)
    return best


def row(case: str, value: float, peer: str, peer_value: float) -> dict[str, Any]:
    """A row of milliseconds, from seconds."""
    ratio = peer_value / value
    return {
        "case": case,
        "value": value * 1e3,
        "unit": "ms",
        "peer": peer,
        "peer_value": peer_value * 1e3,
        "ratio": ratio,
    }
