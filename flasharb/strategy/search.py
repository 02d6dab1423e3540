"""One block's search from end to end: filter, screen, size, estimate, choose. What runs live is what backtests run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from flasharb.feed.events import Event
from flasharb.feed.pool_runs import PoolRun
from flasharb.market.filters import Excluded
from flasharb.market.liquidity import LiquidityFilter
from flasharb.market.prices import Prices, usd_prices
from flasharb.market.quarantine import Quarantined
from flasharb.market.quarantine import excluded as quarantined_pools
from flasharb.market.snapshot import Market
from flasharb.settings import Settings
from flasharb.strategy.candidates import Sizes, net_as_path, pays_as_path
from flasharb.strategy.detect import Detector
from flasharb.strategy.limits import Limits
from flasharb.strategy.profit import Costs, estimate
from flasharb.strategy.select import choose
from flasharb.strategy.split import Terms, splits
from flasharb.strategy.trade import Opportunity, Rejected, Trade
from flasharb.units import Address


@dataclass(frozen=True, slots=True)
class Findings:
    """What a search found: every opportunity is in ``trades`` or in ``rejected``.

    ``trades`` are worth a simulation, best first, their pools disjoint. ``costs`` is what ``terms`` asks for later.
    ``curtailed``: how often the listing of cycles has passed over some at hubs, in all blocks so far.
    """

    opportunities: tuple[Opportunity, ...]
    trades: tuple[Trade, ...]
    rejected: tuple[Rejected, ...]
    excluded: Mapping[Address, Excluded]
    costs: Costs
    curtailed: int = 0


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens that the search knows by role."""

    base: tuple[Address, ...]
    usd: tuple[Address, ...]
    wrapped_native: Address


class Search:
    """The search over one market from block to block. An opportunity that stays open is reported in every block."""

    def __init__(
        self,
        settings: Settings,
        tokens: Tokens,
        loan_fee_wad: int = 0,
        quarantine: Callable[[], Mapping[Address, Quarantined]] = dict,
    ) -> None:
        """``loan_fee_wad``: the loan's fee per unit, in parts of 1e18 (flash swaps and Balancer V2: 0 today).

        ``quarantine`` tells the tokens that are not traded (none, unless somebody keeps them).
        """
        self._settings = settings
        self._tokens = tokens
        self._loan_fee_wad = loan_fee_wad
        self._quarantine = quarantine
        self._limits = Limits.of(settings.strategy)
        self._filter = LiquidityFilter(settings.pools.min_liquidity_usd)
        self._detector = Detector(settings.strategy.max_hops, tokens.base, longest=settings.strategy.longest_cycle)
        self._thin: Mapping[Address, Excluded] = {}
        self._quarantined: Mapping[Address, Excluded] = {}
        self._excluded: Mapping[Address, Excluded] = {}
        self._left_out: frozenset[Address] = frozenset()
        self._sizes = Sizes(settings, self._limits, loan_fee_wad)

    def update(
        self,
        market: Market,
        touched: Collection[Address] | None,
        base_fee_per_gas: int,
        native_usd: Decimal | None = None,
    ) -> Findings:
        """Search ``market``, of which ``touched`` pools differ from the one before (None: all).

        ``base_fee_per_gas`` is the target block's; ``native_usd`` a configured feed's price of ETH.
        """
        prices = usd_prices(market, self._tokens.usd, self._tokens.wrapped_native, native_usd)
        excluded = self._leave_out(market, prices, touched)
        opportunities = self._detector.update(market, touched, self._left_out)
        costs = Costs(base_fee_per_gas, self._tokens.wrapped_native, prices)
        sized = self._sizes.of(market, opportunities, costs)
        trades, rejected = self._estimate_all(sized, costs)
        chosen, others = choose(
            [*trades, *self._splits(market, sized, costs)], self._settings.strategy.max_trades_per_block
        )
        ended = _ended(chosen, rejected, others)
        return Findings(tuple(opportunities), tuple(chosen), ended, excluded, costs, self._detector.curtailed)

    def glance(self, events: Iterable[Event | PoolRun]) -> int:
        """How many token cycles pass once these events are believed, before their block is complete."""
        return len(self._detector.glance(events))

    def _leave_out(
        self, market: Market, prices: Prices, touched: Collection[Address] | None
    ) -> Mapping[Address, Excluded]:
        """The pools that are not traded now; the same objects as before while they are the same pools."""
        thin = self._filter.excluded(market, prices, touched)
        quarantined = quarantined_pools(market, self._quarantine())
        if thin is not self._thin or quarantined != self._quarantined:
            self._thin, self._quarantined = thin, quarantined
            self._excluded = {**thin, **quarantined}
            self._left_out = frozenset(self._excluded)
        return self._excluded

    def _splits(self, market: Market, sized: Iterable[Trade | Rejected], costs: Costs) -> list[Trade]:
        """What several cycles make as one trade; also those that a transaction of their own would not pay for."""
        max_paths = self._settings.strategy.max_paths
        if max_paths == 1:
            return []
        gaining = [result for result in sized if isinstance(result, Trade) and pays_as_path(result, costs)]

        terms = Terms(self._limits, self._loan_fee_wad, lambda trade: net_as_path(trade, costs), max_paths)
        return self._estimate_all(splits(market, gaining, terms), costs)[0]

    def _estimate_all(self, sized: Iterable[Trade | Rejected], costs: Costs) -> tuple[list[Trade], list[Rejected]]:
        trades: list[Trade] = []
        rejected: list[Rejected] = []
        for result in sized:
            if isinstance(result, Trade):
                result = estimate(result, costs, self._settings.strategy, self._settings.mev)
            if isinstance(result, Trade):
                trades.append(result)
            else:
                rejected.append(result)
        return trades, rejected


def _ended(chosen: Iterable[Trade], rejected: Iterable[Rejected], others: Iterable[Rejected]) -> tuple[Rejected, ...]:
    """Each opportunity once: what nets too little alone may be the first path of a trade that was chosen."""
    gone = {trade.id for trade in chosen}
    ended = []
    for one in (*rejected, *others):
        if one.id not in gone:
            gone.add(one.id)
            ended.append(one)
    return tuple(ended)
