"""Swaps with a stable pool's own token (BPT): a join or an exit with one token.

The protocol has been paid before (``protocol_fees``), and is paid again afterwards. BPT lies pre-minted in the Vault;
what counts as supply is what does not lie there. Source: ``ComposableStablePool``.
"""

from __future__ import annotations

from flasharb.pools.balancer.fixed_point import complement, div_down, div_up, mul_down, mul_up
from flasharb.pools.balancer.log_exp import ONE
from flasharb.pools.balancer.protocol_fees import Due, settled
from flasharb.pools.balancer.stable_facts import JoinExit
from flasharb.pools.balancer.stable_math import Reverts, balance_at, invariant
from flasharb.pools.balancer.stable_state import StableState
from flasharb.pools.inverse import TooLittle


def join_exact_in(pool: StableState, due: Due, k: int, amount_in: int) -> tuple[int, int, JoinExit]:
    """BPT for this much of the k-th token (18 decimals of value); total supply and memory afterwards."""
    balances = pool.scaled
    total = sum(balances)
    ratios = [div_down(balance + (amount_in if n == k else 0), balance) for n, balance in enumerate(balances)]
    ideal = sum(mul_down(ratio, div_down(balance, total)) for ratio, balance in zip(ratios, balances, strict=True))
    kept = amount_in
    if ratios[k] > ideal:
        if ideal < ONE:
            raise TooLittle("the amount is too small to be told from nothing")
        free = mul_down(balances[k], ideal - ONE)
        if free > amount_in:
            raise TooLittle("the amount is too small to be told from nothing")
        kept = free + mul_down(amount_in - free, ONE - pool.fee)
    after = list(balances)
    after[k] += kept
    ratio = div_down(invariant(pool.amp, after), due.d)
    amount_out = mul_down(due.supply, ratio - ONE) if ratio > ONE else 0
    after[k] = balances[k] + amount_in
    return amount_out, *settled(pool, due, after, due.supply + amount_out)


def exit_exact_in(pool: StableState, due: Due, k: int, amount_in: int) -> tuple[int, int, JoinExit]:
    """The k-th token (18 decimals of value) for this much BPT; total supply and memory afterwards."""
    balances = pool.scaled
    if amount_in > due.supply:
        raise Reverts(f"there is no more than {due.supply} of the pool's token")
    target = mul_up(div_up(due.supply - amount_in, due.supply), due.d)
    if not target:
        raise Reverts("nothing would be left in the pool")
    gross = balances[k] - balance_at(pool.amp, balances, target, k)
    if gross < 0:
        raise TooLittle("the pool's balance would not fall")
    taxed = _taxed(balances, k, gross)
    amount_out = gross - taxed + mul_down(taxed, ONE - pool.fee)
    after = list(balances)
    after[k] -= amount_out
    return amount_out, *settled(pool, due, after, due.supply - amount_in)


def join_exact_out(pool: StableState, due: Due, k: int, amount_out: int) -> int:
    """The k-th token (18 decimals of value) that this much BPT costs."""
    balances = pool.scaled
    target = mul_up(div_up(due.supply + amount_out, due.supply), due.d)
    net = balance_at(pool.amp, balances, target, k) - balances[k]
    if net < 0:
        raise Reverts("the pool's balance would not grow")
    taxed = _taxed(balances, k, net)
    amount_in = net - taxed + div_up(taxed, ONE - pool.fee)
    after = list(balances)
    after[k] += amount_in
    settled(pool, due, after, due.supply + amount_out)
    return amount_in


def exit_exact_out(pool: StableState, due: Due, k: int, amount_out: int) -> int:
    """BPT that this much of the k-th token (18 decimals of value) costs."""
    balances = pool.scaled
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
    settled(pool, due, after, due.supply - amount_in)
    return amount_in


def _taxed(balances: list[int], k: int, amount: int) -> int:
    """The part of a one-sided amount that is a swap against the other tokens."""
    return mul_up(amount, complement(div_down(balances[k], sum(balances))))
