"""What the protocol is paid, in new BPT, around a join or an exit.

Before one: its share of what swap fees and yield have made the invariant grow since the last one. Growth by swap fees
is measured with the rates of back then, growth by yield with those of the tokens whose yield is not exempt. After one:
its share of the swap fee that this very join or exit has paid.

Rates can fall. Versions up to the fourth take each growth for itself, at least nothing; from the fifth on all of it is
kept between the invariant of back then and today's, and where that has not grown there is nothing to pay.

Source: ``ComposableStablePoolProtocolFees``.
"""

from __future__ import annotations

from typing import NamedTuple

from flasharb.pools.balancer.fixed_point import complement, div_down, mul_down
from flasharb.pools.balancer.stable_facts import JoinExit
from flasharb.pools.balancer.stable_math import invariant
from flasharb.pools.balancer.stable_state import StableState
from flasharb.pools.errors import Uninitialised


class Due(NamedTuple):
    """Before a join or exit, the protocol paid: BPT minted for it, BPT outside the Vault then, and the invariant."""

    minted: int
    supply: int
    d: int


def fees_due(pool: StableState) -> Due:
    """What a join or exit begins with.

    Raises:
        Uninitialised: no balances, or no BPT outside the Vault: the pool has not been joined yet.
    """
    bpt = pool.facts.bpt
    supply = pool.supply - pool.cash[bpt] - pool.managed[bpt]
    if supply <= 0 or not pool.last.invariant:
        raise Uninitialised("the pool has not been initialised")
    d = pool.d
    total = d if pool.last.amp == pool.amp else invariant(pool.last.amp, pool.scaled)
    by_fees, by_yield = (_bounded_growth if pool.facts.kind == "stable_v5" else _growth)(pool, total)
    share = mul_down(div_down(by_fees, total), pool.protocol.swap)
    share += mul_down(div_down(by_yield, total), pool.protocol.yields)
    minted = _minted(pool, supply, share)
    return Due(minted, supply + minted, d)


def settled(pool: StableState, due: Due, balances: list[int], supply: int) -> tuple[int, JoinExit]:
    """Total supply and memory after a join or exit that left these balances and this much BPT outside the Vault."""
    d = invariant(pool.amp, balances)
    grown = max(0, d - mul_down(due.d, div_down(supply, due.supply)))
    share = grown * pool.protocol.swap // d if grown else 0
    return pool.supply + due.minted + _minted(pool, supply, share), JoinExit(pool.amp, d)


def _growth(pool: StableState, total: int) -> tuple[int, int]:
    """What swap fees, and what yield that is not exempt, have made the invariant grow."""
    by_fees = _without_yield(pool, pool.facts.has_rate, total)
    with_yield = _without_yield(pool, pool.facts.exempt, total)
    return max(0, by_fees - pool.last.invariant), max(0, with_yield - by_fees)


def _bounded_growth(pool: StableState, total: int) -> tuple[int, int]:
    """The same from the fifth version on, where either all yield is exempt or none."""
    before = pool.last.invariant
    if total <= before:
        return 0, 0
    by_fees = max(before, min(total, _without_yield(pool, pool.facts.has_rate, total)))
    return by_fees - before, 0 if any(pool.facts.exempt) else total - by_fees


def _without_yield(pool: StableState, whose: tuple[bool, ...], total: int) -> int:
    """The invariant with the rates of back then for these tokens; ``total`` is that with today's rates."""
    tokens = [k for k in range(len(pool.cash)) if k != pool.facts.bpt]
    rates = [pool.rates[k] for k in tokens]
    if all(not whose[k] or rate.old == rate.current for k, rate in zip(tokens, rates, strict=True)):
        return total
    adjusted = [
        balance * rate.old // rate.current if whose[k] else balance
        for k, balance, rate in zip(tokens, pool.scaled, rates, strict=True)
    ]
    return invariant(pool.last.amp, adjusted)


def _minted(pool: StableState, supply: int, share: int) -> int:
    """New BPT that makes up this share (18 decimals) of the supply with it."""
    if not share:
        return 0
    if pool.facts.kind == "stable_v1":
        return div_down(mul_down(supply, share), complement(share))
    return supply * share // complement(share)
