"""Which trades of a block go on: those with disjoint pools that net most together.

After the first of two trades that share a pool, the second would meet another state than it was sized on. So no two of
the chosen share a pool; cycles that do are offered as one trade of several paths beside their single forms (``split``),
under the id of the best of them, and at most one form of a trade is chosen. Trades that share none stay transactions of
their own: one that fails shall not take the others with it, and the gas that merging saves is small beside that.

The best set is found by branch and bound: the trades stand in descending order, so that the next ones' sum bounds what
any further choice can add. Should that take too long, the best set seen so far is used, which is never worse than
taking the best trade first, then the next that fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

from flasharb.strategy.reasons import Reason
from flasharb.strategy.trade import Rejected, Trade
from flasharb.units import Address

_MOST_NODES: Final = 5_000
"""A few milliseconds."""


def choose(trades: Iterable[Trade], most: int) -> tuple[list[Trade], list[Rejected]]:
    """At most ``most`` trades with disjoint pools, those with the largest estimated net profit together, best first;
    and the others. A trade may be among ``trades`` in several forms of one id.
    """
    ordered = sorted(trades, key=lambda trade: (-trade.net_profit_wei_estimate, pools_of(trade)))
    chosen = [ordered[position] for position in _Choice(ordered, most).best]
    users = {pool: trade.id for trade in chosen for pool in pools_of(trade)}
    ended = {trade.id for trade in chosen}
    others: list[Rejected] = []
    for trade in ordered:
        if trade.id in ended:
            continue
        ended.add(trade.id)
        better = sorted({users[pool] for pool in pools_of(trade) if pool in users})
        if better:
            names = " and ".join(map(str, better))
            detail = f"trade {names} uses one of its pools and nets more"
            others.append(Rejected(trade.id, Reason.CONFLICTS_WITH_BETTER, detail, trade.block_number))
        else:
            detail = f"{most} better trades in this block"
            others.append(Rejected(trade.id, Reason.OVER_BLOCK_LIMIT, detail, trade.block_number))
    return chosen, others


def never_chosen_below(trades: Iterable[Trade], most: int) -> float:
    """The net profit up to which no further trade can be among the best ``most``, whatever its pools.

    With a further trades a set has the best ``most - a`` of these and a times their net profit at most; up to the
    answer that is never more than the best ``most`` of these.
    """
    ordered = sorted(trades, key=lambda trade: -trade.net_profit_wei_estimate)
    sums = []
    for count in range(most + 1):
        choice = _Choice(ordered, count)
        if not choice.proven:
            return 0.0
        sums.append(choice.best_sum)
    return min((sums[most] - sums[most - further]) / further for further in range(1, most + 1))


class _Choice:
    """The search; ``best`` has the positions of the chosen in ``trades``, ``proven`` whether it went to its end."""

    def __init__(self, trades: Sequence[Trade], most: int) -> None:
        self.most = most
        numbers: dict[Address | int, int] = {}
        self.masks = []
        for trade in trades:
            mask = 0
            # a bit for each pool and one for the id, which forms of one trade share
            marks: list[Address | int] = [*pools_of(trade), trade.id]
            for mark in marks:
                mask |= 1 << numbers.setdefault(mark, len(numbers))
            self.masks.append(mask)
        self.nets = [trade.net_profit_wei_estimate for trade in trades]
        # nobody has to take a trade that loses: it must not lower what the next ones can add
        self.sums = list(accumulate((max(net, 0) for net in self.nets), initial=0))
        self.best: list[int] = []
        self.best_sum = 0
        self.nodes = 0
        self.extend([], 0, 0, 0)

    @property
    def proven(self) -> bool:
        return self.nodes < _MOST_NODES

    def extend(self, taken: list[int], used: int, total: int, position: int) -> None:
        """Add each of the trades from ``position`` on that fits, and go on from there."""
        if total > self.best_sum:
            self.best, self.best_sum = taken, total
        left = self.most - len(taken)
        last = len(self.masks)
        for at in range(position, last if left else position):
            if total + self.sums[min(at + left, last)] - self.sums[at] <= self.best_sum or not self.proven:
                return
            if not self.masks[at] & used:
                self.nodes += 1
                self.extend([*taken, at], used | self.masks[at], total + self.nets[at], at + 1)


def pools_of(trade: Trade) -> list[Address]:
    """The pools of a trade, each once, in its order."""
    return list(dict.fromkeys(hop.hop.pool for hop in trade.hops))
