"""Which pool is at an address, when only its tokens (and perhaps its fee) are told? The factories answer by CREATE2.

Whoever tells (a log, a bus, a cache file) is not believed: an address that no known factory creates for these tokens is
no pool, whatever it says of itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Final

from flasharb.pools.creation import Claim
from flasharb.pools.protocols import PROTOCOLS, Deployment, Protocol, pool_address
from flasharb.pools.spec import PoolSpec
from flasharb.units import ZERO_ADDRESS, Address

MAX_FEE_PIPS: Final = 1 << 24
"""Fees are a uint24 in factories' salts."""


def identify(
    at: Address,
    tokens: Sequence[Address],
    deployments: Mapping[str, Deployment],
    tier: tuple[int, int] | None = None,
) -> PoolSpec | None:
    """The pool that a known factory creates there for two tokens, in any order; None where none does.

    ``tier``: the fee in pips and the tick spacing that a pool of concentrated liquidity says it has; None: whichever
    of the factory's own tiers fits.
    """
    if len(tokens) != 2 or tokens[0] == tokens[1]:
        return None
    ordered = (min(tokens), max(tokens))
    for spec in candidates(at, ordered, deployments, tier):
        if pool_address(deployments[spec.protocol], spec) == at:
            return spec
    return None


def possible(tokens: Sequence[Address], deployments: Mapping[str, Deployment]) -> Iterator[PoolSpec | Claim]:
    """Every pool that known factories would create for a pair of these tokens in their own tiers; few of them exist.

    A ``Claim`` where tokens and address do not say all of it.
    """
    for pair in combinations(sorted(set(tokens)), 2):
        for spec in candidates(ZERO_ADDRESS, pair, deployments):
            at = pool_address(deployments[spec.protocol], spec)
            if at is not None:
                yield replace(spec, address=at)
        yield from _drafts(pair, deployments)


def _drafts(tokens: tuple[Address, Address], deployments: Mapping[str, Deployment]) -> Iterator[Claim]:
    for name, deployment in deployments.items():
        protocol = PROTOCOLS[name]
        if protocol.drafts is None or protocol.completed is None:
            continue
        for draft in protocol.drafts(deployment.factory, tokens):
            at = pool_address(deployment, draft)
            if at is not None:
                yield Claim(at, partial(protocol.completed, replace(draft, address=at)))


def candidates(
    at: Address,
    tokens: tuple[Address, Address],
    deployments: Mapping[str, Deployment],
    tier: tuple[int, int] | None = None,
) -> Iterator[PoolSpec]:
    """What a pool of two tokens, the lower first, may be; whether it is, its address tells."""
    for name in deployments:
        protocol = PROTOCOLS[name]
        if protocol.create2_salt is None or not protocol.sorted_tokens:
            continue
        if protocol.default_fee_pips is not None:
            yield PoolSpec(at, name, tokens, protocol.default_fee_pips)
            continue
        for fee_pips, spacing in _tiers(protocol, tier):
            if 0 <= fee_pips < MAX_FEE_PIPS:
                yield PoolSpec(at, name, tokens, fee_pips, spacing)


def _tiers(protocol: Protocol, told: tuple[int, int] | None) -> list[tuple[int, int]]:
    return [told] if told is not None else list(protocol.tick_spacings.items())
