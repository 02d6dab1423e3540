"""How much to trade: the whole-unit input with the largest gain.

Rounding the real optimum to an integer, or looking a few units around it, is not enough: tokens come in units of very
different value (one unit of an 8-decimals token may be worth 3e11 wei), so most inputs between two units of a coarse
token are wasted. The search therefore runs over whole amounts of the *coarsest* token on the route, the one whose
amount has the fewest units, and takes for each the least input that yields it, by exact inverse quotes. Every amount
that can be reached is reached that way, so nothing is lost. It starts where the real optimum says and goes outwards
until the bound on the gain (``optimum``) shows that no more than a negligible rest can be missing, or until the real
gain further out is less than the whole-unit gain in hand.

A concentrated pool takes its fee of whole units, and so up to one of them too much. Where the coarsest token goes into
such a pool, the units next to the optimum of which it takes nothing too much are tried first (``_kept_whole``).

``max_position_pct`` is part of the problem, not a filter behind it: the gain is concave, so with a bound on the input
the best is either the free optimum or the bound itself, which is found exactly, again by inverse quotes. The end of
the loaded ticks bounds the input in the same way.

A route with a pool that has no closed form begins with the best input that a fit to its quotes finds (``fit``), or,
where its gain is not what a fit expects, a bracketed search (``bracket``), and goes on in the same way.

The bound becomes part of the trade. Where the search went so far out on both sides that nothing beyond can gain more
(``ceiling``), the bound *is* the gain: the input is proven to be the best whole one.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nextafter
from typing import Final

from flasharb.market.snapshot import Market
from flasharb.pools.contract import whole_inputs
from flasharb.pools.errors import QuoteUnavailable
from flasharb.strategy.bracket import search
from flasharb.strategy.ceiling import Ceiling, Lines
from flasharb.strategy.fit import fitted, peak
from flasharb.strategy.gas import gas_estimate
from flasharb.strategy.limits import NO_BOUND, Limits
from flasharb.strategy.optimum import Optimum, optimum
from flasharb.strategy.reasons import Reason
from flasharb.strategy.route import Route
from flasharb.strategy.trade import Opportunity, Rejected, Trade, TradeHop
from flasharb.units import WAD

_FIRST_SHARE: Final = 256
"""The bracketed search begins with this part of the first pool's reserve: few trades are much larger or smaller."""
_ROUGHLY: Final = 6
_BOUND_SLACKS: Final = 8
"""A bound from quotes is rarely further from the gain than so many times what rounding can take."""
_DEARER: Final = 4
"""An exact quote and its inverse cost this much more where a pool has no closed form, or even more."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What to maximise over the route: output - input - loan fee, with each hop's amount_in at most its cap.

    ``loan_fee_wad`` is the loan's fee in parts of 1e18 of the amount borrowed; ``enough`` the share of the gain that
    need not be known where quotes are dear (``Limits.good_enough_quoted``).
    """

    route: Route
    caps: tuple[int, ...]
    loan_fee_wad: int = 0
    enough: float = 0.0

    def within(self, amounts: tuple[int, ...]) -> bool:
        """Whether each hop's input keeps to its cap."""
        return all(amount <= cap for amount, cap in zip(amounts, self.caps, strict=False))

    def gain(self, amounts: tuple[int, ...]) -> int:
        """What these amounts gain."""
        gain = amounts[-1] - amounts[0]
        return gain - loan_fee(amounts[0], self.loan_fee_wad) if self.loan_fee_wad else gain


@dataclass(frozen=True, slots=True)
class _Start:
    """Where the exact search begins; ``limit`` says what bounds the input, if not the curve itself."""

    optimum: Optimum
    amounts: tuple[int, ...]
    limit: Reason | None


