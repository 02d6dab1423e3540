"""The screen over one set of pools: batches of new rates in, passing token cycles out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from flasharb.strategy.screen import kernels as plain_kernels
from flasharb.strategy.screen.compiled import Kernels, empty, fastest, plain
from flasharb.strategy.screen.layout import SCREENED, Layout, Numbers

MOST_HOPS: Final = 4
FOUR_HOP_BUDGET: Final = 2_000_000
"""Links walked for the 4-cycles of one leg, a few milliseconds. Reached only between hubs of very large markets."""
COMPILED_FROM: Final = 1_000
"""Slots from which on loading the compiled kernels pays; below, a block takes less than a millisecond as it is."""

TokenNumbers = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Passing:
    """What a batch changed: ``cycles`` that pass through a leg that rose, each from whichever of its tokens and perhaps
    several times; and ``stale`` pairs whose pools changed and that open cycles lead through."""

    cycles: list[TokenNumbers]
    stale: list[int]


@dataclass(frozen=True, slots=True)
class Walk:
    """A cycle by its tokens from the base token on, without the return to it, and the product of its best rates."""

    tokens: TokenNumbers
    rate: float


class Screen:
    """Best rates and cycles of up to ``max_hops`` tokens, at least one of them a base token.

    ``compiled`` None: by the number of pools. The results are the same.
    """

    def __init__(self, tables: Layout, max_hops: int, *, compiled: bool | None = None) -> None:
        if not 2 <= max_hops <= MOST_HOPS:
            raise ValueError(f"cycles of 2 to {MOST_HOPS} hops are supported, not {max_hops}")
        self.layout = tables
        many = len(tables.slots) >= COMPILED_FROM if compiled is None else compiled
        kernels = self._kernels = fastest() if many else plain()
        rank = tables.tokens["rank"][:-1]
        parts = (tables.slots, tables.pairs, tables.links, tables.tokens)
        self._graph = (*map(kernels.table, parts), kernels.column(np.flatnonzero(rank >= 0).astype(np.int32)))
        self._control = np.array([max_hops, FOUR_HOP_BUDGET, 0], np.int64)
        self._settings = kernels.column(self._control)
        self._room = _Room(kernels, 256)
        self._plain_links = plain().table(tables.links)
        self._plain_tokens = plain().table(tables.tokens)

    @property
    def compiled(self) -> bool:
        """Whether the kernels run as machine code."""
        return self._kernels.compiled

    @property
    def curtailed(self) -> int:
        """Thirds of 4-cycles passed over because a leg's budget was spent."""
        return int(self._control[plain_kernels.CURTAILED])

    @property
    def open(self) -> Numbers:
        """By pair: how many open cycles lead through; the owner's to write."""
        counts: Numbers = self.layout.pairs["open"]
        return counts

    def update(self, batch: Numbers) -> Passing:
        """Take over new rates (``layout.BATCH``), which must be finite and not negative."""
        room = self._room
        if 2 * len(batch) > len(room.risen):
            room = self._room = _Room(self._kernels, 2 * len(batch))
        rises, stales, done, count = self._kernels.screen(
            self._graph, self._kernels.table(batch), room.risen_view, room.stale_view, room.found_view, self._settings
        )
        if not count and not stales and done == rises:
            return Passing([], [])
        cycles, stale = room.cycles(count), room.stale[:stales].tolist()
        while done < rises:
            if not count:
                # The leg to come has more cycles than there is room for.
                room.grow(self._kernels)
            legs = self._kernels.column(room.risen[done:rises])
            more, count = self._kernels.search(self._graph, legs, room.found_view, self._settings)
            cycles += room.cycles(count)
            done += more
        return Passing(cycles, stale)

    def pair(self, start: int, end: int) -> int:
        """The number of a pair of tokens between which there is a pool."""
        at = plain_kernels.link(self._plain_links, self._plain_tokens, start, end)
        if at < 0:
            raise KeyError(f"no pool between tokens {start} and {end}")
        pair: int = self._plain_links["pair"][at]
        return pair

    def slots_between(self, pair: int) -> range:
        """The slots of a pair."""
        first = self.layout.pairs["first"]
        return range(int(first[pair]), int(first[pair + 1]))

    def walks(self, base: int, hops: int, most: int = 64) -> list[Walk]:
        """Cycles of 2, 3, … ``hops`` tokens through ``base`` that pass, best first: at most ``most`` of each length.

        The best paths from the base token to every token, and those back from it, are joined where they meet. So what
        is found is for each length the best cycle by each token half-way round, unless its two halves share a token.
        The work grows with the links, not with the cycles: a look beyond the length of those listed, and a check on
        them. Where no shorter cycle gains, the best of a length is found for certain: each of its parts is then the
        best path of so many hops, because a better one would close a better cycle or a shorter one that gains.
        """
        forth, to = self._paths(base, (hops + 1) // 2, forth=True)
        back, fro = self._paths(base, hops // 2, forth=False)
        found = []
        for length in range(2, hops + 1):
            there, here = (length + 1) // 2, length // 2
            rates = forth[there] * back[here]
            passing = np.flatnonzero(rates > SCREENED)
            for middle in passing[np.argsort(-rates[passing], kind="stable")][:most].tolist():
                tokens = (*_path(to, there, middle)[::-1], *_path(fro, here, middle)[1:-1])
                if len(set(tokens)) == length:
                    found.append(Walk(tokens, float(rates[middle])))
        return sorted(found, key=lambda walk: -walk.rate)

    def _paths(self, base: int, hops: int, *, forth: bool) -> tuple[Numbers, Numbers]:
        """By hops and token: the best rate, and the token next to it on the path; see ``kernels.walk``."""
        count = len(self.layout.tokens) - 1
        best, before = np.zeros((hops + 1) * count), empty((hops + 1) * count)
        _, _, links, tokens, _ = self._graph
        column = self._kernels.column
        self._kernels.walk(links, tokens, base, hops, forth, column(best), column(before))
        return best.reshape(hops + 1, count), before.reshape(hops + 1, count)


def _path(before: Numbers, hops: int, token: int) -> list[int]:
    """From a token to the base token, along the paths that ``before`` tells."""
    path = [token]
    for hop in range(hops, 0, -1):
        path.append(int(before[hop, path[-1]]))
    return path


class _Room:
    """The kernels' buffers."""

    def __init__(self, kernels: Kernels, legs: int) -> None:
        self.risen, self.stale, self.found = empty(legs), empty(legs), empty(4 * 256)
        self.risen_view, self.stale_view = kernels.column(self.risen), kernels.column(self.stale)
        self.found_view = kernels.column(self.found)

    def grow(self, kernels: Kernels) -> None:
        self.found = empty(2 * len(self.found))
        self.found_view = kernels.column(self.found)

    def cycles(self, count: int) -> list[TokenNumbers]:
        numbers = self.found[: 4 * count].tolist()
        return [_cycle(numbers[at : at + 4]) for at in range(0, 4 * count, 4)]


def _cycle(numbers: Sequence[int]) -> TokenNumbers:
    return tuple(number for number in numbers if number >= 0)
