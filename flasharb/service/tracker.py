"""Follows what was sent until the chain has decided: receipts and nonce at each head, no relay's word counts.

Waiting is counted in blocks; the clock only says when to look again. The tracker ends when the executor has ended and
nothing is open any more, so an orderly stop waits for the last bundle's fate.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import trio

from flasharb.adapters.chain import Landing
from flasharb.errors import NodeError
from flasharb.execution.inclusion import Landed, Lost, Receipt, decide
from flasharb.execution.outcome import FinalOutcome, Included, Missed, Reverted, Submitted
from flasharb.execution.realised import Holdings, net_profit_wei
from flasharb.strategy.trade import Trade
from flasharb.units import Address, Hash32

LOG: Final = logging.getLogger(__name__)

LOOKS_PER_SLOT: Final = 4
LEAST_PAUSE_S: Final = 0.05
CONFIRMATIONS: Final = 1
"""Blocks that must stand on the bundle's before its fate is final: a reorganised block gives its bundles back."""


class Chain(Protocol):
    """What the tracker asks the node."""

    async def landing(self, transactions: tuple[Hash32, ...]) -> Landing:
        """Head, nonce and receipts, all at one moment."""
        ...

    async def holdings(self, token: Address, number: int) -> Holdings:
        """What contract and signer own at the end of a block."""
        ...


@dataclass(frozen=True, slots=True)
class Sent:
    """A bundle on its way. ``direct_bid_wei`` is paid by the contract out of its profit; ``coinbase_payment_wei`` is
    all that its simulation brought the fee recipient.
    """

    submitted: Submitted
    trade: Trade
    max_block: int
    direct_bid_wei: int
    coinbase_payment_wei: int


class Tracker:
    """Decides every bundle that it is given."""

    def __init__(self, chain: Chain, slot_s: float, now: Callable[[], float] = trio.current_time) -> None:
        self._chain = chain
        self._pause_s = max(slot_s / LOOKS_PER_SLOT, LEAST_PAUSE_S)
        self._now = now
        self._away: str | None = None

    async def run(self, sent: trio.MemoryReceiveChannel[Sent], outcomes: trio.MemorySendChannel[FinalOutcome]) -> None:
        """Work until ``sent`` is closed and everything is decided."""
        open_bundles: list[Sent] = []
        more = True
        async with outcomes:
            while more or open_bundles:
                more = await self._collect(sent, open_bundles) if more else more
                if not open_bundles:
                    continue
                await trio.sleep(self._pause_s)
                open_bundles = await self._look(open_bundles, outcomes)

    async def _collect(self, sent: trio.MemoryReceiveChannel[Sent], open_bundles: list[Sent]) -> bool:
        """Take what has come, waiting only when nothing is open; False when no more will come."""
        try:
            if not open_bundles:
                open_bundles.append(await sent.receive())
            while True:
                open_bundles.append(sent.receive_nowait())
        except trio.WouldBlock:
            return True
        except trio.EndOfChannel:
            return False

    async def _look(self, open_bundles: list[Sent], outcomes: trio.MemorySendChannel[FinalOutcome]) -> list[Sent]:
        """Report what is decided; return what is still open."""
        decided: dict[int, FinalOutcome] = {}
        try:
            landing = await self._chain.landing(tuple(one.submitted.tx_hash for one in open_bundles))
            for place, (one, receipt) in enumerate(zip(open_bundles, landing.receipts, strict=True)):
                outcome = await self._decide(one, receipt, landing)
                if outcome is not None:
                    decided[place] = outcome
            self._away = None
        except NodeError as error:
            # Bundles stay open: not knowing is no fate. Said once for each reason, not four times a slot.
            if self._away != str(error):
                LOG.warning("cannot look after %d bundles: %s", len(open_bundles) - len(decided), error)
            self._away = str(error)
        for outcome in decided.values():
            await outcomes.send(outcome)
        return [one for place, one in enumerate(open_bundles) if place not in decided]

    async def _decide(self, one: Sent, receipt: Receipt | None, landing: Landing) -> FinalOutcome | None:
        submitted = one.submitted
        verdict = decide(
            (receipt,),
            head=landing.head,
            # One block more: a bundle of the last target block may come back in a block that replaces it.
            max_block=one.max_block + CONFIRMATIONS,
            nonce=submitted.nonce,
            account_nonce=landing.nonce if landing.head > one.max_block else None,
            confirmations=CONFIRMATIONS,
        )
        match verdict:
            case Landed(settled=True):
                return await self._landed(one, verdict)
            case Lost():
                return Missed(
                    submitted.id,
                    submitted.tx_hash,
                    submitted.bundle_hash,
                    one.max_block,
                    verdict.reason,
                    verdict.detail,
                    submitted.latency_ns,
                )
            case _:
                return None

    async def _landed(self, one: Sent, landed: Landed) -> FinalOutcome:
        receipt, submitted, trade = landed.receipts[0], one.submitted, one.trade
        if not landed.succeeded:
            return Reverted(
                submitted.id,
                receipt.block_number,
                "reverted on chain",
                receipt.gas_used,
                True,
                receipt.tx_hash,
                receipt.effective_gas_price,
                submitted.latency_ns,
            )
        before = await self._chain.holdings(trade.base_token, receipt.block_number - 1)
        after = await self._chain.holdings(trade.base_token, receipt.block_number)
        return Included(
            id=submitted.id,
            tx_hash=receipt.tx_hash,
            bundle_hash=submitted.bundle_hash,
            block_number=receipt.block_number,
            block_hash=receipt.block_hash,
            gas_used=receipt.gas_used,
            effective_gas_price=receipt.effective_gas_price,
            gross_profit=after.contract_token - before.contract_token + one.direct_bid_wei,
            base_token=trade.base_token,
            coinbase_payment_wei=one.coinbase_payment_wei,
            net_profit_wei=net_profit_wei(before, after),
            latency_ns=submitted.latency_ns,
        )