def size(market: Market, opportunity: Opportunity, limits: Limits, loan_fee_wad: int = 0) -> Trade | Rejected:
    """The opportunity at its best exact size, or why none gains.

    The loan's fee counts as a cost; gas and bid do not depend on the size and come later (``profit``).
    ``amount_out`` of each hop is exactly what its pool gives for ``amount_in``.
    """
    route = Route.through(market, opportunity.cycle)
    if route is None:
        return _rejected(market, opportunity, Reason.POOL_GONE, "a pool of the cycle is not in the market")
    caps = tuple(limits.most_input(leg.reserve_in()) for leg in route.legs)
    problem = Problem(route, caps, loan_fee_wad, limits.good_enough_quoted)
    start = _start(problem)
    if isinstance(start, Reason):
        return _rejected(market, opportunity, start, "no input of a whole unit or more")
    amounts, bound = best_amounts(problem, start.amounts, start.optimum.ceiling, limits)
    gain = problem.gain(amounts)
    if gain <= 0:
        return _rejected(market, opportunity, start.limit or Reason.NO_PROFIT, f"the best whole input gains {gain}")
    hops = tuple(
        TradeHop(hop, leg.pool.spec, amount_in, amount_out)
        for hop, leg, amount_in, amount_out in zip(opportunity.cycle, route.legs, amounts, amounts[1:], strict=False)
    )
    return Trade(
        id=opportunity.id,
        base_token=opportunity.cycle[0].token_in,
        hops=hops,
        gross_profit=amounts[-1] - amounts[0],
        loan_fee=loan_fee(amounts[0], loan_fee_wad),
        gas_estimate=gas_estimate(hops),
        net_profit_wei_estimate=0,
        block_number=market.number,
        # what bounds the gain supposes that no swap changes the curve of a later pool
        gain_bound=0 if route.is_moving else bound or 0,
    )


def best_size(problem: Problem, limits: Limits) -> tuple[int, ...] | None:
    """The best exact amounts along the route; None where none gain."""
    start = _start(problem)
    if isinstance(start, Reason):
        return None
    amounts, _ = best_amounts(problem, start.amounts, start.optimum.ceiling, limits)
    return amounts if problem.gain(amounts) > 0 else None


def snapped(problem: Problem, amount: int) -> tuple[int, ...] | None:
    """The amounts for about this input: the least one that gives as much of the coarsest token; None if none can be."""
    amounts = problem.route.amounts(amount) if amount > 0 else None
    if amounts is None or min(amounts) <= 0:
        return None
    position = _coarsest(amounts)
    return _reaching(problem, amounts[position], position)


