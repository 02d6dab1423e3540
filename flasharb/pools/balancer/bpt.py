"""Swaps with a stable pool's own token (BPT): a join or an exit with one token.

Before each, the protocol is paid in new BPT for what swap fees and yield have made the invariant grow since the last
one; after it, for the swap fee that this very join or exit has paid. Growth by swap fees is measured with the rates of
back then, growth by yield with those of the tokens whose yield is not exempt.

BPT lies pre-minted in the Vault; what counts as supply is what does not lie there. Source: ``ComposableStablePool`` and
``ComposableStablePoolProtocolFees``,
version 3. Version 1 pays the same but rounds what it takes for itself after a join otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flasharb.pools.balancer.fixed_point import complement, div_down, div_up, mul_down, mul_up
from flasharb.pools.balancer.log_exp import ONE
from flasharb.pools.balancer.stable_facts import JoinExit
from flasharb.pools.balancer.stable_math import Reverts, balance_at, invariant
from flasharb.pools.errors import Uninitialised

if TYPE_CHECKING:
    from flasharb.pools.balancer.stable import StablePool


class Due(NamedTuple):
    """Before a join or exit, the protocol paid: BPT minted for it, BPT outside the Vault then, and the invariant."""

    minted: int
    supply: int
    d: int


def fees_due(pool: StablePool) -> Due:
    """What a join or exit begins with.

    Raises:
        Uninitialised: there is no BPT outside the Vault: the pool has not been joined yet.
    """
    bpt = pool.facts.bpt
    supply = pool.supply - pool.cash[bpt] - pool.managed[bpt]
    if supply <= 0 or not pool.last.invariant:
        raise Uninitialised("the pool has not been initialised")
    by_fees, by_fees_and_yield, total = _growth(pool)
    share = mul_down(div_down(max(0, by_fees - pool.last.invariant), total), pool.protocol.swap)
    share += mul_down(div_down(max(0, by_fees_and_yield - by_fees), total), pool.protocol.yields)
    minted = _minted(pool, supply, share)
    d = total if pool.amp == pool.last.amp else pool.d
    return Due(minted, supply + minted, d)


def _growth(pool: StablePool) -> tuple[int, int, int]:
    """Three invariants: without any yield, without that of exempt tokens, and with everything."""
    amp, facts = pool.last.amp, pool.facts
    tokens = [k for k in range(len(pool.cash)) if k != facts.bpt]
    total = pool.d if amp == pool.amp else invariant(amp, pool.scaled)
    rates = [pool.rates[k] for k in tokens]

    def without(adjust: list[bool]) -> int:
        if all(rate.old == rate.current or not flag for rate, flag in zip(rates, adjust, strict=True)):
            return total
        return invariant(
            amp,
            [
                balance * rate.old // rate.current if flag else balance
                for balance, rate, flag in zip(pool.scaled, rates, adjust, strict=True)
            ],
        )

    by_fees = without([facts.has_rate[k] for k in tokens])
    return by_fees, without([facts.exempt[k] for k in tokens]), total


def _minted(pool: StablePool, supply: int, share: int) -> int:
    """New BPT that makes up this share (18 decimals) of the supply with it."""
    if not share:
        return 0
    if pool.facts.kind == "stable_v1":
        return div_down(mul_down(supply, share), complement(share))
    return supply * share // complement(share)


def _settled(pool: StablePool, balances: list[int], supply: int) -> tuple[int, JoinExit]:
    """Total supply and memory after a join or exit that left these balances and this much BPT outside the Vault."""
    due = pool.due
    d = invariant(pool.amp, balances)
    grown = max(0, d - mul_down(due.d, div_down(supply, due.supply)))
    share = grown * pool.protocol.swap // d if grown else 0
    return pool.supply + due.minted + _minted(pool, supply, share), JoinExit(pool.amp, d)


def join_exact_in(pool: StablePool, k: int, amount_in: int) -> tuple[int, int, JoinExit]:
    """BPT for this much of the k-th token (18 decimals of value); total supply and memory afterwards."""
    due, balances = pool.due, pool.scaled
    total = sum(balances)
    ratios = [div_down(balance + (amount_in if n == k else 0), balance) for n, balance in enumerate(balances)]
    ideal = sum(mul_down(ratio, div_down(balance, total)) for ratio, balance in zip(ratios, balances, strict=True))
    kept = amount_in
    if ratios[k] > ideal:
        if ideal < ONE:
            raise Reverts("the amount is too small to be told from nothing")
        free = mul_down(balances[k], ideal - ONE)
        if free > amount_in:
            raise Reverts("the amount is too small to be told from nothing")
        kept = free + mul_down(amount_in - free, ONE - pool.fee)
    after = list(balances)
    after[k] += kept
    ratio = div_down(invariant(pool.amp, after), due.d)
    amount_out = mul_down(due.supply, ratio - ONE) if ratio > ONE else 0
    after[k] = balances[k] + amount_in
    return amount_out, *_settled(pool, after, due.supply + amount_out)


def exit_exact_in(pool: StablePool, k: int, amount_in: int) -> tuple[int, int, JoinExit]:
    """The k-th token (18 decimals of value) for this much BPT; total supply and memory afterwards."""
    due, balances = pool.due, pool.scaled
    if amount_in > due.supply:
        raise Reverts(f"there is no more than {due.supply} of the pool's token")
    target = mul_up(div_up(due.supply - amount_in, due.supply), due.d)
    if not target:
        raise Reverts("nothing would be left in the pool")
    gross = balances[k] - balance_at(pool.amp, balances, target, k)
    if gross < 0:
        raise Reverts("the pool's balance would not fall")
    taxed = _taxed(balances, k, gross)
    amount_out = gross - taxed + mul_down(taxed, ONE - pool.fee)
    after = list(balances)
    after[k] -= amount_out
    return amount_out, *_settled(pool, after, due.supply - amount_in)


def join_exact_out(pool: StablePool, k: int, amount_out: int) -> int:
    """The k-th token (18 decimals of value) that this much BPT costs."""
    due, balances = pool.due, pool.scaled
    target = mul_up(div_up(due.supply + amount_out, due.supply), due.d)
    net = balance_at(pool.amp, balances, target, k) - balances[k]
    if net < 0:
        raise Reverts("the pool's balance would not grow")
    taxed = _taxed(balances, k, net)
    amount_in = net - taxed + div_up(taxed, ONE - pool.fee)
    after = list(balances)
    after[k] += amount_in
    _settled(pool, after, due.supply + amount_out)
    return amount_in


def exit_exact_out(pool: StablePool, k: int, amount_out: int) -> int:
    """BPT that this much of the k-th token (18 decimals of value) costs."""
    due, balances = pool.due, pool.scaled
    total = sum(balances)
    if amount_out > balances[k]:
        raise Reverts(f"there is no more than {balances[k]} of the token in the pool")
    ratios = [div_up(balance - (amount_out if n == k else 0), balance) for n, balance in enumerate(balances)]
    ideal = sum(mul_up(ratio, div_up(balance, total)) for ratio, balance in zip(ratios, balances, strict=True))
    lost = amount_out
    if ideal > ratios[k]:
        free = mul_down(balances[k], complement(ideal))
        if free > amount_out:
            raise Reverts("the amount is too small to be told from nothing")
        lost = free + div_up(amount_out - free, ONE - pool.fee)
    after = list(balances)
    after[k] -= lost
    if after[k] < 0:
        raise Reverts(f"there is no more than {balances[k]} of the token in the pool")
    ratio = div_down(invariant(pool.amp, after), due.d)
    amount_in = mul_up(due.supply, complement(ratio))
    after[k] = balances[k] - amount_out
    if amount_in > due.supply:
        raise Reverts(f"there is no more than {due.supply} of the pool's token")
    _settled(pool, after, due.supply - amount_in)
    return amount_in


def _taxed(balances: list[int], k: int, amount: int) -> int:
    """The part of a one-sided amount that is a swap against the other tokens."""
    return mul_up(amount, complement(div_down(balances[k], sum(balances))))
