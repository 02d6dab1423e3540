"""The pool after each event of its contract.

Deposits and withdrawals say all that storage took, fees included, and what they say about the invariant is checked.
An exchange does not tell the admin fee, and the early ``RemoveLiquidityOne`` not even the coin: those are computed
anew and must come out at the event's own amounts. Where an event and our state disagree, ``NeedsReload``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from eth_hash.auto import keccak

from flasharb.pools.errors import QuoteUnavailable
from flasharb.pools.needs import NeedsReload
from flasharb.pools.stableswap.math import invariant
from flasharb.pools.stableswap.pool import StableSwapPool
from flasharb.pools.stableswap.ramp import Ramp
from flasharb.pools.stableswap.rules import FEE_DENOMINATOR, PRECISION


def _topic(signature: str) -> bytes:
    return keccak(signature.encode())


TOKEN_EXCHANGE: Final = _topic("TokenExchange(address,int128,uint256,int128,uint256)")
TOKEN_EXCHANGE_UNDERLYING: Final = _topic("TokenExchangeUnderlying(address,int128,uint256,int128,uint256)")
REMOVE_LIQUIDITY_ONE: Final = frozenset(
    _topic(f"RemoveLiquidityOne(address,{rest})")
    for rest in ("uint256,uint256", "uint256,uint256,uint256", "int128,uint256,uint256,uint256")
)
NEW_FEE: Final = frozenset({_topic("NewFee(uint256,uint256)"), _topic("ApplyNewFee(uint256,uint256)")})
RAMP_A: Final = _topic("RampA(uint256,uint256,uint256,uint256)")
STOP_RAMP_A: Final = _topic("StopRampA(uint256,uint256)")


def add_liquidity_topics(coins: int) -> frozenset[bytes]:
    """AddLiquidity of a pool of so many coins: fixed arrays, and the dynamic ones of "ng"."""
    return frozenset(_topic(f"AddLiquidity(address,uint256[{n}],uint256[{n}],uint256,uint256)") for n in (coins, ""))


def remove_liquidity_topics(coins: int) -> frozenset[bytes]:
    """RemoveLiquidity of a pool of so many coins."""
    return frozenset(_topic(f"RemoveLiquidity(address,uint256[{n}],uint256[{n}],uint256)") for n in (coins, ""))


def remove_imbalance_topics(coins: int) -> frozenset[bytes]:
    """RemoveLiquidityImbalance of a pool of so many coins."""
    return frozenset(
        _topic(f"RemoveLiquidityImbalance(address,uint256[{n}],uint256[{n}],uint256,uint256)") for n in (coins, "")
    )


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
        raise NeedsReload("RemoveLiquidity takes more than the pool had")
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
        raise NeedsReload(f"RemoveLiquidityOne of {amount_out} fits {len(fitting)} of the pool's coins")
    return fitting[0]


def after_new_fee(pool: StableSwapPool, fee: int, second: int) -> StableSwapPool:
    """After NewFee (fee, admin_fee), or ApplyNewFee (fee, offpeg_fee_multiplier) of a "ng" pool."""
    if pool.facts.rules.slots.offpeg_fee_multiplier is None:
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
        raise NeedsReload(f"the pool should not have been able to swap: {error}") from None
    if swap.amount_out != amount_out:
        raise NeedsReload(f"the event pays {amount_out}, our state {swap.amount_out}")
    return swap.pool


def _moved(pool: StableSwapPool, changes: Sequence[int], fees: Sequence[int], d: int, supply: int) -> StableSwapPool:
    """The pool after its balances moved by ``changes``, less the admin's part of ``fees``."""
    admin_fee = pool.parameters.admin_fee
    gross = [balance + change for balance, change in zip(pool.balances, changes, strict=True)]
    net = [balance - fee for balance, fee in zip(gross, fees, strict=True)]
    # "ng" reports the invariant after fees, the older contracts before
    measured = gross if pool.facts.rules.slots.offpeg_fee_multiplier is None else net
    if min(measured) <= 0 or invariant(_scaled(pool, measured), pool.ann, pool.facts.rules) != d:
        raise NeedsReload("the event's invariant is not that of our balances")
    balances = tuple(balance - fee * admin_fee // FEE_DENOMINATOR for balance, fee in zip(gross, fees, strict=True))
    return pool.with_state(balances=balances, supply=supply)


def _scaled(pool: StableSwapPool, balances: Sequence[int]) -> list[int]:
    return [balance * rate // PRECISION for balance, rate in zip(balances, pool.rates, strict=True)]
