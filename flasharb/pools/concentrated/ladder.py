"""The tick ladder: exact V3 quotes without walking the ticks.

A swap moves from stop to stop: the initialised ticks and the ends of the bitmap words. Between two stops the liquidity
is constant, and a *full* step between them rounds the same wherever the swap began, because it starts and ends at fixed
prices. So the input and output of full steps can be summed once, and a quote is three things::

    partial step      full steps, by bisection             partial step
    price ──▶ stop k ════════ stop k+1 ════ … ════ stop j ──▶ where the amount is used up

A *rung* holds these sums for one bitmap word in one direction. Rungs are made when a quote first enters the word and
kept: a swap moves only price, tick and liquidity (O(1), the ladder is shared). A mint or burn copies the tick lists;
rungs that its range touches are made over when next asked for, and take over their steps outside the range. A quote
costs a bisection per word that it crosses, and stretches without liquidity are jumped over.

That a step is full if and only if the remainder covers its cost, fee included, is what lets bisection replace the
contract's comparison: ``rem * (1e6 - fee) // 1e6 >= amount`` holds exactly when
``rem >= amount + ceil(amount * fee / (1e6 - fee))``.

The ladder knows the words ``low_word`` to ``high_word``; a quote that needs another one raises ``UnknownRange``.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from flasharb.pools.concentrated.liquidity import NOT_INITIALISED, TickLiquidity, with_position
from flasharb.pools.concentrated.ranges import Ranges, stop_price
from flasharb.pools.concentrated.sqrt_price_math import (
    amount0_delta,
    amount0_delta_rounding_up,
    amount1_delta,
    amount1_delta_rounding_up,
)
from flasharb.pools.concentrated.tick_bitmap import full_range, word_of
from flasharb.pools.concentrated.tick_math import MAX_TICK, MIN_TICK
from flasharb.pools.errors import InsufficientLiquidity, UnknownRange
from flasharb.units import PIPS


class Rung(NamedTuple):
    """The stops of one bitmap word in one direction; index 0 is where a swap enters the word.

    ``keys`` ascend in the direction of the swap (the tick going up, minus the tick going down), ``prices`` are their
    sqrt prices, ``liquidity[i]`` is active beyond stop i, ``cost`` and ``output`` sum the full steps from the entry:
    input with fee, and output.
    """

    keys: list[int]
    prices: list[int]
    liquidity: list[int]
    cost: list[int]
    output: list[int]


class Ladder:
    """The initialised ticks of a pool in the words it knows, and the rungs made from them. Immutable for its users."""

    __slots__ = (
        "_down",
        "_levels",
        "_ranges_down",
        "_ranges_up",
        "_stale_down",
        "_stale_up",
        "_ticks",
        "_up",
        "fees",
        "high_word",
        "info",
        "low_word",
        "tick_spacing",
    )

    def __init__(
        self,
        fees: tuple[int, int],
        tick_spacing: int,
        info: Mapping[int, TickLiquidity],
        floor: int,
        words: tuple[int, int],
    ) -> None:
        """``info`` has every initialised tick of the inclusive range ``words``; ``floor`` is L below the lowest.

        ``fees`` are what swaps down (token0 in) and up pay, in pips below ``PIPS``: they differ where a protocol
        takes a share of its own for each direction.
        """
        self.fees = fees
        self.tick_spacing = tick_spacing
        self.low_word, self.high_word = words
        self.info = info
        self._ticks = sorted(info)
        self._levels = [floor]
        for tick in self._ticks:
            floor += info[tick].net
            self._levels.append(floor)
        self._down: dict[int, Rung] = {}
        self._up: dict[int, Rung] = {}
        self._stale_down: dict[int, Rung] = {}
        self._stale_up: dict[int, Rung] = {}
        self._ranges_down: Ranges | None = None
        self._ranges_up: Ranges | None = None

    @classmethod
    def around(
        cls,
        fees: tuple[int, int],
        tick_spacing: int,
        info: Mapping[int, TickLiquidity],
        *,
        tick: int,
        liquidity: int,
        words: tuple[int, int] | None = None,
    ) -> Ladder:
        """The ladder of a pool whose active liquidity at ``tick`` is ``liquidity``; ``words=None``: all are known.

        Raises:
            ValueError: ticks, active liquidity and known words contradict each other.
        """
        whole = full_range(tick_spacing)
        words = words or whole
        for known in info:
            if known % tick_spacing or not words[0] <= word_of(known, tick_spacing) <= words[1]:
                raise ValueError(f"tick {known} is no multiple of {tick_spacing} in the known words {words}")
        ladder = cls(fees, tick_spacing, info, liquidity - sum(i.net for t, i in info.items() if t <= tick), words)
        levels = ladder._levels
        if min(levels) < 0 or (words[0] <= whole[0] and levels[0]) or (words[1] >= whole[1] and levels[-1]):
            raise ValueError(
                f"ticks do not add up with the active liquidity {liquidity} at tick {tick} "
                f"(below the lowest tick {levels[0]}, above the highest {levels[-1]}, least {min(levels)})"
            )
        return ladder

    def __eq__(self, other: object) -> bool:
        """Same fees, spacing, known words and ticks."""
        return isinstance(other, Ladder) and self._facts() == other._facts()

    def __hash__(self) -> int:
        """Consistent with equality."""
        return hash((self.fees, self.tick_spacing, self.low_word, self.high_word, tuple(self._ticks)))

    def __repr__(self) -> str:
        """The known words and the number of ticks."""
        return f"Ladder({len(self._ticks)} ticks in words {self.low_word} to {self.high_word})"

    def __reduce__(self) -> tuple[type[Ladder], tuple[object, ...]]:
        """Pickle the facts, not the rungs."""
        facts = (self.fees, self.tick_spacing, self.info, self._levels[0], (self.low_word, self.high_word))
        return Ladder, facts

    def _facts(self) -> tuple[object, ...]:
        return self.fees, self.tick_spacing, self.low_word, self.high_word, self._levels[0], self.info

    @property
    def ticks(self) -> tuple[int, ...]:
        """The initialised ticks, ascending."""
        return tuple(self._ticks)

    def liquidity_at(self, tick: int) -> int:
        """The active liquidity when the pool stands at ``tick``, by the ladder's own count."""
        return self._levels[bisect_right(self._ticks, tick)]

    def knows_word(self, word: int) -> bool:
        """Whether all initialised ticks of this bitmap word are in ``info``."""
        if self.low_word <= word <= self.high_word:
            return True
        low, high = full_range(self.tick_spacing)
        return (word < low and self.low_word <= low) or (word > high and self.high_word >= high)

    def require(self, word: int) -> None:
        """Raise ``UnknownRange`` unless the word is known."""
        if not self.knows_word(word):
            raise UnknownRange(word, self.low_word, self.high_word)

    # --- changes ---

    def with_position(self, tick_lower: int, tick_upper: int, delta: int) -> Ladder:
        """The ladder after a position over ``[tick_lower, tick_upper)`` changed by ``delta``.

        A bound outside the known words stays unknown; what lies between changes all the same.

        Raises:
            ValueError: the burn exceeds what a known tick holds (see ``liquidity.with_position``).
        """
        first, last = word_of(tick_lower, self.tick_spacing), word_of(tick_upper, self.tick_spacing)
        if last < self.low_word or first > self.high_word:
            return self
        info, ticks, levels = dict(self.info), self._ticks.copy(), self._levels.copy()
        bounds = [(tick_lower, False)] * (first >= self.low_word) + [(tick_upper, True)] * (last <= self.high_word)
        for tick, is_upper in bounds:
            if tick not in info:
                i = bisect_left(ticks, tick)
                ticks.insert(i, tick)
                levels.insert(i, levels[i])
            info[tick] = with_position(info.get(tick, NOT_INITIALISED), delta, is_upper)
        for i in range(bisect_right(ticks, tick_lower), bisect_left(ticks, tick_upper) + 1):
            levels[i] += delta
            if levels[i] < 0:
                raise ValueError(f"burning {-delta} from {tick_lower} to {tick_upper} leaves less than nothing active")
        for tick, _ in bounds:
            if not info[tick].gross:
                i = bisect_left(ticks, tick)
                del info[tick], ticks[i], levels[i]
        changed = object.__new__(Ladder)
        changed.fees, changed.tick_spacing = self.fees, self.tick_spacing
        changed.low_word, changed.high_word = self.low_word, self.high_word
        changed.info, changed._ticks, changed._levels = info, ticks, levels
        changed._down, changed._stale_down = _parted(self._down, self._stale_down, first, last)
        changed._up, changed._stale_up = _parted(self._up, self._stale_up, first, last)
        changed._ranges_down = changed._ranges_up = None
        return changed

    def with_fees(self, fees: tuple[int, int]) -> Ladder:
        """The same ticks under other fees; the rungs of a direction whose fee stays are kept."""
        changed = Ladder(fees, self.tick_spacing, self.info, self._levels[0], (self.low_word, self.high_word))
        if fees[0] == self.fees[0]:
            changed._down, changed._stale_down = dict(self._down), dict(self._stale_down)
        if fees[1] == self.fees[1]:
            changed._up, changed._stale_up = dict(self._up), dict(self._stale_up)
        return changed

    # --- rungs ---

    def down(self, word: int) -> Rung:
        """The stops of ``word`` for a swap that lowers the price; made when first asked for."""
        try:
            return self._down[word]
        except KeyError:
            self.require(word)
        spacing = self.tick_spacing
        start, end = (word << 8) * spacing, ((word + 1) << 8) * spacing
        first, last = bisect_left(self._ticks, start), bisect_left(self._ticks, end)
        stops = self._ticks[first:last][::-1]
        levels = self._levels[first : last + 1][::-1]
        if not stops or stops[-1] != start:
            stops.append(start)
            levels.append(levels[-1])
        rung = self._down[word] = _climb(end, stops, levels, self.fees[0], True, self._stale_down.pop(word, None))
        return rung

    def up(self, word: int) -> Rung:
        """The stops of ``word`` for a swap that raises the price; made when first asked for."""
        try:
            return self._up[word]
        except KeyError:
            self.require(word)
        spacing = self.tick_spacing
        start, end = (word << 8) * spacing, ((word << 8) | 255) * spacing
        first, last = bisect_left(self._ticks, start), bisect_right(self._ticks, end)
        stops = self._ticks[first:last]
        levels = self._levels[first : last + 1]
        if not stops or stops[-1] != end:
            stops.append(end)
            levels.append(levels[-1])
        rung = self._up[word] = _climb(
            start - spacing, stops, levels, self.fees[1], False, self._stale_up.pop(word, None)
        )
        return rung

    def word_after(self, word: int, liquidity: int, zero_for_one: bool) -> int:
        """The word that a swap enters when it leaves ``word``; without liquidity, the next one with a tick.

        Raises:
            InsufficientLiquidity: there is nothing left in this direction.
            UnknownRange: what comes next is not known.
        """
        following = word - 1 if zero_for_one else word + 1
        if liquidity and self.low_word <= following <= self.high_word:
            return following
        lowest, highest = full_range(self.tick_spacing)
        if zero_for_one:
            if not liquidity:
                i = bisect_left(self._ticks, (word << 8) * self.tick_spacing)
                following = word_of(self._ticks[i - 1], self.tick_spacing) if i else min(following, self.low_word - 1)
            if following < lowest:
                raise InsufficientLiquidity("the pool runs dry: no token1 is left at any price")
        else:
            if not liquidity:
                i = bisect_left(self._ticks, (following << 8) * self.tick_spacing)
                at_end = i == len(self._ticks)
                following = max(following, self.high_word + 1) if at_end else word_of(self._ticks[i], self.tick_spacing)
            if following > highest:
                raise InsufficientLiquidity("the pool runs dry: no token0 is left at any price")
        return following

    # --- ranges ---

    def ranges(self, zero_for_one: bool) -> Ranges:
        """The stretches of one liquidity in the swap's direction up to the end of what is known."""
        known = self._ranges_down if zero_for_one else self._ranges_up
        if known is None:
            known = self._ranges(zero_for_one)
        return known

    def _ranges(self, zero_for_one: bool) -> Ranges:
        gamma = (PIPS - self.fees[0 if zero_for_one else 1]) / PIPS
        if zero_for_one:
            end = max(MIN_TICK, (self.low_word << 8) * self.tick_spacing)
            made = Ranges(gamma, [*self._ticks[::-1], end], [*self._levels[-2::-1], 0], True)
            self._ranges_down = made
        else:
            end = min(MAX_TICK, ((self.high_word << 8) | 255) * self.tick_spacing)
            made = Ranges(gamma, [*self._ticks, end], [*self._levels[1:], 0], False)
            self._ranges_up = made
        return made

    def initialised_below(self, tick: int) -> Iterator[tuple[int, int]]:
        """Initialised ticks at or below ``tick``, descending, each with L below it."""
        for i in range(bisect_right(self._ticks, tick) - 1, -1, -1):
            yield self._ticks[i], self._levels[i]

    def initialised_above(self, tick: int) -> Iterator[tuple[int, int]]:
        """Initialised ticks above ``tick``, ascending, each with L above it."""
        for i in range(bisect_right(self._ticks, tick), len(self._ticks)):
            yield self._ticks[i], self._levels[i + 1]


