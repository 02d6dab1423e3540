"""Weighted pools: the product of the balances, each to the power of its weight, stays the same.

``out = balance_out * (1 - (balance_in / (balance_in + in)) ** (weight_in / weight_out))``, each step rounded in favour
of the pool, the power with a margin of 1e-14 on top. Amounts are brought to 18 decimals first; the fee is taken off the
input before that. A swap may not put in, nor take out, more than 30 % of a balance.

Because of that margin an input below about 1e-14 of the balance gives nothing; near there the output is not concave in
the input. In the large it is.
"""

from __future__ import annotations

from flasharb.pools.balancer.facts import WeightedFacts
from flasharb.pools.balancer.fixed_point import div_up, mul_down, mul_up, pow_up
from flasharb.pools.balancer.log_exp import ONE
from flasharb.pools.balancer.pool import VaultPool, check
from flasharb.pools.balancer.weighted_inverse import MAX_RATIO, least_net
from flasharb.pools.errors import InsufficientLiquidity, Uninitialised


class WeightedPool(VaultPool, frozen=True):
    """A weighted pool of the Vault."""

    facts: WeightedFacts

    def amount_out(self, i: int, j: int, amount_in: int) -> int:
        """See ``VaultPool.amount_out``."""
        if amount_in <= 0 or i == j:
            check(i, j, amount_in)
            return 0
        facts = self.facts
        balance_in, balance_out = self._balances(i, j)
        # the fee is rounded up, which leaves what is rounded down
        taken = amount_in * (ONE - self.fee) // ONE * facts.scaling[i]
        if taken > balance_in * MAX_RATIO // ONE:
            raise InsufficientLiquidity(f"input {amount_in} is more than the pool takes at once (30 % of its balance)")
        exponent = facts.weights[i] * ONE // facts.weights[j]
        kept = pow_up(-(-balance_in * ONE // (balance_in + taken)), exponent, facts.simple_powers)
        if kept >= ONE:
            return 0
        amount_out = balance_out * (ONE - kept) // ONE // facts.scaling[j]
        self.checked_amounts(i, j, amount_in, amount_out)
        return amount_out

    def amount_in_exact_out(self, i: int, j: int, amount_out: int) -> int:
        """See ``VaultPool.amount_in_exact_out``."""
        if amount_out <= 0 or i == j:
            check(i, j, amount_out)
            return 0
        facts = self.facts
        balance_in, balance_out = self._balances(i, j)
        given = amount_out * facts.scaling[j]
        if given > mul_down(balance_out, MAX_RATIO):
            raise InsufficientLiquidity(f"output {amount_out} is more than the pool gives at once (30 %)")
        base = div_up(balance_out, balance_out - given)
        exponent = div_up(facts.weights[j], facts.weights[i])
        taken = mul_up(balance_in, pow_up(base, exponent, facts.simple_powers) - ONE)
        amount_in = div_up(-(-taken // facts.scaling[i]), ONE - self.fee)
        self.checked_amounts(i, j, amount_in, amount_out)
        return amount_in

    def amount_in(self, i: int, j: int, amount_out: int) -> int:
        """See ``VaultPool.amount_in``; ``weighted_inverse`` says how."""
        if amount_out <= 0 or i == j:
            check(i, j, amount_out)
            return 0
        facts = self.facts
        balance_in, balance_out = self._balances(i, j)
        exponent = facts.weights[i] * ONE // facts.weights[j]
        bound = ONE + -amount_out * facts.scaling[j] * ONE // balance_out
        net = least_net(balance_in, facts.scaling[i], bound, exponent, facts.simple_powers)
        if net is None:
            return super().amount_in(i, j, amount_out)
        amount_in = -(-net * ONE // (ONE - self.fee))
        self.checked_amounts(i, j, amount_in, self.amount_out(i, j, amount_in) if self.managed[j] else amount_out)
        return amount_in

    def _balances(self, i: int, j: int) -> tuple[int, int]:
        """Those of the two tokens, with 18 decimals.

        Raises:
            Uninitialised: there are none.
        """
        scaling = self.facts.scaling
        balance_in = (self.cash[i] + self.managed[i]) * scaling[i]
        balance_out = (self.cash[j] + self.managed[j]) * scaling[j]
        if not balance_in or not balance_out:
            raise Uninitialised("the pool has no balances")
        return balance_in, balance_out

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

    def rounding(self, i: int, j: int) -> tuple[int, int]:
        """The power's margin and its own error, which are shares of the balance."""
        return 3, 3 + (self.cash[j] + self.managed[j]) * 3 // 10**14
