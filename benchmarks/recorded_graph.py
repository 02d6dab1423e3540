"""The pools of the recorded blocks as one graph, for the screen; nothing where the blocks are not at hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from math import sqrt

import numpy as np

from benchmarks.sizing_cases import SHARED
from benchmarks.synthetic_graph import Graph
from flasharb.adapters.blockfile import read_block
from flasharb.pools import Pool, QuoteUnavailable
from flasharb.simulation.recorded_pools import known_pools, offered
from flasharb.simulation.replay import Replay
from flasharb.units import Address

MAINNET = SHARED / "mainnet"


def recorded_pools() -> dict[Address, Pool]:
    """Every pool whose state one of the blocks knows, as the last such block found it."""
    pools: dict[Address, Pool] = {}
    for file in sorted(MAINNET.glob("*.json.gz")):
        replay = Replay(read_block(file))
        pools |= known_pools(replay, offered(replay).specs.values()).pools
    return pools


def recorded_graph(pools: dict[Address, Pool]) -> Graph:
    """An edge for each pair of a pool's tokens that it trades both ways; tokens with many pools have small numbers."""
    edges = list(_edges(pools))
    uses = Counter(token for *ends, _, _ in edges for token in ends)
    number = {token: n for n, (token, _) in enumerate(uses.most_common())}
    turned = [
        (number[a], number[b], forward, backward)
        if number[a] < number[b]
        else (number[b], number[a], backward, forward)
        for a, b, forward, backward in edges
    ]
    tail, head, forward, backward = (np.array(column) for column in zip(*turned, strict=True))
    price = np.sqrt(forward / backward)
    return Graph(
        len(number),
        tail.astype(np.int32),
        head.astype(np.int32),
        np.ones(len(turned)),
        price,
        np.sqrt(forward * backward),
    )


def _edges(pools: dict[Address, Pool]) -> Iterator[tuple[Address, Address, float, float]]:
    for pool in pools.values():
        for i, j in combinations(range(len(pool.spec.tokens)), 2):
            try:
                forward, backward = pool.marginal_rate(i, j), pool.marginal_rate(j, i)
            except QuoteUnavailable:
                continue
            if forward > 0 and backward > 0 and sqrt(forward * backward) > 0:
                yield pool.spec.tokens[i], pool.spec.tokens[j], forward, backward
