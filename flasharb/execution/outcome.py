"""How a trade ended. Every trade ends in exactly one *final* outcome; ``Submitted`` alone is a station on the way.

::

    Trade ─┬─ Rejected   a limit, a price, a filter or an operator's decision dropped it (strategy.trade)
           ├─ Reverted   it reverted: in the local simulation (nothing lost) or on chain (gas lost)
           ├─ DryRun     it simulated well, and this is not a live run
           └─ Submitted ─┬─ Included   it stands in a block and succeeded
                         ├─ Reverted   it stands in a block and reverted
                         └─ Missed     its last target block passed without it, or its nonce went elsewhere

Amounts are wei; ``latency_ns`` counts from the arrival of the block's last event at this process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flasharb.execution.replies import Reply
from flasharb.strategy.trade import Rejected
from flasharb.units import Address, Hash32


@dataclass(frozen=True, slots=True)
class DryRun:
    """Simulated with success and not sent, because the run is not live.

    ``gas_used``, prices and profit are the simulation's; ``block_number`` is the block it was meant for.
    """

    id: int
    block_number: int
    gas_used: int
    effective_gas_price: int
    gross_profit: int
    base_token: Address
    bid_wei: int
    net_profit_wei: int
    latency_ns: int


@dataclass(frozen=True, slots=True)
class Reverted:
    """The transaction reverted. ``on_chain`` false: in the simulation, nothing was signed and nothing lost."""

    id: int
    block_number: int
    reason: str
    gas_used: int
    on_chain: bool = False
    tx_hash: Hash32 | None = None
    effective_gas_price: int = 0
    latency_ns: int = 0

    @property
    def net_profit_wei(self) -> int:
        """Minus the gas paid; zero when it reverted only here."""
        return -self.gas_used * self.effective_gas_price if self.on_chain else 0


@dataclass(frozen=True, slots=True)
class Submitted:
    """Signed and handed to the relays; what each of them said is in ``replies`` (no reply proves anything)."""

    id: int
    tx_hash: Hash32
    bundle_hash: Hash32
    target_block: int
    nonce: int
    bid_wei: int
    expected_net_profit_wei: int
    replies: tuple[tuple[str, Reply], ...]
    latency_ns: int


@dataclass(frozen=True, slots=True)
class Included:
    """Stands in block ``block_number`` with status 1.

    ``net_profit_wei`` is realised: the executor's gain of ``base_token`` in wei, less gas and all payments.
    """

    id: int
    tx_hash: Hash32
    bundle_hash: Hash32
    block_number: int
    block_hash: Hash32
    gas_used: int
    effective_gas_price: int
    gross_profit: int
    base_token: Address
    coinbase_payment_wei: int
    net_profit_wei: int
    latency_ns: int


@dataclass(frozen=True, slots=True)
class Missed:
    """Sent and not included. ``reason`` is a fixed word: see ``execution.inclusion.Miss``; ``detail`` says more."""

    id: int
    tx_hash: Hash32
    bundle_hash: Hash32
    block_number: int
    reason: str
    detail: str = ""
    latency_ns: int = 0


FinalOutcome = Rejected | Reverted | DryRun | Included | Missed
Outcome = FinalOutcome | Submitted

RESULT_CODES: Final[dict[type[FinalOutcome], int]] = {DryRun: 0, Included: 1, Reverted: 2, Missed: 3, Rejected: 4}
"""The ``outcome`` byte of a FlashLoanResult message."""
