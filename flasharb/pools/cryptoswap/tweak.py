"""How a CryptoSwap contract moves its prices after an exchange (``tweak_price``).

The price oracle takes in the last price of the block before (a moving average); D and the last prices are computed
anew; the profit counters grow by what the virtual price grew. If there is profit enough beyond half of what was ever
made, and the oracle is far enough from the price scale, the scale takes a step towards the oracle, unless that would
lose more than half of the profit.

The generations differ in the average (halves or e), in where the last price comes from (the trade itself or the
slope of the curve), in the size of the step, and in what a pool does that failed to step.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING

from flasharb.pools.cryptoswap.newton import check_fraction, check_parameters, newton_d, newton_y
from flasharb.pools.cryptoswap.roots import (
    geometric_mean,
    geometric_mean_of_three,
    geometric_mean_of_two,
    half_power,
    natural_decay,
    square_root,
)
from flasharb.pools.cryptoswap.rules import PRECISION
from flasharb.pools.cryptoswap.spot_price import spot_prices
from flasharb.pools.cryptoswap.state import Exchange, Prices, Tweaked
from flasharb.pools.errors import InsufficientLiquidity
from flasharb.pools.events import StateUnknown

if TYPE_CHECKING:
    from flasharb.pools.cryptoswap.pool import CryptoSwapPool

_PRICE_LIMIT = (1 << 128) - 1
"""Packed prices must stay below this; the contracts of two coins keep whole words."""
_LEAST_PRICED = 10**5
"""Trades of at most so many smallest units give no price of their own in the older contracts."""


@dataclass(frozen=True, slots=True)
class _Profit:
    """The counters after the trade, before the scale moves."""

    d: int
    virtual_price: int
    xcp_profit: int


def tweak_price(pool: CryptoSwapPool, i: int, j: int, amount_in: int, exchange: Exchange) -> Tweaked:
    """What the contract stores after this exchange, besides the balances."""
    if pool.supply is None:
        raise StateUnknown("the supply of the LP token is not known, by which the virtual price is measured")
    rules, ramp, before = pool.facts.rules, pool.parameters.ramp, pool.prices
    oracle = _oracle(pool)
    d = newton_d(pool.ann, pool.gamma, exchange.xp, rules, exchange.k0)
    last = _last_prices(pool, i, j, amount_in, exchange, d)
    _fit(last)
    profit = _profit(pool, d)
    moved = _Moved(pool.prices.scale, d, profit.virtual_price, False)
    if before.virtual_price:
        step = _step if rules.packed else _early_step
        moved = step(pool, exchange.xp, oracle, profit)
    if not rules.packed and 0 < ramp.future_time <= pool.timestamp:
        # the first trade after the ramp's end takes note of it
        ramp = ramp._replace(future_time=0 if before.virtual_price else 1)
    timestamp = max(pool.timestamp, before.last_timestamp)
    prices = Prices(
        moved.price_scale, oracle, last, timestamp, profit.xcp_profit, moved.virtual_price, moved.not_adjusted
    )
    return Tweaked(ramp, moved.d, prices)


@dataclass(frozen=True, slots=True)
class _Moved:
    price_scale: tuple[int, ...]
    d: int
    virtual_price: int
    not_adjusted: bool


def _oracle(pool: CryptoSwapPool) -> tuple[int, ...]:
    """The price oracle at the pool's time."""
    prices, parameters = pool.prices, pool.parameters
    passed = pool.timestamp - prices.last_timestamp
    if passed <= 0:
        return prices.oracle
    age = passed * PRECISION // parameters.ma_time
    last = prices.last
    if pool.facts.rules.ema_is_natural:
        alpha = natural_decay(age)
        # a spot price is taken for at most twice the scale
        last = tuple(min(price, 2 * scale) for price, scale in zip(last, pool.prices.scale, strict=True))
    else:
        alpha = half_power(age)
    pairs = zip(last, prices.oracle, strict=True)
    oracle = tuple((price * (PRECISION - alpha) + old * alpha) // PRECISION for price, old in pairs)
    _fit(oracle)
    return oracle


def _last_prices(pool: CryptoSwapPool, i: int, j: int, amount_in: int, exchange: Exchange, d: int) -> tuple[int, ...]:
    """The prices after the trade."""
    scale, xp = pool.prices.scale, exchange.xp
    if pool.facts.rules.packed:
        return tuple(p * s // PRECISION for p, s in zip(spot_prices(pool, xp, d), scale, strict=True))
    if amount_in > _LEAST_PRICED and exchange.amount_out > _LEAST_PRICED:
        traded = _traded_price(pool, i, j, amount_in, exchange.amount_out)
        if all(traded):
            return traded
    # too little was traded for a price: move a millionth of coin 0
    check_parameters(pool.ann, pool.gamma, pool.facts.rules)
    dx = xp[0] // 10**6
    found = []
    for k in range(1, len(xp)):
        received = xp[k] - newton_y(pool.ann, pool.gamma, (xp[0] + dx, *xp[1:]), d, k)
        if received <= 0:
            raise InsufficientLiquidity("the contract finds no price for this trade")
        found.append(scale[k - 1] * dx // received)
    return tuple(found)


def _traded_price(pool: CryptoSwapPool, i: int, j: int, amount_in: int, amount_out: int) -> tuple[int, ...]:
    paid = amount_in * pool.facts.precisions[i]
    got = amount_out * pool.facts.precisions[j]
    last = list(pool.prices.last)
    if i and j:
        last[j - 1] = last[i - 1] * paid // got
    elif i:
        last[i - 1] = got * PRECISION // paid
    else:
        last[j - 1] = paid * PRECISION // got
    return tuple(last)


def _fit(prices: tuple[int, ...]) -> None:
    if len(prices) > 1 and max(prices) >= _PRICE_LIMIT:
        raise InsufficientLiquidity("a price does not fit into its half of a word")


def _mean(pool: CryptoSwapPool, d: int, price_scale: tuple[int, ...]) -> int:
    """The geometric mean of the balances that a pool in balance has for this D, in real units."""
    n = len(price_scale) + 1
    x = (d // n, *(d * PRECISION // (n * price) for price in price_scale))
    if not pool.facts.rules.packed:
        return geometric_mean(x)
    return geometric_mean_of_two(x) if n == 2 else geometric_mean_of_three(x)


def _profit(pool: CryptoSwapPool, d: int) -> _Profit:
    prices, supply = pool.prices, pool.supply
    if not prices.virtual_price:
        return _Profit(d, PRECISION, PRECISION)
    if not supply:
        raise InsufficientLiquidity("the LP token has no supply")
    virtual_price = PRECISION * _mean(pool, d, pool.prices.scale) // supply
    end = pool.parameters.ramp.future_time
    if pool.facts.rules.packed:
        lost = virtual_price <= prices.virtual_price and end < pool.timestamp
    else:
        lost = virtual_price < prices.virtual_price and end == 0
    if lost:
        raise InsufficientLiquidity("the contract refuses a trade that lowers the value of its LP token")
    return _Profit(d, virtual_price, prices.xcp_profit * virtual_price // prices.virtual_price)


def _enough(pool: CryptoSwapPool, profit: _Profit) -> bool:
    """Whether so much was gained since the last step that half of it may be spent on another."""
    allowed = pool.parameters.allowed_extra_profit
    if allowed is None:
        raise StateUnknown("the allowed extra profit is not known")
    if 2 * profit.virtual_price < PRECISION:
        raise InsufficientLiquidity("the LP token is worth less than half of what it was issued for")
    return 2 * profit.virtual_price - PRECISION > profit.xcp_profit + 2 * allowed


def _distance(oracle: tuple[int, ...], price_scale: tuple[int, ...]) -> int:
    """The squared distance of oracle and scale, relative, 36 decimals."""
    return sum((price * PRECISION // scale - PRECISION) ** 2 for price, scale in zip(oracle, price_scale, strict=True))


def _step(pool: CryptoSwapPool, xp: tuple[int, ...], oracle: tuple[int, ...], profit: _Profit) -> _Moved:
    """The step of the "ng" contracts."""
    stay = _Moved(pool.prices.scale, profit.d, profit.virtual_price, False)
    if not _enough(pool, profit):
        return stay
    norm = isqrt(_distance(oracle, pool.prices.scale))
    step = max(pool.parameters.adjustment_step, norm // 5)
    if norm <= step:
        return stay
    moved = _try_step(pool, xp, oracle, (norm, step))
    return stay if moved is None or not _worth(moved, profit) else moved


def _early_step(pool: CryptoSwapPool, xp: tuple[int, ...], oracle: tuple[int, ...], profit: _Profit) -> _Moved:
    """The step of the older contracts, which go on trying in later trades until they may not (``not_adjusted``)."""
    stay = _Moved(pool.prices.scale, profit.d, profit.virtual_price, pool.prices.not_adjusted)
    two, step = len(xp) == 2, pool.parameters.adjustment_step
    distance = _distance(oracle, pool.prices.scale)
    if two:
        norm = isqrt(distance)
        step = max(step, norm // 5)
        far = norm > step
    else:
        far = distance > step**2
        norm = square_root(distance // PRECISION) if far else 0
    if not pool.prices.not_adjusted and not (_enough(pool, profit) and (far or not two)):
        return stay
    if not far:
        if two:
            raise StateUnknown("the contract collects its fees in this trade")
        return _Moved(stay.price_scale, stay.d, stay.virtual_price, True)
    moved = _try_step(pool, xp, oracle, (norm, step))
    if moved is not None and _worth(moved, profit):
        return _Moved(moved.price_scale, moved.d, moved.virtual_price, True)
    if two:
        raise StateUnknown("the contract collects its fees in this trade")
    return _Moved(stay.price_scale, stay.d, stay.virtual_price, False)


def _try_step(
    pool: CryptoSwapPool, xp: tuple[int, ...], oracle: tuple[int, ...], length: tuple[int, int]
) -> _Moved | None:
    """The pool with its scale moved towards the oracle: ``length`` is (distance, step)."""
    norm, step = length
    rules, old = pool.facts.rules, pool.prices.scale
    if norm < step:
        raise InsufficientLiquidity("the contract's distance of prices is less than its step")
    new = tuple((scale * (norm - step) + step * price) // norm for scale, price in zip(old, oracle, strict=True))
    rescaled = (xp[0], *(x * now // before for x, now, before in zip(xp[1:], new, old, strict=True)))
    d = newton_d(pool.ann, pool.gamma, rescaled, rules)
    if rules.packed:
        for x in rescaled:
            check_fraction(x, d)
    assert pool.supply
    virtual_price = PRECISION * _mean(pool, d, new) // pool.supply
    _fit(new)
    return _Moved(new, d, virtual_price, False)


def _worth(moved: _Moved, profit: _Profit) -> bool:
    return moved.virtual_price > PRECISION and 2 * moved.virtual_price - PRECISION > profit.xcp_profit