def _parted(
    rungs: Mapping[int, Rung], stale: Mapping[int, Rung], first: int, last: int
) -> tuple[dict[int, Rung], dict[int, Rung]]:
    """The rungs that still hold when the words ``first`` to ``last`` change, and those to be made over."""
    kept: dict[int, Rung] = {}
    changed = dict(stale)
    for word, rung in rungs.items():
        (changed if first <= word <= last else kept)[word] = rung
    return kept, changed


def _climb(
    entry: int, stops: list[int], levels: list[int], fee_pips: int, zero_for_one: bool, stale: Rung | None
) -> Rung:
    """Sum the full steps from the entry tick over the stops; ``levels[i]`` is L on the way to ``stops[i]``.

    ``stale`` is the word's rung before ticks or liquidity changed: what it shares at either end is taken over.
    """
    keys = [-tick for tick in (entry, *stops)] if zero_for_one else [entry, *stops]
    head, tail = (0, 0) if stale is None else _shared_steps(keys, levels, stale)
    if stale is None:
        prices, cost, output = [stop_price(entry)], [0], [0]
    else:
        prices, cost, output = stale.prices[: head + 1], stale.cost[: head + 1], stale.output[: head + 1]
    rest = PIPS - fee_pips
    start = prices[-1]
    for i in range(head, len(stops) - tail):
        end, liquidity = stop_price(stops[i]), levels[i]
        amount_in = amount_out = 0
        if liquidity and start != end:
            if zero_for_one:
                amount_in = amount0_delta_rounding_up(end, start, liquidity)
                amount_out = amount1_delta(end, start, liquidity)
            else:
                amount_in = amount1_delta_rounding_up(start, end, liquidity)
                amount_out = amount0_delta(start, end, liquidity)
        prices.append(end)
        cost.append(cost[-1] + amount_in - (-amount_in * fee_pips // rest))
        output.append(output[-1] + amount_out)
        start = end
    if stale is not None and tail:
        dearer, more = cost[-1] - stale.cost[-1 - tail], output[-1] - stale.output[-1 - tail]
        prices += stale.prices[-tail:]
        cost += [each + dearer for each in stale.cost[-tail:]]
        output += [each + more for each in stale.output[-tail:]]
    return Rung(keys, prices, levels, cost, output)


def _shared_steps(keys: list[int], levels: list[int], stale: Rung) -> tuple[int, int]:
    """How many steps at the beginning and at the end have the same stops and liquidity as before."""
    fewer = min(len(keys), len(stale.keys)) - 1
    head = tail = 0
    while head < fewer and keys[head + 1] == stale.keys[head + 1] and levels[head] == stale.liquidity[head]:
        head += 1
    fewer -= head
    while tail < fewer and keys[-2 - tail] == stale.keys[-2 - tail] and levels[-2 - tail] == stale.liquidity[-2 - tail]:
        tail += 1
    return head, tail
