"""The pool after each log of its contract.

A TokenExchange is computed anew, at the block's time, and must come out at the log's own amounts (and price scale,
where it is told). Deposits and withdrawals also move D, oracle and profit, which their logs do not tell: the pool must
be loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flasharb.pools.cryptoswap.pool import CryptoSwapPool
from flasharb.pools.errors import QuoteUnavailable
from flasharb.pools.events import Log, Rule, StateUnknown, reload, rules, word


def after_token_exchange(
    pool: CryptoSwapPool, amounts: tuple[int, int, int, int], price_scale: int | None = None
) -> CryptoSwapPool:
    """After TokenExchange in a block of the pool's time; ``amounts``: (sold_id, tokens_sold, bought_id, tokens_bought).

    Raises:
        StateUnknown: the contract also collected its fees, or our state was not the contract's.
    """
    i, amount_in, j, amount_out = amounts
    try:
        swap = pool.swapped(i, j, amount_in)
    except QuoteUnavailable as error:
        raise StateUnknown(f"the pool should not have been able to swap: {error}") from None
    if swap.amount_out != amount_out:
        raise StateUnknown(f"the event pays {amount_out}, our state {swap.amount_out}")
    if price_scale is not None and price_scale != _packed(swap.pool.prices.scale):
        raise StateUnknown("the event's price scale is not ours")
    return swap.pool


def _packed(scale: tuple[int, ...]) -> int:
    return scale[0] if len(scale) == 1 else scale[0] | scale[1] << 128


def _exchanged(pool: CryptoSwapPool, log: Log) -> CryptoSwapPool:
    return after_token_exchange(pool, _amounts(log))


def _exchanged_ng(pool: CryptoSwapPool, log: Log) -> CryptoSwapPool:
    return after_token_exchange(pool, _amounts(log), word(log, 5))


def _amounts(log: Log) -> tuple[int, int, int, int]:
    return word(log, 0), word(log, 1), word(log, 2), word(log, 3)


def _reloading() -> Iterator[Rule]:
    deposit, withdrawal = reload("a deposit moved the pool"), reload("a withdrawal moved the pool")
    fees, parameters = reload("fees were collected"), reload("parameters were set")
    for n in (2, 3):
        yield Rule(f"AddLiquidity(address,uint256[{n}],uint256,uint256)", 1, n + 2, deposit)
        yield Rule(f"AddLiquidity(address,uint256[{n}],uint256,uint256,uint256)", 1, n + 3, deposit)
        yield Rule(f"RemoveLiquidity(address,uint256[{n}],uint256)", 1, n + 1, withdrawal)
    for more in (3, 5):
        yield Rule(f"RemoveLiquidityOne(address{',uint256' * more})", 1, more, withdrawal)
    yield Rule("ClaimAdminFee(address,uint256)", 1, 1, fees)
    yield Rule("ClaimAdminFee(address,uint256[2])", 1, 2, fees)
    for count in (6, 7):
        yield Rule(f"NewParameters({','.join(['uint256'] * count)})", 0, count, parameters)
    ramp = reload("a ramp of A and gamma was set or stopped")
    yield Rule("RampAgamma(uint256,uint256,uint256,uint256,uint256,uint256)", 0, 6, ramp)
    yield Rule("StopRampA(uint256,uint256,uint256)", 0, 3, ramp)


RULES: Final = rules(
    Rule("TokenExchange(address,uint256,uint256,uint256,uint256)", 1, 4, _exchanged),
    Rule("TokenExchange(address,uint256,uint256,uint256,uint256,uint256,uint256)", 1, 6, _exchanged_ng),
    *_reloading(),
)
