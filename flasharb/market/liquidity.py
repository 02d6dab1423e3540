"""``pools.min_liquidity_usd``, block by block, without looking at every pool in every block.

A pool stays in while it holds, of each of its tokens, the units that are worth the minimum. So each token has a mark,
in its units, and its pools stand below or above it, sorted by what they hold of it. Two things move a pool across a
mark: its own change, which the market names; and the mark's, which follows the token's price. The price of most tokens
follows that of wrapped ETH, which moves in nearly every block; but a mark may move freely between the pools next below
and next above it. For each token that room is remembered as a range of ETH's price. A block then looks at the pools
that changed, at the tokens whose room ETH's price has left, and at the pools that their marks have passed.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from math import inf
from typing import Final

from flasharb.market.filters import Cause, Excluded
from flasharb.market.prices import NoPrice, Prices
from flasharb.market.snapshot import Market
from flasharb.pools import Pool, Token
from flasharb.pools.errors import QuoteUnavailable
from flasharb.units import Address

_MARGIN: Final = 1e-9
"""Rooms are floats; within this of their ends the token is looked at."""


@dataclass(slots=True)
class _Mark:
    """A token's mark, the pools by what they hold of it, and the prices of ETH between which no pool passes it."""

    least: int | NoPrice | None = None
    held: list[tuple[int, Address]] = field(default_factory=list)
    lowest: float = inf
    highest: float = -inf

    def passed(self, least: int | NoPrice) -> list[Address]:
        """The pools on the other side of a new mark."""
        if isinstance(self.least, int) and isinstance(least, int):
            ends = sorted(bisect_left(self.held, (at, b"")) for at in (self.least, least))
            return [pool for _, pool in self.held[ends[0] : ends[1]]]
        return [] if self.least == least else [pool for _, pool in self.held]


class LiquidityFilter:
    """The pools that hold too little, from market to market; a minimum of 0 lets every pool pass."""

    def __init__(self, min_liquidity_usd: float) -> None:
        self._least_usd = Decimal(str(min_liquidity_usd))
        self._tokens: Mapping[Address, Token] | None = None
        self._pools: dict[Address, tuple[Pool, tuple[int, ...] | str]] = {}
        self._marks: dict[Address, _Mark] = {}
        self._eth: Decimal | NoPrice | None = None
        self._left_out: dict[Address, Excluded] = {}

    def excluded(
        self, market: Market, prices: Prices, touched: Collection[Address] | None = None
    ) -> dict[Address, Excluded]:
        """The pools of a market that hold too little, or of which that cannot be said.

        ``touched``: at least the pools that differ from the market of the call before (None: look at all). The answer
        is the object of before where no pool was looked at, and never changed afterwards.
        """
        if not self._least_usd:
            return self._left_out
        if touched is None or market.tokens is not self._tokens:
            self._tokens, self._eth = market.tokens, None
            self._pools, self._marks, self._left_out = {}, {}, {}
            touched = market.pools.keys()
        dirty = set(touched)
        stale = self._take_over(market, dirty) | self._tokens_without_room(prices)
        for token in stale:
            dirty.update(self._move(token, prices))
        verdicts = {at: self._judge(at) for at in dirty}
        left_out = {at: verdict for at, verdict in verdicts.items() if verdict is not None}
        if left_out or any(at in self._left_out for at in dirty):
            kept = {at: verdict for at, verdict in self._left_out.items() if at not in dirty}
            self._left_out = {**kept, **left_out}
        return self._left_out

    def _take_over(self, market: Market, touched: Iterable[Address]) -> set[Address]:
        """What the touched pools hold now; returns their tokens, whose pools or prices are others now."""
        concerned: set[Address] = set()
        fresh: set[Address] = set()
        for at in touched:
            known, pool = self._pools.pop(at, None), market.pools.get(at)
            if known is not None:
                concerned.update(known[0].spec.tokens)
                for token, amount in _amounts(*known):
                    held = self._marks[token].held
                    del held[bisect_left(held, (amount, at))]
            if pool is not None:
                self._pools[at] = pool, _holds(pool)
                concerned.update(pool.spec.tokens)
                for token, amount in _amounts(*self._pools[at]):
                    mark = self._marks.setdefault(token, _Mark())
                    if mark.least is None:
                        mark.held.append((amount, at))
                        fresh.add(token)
                    else:
                        insort(mark.held, (amount, at))
        for token in fresh:
            self._marks[token].held.sort()
        return concerned

    def _tokens_without_room(self, prices: Prices) -> set[Address]:
        """The tokens whose marks may pass a pool at ETH's price of now."""
        eth = prices.native
        if eth == self._eth:
            return set()
        if not isinstance(eth, Decimal) or not isinstance(self._eth, Decimal):
            self._eth = eth
            return set(self._marks)
        self._eth = eth
        now = float(eth)
        return {token for token, mark in self._marks.items() if not mark.lowest < now < mark.highest}

    def _move(self, token: Address, prices: Prices) -> list[Address]:
        """Set a token's mark by its price; returns the pools that it passed."""
        mark = self._marks.get(token)
        if mark is None:
            return []
        units = prices.units(token, self._least_usd)
        least = units if isinstance(units, NoPrice) else int(units.to_integral_value(ROUND_CEILING))
        passed = mark.passed(least)
        mark.least = least
        mark.lowest, mark.highest = (-inf, inf) if isinstance(units, NoPrice) else self._room(token, units, prices)
        return passed

    def _room(self, token: Address, units: Decimal, prices: Prices) -> tuple[float, float]:
        """The prices of ETH between which the mark, now ``units`` rounded up, passes no pool unless a pool changes."""
        follows = prices.follows(token)
        if follows is None or not isinstance(self._eth, Decimal):
            return -inf, inf
        price, (lowest, highest) = prices.of(token), follows
        assert isinstance(price, Decimal)
        held = self._marks[token].held
        place = bisect_left(held, (units, b""))
        below = held[place - 1][0] if place else 0
        above = held[place][0] if place < len(held) else 0
        # Mark times price is always the same: the mark meets a pool at a price that is so many times today's bound.
        fall = float(units * price / lowest / above) if above else 0.0
        rise = float(units * price / highest / below) if below else inf
        if fall >= 1.0 or rise <= 1.0:
            # The bounds alone do not say on which side of the mark's neighbours the price stays.
            return inf, -inf
        eth = float(self._eth)
        return eth * fall * (1 + _MARGIN), eth * rise * (1 - _MARGIN)

    def _judge(self, at: Address) -> Excluded | None:
        known = self._pools.get(at)
        if known is None:
            return None
        pool, holds = known
        if isinstance(holds, str):
            return Excluded(Cause.DEPTH_UNKNOWN, holds)
        for token, amount in _amounts(pool, holds):
            needed = self._marks[token].least
            assert needed is not None
            if isinstance(needed, NoPrice):
                return Excluded(Cause.NO_PRICE_FOR_LIQUIDITY, needed)
            if amount < needed:
                return Excluded(Cause.BELOW_MIN_LIQUIDITY, token, amount, needed)
        return None


def _amounts(pool: Pool, holds: tuple[int, ...] | str) -> list[tuple[Address, int]]:
    """What counts of a pool's holdings: not its own shares, of which it can give any number."""
    if isinstance(holds, str):
        return []
    spec = pool.spec
    return [(token, amount) for token, amount in zip(spec.tokens, holds, strict=True) if token != spec.address]


def _holds(pool: Pool) -> tuple[int, ...] | str:
    try:
        return pool.depth()
    except QuoteUnavailable as error:
        return str(error)
