"""A StableSwap pool: immutable state and exact quotes, the LP token being one more token of the pool.

Hops between two coins are ``exchange``; coin to LP token is ``add_liquidity`` of that coin alone, LP token to coin is
``remove_liquidity_one_coin``. A pool answers for blocks of one time (``timestamp``), because A may be ramping;
``at`` moves it. ``d`` is derived from the balances once, when the pool is made.

A metapool trades a coin for the LP token of its base pool, whose virtual price is that token's rate. It holds the base
pool, moves it along that pool's own logs, and takes the price from it: live, or, in the older contracts, from a copy in
its own storage which the first hop after ten minutes renews.

``amount_out`` grows with the input and is concave, up to a unit in 18 decimals by which the contract's iteration wavers
(and where the fee of a "ng" pool is dynamic: it rises as the pool leaves balance, which bends the curve further down).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from flasharb.pools.contract import Pool, Swapped
from flasharb.pools.errors import InsufficientLiquidity, Uninitialised
from flasharb.pools.inverse import TooLittle, least_input
from flasharb.pools.spec import PoolSpec
from flasharb.pools.stableswap import liquidity, slope
from flasharb.pools.stableswap.math import balance_at, check_prices, invariant
from flasharb.pools.stableswap.ramp import Ramp
from flasharb.pools.stableswap.rules import FEE_DENOMINATOR, PRECISION, StableFacts, facts_of
from flasharb.units import Address

PRICE_LASTS: Final = 600
"""Seconds after which a metapool that copies its base pool's virtual price looks at it again."""
_EMPTY: Final = "the pool is empty, or so far out of balance that it has no invariant"


class StableParameters(NamedTuple):
    """What governance can change, in the contract's units: fees in 10^-10, ``offpeg`` 0 where there is none."""

    ramp: Ramp
    fee: int
    admin_fee: int
    offpeg: int = 0


class BasePrice(NamedTuple):
    """A metapool's copy of its base pool's virtual price, and when it was made."""

    price: int
    updated: int

    def lasts(self, timestamp: int) -> bool:
        """Whether a hop in a block of this time goes by it."""
        return timestamp <= self.updated + PRICE_LASTS


