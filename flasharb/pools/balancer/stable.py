"""Composable stable pools: a StableSwap curve whose own token (BPT) is one of its tokens.

Between two other tokens a swap works like Curve's: balances are brought to 18 decimals and multiplied by the tokens'
rates, the fee is taken off the input, and the invariant is kept. A swap that takes BPT out is a join with one token,
one that puts BPT in is an exit (``bpt``).

Two things depend on the block's time: the amplification while it ramps, and the rates. A pool remembers the rates that
providers told it and asks them again when they have expired; a quote would then need an answer that nobody has, and is
refused with ``UnknownRate``.

Between two tokens, and from BPT or to it, the output is concave in the input up to the rounding of a few units.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import msgspec

from flasharb.pools.balancer.bpt import (
    exit_exact_in,
    exit_exact_out,
    exit_least_in,
    join_exact_in,
    join_exact_out,
    join_least_in,
)
from flasharb.pools.balancer.fixed_point import div_down, div_up, mul_down, mul_up
from flasharb.pools.balancer.log_exp import ONE
from flasharb.pools.balancer.pool import check
from flasharb.pools.balancer.protocol_fees import Due, fees_due
from flasharb.pools.balancer.stable_facts import JoinExit, Ramp
from flasharb.pools.balancer.stable_inverse import least_balance
from flasharb.pools.balancer.stable_math import Reverts, balance_at, slopes
from flasharb.pools.balancer.stable_state import StableState
from flasharb.pools.contract import Swapped
from flasharb.pools.errors import InsufficientLiquidity
from flasharb.pools.events import StateUnknown
from flasharb.pools.inverse import TooLittle


class StablePool(StableState, frozen=True, dict=True):
    """A composable stable pool of the Vault, as it answers in a block of ``timestamp``."""

    @cached_property
    def due(self) -> Due:
        """The protocol's fees before the next join or exit."""
        return fees_due(self)

    # Quotes

    def amount_out(self, i: int, j: int, amount_in: int) -> int:
        """See ``VaultPool.amount_out``; also raises ``UnknownRate``."""
        if amount_in <= 0 or i == j:
            check(i, j, amount_in)
            return 0
        bpt = self.facts.bpt
        if bpt in (i, j):
            amount_out = self._with_bpt(i, j, amount_in)[0]
        else:
            taken = (amount_in - mul_up(amount_in, self.fee)) * self.factors[i] // ONE
            d, k = self.d, self.places[j]
            balances = list(self.scaled)
            balances[self.places[i]] += taken
            given = balances[k] - balance_at(self.amp, balances, d, k) - 1
            if given < 0:
                raise TooLittle("the pool's balance would not fall")
            amount_out = given * ONE // self.factors[j]
        self.checked_amounts(i, j, amount_in, amount_out)
        return amount_out

    def amount_in_exact_out(self, i: int, j: int, amount_out: int) -> int:
        """See ``VaultPool.amount_in_exact_out``; also raises ``UnknownRate``."""
        if amount_out <= 0 or i == j:
            check(i, j, amount_out)
            return 0
        bpt = self.facts.bpt
        given = mul_down(amount_out, self.factors[j])
        if j == bpt:
            amount_in = div_up(join_exact_out(self, self.due, self.places[i], given), self.factors[i])
        elif i == bpt:
            amount_in = exit_exact_out(self, self.due, self.places[j], given)
        else:
            d, k = self.d, self.places[i]
            balances = list(self.scaled)
            balances[self.places[j]] -= given
            if balances[self.places[j]] <= 0:
                raise Reverts(f"output {amount_out} is more than the pool has")
            taken = balance_at(self.amp, balances, d, k) - balances[k] + 1
            if taken <= 0:
                raise Reverts("the pool's balance would not grow")
            amount_in = div_up(div_up(taken, self.factors[i]), ONE - self.fee)
        self.checked_amounts(i, j, amount_in, amount_out)
        return amount_in

    def amount_in(self, i: int, j: int, amount_out: int) -> int:
        """See ``VaultPool.amount_in``; also raises ``UnknownRate``."""
        if amount_out <= 0 or i == j:
            check(i, j, amount_out)
            return 0
        if self.facts.bpt in (i, j):
            return self._least_with_bpt(i, j, amount_out)
        factor, k, out = self.factors[i], self.places[i], self.places[j]
        most = self.scaled[out] - 1 + -amount_out * self.factors[j] // ONE
        if most <= 0:
            raise Reverts(f"output {amount_out} is more than the pool has")
        balance = least_balance(self.amp, self.scaled, self.d, (k, out), most)
        if balance is None or balance <= self.scaled[k]:
            return super().amount_in(i, j, amount_out)
        net = -((self.scaled[k] - balance) * ONE // factor)
        amount_in = -(-net * ONE // (ONE - self.fee))
        self.checked_amounts(i, j, amount_in, self.amount_out(i, j, amount_in) if self.managed[j] else amount_out)
        return amount_in

    def marginal_rate(self, i: int, j: int) -> float:
        """Output per input, both in smallest units, for an infinitesimal amount, fee taken off.

        Raises:
            QuoteUnavailable: no balances, or a rate has expired.
        """
        bpt, factors = self.facts.bpt, self.factors
        growth = slopes(self.amp, self.scaled, self.d)
        if bpt not in (i, j):
            worth = growth[self.places[i]] * factors[i] / (growth[self.places[j]] * factors[j])
            return worth * ((ONE - self.fee) / ONE)
        token = i if j == bpt else j
        k = self.places[token]
        share = self.scaled[k] / sum(self.scaled)
        kept = 1 - self.fee / ONE * (1 - share)
        worth = growth[k] * (factors[token] / ONE) * (self.due.supply / self.due.d)
        return worth * kept if j == bpt else kept / worth

    # Changes

    def swapped(self, i: int, j: int, amount_in: int) -> Swapped[StablePool]:
        """See ``VaultPool.swapped``; also raises ``UnknownRate``."""
        if self.facts.bpt not in (i, j) or amount_in <= 0:
            return super().swapped(i, j, amount_in)
        amount_out, supply, last = self._with_bpt(i, j, amount_in)
        self.checked_amounts(i, j, amount_in, amount_out)
        rates = tuple(rate._replace(old=rate.current) for rate in self.rates)
        after = self.with_moved(i, j, amount_in, amount_out)
        return Swapped(amount_in, amount_out, msgspec.structs.replace(after, supply=supply, last=last, rates=rates))

    def after_swap(self, i: int, j: int, amount_in: int, amount_out: int) -> StablePool:
        """The pool after the Vault's ``Swap`` event in the block of ``timestamp``.

        Raises:
            StateUnknown: BPT was swapped: the event tells neither the protocol's fees nor which of the two amounts was
                given, on which they depend; or a rate had expired, and was refreshed.
        """
        if self.facts.bpt in (i, j):
            raise StateUnknown("a swap of the pool's own token changes more than the event tells")
        if self.timestamp > self.fresh_until:
            raise StateUnknown("the swap has refreshed a rate")
        return self.with_moved(i, j, amount_in, amount_out)

    def after_pool_balance_changed(self, deltas: Sequence[int], protocol_fees: Sequence[int]) -> StablePool:
        """A join or an exit that is not a swap.

        Raises:
            StateUnknown: always; the event does not tell the supply and the invariant afterwards.
        """
        raise StateUnknown("a join or an exit changes the pool's own storage, which the event does not tell")

    def after_rate_updated(self, i: int, rate: int, timestamp: int) -> StablePool:
        """The pool after its ``TokenRateCacheUpdated`` event in a block of ``timestamp``."""
        known = self.rates[i]
        rates = list(self.rates)
        rates[i] = known._replace(current=rate, expires=timestamp + known.duration)
        return msgspec.structs.replace(self, rates=tuple(rates), timestamp=timestamp)

    def after_amplification_changed(self, ramp: Ramp) -> StablePool:
        """The pool after its ``AmpUpdateStarted`` event, or ``AmpUpdateStopped`` (a ramp that is over)."""
        return msgspec.structs.replace(self, ramp=ramp)

    @property
    def moves_with_time(self) -> bool:
        """While the amplification is on its way, and until a rate expires (then nothing is quoted any more)."""
        return self.ramp.end_time > self.timestamp or (any(self.facts.has_rate) and self.timestamp <= self.fresh_until)

    def at(self, timestamp: int) -> StablePool:
        """The same pool in a block of this time."""
        return msgspec.structs.replace(self, timestamp=timestamp)

    def _least_with_bpt(self, i: int, j: int, amount_out: int) -> int:
        """The least input of a swap that is a join or an exit."""
        try:
            if j == self.facts.bpt:
                joined = join_least_in(self, self.due, self.places[i], amount_out)
                amount_in = -(-joined * ONE // self.factors[i])
            else:
                given = -(-amount_out * self.factors[j] // ONE)
                amount_in = exit_least_in(self, self.due, self.places[j], given)
            self.amount_out(i, j, amount_in)  # what is reckoned afterwards can revert
        except InsufficientLiquidity:
            # beside a limit the search has more patience
            return super().amount_in(i, j, amount_out)
        return amount_in

    def _with_bpt(self, i: int, j: int, amount_in: int) -> tuple[int, int, JoinExit]:
        """Output of a swap given in that is a join or an exit, and supply and memory afterwards."""
        if j == self.facts.bpt:
            scaled = mul_down(amount_in, self.factors[i])
            return join_exact_in(self, self.due, self.places[i], scaled)
        given, supply, last = exit_exact_in(self, self.due, self.places[j], amount_in)
        return div_down(given, self.factors[j]), supply, last
