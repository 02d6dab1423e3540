"""The live detection, sizing and simulation over a recorded block, held against the arbitrages that really happened.

The block is replayed. Before each transaction that is a real arbitrage, and at the block's end, the pools that the
file knows make a market; every cycle in it is sized, the best are tried through FlashArb on the state of that moment.
No threshold is applied: what a configuration would have left alone is a question of its settings, not of what was
there to be found. Each real arbitrage that was not found gets one reason of a fixed list.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from flasharb.market.snapshot import Market
from flasharb.simulation.arbitrage import Arbitrage
from flasharb.simulation.missed import MissedReason, Reach, Reasons, enough, keys_of, out_of_reach, passed_over
from flasharb.simulation.quoted_pools import QuotedPools
from flasharb.simulation.recorded import RecordedBlock
from flasharb.simulation.recorded_pools import KnownPools, Offered, known_pools, offered
from flasharb.simulation.replay import Examined, Replay
from flasharb.simulation.swaps import Swap, swap_count
from flasharb.simulation.trial import Place, Refused, try_out
from flasharb.strategy.detect import Detector
from flasharb.strategy.limits import THOROUGH
from flasharb.strategy.route import Route
from flasharb.strategy.screen import MOST_HOPS
from flasharb.strategy.select import choose
from flasharb.strategy.size import size
from flasharb.strategy.split import Terms as SplitTerms
from flasharb.strategy.split import splits
from flasharb.strategy.trade import Opportunity, Rejected, Trade
from flasharb.units import ZERO_ADDRESS, Address, Hash32

CURVE_STEPS: Final = 24
"""Points of a size curve up to the chosen size; as many beyond it."""


@dataclass(frozen=True, slots=True)
class Ours:
    """A trade of ours. ``net_profit_wei`` is after gas at the base fee, before any bid: measured where the trial ran
    (``simulated``), else by the least gas; None where its token has no price in ETH. ``refused``: why a trial failed.

    ``split``: the joint optimum of this cycle and those that share its pools, as one transaction, where it should net
    more than the cycle alone.
    """

    trade: Trade
    net_profit_wei: int | None
    simulated: bool
    refused: str | None = None
    curve: tuple[tuple[int, int], ...] = ()
    """(amount in, gross profit) of the same cycle at other sizes; nothing of a split."""
    split: Ours | None = None


@dataclass(frozen=True, slots=True)
class RealArbitrage:
    """A transaction that was an arbitrage, and the best that we found through its pools just before it.

    ``path``: its pools in the order the money went, with their ``protocols``. ``supported``: we trade all of them.
    ``amount_in`` is what it paid in that token, None where that is not plain from its swaps.
    """

    tx_hash: Hash32
    index: int
    token: Address
    path: tuple[bytes, ...]
    protocols: Mapping[bytes, str]
    gross_profit: int
    amount_in: int | None
    supported: bool
    ours: Ours | None
    missed: MissedReason | None
    detail: str

    @property
    def found(self) -> bool:
        """Whether we would have made at least as much."""
        return self.missed is None


@dataclass(frozen=True, slots=True)
class Moment:
    """What we found on the state after transaction ``after_index`` (-1: before the first).

    ``curtailed``: how often the listing of cycles passed over some at hubs.
    """

    after_index: int
    ours: tuple[Ours, ...]
    rejected: dict[str, int]
    curtailed: int = 0


@dataclass(frozen=True, slots=True)
class Backtest:
    """One block. ``pools`` that it offers; ``unusable`` of them have no usable state, by reason."""

    number: int
    pools: int
    unusable: dict[str, int]
    arbitrages: tuple[RealArbitrage, ...]
    moments: tuple[Moment, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """``base_tokens`` start and end a cycle; ``most_trials`` cycles with disjoint pools are tried at a moment.

    Of cycles of more pools than ``screen.MOST_HOPS``, up to ``max_hops``, only the best are looked for.

    ``evm_quotes``: pools that nobody has modelled take part, quoted by running them.
    """

    base_tokens: tuple[Address, ...]
    wrapped_native: Address
    vault: Address
    manager: Address = ZERO_ADDRESS
    max_hops: int = 4
    most_trials: int = 4
    evm_quotes: bool = False


def backtest(block: RecordedBlock, terms: Terms) -> Backtest:
    """Run the corridor over the block.

    Raises:
        MissingState, InvalidTransaction: the block cannot be replayed from its file.
    """
    return _Backtest(block, terms).run()


@dataclass(frozen=True, slots=True)
class _Look:
    """All that a moment shows: its cycles sized alone and ``together``, by id; the pools of those that are open."""

    moment: Moment
    market: Market
    trades: Sequence[Trade]
    together: Mapping[int, Trade]
    cycles: Collection[frozenset[Address]]


class _Backtest:
    """One block's passage."""

    def __init__(self, block: RecordedBlock, terms: Terms) -> None:
        self.block = block
        self.terms = terms
        self.replay = Replay(block)
        self.offered: Offered = offered(self.replay)
        self._modelled = tuple(self.offered.specs.values())
        self._quoted: QuotedPools | None = None
        if terms.evm_quotes:
            self._quoted = QuotedPools(self.replay, terms.wrapped_native, terms.vault, self.offered.specs)
            self.offered = self.offered.with_also(self._quoted.specs)
        listed = min(terms.max_hops, MOST_HOPS)
        self.reach = Reach(self.offered.specs, terms.base_tokens, listed, longest=terms.max_hops)
        self.arbitrages: list[RealArbitrage] = []
        self.moments: list[Moment] = []

    def run(self) -> Backtest:
        for index, receipt in enumerate(self.block.receipts):
            if receipt.status and swap_count(receipt.logs) > 1:
                self._examine(index)
            self.replay.advance()
        known = self._known()
        self.moments.append(self._look(known).moment)
        unusable: dict[str, int] = {}
        for reason in (*known.unknown.values(), *self.offered.refused.values()):
            unusable[reason] = unusable.get(reason, 0) + 1
        offers = len(self.offered.specs) + len(self.offered.refused)
        return Backtest(self.block.number, offers, unusable, tuple(self.arbitrages), tuple(self.moments))

    def _examine(self, index: int) -> None:
        examined = self.replay.examine(self.terms.wrapped_native)
        if examined.arbitrage is None:
            return
        known = self._known()
        look = self._look(known)
        self.moments.append(look.moment)
        self.arbitrages.append(self._judge(index, examined, examined.arbitrage, known, look))

    # Our side

    def _known(self) -> KnownPools:
        known = known_pools(self.replay, self._modelled)
        if self._quoted is not None:
            quoted = self._quoted.known()
            known = KnownPools(known.pools | quoted.pools, known.unknown | quoted.unknown)
        return known

    def _look(self, known: KnownPools) -> _Look:
        """All cycles of this moment, the best of them tried."""
        block = self.block
        market = Market.load(block.number, known.pools.values(), ())
        trades: list[Trade] = []
        rejected: dict[str, int] = {}
        detector = Detector(self.reach.max_hops, self.terms.base_tokens, longest=self.terms.max_hops)
        opportunities = detector.update(market, None)
        for opportunity in opportunities:
            sized = self._sized(market, opportunity)
            if isinstance(sized, Trade):
                trades.append(sized)
            else:
                rejected[sized.reason] = rejected.get(sized.reason, 0) + 1
        together = self._splits(market, trades)
        chosen, _ = choose(trades, self.terms.most_trials)
        ours = tuple(self._tried(market, trade, together) for trade in chosen)
        moment = Moment(self.replay.position - 1, ours, rejected, detector.curtailed)
        cycles = {frozenset(hop.pool for hop in one.cycle) for one in opportunities}
        return _Look(moment, market, trades, together, cycles)

    def _splits(self, market: Market, trades: Sequence[Trade]) -> dict[int, Trade]:
        """Cycles that make more together, by the id of the best of them; where gas has a price in the base token."""
        priced = [trade for trade in trades if trade.base_token == self.terms.wrapped_native]

        def net(trade: Trade) -> int:
            return self._net(trade, trade.gross_profit, trade.gas_estimate) or 0

        return {made.id: made for made in splits(market, priced, SplitTerms(THOROUGH, 0, net))}

    def _sized(self, market: Market, opportunity: Opportunity) -> Trade | Rejected:
        sized = size(market, opportunity, THOROUGH)
        if isinstance(sized, Trade):
            return replace(sized, net_profit_wei_estimate=self._net(sized, sized.gross_profit, sized.gas_estimate) or 0)
        return sized

    def _tried(self, market: Market, trade: Trade, together: Mapping[int, Trade]) -> Ours:
        """A cycle by itself, and as part of a split if there is one."""
        ours = self._measured(trade, size_curve(market, trade))
        split = together.get(trade.id)
        return ours if split is None else replace(ours, split=self._measured(split, ()))

    def _measured(self, trade: Trade, curve: tuple[tuple[int, int], ...]) -> Ours:
        block, terms = self.block, self.terms
        place = Place(self.replay.state(), block.context, block.fork, terms.wrapped_native, terms.vault, terms.manager)
        answer = try_out(trade, place)
        if isinstance(answer, Refused):
            return Ours(trade, self._net(trade, trade.gross_profit, trade.gas_estimate), False, answer.reason, curve)
        net = self._net(trade, answer.gross_profit, answer.gas_used)
        if answer.gross_profit != trade.gross_profit:
            made = f"made {answer.gross_profit} where {trade.gross_profit} was sized"
            return Ours(trade, net, False, made, curve)
        return Ours(trade, net, True, None, curve)

    def _net(self, trade: Trade, gross_profit: int, gas: int) -> int | None:
        if trade.base_token != self.terms.wrapped_native:
            return None
        return gross_profit - trade.loan_fee - gas * self.block.context.base_fee_per_gas

    # Theirs against ours

    def _judge(
        self, index: int, examined: Examined, theirs: Arbitrage, known: KnownPools, look: _Look
    ) -> RealArbitrage:
        pools = keys_of(examined.swaps)
        ours = self._best_through(pools, theirs.token, look)
        if ours is not None and enough(ours.trade.gross_profit, theirs.gross_profit):
            missed = None if ours.simulated else MissedReason.SIMULATION_REFUSED
            detail = ours.refused or ""
        else:
            missed, detail = next(self._reasons(examined, theirs, known, (look, ours)))
        return RealArbitrage(
            tx_hash=self.block.receipts[index].hash,
            index=index,
            token=theirs.token,
            path=theirs.path,
            protocols={swap.pool: swap.protocol for swap in examined.swaps} | self._ours_by_name(theirs.path),
            gross_profit=theirs.gross_profit,
            amount_in=_paid_in(examined.swaps, theirs.token),
            supported=pools <= self.offered.specs.keys(),
            ours=ours,
            missed=missed,
            detail=detail,
        )

    def _ours_by_name(self, path: Sequence[bytes]) -> dict[bytes, str]:
        specs = ((pool, self.offered.specs.get(Address(pool[:20]))) for pool in path)
        return {pool: spec.protocol for pool, spec in specs if spec is not None}

    def _best_through(self, pools: frozenset[Address], token: Address, look: _Look) -> Ours | None:
        """The best of our cycles in that token that uses one of the pools, tried."""
        fitting = [
            trade
            for trade in look.trades
            if trade.base_token == token and any(hop.hop.pool in pools for hop in trade.hops)
        ]
        if not fitting:
            return None
        best = max(fitting, key=lambda trade: trade.gross_profit)
        tried = next((one for one in look.moment.ours if one.trade is best), None)
        return tried or self._tried(look.market, best, look.together)

    def _reasons(
        self, examined: Examined, theirs: Arbitrage, known: KnownPools, found: tuple[_Look, Ours | None]
    ) -> Reasons:
        look, ours = found
        pools = keys_of(examined.swaps)
        yield from out_of_reach(examined.swaps, theirs.token, self.reach)
        for pool in pools & known.unknown.keys():
            yield MissedReason.UNKNOWN_STATE, f"0x{pool.hex()}: {known.unknown[pool]}"
        if pools not in look.cycles:
            yield from passed_over(pools, self.reach, look.moment.curtailed)
        if ours is not None:
            yield MissedReason.SIZING, f"ours makes {ours.trade.gross_profit} of {theirs.gross_profit}"
        yield MissedReason.UNKNOWN_STATE, "no cycle through its pools shows within the ticks that the file has"


def size_curve(market: Market, trade: Trade) -> tuple[tuple[int, int], ...]:
    """(amount in, gross profit) of the trade's cycle from nothing to twice its size, where its pools can quote."""
    route = Route.through(market, tuple(hop.hop for hop in trade.hops))
    if route is None:
        return ()
    points = []
    for step in range(1, 2 * CURVE_STEPS + 1):
        amount = trade.amount_in * step // CURVE_STEPS
        amounts = route.amounts(amount) if amount else None
        if amounts is not None:
            points.append((amount, amounts[-1] - amount))
    return tuple(points)


def _paid_in(swaps: Sequence[Swap], token: Address) -> int | None:
    paid = [swap.amount_in for swap in swaps if swap.token_in == token]
    return sum(paid) if paid else None
