"""What a quote costs where nobody has modelled a pool and the swap is made in the local EVM, in microseconds of
processor time.

The peer is the same pool quoted by its model, where there is one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from time import process_time
from typing import Any

from flasharb.pools import V2Pool
from flasharb.simulation.made_swaps import find_gift, made_pool
from flasharb.simulation.trial import Place
from flasharb.units import ZERO_ADDRESS
from tests.support.mixed_routes import MAKERS, MixedWorld, quoted_spec

AMOUNT = 10**18
KINDS = {"v2": "V2 pair, its fee known by then", "v3": "V3 pool", "curve 3 silent": "called like a Curve pool of three"}


def rows() -> list[dict[str, Any]]:
    """Cost of a quote whose amount was not asked before."""
    world = MixedWorld()
    measured = []
    for kind, case in KINDS.items():
        step = MAKERS[kind](world, world.weth, world.token(), 10_100)
        world.next_block()
        machine = world.machine
        place = Place(world.state, machine.context, machine.fork, world.weth, world.vault, ZERO_ADDRESS)
        gift = find_gift(world.weth, place)
        assert gift is not None
        spec = quoted_spec(world, step)
        pool, amounts = made_pool(spec, place, {world.weth: gift}), count(AMOUNT)
        ours = _best(lambda pool=pool, step=step, amounts=amounts: pool.amount_out(step.i, step.j, next(amounts)), 100)
        row = {"case": case, "value": ours, "unit": "µs", "peer": None, "peer_value": None, "ratio": None}
        if kind == "v2":
            model = V2Pool(replace(spec, fee_pips=3000), *pool.balances)
            peer = _best(lambda model=model, step=step: model.amount_out(step.i, step.j, AMOUNT), 10_000)
            row |= {"peer": "the model", "peer_value": peer, "ratio": peer / ours}
        measured.append(row)
    return measured


def _best(call: Callable[[], object], repeat: int) -> float:
    best = float("inf")
    for _ in range(5):
        start = process_time()
        for _ in range(repeat):
            call()
        best = min(best, process_time() - start)
    return best / repeat * 1e6
