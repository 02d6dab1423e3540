"""How the screen lies in memory: four tables of plain numbers, rebuilt only when the set of pools changes.

A *slot* is one pool between one pair of its tokens, with a rate each way; a pool of n tokens has n(n-1)/2 of them.
Slots of one pair lie side by side, so that the best rate of a pair is one short scan. A *link* is one neighbour of a
token; the links of a token lie side by side, neighbours ascending, with the pair's best rates in them both ways, so
that walking two neighbourhoods in step reads memory in order and nothing else. Each pair therefore has two links, which
hold the same two rates.

Tokens are numbered 0 to n - 1 by the caller; give small numbers to tokens with many pools, because the search for a
neighbour starts at the small end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]

THRESHOLD: Final = 1.0 - 1e-9
"""What the product of a cycle's best rates must exceed.

Nothing that gains is lost. A rate is a float made of exact integers by at most eight correctly rounded operations, and
a product of eight of them takes seven more, each off by a factor within 1 ± 2**-53: at most 71 of them, less than 8e-15
in all, where even a pool in closed form that is off by 1e-12 a leg leaves the product above 1 - 9e-12. So a cycle whose
true rate exceeds one has a computed product above 1 - 9e-12, in whatever order it is multiplied, and the threshold lies
a hundred times lower than that.
"""

SCREENED: Final = THRESHOLD * (1.0 - 1e-12)
"""What the kernels ask for, which multiply from the leg that rose.

The decision is taken on the product from the base token on; this is lower by more than two orders of multiplication can
differ, so whatever that product lets through the kernels have seen. And as rounding is monotonic, that product rises
only if one of its legs does: looking at risen legs only, batch by batch, finds exactly what looking at all would.
"""

SLOTS: Final = np.dtype([("forward", "f8"), ("backward", "f8"), ("pair", "i4")], align=True)
"""``forward`` from the token with the smaller number to the other; 0 where nothing is to be had, or nothing known."""
PAIRS: Final = np.dtype(
    [("first", "i4"), ("tail", "i4"), ("head", "i4"), ("tail_link", "i4"), ("head_link", "i4"), ("open", "i4")]
)
"""``first`` slot, the tokens (``tail`` < ``head``), their links to each other, and how many open cycles lead through.

One more row than pairs ends the last one's slots.
"""
LINKS: Final = np.dtype([("out", "f8"), ("back", "f8"), ("token", "i4"), ("pair", "i4")])
"""The best rate to the neighbour and the best one from it."""
TOKENS: Final = np.dtype([("first", "i4"), ("rank", "i4")])
"""``first`` link; ``rank`` among the base tokens, -1 for others. One more row than tokens ends the last one's links."""
BATCH: Final = np.dtype([("forward", "f8"), ("backward", "f8"), ("slot", "i4")], align=True)
"""New rates of a slot; the last row of a slot counts."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The tables of one set of pools, all rates zero, and ``slot_of``: where each given edge has come to lie."""

    slots: Numbers
    pairs: Numbers
    links: Numbers
    tokens: Numbers
    slot_of: NDArray[np.int32]

    @property
    def nbytes(self) -> int:
        """Memory of the tables."""
        return int(self.slots.nbytes + self.pairs.nbytes + self.links.nbytes + self.tokens.nbytes)


def layout(tail: NDArray[np.int32], head: NDArray[np.int32], rank: NDArray[np.int32]) -> Layout:
    """Lay out edges ``tail[k]``-``head[k]`` (``tail`` < ``head``) among ``len(rank)`` tokens."""
    count = len(rank)
    keys, pair_of = np.unique(tail.astype(np.int64) * count + head, return_inverse=True)
    order = np.argsort(pair_of, kind="stable")
    slot_of = np.empty(len(order), np.int32)
    slot_of[order] = np.arange(len(order), dtype=np.int32)
    slots = np.zeros(len(order), SLOTS)
    slots["pair"] = pair_of[order]
    pairs = np.zeros(len(keys) + 1, PAIRS)
    pairs["first"] = np.searchsorted(slots["pair"], np.arange(len(keys) + 1))
    pairs["tail"][:-1], pairs["head"][:-1] = np.divmod(keys, count) if count else (0, 0)
    links, tokens = _links(pairs, rank)
    return Layout(slots, pairs, links, tokens, slot_of)


def _links(pairs: Numbers, rank: NDArray[np.int32]) -> tuple[Numbers, Numbers]:
    """The links of every token; writes into ``pairs`` where its two lie."""
    count = len(pairs) - 1
    tail, head = pairs["tail"][:-1], pairs["head"][:-1]
    owner, neighbour = np.concatenate((tail, head)), np.concatenate((head, tail))
    order = np.lexsort((neighbour, owner))
    place = np.empty(2 * count, np.int32)
    place[order] = np.arange(2 * count, dtype=np.int32)
    pairs["tail_link"][:-1], pairs["head_link"][:-1] = place[:count], place[count:]
    links = np.zeros(2 * count, LINKS)
    links["token"], links["pair"] = neighbour[order], order % count if count else order
    tokens = np.zeros(len(rank) + 1, TOKENS)
    tokens["rank"][:-1] = rank
    tokens["first"] = np.searchsorted(owner[order], np.arange(len(rank) + 1))
    return links, tokens
