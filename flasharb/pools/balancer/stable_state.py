"""What a composable stable pool holds and remembers, and the numbers that every quote of it starts from."""

from __future__ import annotations

from functools import cached_property

from flasharb.pools.balancer.log_exp import ONE
from flasharb.pools.balancer.pool import VaultPool
from flasharb.pools.balancer.stable_facts import JoinExit, ProtocolFees, Ramp, Rate, StableFacts
from flasharb.pools.balancer.stable_math import invariant
from flasharb.pools.errors import QuoteUnavailable, Uninitialised


class UnknownRate(QuoteUnavailable):
    """A token's rate has expired: the pool would ask the provider for a new one, which is not known."""


class StableState(VaultPool, frozen=True, dict=True):
    """A composable stable pool of the Vault, as it answers in a block of ``timestamp``.

    ``supply`` is the total supply of BPT, what stands pre-minted in the Vault included.
    """

    facts: StableFacts
    ramp: Ramp
    rates: tuple[Rate, ...]
    supply: int
    last: JoinExit
    protocol: ProtocolFees
    timestamp: int

    # What follows is the same for every quote of this pool, and kept with it.

    @cached_property
    def amp(self) -> int:
        """The amplification now, three decimals."""
        return self.ramp.at(self.timestamp)

    @cached_property
    def factors(self) -> tuple[int, ...]:
        """By token, what brings it to 18 decimals of value (18 decimals themselves).

        Raises:
            UnknownRate: a rate has expired.
        """
        if self.timestamp > self.fresh_until:
            raise UnknownRate("a token's rate has expired, and the pool would ask for a new one")
        return tuple(scaling * rate.current for scaling, rate in zip(self.facts.scaling, self.rates, strict=True))

    @cached_property
    def fresh_until(self) -> int:
        """The last time at which no rate has expired."""
        return min(rate.expires for rate in self.rates)

    @cached_property
    def scaled(self) -> list[int]:
        """The balances of all tokens but BPT, 18 decimals of value."""
        bpt, factors = self.facts.bpt, self.factors
        totals = [c + m for c, m in zip(self.cash, self.managed, strict=True)]
        return [totals[k] * factors[k] // ONE for k in range(len(totals)) if k != bpt]

    @cached_property
    def d(self) -> int:
        """The invariant now.

        Raises:
            Uninitialised: no balances.
        """
        d = invariant(self.amp, self.scaled)
        if not d:
            raise Uninitialised("the pool has no balances")
        return d

    @cached_property
    def places(self) -> tuple[int, ...]:
        """By token, its place among the tokens that are not BPT (that of BPT means nothing)."""
        return tuple(k - (k > self.facts.bpt) for k in range(len(self.cash)))
