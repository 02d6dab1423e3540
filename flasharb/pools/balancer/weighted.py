"""Weighted pools: the product of the balances, each to the power of its weight, stays the same.

``out = balance_out * (1 - (balance_in / (balance_in + in)) ** (weight_in / weight_out))``, each step rounded in favour
of the pool, the power with a margin of 1e-14 on top. Amounts are brought to 18 decimals first; the fee is taken off the
input before that. A swap may not put in, nor take out, more than 30 % of a balance.

Because of that margin an input below about 1e-14 of the balance gives nothing; near there the output is not concave in
the input. In the large it is.
"""

from __future__ import annotations

from typing import Final

from flasharb.pools.balancer.facts import WeightedFacts
from flasharb.pools.balancer.fixed_point import complement, div_down, div_up, mul_down, mul_up, pow_up
from flasharb.pools.balancer.log_exp import ONE
from flasharb.pools.balancer.pool import VaultPool, check
from flasharb.pools.errors import InsufficientLiquidity, Uninitialised

MAX_RATIO: Final = 3 * 10**17
"""The most of a balance that one swap may put in or take out: 30 %, with 18 decimals."""


class WeightedPool(VaultPool, frozen=True):
    """A weighted pool of the Vault."""

    facts: WeightedFacts

    def amount_out(self, i: int, j: int, amount_in: int) -> int:
        """See ``VaultPool.amount_out``."""
        if amount_in <= 0 or i == j:
            check(i, j, amount_in)
            return 0
        facts = self.facts
        balance_in = (self.cash[i] + self.managed[i]) * facts.scaling[i]
        balance_out = (self.cash[j] + self.managed[j]) * facts.scaling[j]
        if not balance_in or not balance_out:
            raise Uninitialised("the pool has no balances")
        taken = (amount_in - mul_up(amount_in, self.fee)) * facts.scaling[i]
        if taken > mul_down(balance_in, MAX_RATIO):
            raise InsufficientLiquidity(f"input {amount_in} is more than the pool takes at once (30 % of its balance)")
        base = div_up(balance_in, balance_in + taken)
        exponent = div_down(facts.weights[i], facts.weights[j])
        rest = complement(pow_up(base, exponent, facts.simple_powers))
        amount_out = mul_down(balance_out, rest) // facts.scaling[j]
        self.checked_amounts(i, j, amount_in, amount_out)
        return amount_out

    def amount_in_exact_out(self, i: int, j: int, amount_out: int) -> int:
        """See ``VaultPool.amount_in_exact_out``."""
        if amount_out <= 0 or i == j:
            check(i, j, amount_out)
            return 0
        facts = self.facts
        balance_in = (self.cash[i] + self.managed[i]) * facts.scaling[i]
        balance_out = (self.cash[j] + self.managed[j]) * facts.scaling[j]
        if not balance_in or not balance_out:
            raise Uninitialised("the pool has no balances")
        given = amount_out * facts.scaling[j]
        if given > mul_down(balance_out, MAX_RATIO):
            raise InsufficientLiquidity(f"output {amount_out} is more than the pool gives at once (30 %)")
        base = div_up(balance_out, balance_out - given)
        exponent = div_up(facts.weights[j], facts.weights[i])
        taken = mul_up(balance_in, pow_up(base, exponent, facts.simple_powers) - ONE)
        amount_in = div_up(-(-taken // facts.scaling[i]), ONE - self.fee)
        self.checked_amounts(i, j, amount_in, amount_out)
        return amount_in

    def marginal_rate(self, i: int, j: int) -> float:
        """Output per input, both in smallest units, for an infinitesimal amount, fee taken off.

        Raises:
            Uninitialised: the pool has no balances.
        """
        balance_in, balance_out = self.cash[i] + self.managed[i], self.cash[j] + self.managed[j]
        if not balance_in or not balance_out:
            raise Uninitialised("the pool has no balances")
        weights = self.facts.weights
        return (ONE - self.fee) / ONE * (balance_out * weights[i]) / (balance_in * weights[j])
