"""The pool after each event of its contract.

Deposits and withdrawals say all that storage took, fees included, and what they say about the invariant is checked.
An exchange does not tell the admin fee, and the early ``RemoveLiquidityOne`` not even the coin: those are computed
anew and must come out at the event's own amounts. Where an event and our state disagree, ``StateUnknown``. A metapool
follows the logs of its base pool as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from flasharb.pools.contract import Pool
from flasharb.pools.errors import QuoteUnavailable
from flasharb.pools.events import Log, Rule, StateUnknown, reload, rules, word
from flasharb.pools.stableswap.math import invariant
from flasharb.pools.stableswap.pool import BasePrice, StableSwapPool
from flasharb.pools.stableswap.ramp import Ramp
from flasharb.pools.stableswap.rules import FEE_DENOMINATOR, PRECISION


def after_token_exchange(pool: StableSwapPool, i: int, amount_in: int, j: int, amount_out: int) -> StableSwapPool:
    """After TokenExchange (sold_id, tokens_sold, bought_id, tokens_bought)."""
    return _computed(pool, i, amount_in, j, amount_out)


def after_add_liquidity(
    pool: StableSwapPool, amounts: Sequence[int], fees: Sequence[int], d: int, supply: int
) -> StableSwapPool:
    """After AddLiquidity (token_amounts, fees, invariant, token_supply)."""
    return _moved(pool, amounts, fees, d, supply)


def after_remove_liquidity(pool: StableSwapPool, amounts: Sequence[int], supply: int) -> StableSwapPool:
    """After RemoveLiquidity (token_amounts, token_supply): all coins in proportion, no fee."""
    balances = tuple(balance - amount for balance, amount in zip(pool.balances, amounts, strict=True))
    if min(balances) < 0:
        raise StateUnknown("RemoveLiquidity takes more than the pool had")
    return pool.with_state(balances=balances, supply=supply)


def after_remove_liquidity_imbalance(
    pool: StableSwapPool, amounts: Sequence[int], fees: Sequence[int], d: int, supply: int
) -> StableSwapPool:
    """After RemoveLiquidityImbalance (token_amounts, fees, invariant, token_supply)."""
    return _moved(pool, [-amount for amount in amounts], fees, d, supply)


def after_remove_liquidity_one(
    pool: StableSwapPool, burnt: int, amount_out: int, coin: int | None = None
) -> StableSwapPool:
    """After RemoveLiquidityOne (token_amount, coin_amount; ``coin`` only in "ng", else the one that fits)."""
    lp = pool.facts.lp_index
    fitting = []
    for j in range(lp) if coin is None else (coin,):
        try:
            swap = pool.swapped(lp, j, burnt)
        except QuoteUnavailable:
            continue
        if swap.amount_out == amount_out:
            fitting.append(swap.pool)
    if len(fitting) != 1:
        raise StateUnknown(f"RemoveLiquidityOne of {amount_out} fits {len(fitting)} of the pool's coins")
    return fitting[0]


def after_new_fee(pool: StableSwapPool, fee: int, second: int) -> StableSwapPool:
    """After NewFee (fee, admin_fee), or ApplyNewFee (fee, offpeg_fee_multiplier) of a "ng" pool."""
    if not pool.facts.is_ng:
        return pool.with_state(parameters=pool.parameters._replace(fee=fee, admin_fee=second))
    return pool.with_state(parameters=pool.parameters._replace(fee=fee, offpeg=second))


def after_ramp_a(pool: StableSwapPool, ramp: Ramp) -> StableSwapPool:
    """After RampA (old_A, new_A, initial_time, future_time)."""
    return pool.with_state(parameters=pool.parameters._replace(ramp=ramp))


def after_stop_ramp_a(pool: StableSwapPool, a: int, timestamp: int) -> StableSwapPool:
    """After StopRampA (A, t)."""
    return after_ramp_a(pool, Ramp(a, a, timestamp, timestamp))


def _computed(pool: StableSwapPool, i: int, amount_in: int, j: int, amount_out: int) -> StableSwapPool:
    try:
        swap = pool.swapped(i, j, amount_in)
    except QuoteUnavailable as error:
        raise StateUnknown(f"the pool should not have been able to swap: {error}") from None
    if swap.amount_out != amount_out:
        raise StateUnknown(f"the event pays {amount_out}, our state {swap.amount_out}")
    return swap.pool


def _moved(pool: StableSwapPool, changes: Sequence[int], fees: Sequence[int], d: int, supply: int) -> StableSwapPool:
    """The pool after its balances moved by ``changes``, less the admin's part of ``fees``."""
    admin_fee = pool.parameters.admin_fee
    gross = [balance + change for balance, change in zip(pool.balances, changes, strict=True)]
    net = [balance - fee for balance, fee in zip(gross, fees, strict=True)]
    # "ng" reports the invariant after fees, the older contracts before
    measured = net if pool.facts.is_ng else gross
    if min(measured) <= 0 or invariant(_scaled(pool, measured), pool.ann, pool.facts.rules) != d:
        raise StateUnknown("the event's invariant is not that of our balances")
    balances = tuple(balance - fee * admin_fee // FEE_DENOMINATOR for balance, fee in zip(gross, fees, strict=True))
    copied = pool.copied
    if copied is not None and not copied.lasts(pool.timestamp):
        copied = BasePrice(pool.rates[-1], pool.timestamp)
    return pool.with_state(balances=balances, supply=supply, copied=copied)


def _scaled(pool: StableSwapPool, balances: Sequence[int]) -> list[int]:
    return [balance * rate // PRECISION for balance, rate in zip(balances, pool.rates, strict=True)]


# --- logs -------------------------------------------------------------------------------------------------------------


def _exchanged(pool: StableSwapPool, log: Log) -> StableSwapPool:
    return after_token_exchange(pool, *_words(log))


def _one_removed(pool: StableSwapPool, log: Log) -> StableSwapPool:
    burnt, amount_out, *_supply = _words(log)
    return after_remove_liquidity_one(pool, burnt, amount_out)


def _one_removed_named(pool: StableSwapPool, log: Log) -> StableSwapPool:
    coin, burnt, amount_out, _supply = _words(log)
    return after_remove_liquidity_one(pool, burnt, amount_out, coin)


def _fees_set(pool: StableSwapPool, log: Log) -> StableSwapPool:
    return after_new_fee(pool, *_words(log))


def _fee_set(pool: StableSwapPool, log: Log) -> StableSwapPool:
    return after_new_fee(pool, word(log, 0), pool.parameters.admin_fee)


def _ramp_set(pool: StableSwapPool, log: Log) -> StableSwapPool:
    return after_ramp_a(pool, Ramp(*_words(log)))


def _ramp_stopped(pool: StableSwapPool, log: Log) -> StableSwapPool:
    return after_stop_ramp_a(pool, *_words(log))


def _words(log: Log) -> list[int]:
    return [word(log, at) for at in range(len(log.data) // 32)]


_Moved = Callable[..., StableSwapPool]


def _of_arrays(after: _Moved) -> Callable[[StableSwapPool, Log], StableSwapPool]:
    """A rule's ``apply`` for an event of two arrays with an amount for each coin, and single words after them."""

    def apply(pool: StableSwapPool, log: Log) -> StableSwapPool:
        words, n = _words(log), pool.facts.lp_index
        if pool.facts.is_ng:
            return after(pool, _array(words, 0, n), _array(words, 1, n), *words[2 : words[0] // 32])
        if len(words) < 2 * n:
            raise StateUnknown("an event with amounts of another number of coins")
        return after(pool, words[:n], words[n : 2 * n], *words[2 * n :])

    return apply


def _array(words: list[int], place: int, n: int) -> Sequence[int]:
    """An array of any length, whose offset stands at ``place``; an empty one stands for zeros."""
    start = words[place] // 32
    if words[start : start + 1] == [0]:
        return (0,) * n
    amounts = words[start + 1 : start + 1 + n]
    if words[start : start + 1] != [n] or len(amounts) != n:
        raise StateUnknown("an event with amounts of another number of coins")
    return amounts


def _removed(pool: StableSwapPool, amounts: Sequence[int], _fees: Sequence[int], supply: int) -> StableSwapPool:
    return after_remove_liquidity(pool, amounts, supply)


def _of_lengths() -> Iterator[Rule]:
    """The events with an amount for each coin, for pools of two to four coins and for arrays of any length."""
    for n in (2, 3, 4, None):
        kind = f"uint256[{n or ''}]"
        for name, singles, after in (
            ("AddLiquidity", 2, after_add_liquidity),
            ("RemoveLiquidity", 1, _removed),
            ("RemoveLiquidityImbalance", 2, after_remove_liquidity_imbalance),
        ):
            signature = f"{name}(address,{kind},{kind}{',uint256' * singles})"
            yield Rule(signature, 1, None if n is None else 2 * n + singles, _of_arrays(after))


def _of_base(rule: Rule) -> Rule:
    """The rule for a log that may as well be the base pool's: a metapool hears that pool's logs, too."""

    def apply(pool: StableSwapPool, log: Log) -> Pool:
        if pool.base is None or log.pool != pool.base.spec.address:
            return rule.apply(pool, log)
        base = rule.apply(pool.base, log)
        assert isinstance(base, StableSwapPool)
        return pool.with_base(base)

    return replace(rule, apply=apply)


_OWN: Final = (
    Rule("TokenExchange(address,int128,uint256,int128,uint256)", 1, 4, _exchanged),
    Rule("TokenExchangeUnderlying(address,int128,uint256,int128,uint256)", 1, 4, reload("the base pool was traded")),
    Rule("RemoveLiquidityOne(address,uint256,uint256)", 1, 2, _one_removed),
    Rule("RemoveLiquidityOne(address,uint256,uint256,uint256)", 1, 3, _one_removed),
    Rule("RemoveLiquidityOne(address,int128,uint256,uint256,uint256)", 1, 4, _one_removed_named),
    Rule("NewFee(uint256,uint256)", 0, 2, _fees_set),
    Rule("ApplyNewFee(uint256,uint256)", 0, 2, _fees_set),
    Rule("ApplyNewFee(uint256)", 0, 1, _fee_set),
    Rule("RampA(uint256,uint256,uint256,uint256)", 0, 4, _ramp_set),
    Rule("StopRampA(uint256,uint256)", 0, 2, _ramp_stopped),
    *_of_lengths(),
)
RULES: Final = rules(*map(_of_base, _OWN))
