"""The exact sizes of a block's opportunities, as far as its best trades can depend on them.

Opportunities are sized in the order of what they could net at most (``prospect``), until none of the rest can be among
the best trades any more (``never_chosen_below``). Beyond these only the neighbours of the best are sized, which may
join them as further paths (``split``). The rest is rejected by its bound, which is a tenth of the work.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from flasharb.market.snapshot import Market
from flasharb.pools import Pool
from flasharb.settings import Settings
from flasharb.strategy.gas import BASE_GAS
from flasharb.strategy.limits import Limits
from flasharb.strategy.profit import Costs, after_gas, estimate
from flasharb.strategy.prospect import Prospect, Prospects
from flasharb.strategy.reasons import Reason
from flasharb.strategy.select import never_chosen_below
from flasharb.strategy.size import size
from flasharb.strategy.split import MOST_CENTRES, MOST_NEAR
from flasharb.strategy.trade import Cycle, Opportunity, Rejected, Trade

_FIRST: Final = 16
"""So many are sized although they may net nothing: what pays only as a split has to begin somewhere."""

Size = Trade | Rejected
Pools = tuple[Pool, ...]


class _Candidate(NamedTuple):
    opportunity: Opportunity
    pools: Pools
    prospect: Prospect


class Sizes:
    """Sizes from block to block: a cycle whose pools have not changed keeps the size of the block before."""

    def __init__(self, settings: Settings, limits: Limits, loan_fee_wad: int) -> None:
        self._strategy, self._mev = settings.strategy, settings.mev
        self._limits = limits
        self._loan_fee_wad = loan_fee_wad
        self._kept: dict[Cycle, tuple[Pools, Size]] = {}

    def of(self, market: Market, opportunities: Iterable[Opportunity], costs: Costs) -> list[Size]:
        """Each opportunity as a trade of its best size, or why it is none or not among the best."""
        prospects = Prospects(costs, self._limits, self._loan_fee_wad, self._mev.bid_share_bps)
        waiting = []
        for opportunity in opportunities:
            pools = tuple([market.pools[hop.pool] for hop in opportunity.cycle])
            waiting.append(_Candidate(opportunity, pools, prospects.of(opportunity, pools)))
        waiting.sort(key=_by_net)
        before, self._kept = self._kept, {}
        sized = self._best(market, waiting, costs, before)
        rest = waiting[len(sized) :]
        if self._strategy.max_paths > 1:
            near = _near([one for one in sized if isinstance(one, Trade)], rest, costs)
            sized += [self._size(market, candidate, before) for candidate in near]
            taken = {candidate.opportunity.id for candidate in near}
            rest = [candidate for candidate in rest if candidate.opportunity.id not in taken]
        return [*sized, *map(_passed_over, rest)]

    def _best(
        self, market: Market, waiting: Sequence[_Candidate], costs: Costs, before: dict[Cycle, tuple[Pools, Size]]
    ) -> list[Size]:
        """The sizes of the first ones, until no other can be among the best trades."""
        sized: list[Size] = []
        trades: list[Trade] = []
        least, look_again = 0.0, 2 * _FIRST
        for candidate in waiting:
            count = len(sized)
            if count == look_again:
                least, look_again = never_chosen_below(trades, self._strategy.max_trades_per_block), 2 * count
            if count >= _FIRST and candidate.prospect.net <= least:
                break
            one = self._size(market, candidate, before)
            sized.append(one)
            if isinstance(one, Trade):
                estimated = estimate(one, costs, self._strategy, self._mev)
                if isinstance(estimated, Trade):
                    trades.append(estimated)
        return sized

    def _size(self, market: Market, candidate: _Candidate, before: dict[Cycle, tuple[Pools, Size]]) -> Size:
        opportunity, pools, _ = candidate
        known = before.get(opportunity.cycle)
        if known is not None and all(old is new for old, new in zip(known[0], pools, strict=True)):
            found: Size = replace(known[1], id=opportunity.id, block_number=market.number)
        else:
            found = size(market, opportunity, self._limits, self._loan_fee_wad)
        self._kept[opportunity.cycle] = pools, found
        return found


def net_as_path(trade: Trade, costs: Costs) -> int:
    """What a trade nets where it may be one path of several, in wei.

    Dearer than the least gas: a path that only just pays for that is not worth its risk.
    """
    return after_gas(replace(trade, gas_estimate=trade.gas_estimate * 3 // 2), costs)


def pays_as_path(trade: Trade, costs: Costs) -> bool:
    """Whether a trade might be worth its swaps where the transaction is there anyway: as ``net_as_path`` counts."""
    return net_as_path(replace(trade, gas_estimate=trade.gas_estimate - BASE_GAS), costs) > 0


def _near(trades: Sequence[Trade], rest: Sequence[_Candidate], costs: Costs) -> list[_Candidate]:
    """Those of the rest that share a pool with one of the trades that net most, and may pay for their swaps."""
    best = sorted(trades, key=lambda trade: -net_as_path(trade, costs))[:MOST_CENTRES]
    room = {trade.id: MOST_NEAR for trade in best}
    pools = [(trade, {one.hop.pool for one in trade.hops}) for trade in best]
    found = []
    for candidate in rest:
        cycle = candidate.opportunity.cycle
        for trade, used in pools if candidate.prospect.pays else ():
            if room[trade.id] and trade.base_token == cycle[0].token_in and any(hop.pool in used for hop in cycle):
                room[trade.id] -= 1
                found.append(candidate)
                break
    return found


def _passed_over(candidate: _Candidate) -> Rejected:
    opportunity, net = candidate.opportunity, candidate.prospect.net
    reason = Reason.OVER_BLOCK_LIMIT if net > 0.0 else Reason.BELOW_MIN_PROFIT
    detail = f"nets {net:.0f} wei at most" + (", less than each of the trades chosen" if net > 0.0 else "")
    return Rejected(opportunity.id, reason, detail, opportunity.block_number)


def _by_net(candidate: _Candidate) -> float:
    return -candidate.prospect.net