class StableSwapPool(msgspec.Struct, frozen=True):
    """The state as storage has it, and what is derived from it; made by ``stable_pool``.

    ``balances`` are net of admin fees; ``rates`` scale them to 18 decimals (times 10^18); ``supply`` of the LP token is
    None where it is not known. ``ann`` is A times the number of coins at ``timestamp``. ``base`` is a metapool's base
    pool at the same time, ``copied`` its copy of that pool's price, if it makes one.
    """

    spec: PoolSpec
    facts: StableFacts
    parameters: StableParameters
    balances: tuple[int, ...]
    rates: tuple[int, ...]
    supply: int | None
    timestamp: int
    ann: int
    xp: tuple[int, ...]
    d: int
    base: StableSwapPool | None = None
    copied: BasePrice | None = None

    @property
    def moves_with_time(self) -> bool:
        """Whether A is ramping, or the price of the base pool will be looked at anew."""
        if self.parameters.ramp.future_time > self.timestamp:
            return True
        if self.base is None:
            return False
        return self.base.moves_with_time or (self.copied is not None and self.copied.lasts(self.timestamp))

    def at(self, timestamp: int) -> StableSwapPool:
        """The same pool in a block of another time; nothing is computed anew while A and the base price stand still."""
        base = None if self.base is None else self.base.at(timestamp)
        same = self.parameters.ramp.at(timestamp) * len(self.balances) == self.ann
        if same and (base is None or base_price(base, self.copied, timestamp) == self.rates[-1]):
            return msgspec.structs.replace(self, timestamp=timestamp, base=base)
        return self.with_state(timestamp=timestamp, base=base)

    @property
    def reads(self) -> Address | None:
        """See ``contract.Reader``: the base pool."""
        return None if self.base is None else self.base.spec.address

    def beside(self, other: Pool) -> StableSwapPool:
        """See ``contract.Reader``."""
        assert isinstance(other, StableSwapPool)
        return self.with_base(other)

    def with_base(self, base: StableSwapPool) -> StableSwapPool:
        """A metapool after its base pool has changed.

        Raises:
            Uninitialised: the base pool has no price any more.
        """
        base.virtual_price()  # a copy of it may do now, but not for long
        if base_price(base, self.copied, self.timestamp) == self.rates[-1]:
            return msgspec.structs.replace(self, base=base)
        return self.with_state(base=base)

    def with_state(
        self,
        *,
        balances: tuple[int, ...] | None = None,
        supply: int | None = None,
        parameters: StableParameters | None = None,
        timestamp: int | None = None,
        base: StableSwapPool | None = None,
        copied: BasePrice | None = None,
    ) -> StableSwapPool:
        """The pool with some of its state replaced (None: as it is)."""
        return stable_pool(
            self.spec,
            self.parameters if parameters is None else parameters,
            balances=self.balances if balances is None else balances,
            supply=self.supply if supply is None else supply,
            timestamp=self.timestamp if timestamp is None else timestamp,
            base=self.base if base is None else base,
            copied=self.copied if copied is None else copied,
        )

    def amount_out(self, i: int, j: int, amount_in: int) -> int:
        """What the contract pays of token ``j`` for exactly ``amount_in`` of token ``i``. See ``Pool.amount_out``."""
        if amount_in <= 0 or not self.d:
            return self._nothing(amount_in)
        return self._trade(i, j, amount_in)[0]

    def amount_in(self, i: int, j: int, amount_out: int) -> int:
        """The least input for at least ``amount_out``, by search (these contracts have no exact-out).

        See ``pools.inverse.least_input``.
        """
        if amount_out <= 0 or not self.d:
            return self._nothing(amount_out)
        guess = self._before_exchange(i, j, amount_out)
        if guess is None:
            guess = int(amount_out / self.marginal_rate(i, j)) + 1
        if i == len(self.balances):
            # in 18 decimals the same output has no steps for a search to get lost in
            scaled = -(-amount_out * self.rates[j] // PRECISION)
            return least_input(lambda burnt: liquidity.withdrawn(self, j, burnt)[0], scaled, guess)
        return least_input(lambda amount: self.amount_out(i, j, amount), amount_out, guess)

    def swapped(self, i: int, j: int, amount_in: int) -> Swapped[StableSwapPool]:
        """The hop and the pool after it.

        Raises:
            ValueError: an amount that is not positive.
        """
        if amount_in <= 0:
            raise ValueError(f"a swap needs a positive amount, not {amount_in}")
        if not self.d:
            raise Uninitialised(_EMPTY)
        amount_out, admin_fees = self._trade(i, j, amount_in)
        moved = {i: amount_in, j: -amount_out}
        supply_change = -moved.pop(len(self.balances), 0)
        balances = tuple(
            balance + moved.get(k, 0) - fee
            for k, (balance, fee) in enumerate(zip(self.balances, admin_fees, strict=True))
        )
        supply = None if self.supply is None else self.supply + supply_change
        copied = self.copied
        if copied is not None and not copied.lasts(self.timestamp):
            copied = BasePrice(self.rates[-1], self.timestamp)
        return Swapped(amount_in, amount_out, self.with_state(balances=balances, supply=supply, copied=copied))

    def marginal_rate(self, i: int, j: int) -> float:
        """Output per input, both in smallest units, for an infinitesimal amount, fees taken off."""
        self._check(i, j)
        if not self.d:
            raise Uninitialised(_EMPTY)
        return slope.marginal_rate(self, i, j)

    def reserve_in(self, i: int, j: int) -> int:
        """What the pool holds of token ``i`` (the LP token: its supply)."""
        self._check(i, j)
        return self._held()[i]

    def depth(self) -> tuple[int, ...]:
        """See ``Pool.depth``: the balances, and the supply of the LP token (0 if not known)."""
        if not self.d:
            raise Uninitialised(_EMPTY)
        return self._held()[: len(self.spec.tokens)]

    def virtual_price(self) -> int:
        """What one LP token is worth, times 10^18 (``get_virtual_price``).

        Raises:
            Uninitialised: no supply, or it is not known; no invariant.
        """
        if not self.supply or not self.d:
            raise Uninitialised("the pool has no invariant, or the supply of its LP token is zero or not known")
        return self.d * PRECISION // self.supply

    def fee_between(self, x: int, y: int, fee: int) -> int:
        """The fee for moving between two balances in 18 decimals: "ng" pools raise it as the two drift apart."""
        offpeg = self.parameters.offpeg
        if offpeg <= FEE_DENOMINATOR:
            return fee
        weighted = (offpeg - FEE_DENOMINATOR) * 4 * x * y
        if weighted >> 256:
            raise InsufficientLiquidity("the balances overflow the contract's arithmetic")
        if not x + y:
            raise InsufficientLiquidity("nothing is left to take a fee of")
        return offpeg * fee // (weighted // (x + y) ** 2 + FEE_DENOMINATOR)

    def _trade(self, i: int, j: int, amount_in: int) -> tuple[int, tuple[int, ...]]:
        """The output, and what leaves each balance as admin fee."""
        self._check(i, j)
        coins = len(self.balances)
        if i == coins:
            return liquidity.remove_one_coin(self, j, amount_in)
        if j == coins:
            return liquidity.add_one_coin(self, i, amount_in)
        xp, rates, facts = self.xp, self.rates, self.facts
        scaled = amount_in * rates[i]
        if scaled >> 256:
            raise InsufficientLiquidity(f"input {amount_in} overflows the contract's arithmetic")
        x = xp[i] + scaled // PRECISION
        moved = (*xp[:i], x, *xp[i + 1 :])
        y = balance_at(moved, j, self.d, self.ann, facts.rules)
        if facts.rules.keeps_prices:
            check_prices((*moved[:j], y, *moved[j + 1 :]), self.d, self.ann, facts.rules)
        gross = xp[j] - y - 1
        if gross < 0:
            raise TooLittle(f"input {amount_in} is too small: the contract would pay less than nothing")
        parameters = self.parameters
        fee = gross * self.fee_between((xp[i] + x) // 2, (xp[j] + y) // 2, parameters.fee) // FEE_DENOMINATOR
        admin_fee = fee * parameters.admin_fee // FEE_DENOMINATOR * PRECISION // rates[j]
        return (gross - fee) * PRECISION // rates[j], (0,) * j + (admin_fee,) + (0,) * (coins - j - 1)

    def _before_exchange(self, i: int, j: int, amount_out: int) -> int | None:
        """About the input of an exchange, within units, from the curve read the other way; None where that fails.

        Between coins of many and of few decimals the output is a staircase of wide steps, in which a search from a
        linear guess would take dozens of quotes.
        """
        coins = len(self.balances)
        if not (i < coins and j < coins):
            return None
        self._check(i, j)
        xp, rates = self.xp, self.rates
        kept = FEE_DENOMINATOR - self.fee_between(xp[i], xp[j], self.parameters.fee)
        net = -(-amount_out * rates[j] // PRECISION)
        y = xp[j] - 1 - net * FEE_DENOMINATOR // max(kept, 1)
        if y <= 0:
            return None
        try:
            x = balance_at((*xp[:j], y, *xp[j + 1 :]), i, self.d, self.ann, self.facts.rules)
        except InsufficientLiquidity:
            return None
        return max(-(-(x - xp[i]) * PRECISION // rates[i]), 1)

    def _held(self) -> tuple[int, ...]:
        return (*self.balances, self.supply or 0)

    def _check(self, i: int, j: int) -> None:
        coins = len(self.balances)
        if i == j or not (0 <= i <= coins and 0 <= j <= coins):
            raise ValueError(f"no hop from token {i} to token {j} in a pool of {coins} coins and their LP token")
        if coins in (i, j) and not self.supply:
            raise Uninitialised("the supply of the LP token is zero or not known")

    def _nothing(self, amount: int) -> int:
        """Zero for zero, otherwise why there is no answer."""
        if amount < 0:
            raise ValueError(f"an amount cannot be negative: {amount}")
        if not self.d:
            raise Uninitialised(_EMPTY)
        return 0


def base_price(base: StableSwapPool, copied: BasePrice | None, timestamp: int) -> int:
    """The rate of a base pool's LP token in a metapool, in a block of this time.

    Raises:
        Uninitialised: it is the base pool's virtual price, and that is not known.
    """
    return copied.price if copied is not None and copied.lasts(timestamp) else base.virtual_price()


def stable_pool(
    spec: PoolSpec,
    parameters: StableParameters,
    *,
    balances: tuple[int, ...],
    supply: int | None,
    timestamp: int,
    base: StableSwapPool | None = None,
    copied: BasePrice | None = None,
) -> StableSwapPool:
    """A pool from its state; a metapool from its base pool's too, at the same time.

    Raises:
        Uninitialised: the virtual price of the base pool is wanted and not known.
    """
    facts = facts_of(spec)
    rates = facts.rates if base is None else (*facts.rates[:-1], base_price(base, copied, timestamp))
    xp = tuple(balance * rate // PRECISION for balance, rate in zip(balances, rates, strict=True))
    ann = parameters.ramp.at(timestamp) * len(balances)
    try:
        d = invariant(xp, ann, facts.rules)
    except InsufficientLiquidity:
        # a balance of zero, or one out of all proportion: the contract reverts on every hop, and so will this pool
        d = 0
    return StableSwapPool(spec, facts, parameters, balances, rates, supply, timestamp, ann, xp, d, base, copied)
