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
from flasharb.pools.inverse import TooLittle, least_input


def join_exact_in(pool: StableState, due: Due, k: int, amount_in: int) -> tuple[int, int, JoinExit]:
    """BPT for this much of the k-th token (18 decimals of value); total supply and memory afterwards."""
    after = list(pool.scaled)
    after[k] += _kept(pool, k, amount_in)
    ratio = div_down(invariant(pool.amp, after), due.d)
    amount_out = mul_down(due.supply, ratio - ONE) if ratio > ONE else 0
    after[k] = pool.scaled[k] + amount_in
    return amount_out, *settled(pool, due, after, due.supply + amount_out)


def _kept(pool: StableState, k: int, amount_in: int) -> int:
    """What the fee leaves of an amount that joins alone."""
    balances, total = pool.scaled, sum(pool.scaled)
    weights = [balance * ONE // total for balance in balances]
    ratio = (balances[k] + amount_in) * ONE // balances[k]
    # the balances of the others stay: their ratios are one
    ideal = sum(weights) - weights[k] + ratio * weights[k] // ONE
    if ratio <= ideal:
        return amount_in
    free = mul_down(balances[k], ideal - ONE) if ideal >= ONE else amount_in + 1
    if free > amount_in:
        raise Reverts("the amount is too small to be told from nothing")
    return free + mul_down(amount_in - free, ONE - pool.fee)


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
    amount_out = _given(pool, k, gross)
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


def join_least_in(pool: StableState, due: Due, k: int, amount_out: int) -> int:
    """The least of the k-th token (18 decimals of value) for which ``join_exact_in`` gives this much."""
    balances = pool.scaled
    wanted = -(-(ONE - -amount_out * ONE // due.supply) * due.d // ONE)

    def reached(amount: int) -> int:
        after = list(balances)
        after[k] += _kept(pool, k, amount)
        return invariant(pool.amp, after)

    about = _gross(pool, k, balance_at(pool.amp, balances, wanted, k) - balances[k])
    about += (wanted - reached(about)) * about // (wanted - due.d)
    return least_input(reached, wanted, max(about, 1))


def exit_least_in(pool: StableState, due: Due, k: int, amount_out: int) -> int:
    """The least BPT for which ``exit_exact_in`` gives this much of the k-th token (18 decimals of value)."""
    balances = pool.scaled

    def given(share: int) -> int:
        if share >= ONE:
            raise Reverts("nothing would be left in the pool")
        gross = balances[k] - balance_at(pool.amp, balances, mul_up(ONE - share, due.d), k)
        if gross < 0:
            raise TooLittle("the pool's balance would not fall")
        return _given(pool, k, gross)

    after = list(balances)
    after[k] -= _gross(pool, k, amount_out)
    if after[k] <= 0:
        raise Reverts(f"there is no more than {balances[k]} of the token in the pool")
    about = ONE - div_down(invariant(pool.amp, after), due.d)
    share = least_input(given, amount_out, max(about, 1))
    return due.supply - mul_down(ONE - share, due.supply)


def _gross(pool: StableState, k: int, net: int) -> int:
    """About the amount of which the fee leaves this much."""
    share = div_down(pool.scaled[k], sum(pool.scaled))
    return div_up(net, ONE - mul_down(pool.fee, complement(share)))


def _given(pool: StableState, k: int, gross: int) -> int:
    """What the fee leaves of an amount that exits alone."""
    taxed = _taxed(pool.scaled, k, gross)
    return gross - taxed + mul_down(taxed, ONE - pool.fee)


def _taxed(balances: list[int], k: int, amount: int) -> int:
    """The part of a one-sided amount that is a swap against the other tokens."""
    return mul_up(amount, complement(div_down(balances[k], sum(balances))))
