"""A CryptoSwap pool: immutable state and exact quotes of ``exchange``.

``amount_out`` is what the contract pays before it updates its prices. That update (``tweak_price``, see ``tweak``)
moves the price scale and may itself revert; ``swapped`` does it too. A pool answers for blocks of one time
(``timestamp``), because A and gamma may be ramping and the price oracle ages; ``at`` moves it.

``amount_out`` grows with the input and is concave up to the tolerance of the contract's iteration, 10^-14 of D, and as
far as the fee allows: it rises with the imbalance, so that a swap towards balance may get cheaper as it grows.
"""

from __future__ import annotations

from typing import Final

import msgspec

from flasharb.pools.contract import Swapped
from flasharb.pools.cryptoswap import slope
from flasharb.pools.cryptoswap.cubic import solve_y
from flasharb.pools.cryptoswap.newton import check_parameters, newton_d, newton_y
from flasharb.pools.cryptoswap.rules import FEE_DENOMINATOR, PRECISION, CryptoFacts, facts_of
from flasharb.pools.cryptoswap.state import CryptoParameters, Exchange, GammaRamp, Prices
from flasharb.pools.cryptoswap.tweak import tweak_price
from flasharb.pools.errors import InsufficientLiquidity, Uninitialised
from flasharb.pools.inverse import TooLittle, least_input
from flasharb.pools.spec import PoolSpec

_NO_D: Final = "the pool is empty, or A, gamma and balances lie outside the contract's limits"


