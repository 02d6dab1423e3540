"""Pool graphs of any size with the shape of a real chain's: five hubs, other tokens by popularity (Zipf).

Two thirds of the pools lie between a token and the first hub, two in a hundred between hubs, one in ten between two
other tokens, and a pair of tokens has sixteen pools at most (forks times fee tiers). Prices of pools of one pair differ
by 0.15 % (standard deviation), which leaves thousands of cycles open: far more than any real market, and more work.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from flasharb.pools import PoolSpec, V2Pool
from flasharb.units import PIPS, Address

HUBS = 5
HUB_SHARES = np.array([0.66, 0.14, 0.12, 0.05, 0.03])
POOLS_PER_PAIR = 16


@dataclass(frozen=True, slots=True)
class Graph:
    """``tail`` < ``head`` are token numbers (hubs first, then by popularity), reserves are those of either."""

    tokens: int
    tail: NDArray[np.int32]
    head: NDArray[np.int32]
    reserve_tail: NDArray[np.float64]
    reserve_head: NDArray[np.float64]
    gamma: NDArray[np.float64]


def graph(pools: int, seed: int = 1, spread: float = 0.0015) -> Graph:
    """A graph of so many pools of two tokens; ``spread`` is the standard deviation of their prices."""
    random = np.random.default_rng(seed)
    tokens = max(50, int(pools * 0.35))
    one, other = _ends(random, pools, tokens)
    tail, head = np.minimum(one, other), np.maximum(one, other)
    worth = np.exp(random.normal(0, 3, tokens))
    value = np.exp(random.normal(11, 2, pools))
    gamma = random.choice([0.997, 0.9995, 0.99, 0.9999], pools, p=[0.7, 0.15, 0.1, 0.05])
    return Graph(
        tokens,
        tail.astype(np.int32),
        head.astype(np.int32),
        value / worth[tail] * 1e18,
        value / worth[head] * 1e18 * np.exp(random.normal(0, spread, pools)),
        gamma,
    )


def _ends(random: np.random.Generator, pools: int, tokens: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    popularity = np.arange(1.0, tokens - HUBS + 1) ** -0.9
    popularity /= popularity.sum()

    def popular(count: int) -> NDArray[np.int64]:
        return HUBS + random.choice(tokens - HUBS, count, p=popularity)

    between_hubs, between_others = pools // 50, pools // 10
    rest = pools - between_hubs - between_others
    one = popular(rest)
    once = min(tokens - HUBS, rest // 2)
    one[:once] = HUBS + np.arange(once)
    hub = random.choice(HUBS, rest, p=HUB_SHARES)
    left, right = popular(between_others), popular(between_others)
    right[left == right] = HUBS + (right[left == right] - HUBS + 1) % (tokens - HUBS)
    pairs = np.array(list(combinations(range(HUBS), 2)))
    weight = HUB_SHARES[pairs].prod(axis=1)
    hubs = pairs[random.choice(len(pairs), between_hubs, p=weight / weight.sum())]
    one = np.concatenate((one, left, hubs[:, 0]))
    other = np.concatenate((hub, right, hubs[:, 1]))
    return _spread(random, one, other, tokens)


def _spread(
    random: np.random.Generator, one: NDArray[np.int64], other: NDArray[np.int64], tokens: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Move what a pair has beyond its share to a random token and hub."""
    while True:
        key = np.minimum(one, other) * tokens + np.maximum(one, other)
        order = np.argsort(key, kind="stable")
        first = np.r_[True, key[order][1:] != key[order][:-1]]
        places = np.arange(len(key))
        excess = order[places - np.maximum.accumulate(np.where(first, places, 0)) >= POOLS_PER_PAIR]
        if not len(excess):
            return one, other
        one[excess] = random.integers(HUBS, tokens, len(excess))
        other[excess] = random.choice(HUBS, len(excess), p=HUB_SHARES)


def pools_of(drawn: Graph) -> list[V2Pool]:
    """The graph's pools, in its order; addresses depend on the numbers only."""
    tokens = [_named(f"token {n}") for n in range(drawn.tokens)]
    fees = np.rint((1 - drawn.gamma) * PIPS).astype(int).tolist()
    ends = zip(drawn.tail.tolist(), drawn.head.tolist(), strict=True)
    reserves = zip(drawn.reserve_tail.tolist(), drawn.reserve_head.tolist(), strict=True)
    pools = []
    for n, ((tail, head), (at_tail, at_head), fee) in enumerate(zip(ends, reserves, fees, strict=True)):
        held = sorted(((tokens[tail], int(at_tail) + 1), (tokens[head], int(at_head) + 1)))
        (token0, reserve0), (token1, reserve1) = held
        pools.append(V2Pool(PoolSpec(_named(f"pool {n}"), "uniswap_v2", (token0, token1), fee), reserve0, reserve1))
    return pools


def hub_addresses() -> list[Address]:
    """The addresses of the hubs, the largest first."""
    return [_named(f"token {n}") for n in range(HUBS)]


def _named(name: str) -> Address:
    return Address(sha256(name.encode()).digest()[:20])
