"""What the stages tell the reporter, besides the outcomes of trades."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flasharb.execution.outcome import Outcome
from flasharb.simulation.accounting import Verdict
from flasharb.simulation.receipts import Seen
from flasharb.strategy.profit import Costs
from flasharb.strategy.trade import Trade
from flasharb.units import Address, Hash32


@dataclass(frozen=True, slots=True)
class Started:
    """The first snapshot is loaded. ``sending`` false: a dry run. ``sender`` signs, or only simulates in a dry run."""

    chain_id: int
    block_number: int
    pools: int
    contract: Address
    sender: Address
    sending: bool
    symbols: Mapping[Address, str]


@dataclass(frozen=True, slots=True)
class BlockApplied:
    """The market stands at the end of this block. ``base_fee_per_gas`` is the block's, in wei."""

    number: int
    hash: Hash32 | None
    base_fee_per_gas: int | None
    pools: int
    touched: int


@dataclass(frozen=True, slots=True)
class TradeFound:
    """An opportunity, sized exactly and selected; its outcome follows. ``latency_ns`` since the block's last bytes."""

    trade: Trade
    costs: Costs
    latency_ns: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the operator should know: stale head, reload, relay refused. ``subject`` is a fixed word."""

    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class RealArbitrage:
    """An arbitrage that a block holds, by whomever, and whether we had it."""

    seen: Seen
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class ArbitragesSeen:
    """What a closed block's receipts show. ``untold`` transactions swapped in tokens that receipts do not name."""

    number: int
    hash: Hash32
    arbitrages: tuple[RealArbitrage, ...]
    untold: int


Report = Started | BlockApplied | TradeFound | Notice | ArbitragesSeen | Outcome
