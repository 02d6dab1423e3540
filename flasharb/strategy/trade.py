"""The words of the strategy: cycle, opportunity, trade, rejection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from flasharb.pools.spec import PoolSpec
from flasharb.units import Address


@dataclass(frozen=True, slots=True)
class Hop:
    """One pool of a cycle and the direction through it."""

    pool: Address
    token_in: Address
    token_out: Address

    @property
    def zero_for_one(self) -> bool:
        """The direction through a pool of two tokens in ascending order, as Uniswap's pools have them."""
        return self.token_in < self.token_out


Cycle = tuple[Hop, ...]
"""Hops whose tokens join up and whose last token_out is the first token_in (the base token)."""


@dataclass(frozen=True, slots=True)
class Opportunity:
    """A cycle whose marginal rate, fees included, exceeds one."""

    id: int
    cycle: Cycle
    marginal_rate: float
    block_number: int


@dataclass(frozen=True, slots=True)
class TradeHop:
    """A hop with its exact integer amounts, in the tokens' smallest units, and what is fixed about its pool."""

    hop: Hop
    spec: PoolSpec
    amount_in: int
    amount_out: int

    @property
    def protocol(self) -> str:
        """The pool's protocol."""
        return self.spec.protocol

    @property
    def ends(self) -> tuple[int, int]:
        """The indices of the hop's tokens in the pool."""
        return self.spec.ends(self.hop.token_in, self.hop.token_out)


@dataclass(frozen=True, slots=True)
class Trade:
    """An opportunity sized exactly at the state of block ``block_number``.

    ``gross_profit`` is in ``base_token``'s smallest unit: output of the last hop less input of the first, before loan
    fee, gas and bid. ``amount_out`` of each hop is exactly what its pool gives for ``amount_in`` as an exact input.
    The estimates are refined by simulation before anything is signed; ``gas_estimate`` is at most what it will take.
    ``gain_bound`` is the certificate: no input gains more (output - input - loan fee, in the base token); 0: there is
    none, because a pool of the route was seen not to be concave.

    A trade may consist of several paths that one transaction runs one after the other, each sized on the pools as those
    before leave them (``split``): ``hops`` has the hops of all, ``starts`` the positions where each path after the
    first begins. Its bound is on the gain of all uses of its pools together.
    """

    id: int
    base_token: Address
    hops: tuple[TradeHop, ...]
    gross_profit: int
    loan_fee: int
    gas_estimate: int
    net_profit_wei_estimate: int
    block_number: int
    gain_bound: int = 0
    starts: tuple[int, ...] = ()

    @property
    def paths(self) -> tuple[tuple[TradeHop, ...], ...]:
        """The hops path by path; each path starts and ends in the base token."""
        bounds = (0, *self.starts, len(self.hops))
        return tuple(self.hops[start:end] for start, end in pairwise(bounds))

    @property
    def amount_in(self) -> int:
        """What the first hops of all paths take, in the base token's smallest unit."""
        return sum(path[0].amount_in for path in self.paths)

    @property
    def amount_out(self) -> int:
        """What the last hops of all paths give, in the base token's smallest unit."""
        return sum(path[-1].amount_out for path in self.paths)

    def parts(self) -> tuple[Trade, ...]:
        """Each path as a trade of its own, with its own profit; nothing else is told apart."""
        return tuple(
            replace(self, hops=path, starts=(), gross_profit=path[-1].amount_out - path[0].amount_in)
            for path in self.paths
        )


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why an opportunity or trade went no further.

    ``reason`` is a fixed word, counted (``strategy.reasons.Reason``); ``detail`` says the figures.
    """

    id: int
    reason: str
    detail: str
    block_number: int