def loan_fee(amount: int, loan_fee_wad: int) -> int:
    """The fee of a loan, rounded up as lenders do."""
    return -(-amount * loan_fee_wad // WAD)


def _rejected(market: Market, opportunity: Opportunity, reason: Reason, detail: str) -> Rejected:
    return Rejected(opportunity.id, reason, detail, market.number)


def _start(problem: Problem) -> _Start | Reason:
    """The optimum up to whole units, bounded by the position limits and by what the pools can quote."""
    return _walked(problem) if problem.route.is_piecewise() else _searched(problem)


class _Capped:
    """The gain of an input, None beyond the caps or what the pools can quote; ``met``: whether a cap was in the way."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.met = problem, False

    def __call__(self, amount: int) -> int | None:
        amounts = self.problem.route.amounts(amount)
        if amounts is None:
            return None
        if not self.problem.within(amounts):
            self.met = True
            return None
        return self.problem.gain(amounts)


def _searched(problem: Problem) -> _Start | Reason:
    """By exact quotes: some pool of the route has no closed form."""
    most = _most_input(problem)
    if most <= 0:
        return Reason.POSITION_TOO_SMALL
    try:
        return _fitted(problem, most) or _bracketed(problem, most)
    except QuoteUnavailable:
        return Reason.NO_PROFIT


def _fitted(problem: Problem, most: int) -> _Start | None:
    """By a curve through a few quotes; None where that does not describe the gain."""
    route, gain = problem.route, _Capped(problem)
    cost = 1.0 + problem.loan_fee_wad / WAD
    first = route.legs[0].reserve_in() // _FIRST_SHARE
    about = fitted(gain, route.marginal_rate(), cost, first, most)
    amounts = None if about is None else route.amounts(about)
    if amounts is None:
        return None
    position, at_end = _coarsest(amounts), about == most
    least: dict[int, tuple[int, ...] | None] = {}

    def reaching(unit: int) -> tuple[int, int] | None:
        if unit not in least:
            least[unit] = _reaching(problem, unit, position) if position else _given(problem, unit)
        found = least[unit]
        return None if found is None else (found[0], problem.gain(found))

    slack = route.rounding()
    if _BOUND_SLACKS * slack <= problem.enough * problem.gain(amounts):
        position = 0  # inputs as they are will do: an inverse costs many quotes
    else:
        slack = route.rounding(position)
    top = peak(reaching, amounts[position], slack, cost, at_end)
    best = None if top is None else least[top.unit]
    if top is None or best is None:
        return None
    return _Start(Optimum(best[0], top.ceiling), best, Reason.POSITION_TOO_SMALL if at_end else None)


def _bracketed(problem: Problem, most: int) -> _Start | Reason:
    """By a search that expects nothing of the gain.

    First roughly over the input; then over whole amounts of the coarsest token, each with its least input, because
    what is wasted between two of its units would hide where the best one is.
    """
    route, gain = problem.route, _Capped(problem)
    slack = route.rounding()
    rough = search(gain, route.legs[0].reserve_in() // _FIRST_SHARE, most, slack, _ROUGHLY)
    amounts = None if rough is None else route.amounts(rough.amount_in)
    if rough is None or amounts is None:
        return Reason.RANGE_UNKNOWN
    position = _coarsest(amounts)

    def gain_of_units(unit: int) -> int | None:
        least = route.least_input(unit, position)
        return None if least is None else gain(least)

    found = search(gain_of_units, amounts[position], NO_BOUND, slack)
    best = None if found is None else _reaching(problem, found.amount_in, position)
    if found is None or best is None or found.gain < rough.gain:
        best, bound, refused = amounts, rough.bound, rough.refused
    else:
        bound, refused = found.bound, found.refused
    limit = None
    if refused or best[0] == most:
        limit = Reason.POSITION_TOO_SMALL if gain.met or best[0] == most else Reason.RANGE_UNKNOWN
    return _Start(Optimum(best[0], Lines(bound), refused), best, limit)


def _walked(problem: Problem) -> _Start | Reason:
    """In closed form."""
    free = optimum(problem.route, problem.loan_fee_wad)
    if free.amount_in <= 0:
        return Reason.RANGE_UNKNOWN if free.exhausted else Reason.NO_PROFIT
    amounts = problem.route.amounts(free.amount_in)
    if amounts is not None and problem.within(amounts):
        return _Start(free, amounts, Reason.RANGE_UNKNOWN if free.exhausted else None)
    limit = Reason.POSITION_TOO_SMALL
    most = min(free.amount_in, _most_input(problem))
    if most > 0 and problem.route.amounts(most) is None:
        limit = Reason.RANGE_UNKNOWN
        most = _most_usable(problem.route, most)
    if most <= 0:
        return limit
    bounded = optimum(problem.route, problem.loan_fee_wad, most)
    if bounded.amount_in <= 0:
        return Reason.NO_PROFIT
    amounts = problem.route.amounts(min(bounded.amount_in, most))
    return limit if amounts is None else _Start(bounded, amounts, limit)


def _most_input(problem: Problem) -> int:
    """The largest input with which no hop exceeds its cap."""
    most = problem.caps[0]
    for legs, cap in enumerate(problem.caps[1:], start=1):
        # nothing gives more than no bound, and a pool without an inverse of its own would search long for it
        over = problem.route.least_input(cap + 1, legs) if cap < NO_BOUND else None
        if over is not None:
            most = min(most, over - 1)
    return most


def _most_usable(route: Route, unusable: int) -> int:
    """The largest input below ``unusable`` that every pool of the route can quote (0: none).

    The real walk ends within rounding of it, so the bisection starts close by.
    """
    gap = 1
    while gap < unusable and route.amounts(unusable - gap) is None:
        gap *= 8
    low, high = max(unusable - gap, 0), unusable - gap // 8
    while high - low > 1:
        middle = (low + high) // 2
        if route.amounts(middle) is None:
            high = middle
        else:
            low = middle
    return low


@dataclass(slots=True)
class _Best:
    """The amounts with the largest gain of those tried, over whole units of the coarsest token."""

    problem: Problem
    position: int
    amounts: tuple[int, ...]
    gain: int

    def tries(self, unit: int) -> tuple[int, ...] | None:
        """The amounts for a unit, kept if they gain more; None if they cannot be."""
        amounts = _reaching(self.problem, unit, self.position)
        if amounts is not None:
            gain = self.problem.gain(amounts)
            if gain > self.gain:
                self.amounts, self.gain = amounts, gain
        return amounts

    def leaves(self, rest: dict[int, float], enough: float) -> bool:
        """Whether more than the share ``enough`` may still be gained on one of the sides."""
        return bool(rest) and max(rest.values()) - self.gain > self.gain * enough


def best_amounts(
    problem: Problem, start: tuple[int, ...], ceiling: Ceiling, limits: Limits
) -> tuple[tuple[int, ...], int | None]:
    """The amounts with the largest gain, searched outwards from ``start`` over whole units of the coarsest token, and
    the bound on the gain of all others.

    A side ends where nothing further out can gain more than the best so far.
    """
    best = _Best(problem, _coarsest(start), start, problem.gain(start))
    middle = start[best.position]
    # what a side that has not ended leaves
    rest = dict.fromkeys((1, -1), inf if ceiling.bound is None else _not_below(ceiling.bound))
    most_spent, enough = limits.max_evaluations, limits.good_enough
    if not problem.route.is_piecewise():
        most_spent, enough = most_spent // _DEARER, limits.good_enough_quoted
    if best.leaves(rest, enough):
        whole = _kept_whole(problem, middle, best.position)
        for unit in whole:
            best.tries(unit)
        if whole:
            most_spent = min(most_spent, limits.max_after_whole)
    spent = step = 0
    while spent < most_spent and best.leaves(rest, enough):
        for side in tuple(rest) if step else (1,):
            amounts = best.tries(middle + side * step)
            spent += 1
            if amounts is not None:
                rest[side] = min(rest[side], ceiling.above(amounts[0]) if side > 0 else ceiling.below(amounts[0]))
            elif step:
                del rest[side]
        rest = {side: most for side, most in rest.items() if most >= best.gain + 1}
        step += 1
    if best.leaves(rest, enough):
        _climb(best, most_spent // 2)
    bound = max(rest.values(), default=best.gain)
    return best.amounts, None if bound == inf else max(int(bound), best.gain)


def _climb(best: _Best, most_spent: int) -> None:
    """Look for better amounts near the best over units of the coarsest token, in steps of all powers of two.

    Some contracts take their fee off whole units, rounded down: until the next unit of fee falls due, every further
    unit comes without one. The gain is a saw then, with teeth of hundreds of units and as high as one, and the best
    amounts are those at the tip of a tooth.
    """
    steps = [side << shift for shift in range(best.amounts[best.position].bit_length() // 2 + 1) for side in (1, -1)]
    spent, better = 0, True
    while better:
        before = best.gain
        for step in steps:
            if spent == most_spent:
                return
            spent += 1
            best.tries(best.amounts[best.position] + step)
        better = best.gain > before


def _kept_whole(problem: Problem, unit: int, position: int) -> tuple[int, ...]:
    """The units next to ``unit`` that the following pool takes without loss.

    Of others it takes part of a unit for nothing, which of a coarse token is worth more than what is lost by going as
    far from the optimum.
    """
    if position == len(problem.route.legs):
        return ()
    leg = problem.route.legs[position]
    try:
        return whole_inputs(leg.pool, leg.i, leg.j, unit)
    except QuoteUnavailable:
        return ()


def _not_below(bound: int) -> float:
    """A bound as a float: the nearest one of a large number may be lower."""
    nearest = float(bound)
    return nearest if nearest >= bound else nextafter(nearest, inf)


def _coarsest(amounts: tuple[int, ...]) -> int:
    """After how many legs the amount has the fewest units."""
    return min(range(1, len(amounts)), key=amounts.__getitem__)


def _reaching(problem: Problem, unit: int, position: int) -> tuple[int, ...] | None:
    """The amounts for the least input that gives ``unit`` after ``position`` legs; None if that cannot be."""
    least = problem.route.least_input(unit, position) if unit > 0 else None
    amounts = None if least is None else problem.route.amounts(least)
    return amounts if amounts is not None and problem.within(amounts) else None


def _given(problem: Problem, amount: int) -> tuple[int, ...] | None:
    """The amounts for an input; None if it cannot be."""
    amounts = problem.route.amounts(amount) if amount > 0 else None
    return amounts if amounts is not None and problem.within(amounts) else None
