"""Exact quotes of Balancer's weighted and stable pools and of Solidly's pairs, in microseconds of processor time.

The peer is Balancer's own mathematics in Python (``balancer-maths`` 0.1.2 on PyPI, for version 3 of the Vault, whose
curves are the same), called with ready-made numbers: without fee, scaling and the Vault's checks, which ours include.
Its rows stay empty where it is not installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import partial
from time import process_time
from types import ModuleType
from typing import Any, Literal

from flasharb.pools import PoolSpec
from flasharb.pools.balancer import (
    JoinExit,
    ProtocolFees,
    Ramp,
    Rate,
    StableFacts,
    StablePool,
    WeightedFacts,
    WeightedPool,
)
from flasharb.pools.solidly import SolidlyFacts, SolidlyPool
from flasharb.units import Address, Hash32

ONE = 10**18
POOL = Address(b"\5" * 20)
TOKENS = tuple(Address(bytes([k]) * 20) for k in (1, 2, 3))
SPEC = PoolSpec(POOL, "balancer", TOKENS[:2], 0)
NOW = 1_720_000_000
PEER = "balancer-maths 0.1.2"


def rows() -> list[dict[str, Any]]:
    """Quote and update figures."""
    return [*_weighted(), *_stable(), *_solidly()]


def weighted_pool(weights: tuple[int, int]) -> WeightedPool:
    """A pool of two tokens of 18 decimals, 1,000 of the first and 3,000,000 of the second."""
    facts = WeightedFacts(POOL, Hash32(POOL + b"\0\2" + bytes(10)), "weighted_v3", (1, 1), weights, 0)
    return WeightedPool(SPEC, (1000 * ONE, 3 * 10**6 * ONE), (0, 0), 3 * 10**15, facts)


def stable_pool() -> StablePool:
    """A pool of three tokens (18, 6 and 6 decimals), some million of each, and its own token."""
    pool_id = Hash32(POOL + bytes(12))
    none = (False,) * 4
    facts = StableFacts(POOL, pool_id, "stable_v3", 3, (1, 10**12, 10**12, 1), none, none, 0)
    return StablePool(
        SPEC,
        (3 * 10**6 * ONE, 25 * 10**11, 41 * 10**11, (1 << 111) - 9 * 10**6 * ONE),
        (0, 0, 0, 0),
        10**14,
        facts,
        Ramp(200_000, 200_000, 0, 0),
        (Rate(),) * 4,
        1 << 111,
        JoinExit(200_000, 95 * 10**5 * ONE),
        ProtocolFees(ONE // 2, ONE // 2),
        NOW,
    )


def solidly_pair(kind: Literal["solidly_v1", "velodrome_v2"], stable: bool) -> SolidlyPool:
    """A pair of tokens of 18 and 6 decimals, some million of each."""
    facts = SolidlyFacts(kind, stable, (ONE, 10**6), POOL)
    return SolidlyPool(SPEC, facts, (3 * 10**6 * ONE, 25 * 10**11), 5)


def _weighted() -> list[dict[str, Any]]:
    theirs = _peer("weighted.weighted_math")
    found = []
    for name, weights in (("80/20", (8 * 10**17, 2 * 10**17)), ("60/40", (6 * 10**17, 4 * 10**17))):
        pool = weighted_pool(weights)
        given_in, given_out = 10 * ONE, 10_000 * ONE
        numbers = (pool.cash[0], weights[0], pool.cash[1], weights[1])
        peers: tuple[float | None, float | None] = (None, None)
        if theirs:
            peers = (
                _cost(partial(theirs.compute_out_given_exact_in, *numbers, given_in)),
                _cost(partial(theirs.compute_in_given_exact_out, *numbers, given_out)),
            )
        found += [
            _row(f"weighted {name} quote exact-in", _cost(partial(pool.amount_out, 0, 1, given_in)), peers[0]),
            _row(
                f"weighted {name} quote exact-out", _cost(partial(pool.amount_in_exact_out, 0, 1, given_out)), peers[1]
            ),
        ]
        needed = pool.amount_out(0, 1, given_in)
        found.append(_row(f"weighted {name} least input", _cost(partial(pool.amount_in, 0, 1, needed))))
    found.append(_row("weighted update by a Swap event", _cost(lambda: pool.after_swap(0, 1, 5, 5))))
    return found


def _stable() -> list[dict[str, Any]]:
    theirs, pool = _peer("stable.stable_math"), stable_pool()
    amount = 10_000 * ONE
    peer = None
    if theirs:
        balances = list(pool.scaled)
        peer = _cost(
            lambda: theirs.compute_out_given_exact_in(
                pool.amp, balances, 0, 1, amount, theirs.compute_invariant(pool.amp, balances)
            )
        )
    first = pool.at(NOW)

    def anew() -> int:
        return first.after_swap_fee_changed(10**14).amount_out(0, 1, amount)

    return [
        _row("stable, 3 tokens, quote exact-in", _cost(lambda: pool.amount_out(0, 1, amount))),
        _row("stable, 3 tokens, quote exact-out", _cost(lambda: pool.amount_in_exact_out(0, 1, 10**10))),
        _row("stable, 3 tokens, least input", _cost(lambda: pool.amount_in(0, 1, 10**10))),
        _row("stable, 3 tokens, update and first quote", _cost(anew, 300), peer),
        _row("stable, join with one token (BPT out)", _cost(lambda: pool.amount_out(0, 3, amount), 300)),
        _row("stable, exit to one token (BPT in)", _cost(lambda: pool.amount_out(3, 0, amount), 300)),
        _row("stable, join, least input", _cost(lambda: pool.amount_in(0, 3, amount), 300)),
        _row("stable, exit, least input", _cost(lambda: pool.amount_in(3, 0, amount), 300)),
    ]


def _solidly() -> list[dict[str, Any]]:
    first, later = solidly_pair("solidly_v1", True), solidly_pair("velodrome_v2", True)
    volatile = solidly_pair("velodrome_v2", False)
    return [
        _row("Solidly stable quote", _cost(lambda: first.amount_out(0, 1, 10_000 * ONE))),
        _row("Velodrome V2 stable quote", _cost(lambda: later.amount_out(0, 1, 10_000 * ONE))),
        _row("Velodrome V2 volatile quote", _cost(lambda: volatile.amount_out(0, 1, 10_000 * ONE))),
        _row("Velodrome V2 stable least input", _cost(lambda: later.amount_in(0, 1, 10**10), 100)),
    ]


def _peer(name: str) -> ModuleType | None:
    found = importlib.util.find_spec("balancer_maths")
    if found is None:
        return None
    # its modules import each other as "src", which is what the package is called where it is developed
    package = ModuleType("src")
    package.__path__ = list(found.submodule_search_locations or ())
    sys.modules.setdefault("src", package)
    return importlib.import_module(f"src.pools.{name}")


def _cost(call: Callable[[], object], repeat: int = 1000, rounds: int = 7) -> float:
    """Microseconds of processor time a call, in the best round."""
    call()
    best = float("inf")
    for _ in range(rounds):
        start = process_time()
        for _ in range(repeat):
            call()
        best = min(best, (process_time() - start) / repeat)
    return best * 1e6


def _row(case: str, value: float, peer_value: float | None = None) -> dict[str, Any]:
    peer, ratio = (None, None) if peer_value is None else (PEER, peer_value / value)
    return {"case": case, "value": value, "unit": "µs", "peer": peer, "peer_value": peer_value, "ratio": ratio}
