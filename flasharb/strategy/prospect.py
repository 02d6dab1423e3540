"""How much a cycle could net at most, for a tenth of what its exact size costs.

A thousand cycles may be open at once; a block's trades are a handful. With a bound on each, only those are sized that
may be among them (``search``). The bound holds for whole units, because rounding goes against the trader in every step.
A chain of legs never gives more than R·u for an input u, with its marginal rate R; and where it begins or ends with
constant-product pools, not more than R·u / (1 + N·u), with the terms of N that are theirs (``optimum``).

A cycle that does not pay for a transaction of its own may still be worth taking as one more path of another trade
(``split``). One that does not even pay for its swaps is not: together, paths gain at most what each gains alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt
from typing import Final, NamedTuple

from flasharb.market.prices import NoPrice
from flasharb.pools import Pool, V2Pool, is_piecewise
from flasharb.pools.protocols import PROTOCOLS
from flasharb.strategy.gas import BASE_GAS
from flasharb.strategy.limits import Limits
from flasharb.strategy.profit import Costs
from flasharb.strategy.trade import Opportunity
from flasharb.units import BPS, PIPS, WAD, Address

_MANY: Final = 10**30
_SLACK: Final = 1e-11
"""Rates, and what bends them, are exact to a relative 1e-12 a leg; so much is granted to them."""


class Prospect(NamedTuple):
    """At most ``net`` wei are left after gas and bid (no bound: infinite); ``pays``: perhaps enough for its swaps."""

    net: float
    pays: bool


_UNBOUNDED: Final = Prospect(inf, True)


class Prospects:
    """Bounds for the opportunities of one block."""

    def __init__(self, costs: Costs, limits: Limits, loan_fee_wad: int, bid_share_bps: int) -> None:
        self._costs = costs
        self._limits = limits
        self._cost = 1.0 + loan_fee_wad / WAD
        self._kept = 1.0 - bid_share_bps / BPS
        self._wei: dict[Address, float | None] = {}

    def of(self, opportunity: Opportunity, pools: Sequence[Pool]) -> Prospect:
        """The bound on an opportunity that leads through ``pools``."""
        if not all(type(pool) is V2Pool or is_piecewise(pool) for pool in pools):
            # of other curves nobody has proven that they are concave
            return _UNBOUNDED
        worth = self._worth(opportunity.cycle[0].token_in)
        if worth is None:
            return _UNBOUNDED
        gain = most_gain(opportunity, pools, self._limits, self._cost) * worth
        fee = self._costs.base_fee_per_gas
        swaps = sum([PROTOCOLS[pool.spec.protocol].gas for pool in pools])
        left = gain - (BASE_GAS + swaps) * fee
        return Prospect(left * self._kept if left > 0.0 else left, gain >= swaps * fee)

    def _worth(self, base: Address) -> float | None:
        """Wei for one unit of a base token; None where nobody knows."""
        if base not in self._wei:
            wei = self._costs.wei(base, _MANY)
            self._wei[base] = None if isinstance(wei, NoPrice) else (wei + 1) / _MANY * (1.0 + _SLACK)
        return self._wei[base]


def most_gain(opportunity: Opportunity, pools: Sequence[Pool], limits: Limits, cost: float) -> float:
    """No input gains more, in units of the base token; ``cost``: of a unit that goes in, the loan's fee included."""
    rate = opportunity.marginal_rate * (1.0 + _SLACK)
    if rate <= cost:
        return 0.0
    cycle = opportunity.cycle
    n, before, after = 0.0, 1.0, 1.0
    for pool, hop in zip(pools, cycle, strict=True):
        leg = _leg(pool, hop.token_in)
        if leg is None:
            break
        n += leg[1] * before
        before *= leg[0]
    else:
        return _free(rate, n, cost)
    for pool, hop in zip(reversed(pools), reversed(cycle), strict=True):
        leg = _leg(pool, hop.token_in)
        if leg is None:
            break
        after *= leg[0]
        n += leg[1] * rate / after
    if n:
        return _free(rate, n, cost)
    hop = cycle[0]
    reserve = pools[0].reserve_in(*pools[0].spec.ends(hop.token_in, hop.token_out))
    return (rate - cost) * limits.most_input(reserve)


def _free(rate: float, n: float, cost: float) -> float:
    """The most that ``rate * u / (1 + n * u) - cost * u`` comes to.

    ``n`` needs its own slack: of a route that all but empties its last pool the rate cancels out.
    """
    return (sqrt(rate) - sqrt(cost)) ** 2 / (n * (1.0 - _SLACK))


def _leg(pool: Pool, token_in: bytes) -> tuple[float, float] | None:
    """``r`` and ``t`` of a leg that gives ``r * u / (1 + t * u)``; None for other curves than a constant product."""
    if type(pool) is not V2Pool:
        return None
    spec = pool.spec
    reserve_in, reserve_out = pool.reserve0, pool.reserve1
    if token_in != spec.tokens[0]:
        reserve_in, reserve_out = reserve_out, reserve_in
    taken = (PIPS - spec.fee_pips) / PIPS / reserve_in
    return taken * reserve_out, taken