class CryptoSwapPool(msgspec.Struct, frozen=True):
    """The state as storage has it, and what is derived from it; made by ``crypto_pool``.

    ``supply`` of the LP token is None where it is not known. ``ann`` and ``gamma`` hold at ``timestamp``; ``d_now`` is
    the stored ``d``, or D computed anew while A and gamma ramp; ``xp`` are the balances in coin 0, 18 decimals.
    """

    spec: PoolSpec
    facts: CryptoFacts
    parameters: CryptoParameters
    balances: tuple[int, ...]
    d: int
    prices: Prices
    supply: int | None
    timestamp: int
    ann: int
    gamma: int
    xp: tuple[int, ...]
    d_now: int

    @property
    def moves_with_time(self) -> bool:
        """Whether A and gamma are ramping."""
        return self.parameters.ramp.future_time > self.timestamp

    def at(self, timestamp: int) -> CryptoSwapPool:
        """The same pool in a block of another time."""
        if self.parameters.ramp.future_time <= min(self.timestamp, timestamp):
            return msgspec.structs.replace(self, timestamp=timestamp)
        return crypto_pool(
            self.spec,
            self.parameters,
            balances=self.balances,
            d=self.d,
            prices=self.prices,
            supply=self.supply,
            timestamp=timestamp,
        )

    def amount_out(self, i: int, j: int, amount_in: int) -> int:
        """What the contract pays of coin ``j`` for exactly ``amount_in`` of coin ``i``. See ``Pool.amount_out``."""
        if amount_in <= 0 or not self.d_now:
            return self._nothing(amount_in)
        return self.exchanged(i, j, amount_in).amount_out

    def amount_in(self, i: int, j: int, amount_out: int) -> int:
        """The least input for at least ``amount_out``, by search (these contracts have no exact-out).

        See ``pools.inverse.least_input``.
        """
        if amount_out <= 0 or not self.d_now:
            return self._nothing(amount_out)
        guess = int(amount_out / self.marginal_rate(i, j)) + 1
        return least_input(lambda amount: self.amount_out(i, j, amount), amount_out, guess)

    def swapped(self, i: int, j: int, amount_in: int) -> Swapped[CryptoSwapPool]:
        """The hop and the pool after it, price scale and oracle moved.

        Raises:
            StateUnknown: the contract also collects its fees, which depends on balances outside of it, or the LP supply
                is not known.
            ValueError: an amount that is not positive.
        """
        if amount_in <= 0:
            raise ValueError(f"a swap needs a positive amount, not {amount_in}")
        if not self.d_now:
            raise Uninitialised(_NO_D)
        exchange = self.exchanged(i, j, amount_in)
        tweaked = tweak_price(self, i, j, amount_in, exchange)
        balances = list(self.balances)
        balances[i] += amount_in
        balances[j] -= exchange.amount_out
        after = crypto_pool(
            self.spec,
            self.parameters._replace(ramp=tweaked.ramp),
            balances=tuple(balances),
            d=tweaked.d,
            prices=tweaked.prices,
            supply=self.supply,
            timestamp=self.timestamp,
        )
        return Swapped(amount_in, exchange.amount_out, after)

    def rounding(self, i: int, j: int) -> tuple[int, int]:
        """Newton's method ends within 1e-14 of D, which is as many balances as there are coins."""
        return 3, 3 + self.balances[j] * 2 * len(self.balances) // 10**14

    def marginal_rate(self, i: int, j: int) -> float:
        """Output per input, both in smallest units, for an infinitesimal amount, fee taken off."""
        self._check(i, j)
        if not self.d_now:
            raise Uninitialised(_NO_D)
        return slope.marginal_rate(self, i, j)

    def reserve_in(self, i: int, j: int) -> int:
        """The pool's balance of coin ``i``."""
        self._check(i, j)
        return self.balances[i]

    def depth(self) -> tuple[int, ...]:
        """The pool's balances."""
        if not self.d_now:
            raise Uninitialised(_NO_D)
        return self.balances

    def fee(self, xp: tuple[int, ...]) -> int:
        """The fee at balances ``xp``: from ``mid_fee`` in balance towards ``out_fee`` far from it."""
        fee_gamma, n, total = self.parameters.fee_gamma, len(xp), sum(xp)
        if n == 2:
            share = 4 * PRECISION * xp[0] // total * xp[1] // total
        else:
            share = PRECISION
            for x in xp:
                share = share * n * x // total
        if fee_gamma or n == 2:
            share = fee_gamma * PRECISION // (fee_gamma + PRECISION - share)
        return (self.parameters.mid_fee * share + self.parameters.out_fee * (PRECISION - share)) // PRECISION

    def scaled(self, k: int, balance: int) -> int:
        """A balance of coin ``k`` in coin 0, 18 decimals."""
        balance *= self.facts.precisions[k]
        return balance * self.prices.scale[k - 1] // PRECISION if k else balance

    def exchanged(self, i: int, j: int, amount_in: int) -> Exchange:
        """The first half of the contract's ``exchange``: what it pays, before it moves its prices."""
        self._check(i, j)
        rules, d = self.facts.rules, self.d_now
        xp = list(self.xp)
        xp[i] = self.scaled(i, self.balances[i] + amount_in)
        if rules.packed:
            y, k0 = solve_y(self.ann, self.gamma, xp, d, j, rules)
        else:
            check_parameters(self.ann, self.gamma, rules)
            y, k0 = newton_y(self.ann, self.gamma, xp, d, j), 0
        gross = xp[j] - y - 1
        if gross < 0:
            raise TooLittle(f"input {amount_in} is too small: the contract would pay less than nothing")
        xp[j] = y
        if j:
            gross = gross * PRECISION // self.prices.scale[j - 1]
        gross //= self.facts.precisions[j]
        paid = gross - self.fee(tuple(xp)) * gross // FEE_DENOMINATOR
        left = self.balances[j] - paid
        if left < 0:
            raise InsufficientLiquidity(f"{paid} is more than the pool has")
        xp[j] = self.scaled(j, left)
        return Exchange(paid, tuple(xp), k0)

    def _check(self, i: int, j: int) -> None:
        coins = len(self.balances)
        if i == j or not (0 <= i < coins and 0 <= j < coins):
            raise ValueError(f"no hop from coin {i} to coin {j} in a pool of {coins}")

    def _nothing(self, amount: int) -> int:
        """Zero for zero, otherwise why there is no answer."""
        if amount < 0:
            raise ValueError(f"an amount cannot be negative: {amount}")
        if not self.d_now:
            raise Uninitialised(_NO_D)
        return 0


def crypto_pool(
    spec: PoolSpec,
    parameters: CryptoParameters,
    *,
    balances: tuple[int, ...],
    d: int,
    prices: Prices,
    supply: int | None,
    timestamp: int,
) -> CryptoSwapPool:
    """A pool from its state."""
    facts = facts_of(spec)
    ann, gamma = parameters.ramp.at(timestamp)
    xp = tuple(
        balance * precision * (prices.scale[k - 1] if k else PRECISION) // PRECISION
        for k, (balance, precision) in enumerate(zip(balances, facts.precisions, strict=True))
    )
    d_now = d
    if _recomputes(facts, parameters.ramp, timestamp):
        try:
            d_now = newton_d(ann, gamma, xp, facts.rules)
        except InsufficientLiquidity:
            d_now = 0  # the contract reverts on every exchange until the ramp is over
    return CryptoSwapPool(spec, facts, parameters, balances, d, prices, supply, timestamp, ann, gamma, xp, d_now)


def _recomputes(facts: CryptoFacts, ramp: GammaRamp, timestamp: int) -> bool:
    """Whether ``exchange`` computes D anew: the older contracts also do so once after the ramp's end."""
    return ramp.future_time > (timestamp if facts.rules.packed else 0)
