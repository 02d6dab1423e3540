"""From candidates to bundles. A block's trades run at once under one cancel scope that ends with the slot.

Each trade: a first simulation without a bid shows profit and gas, these give the terms, the transaction on those terms
is simulated exactly as it would be sent, the limits are looked at, the intent is on the disk, and only then is it
signed and sent. A newer block makes the older candidates worthless and cancels them; what has been journaled goes out
whatever happens. Every trade ends in exactly one outcome here, or is handed to the tracker, which ends it.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Protocol

import trio

from flasharb.adapters.records import intent_record
from flasharb.errors import NodeError, StateUnavailable
from flasharb.evm import BlockContext, Fork
from flasharb.execution.bundle import Bundle
from flasharb.execution.draft import Place, draft, probe
from flasharb.execution.fees import base_fee_bound
from flasharb.execution.limits import NOT_LIVE, ChainFacts, Intent, Limits, check_public, check_send
from flasharb.execution.nonce import NoLease, Nonces
from flasharb.execution.outcome import DryRun, FinalOutcome, Missed, Reverted, Submitted
from flasharb.execution.program import pick_loan
from flasharb.execution.replies import Refused, Reply
from flasharb.execution.signing import SignedTransaction, SigningKey, sign
from flasharb.execution.transaction import Transaction
from flasharb.feed.events import BlockHeader
from flasharb.market.prices import NoPrice
from flasharb.service.figures import Figures
from flasharb.service.messages import Candidates
from flasharb.service.reports import Report
from flasharb.service.simulator import Head, Job, Unsimulated
from flasharb.service.tracker import Sent
from flasharb.settings import Settings
from flasharb.simulation.candidate import measured, next_block, unsigned
from flasharb.simulation.result import Executed, Simulation
from flasharb.strategy.profit import gas_price_cap, least_net_profit_wei
from flasharb.strategy.terms import Terms, confirm, terms
from flasharb.strategy.trade import Rejected, Trade
from flasharb.units import Address, Hash32, hex0x

NS: Final = 10**9
TOO_LATE: Final = "too_late"
NO_LOAN: Final = "no_loan"
"""No pool of the route gives before it takes, and no lender that is known can be asked."""
"""The slot ended, or a newer block came, before the trade was ready."""
STATE_UNAVAILABLE: Final = "state_unavailable"
REFUSED: Final = "refused"
"""Every relay surely does not have the bundle."""


class Chain(Protocol):
    """What the executor asks the node."""

    async def nonce(self, header: BlockHeader) -> int:
        """The sender's nonce at the end of a block."""
        ...

    async def send_publicly(self, raw: bytes) -> None:
        """Hand a signed transaction to the node for the public mempool."""
        ...


class Simulates(Protocol):
    """``service.simulator.Simulator``."""

    async def simulate(self, job: Job) -> Simulation | Unsimulated: ...


class Sends(Protocol):
    """``adapters.relay.Relays``."""

    async def send(self, bundle: Bundle, deadline: float = math.inf) -> tuple[tuple[str, Reply], ...]: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Who acts. ``key`` None: nobody signs, everything ends as a dry run. ``relays`` None: nothing can be sent."""

    sender: Address
    contract: Address
    wrapped_native: Address
    key: SigningKey | None
    relays: Sends | None


@dataclass(frozen=True, slots=True)
class Ground:
    """What was found out about the chain at the start; ``devnet_genesis`` only where this run started the devnet."""

    chain_id: int
    genesis_hash: Hash32 | None
    devnet_genesis: Hash32
    live: bool
    fork: Callable[[int, int], Fork]


def on_top_of(header: BlockHeader, ground: Ground, slot_s: float) -> tuple[Head, BlockContext]:
    """Where candidates run: the block that is known, and the one to come.

    Raises:
        ValueError: its rules are not known.
    """
    context, fork = next_block(header, ground.chain_id, slot_s, ground.fork)
    return Head(header.hash, header.number, fork, header.parent_hash), context


@dataclass(slots=True)
class _Attempt:
    """One trade on its way."""

    trade: Trade
    block: Candidates
    place: Place
    loan: str | None


class Executor:
    """Takes candidates, gives outcomes; ``run`` ends when the candidates end and the last block's time is over."""

    def __init__(
        self,
        settings: Settings,
        identity: Identity,
        ground: Ground,
        chain: Chain,
        simulator: Simulates,
        figures: Figures,
        write: Callable[[str, Mapping[str, Any]], Awaitable[None]],
    ) -> None:
        """``write(event, fields)`` returns when the journal's line is on the disk."""
        self._settings = settings
        self._identity = identity
        self._ground = ground
        self._chain = chain
        self._simulator = simulator
        self._figures = figures
        self._write = write
        self._nonces = Nonces()

    async def run(
        self,
        candidates: trio.MemoryReceiveChannel[Candidates],
        reports: trio.MemorySendChannel[Report],
        sent: trio.MemorySendChannel[Sent],
    ) -> None:
        """Work until there are no more candidates."""
        current = trio.CancelScope()
        async with reports, sent, trio.open_nursery() as nursery:
            async for block in candidates:
                current.cancel()
                current = await nursery.start(self._block, block, reports, sent)

    async def _block(
        self,
        block: Candidates,
        reports: trio.MemorySendChannel[Report],
        sent: trio.MemorySendChannel[Sent],
        *,
        task_status: trio.TaskStatus[trio.CancelScope] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        undecided = {trade.id: trade for trade in block.trades}
        with trio.CancelScope(deadline=block.deadline) as scope:
            task_status.started(scope)
            try:
                nonce = await self._chain.nonce(block.header)
            except NodeError as error:
                await self._give_up(undecided, STATE_UNAVAILABLE, str(error), block, reports)
                return
            self._nonces, _ = self._nonces.at_head(block.header.number, block.header.hash).confirm(
                block.header.hash, nonce
            )
            async with trio.open_nursery() as nursery:
                for trade in block.trades:
                    nursery.start_soon(self._trade, self._attempt(trade, block, nonce), undecided, reports, sent)
        await self._give_up(undecided, TOO_LATE, "the slot ended or a newer block came", block, reports)

    async def _give_up(
        self,
        undecided: Mapping[int, Trade],
        reason: str,
        detail: str,
        block: Candidates,
        reports: trio.MemorySendChannel[Report],
    ) -> None:
        for trade in undecided.values():
            await reports.send(Rejected(trade.id, reason, detail, block.header.number))

    def _attempt(self, trade: Trade, block: Candidates, nonce: int) -> _Attempt:
        identity = self._identity
        place = Place(
            chain_id=self._ground.chain_id,
            nonce=nonce,
            contract=identity.contract,
            wrapped_native=identity.wrapped_native,
            deadline_block=block.header.number + self._settings.mev.target_blocks,
            base_fee_per_gas=block.costs.base_fee_per_gas,
        )
        return _Attempt(trade, block, place, pick_loan(trade, self._settings))

    async def _trade(
        self,
        attempt: _Attempt,
        undecided: dict[int, Trade],
        reports: trio.MemorySendChannel[Report],
        sent: trio.MemorySendChannel[Sent],
    ) -> None:
        try:
            prepared = await self._prepare(attempt)
        except (NodeError, StateUnavailable) as error:
            prepared = Rejected(attempt.trade.id, STATE_UNAVAILABLE, str(error), attempt.block.header.number)
        del undecided[attempt.trade.id]
        # From here on the trade has an owner who ends it: neither the slot's end nor a newer block takes it away.
        with trio.CancelScope(shield=True):
            if isinstance(prepared, _Prepared):
                await self._send(attempt, prepared, reports, sent)
            else:
                await reports.send(prepared)

    async def _prepare(self, attempt: _Attempt) -> _Prepared | FinalOutcome:
        """Simulate, agree on terms, simulate again, check the limits."""
        trade, block = attempt.trade, attempt.block
        if attempt.loan is None:
            detail = f"mev.loan_source {self._settings.mev.loan_source} has no loan that its pools can be run with"
            return Rejected(trade.id, NO_LOAN, detail, block.header.number)
        first = await self._simulate(attempt, probe(trade, attempt.place, attempt.loan, self._gas_limit))
        if not isinstance(first, Executed):
            return first
        self._figures.simulated += 1
        gain = measured(first, self._identity.contract, trade.base_token, 0)
        agreed = terms(trade, gain, block.costs, self._settings)
        if isinstance(agreed, Rejected):
            return agreed
        # Later target blocks may have a higher base fee; for the next block the bound is the fee itself.
        highest = base_fee_bound(block.costs.base_fee_per_gas, self._settings.mev.target_blocks - 1)
        max_fee = highest + agreed.max_priority_fee_per_gas
        transaction = draft(trade, attempt.place, attempt.loan, agreed, max_fee)
        second = await self._simulate(attempt, transaction, final=True)
        if not isinstance(second, Executed):
            return second
        gain = measured(second, self._identity.contract, trade.base_token, agreed.coinbase_wei)
        confirmed = confirm(trade, agreed, gain, block.costs, self._settings)
        if isinstance(confirmed, Rejected):
            return confirmed
        return self._check(attempt, _Prepared(transaction, confirmed, second, gain.gross_profit))

    @property
    def _gas_limit(self) -> int:
        return self._settings.simulation.gas_limit

    async def _simulate(
        self, attempt: _Attempt, transaction: Transaction, *, final: bool = False
    ) -> Executed | FinalOutcome:
        trade, header, identity = attempt.trade, attempt.block.header, self._identity
        head, context = on_top_of(header, self._ground, self._settings.chain.slot_s)
        job = Job(
            head=head,
            context=context,
            transactions=(unsigned(transaction, identity.sender),),
            measure=((identity.contract, trade.base_token),),
            route=tuple(one.hop.pool for one in trade.hops),
            final=final,
        )
        answer = await self._simulator.simulate(job)
        if isinstance(answer, Unsimulated):
            return Rejected(trade.id, answer.reason, answer.detail, header.number)
        (executed,) = answer.transactions
        if executed.status != 1:
            reason = executed.revert_reason or "no reason given"
            return Reverted(trade.id, context.number, reason, executed.gas_used, latency_ns=self._age(attempt))
        return executed

    def _check(self, attempt: _Attempt, prepared: _Prepared) -> _Prepared | FinalOutcome:
        """The limits, in the path of everything that is sent."""
        settings, ground, block = self._settings, self._ground, attempt.block
        least = least_net_profit_wei(block.costs, settings.strategy)
        limits = Limits(
            chain_id=settings.chain.id,
            live=ground.live,
            devnet_genesis=ground.devnet_genesis,
            max_fee_per_gas=gas_price_cap(settings.mev),
            min_net_profit_wei=None if isinstance(least, NoPrice) else least,
        )
        facts = ChainFacts(ground.chain_id, ground.genesis_hash, self._figures.head)
        intent = Intent(
            sender=self._identity.sender,
            transaction=prepared.transaction,
            target_block=block.header.number + 1,
            net_profit_wei=prepared.terms.net_profit_wei,
        )
        withheld = check_send(intent, limits, facts)
        if withheld is not None and withheld.reason != NOT_LIVE:
            return Rejected(attempt.trade.id, withheld.reason, withheld.detail, block.header.number)
        sends = self._identity.key is not None and self._identity.relays is not None
        if withheld is None and sends and settings.mev.use_flashbots:
            return prepared
        return self._dry_run(attempt, prepared)

    def _dry_run(self, attempt: _Attempt, prepared: _Prepared) -> DryRun:
        executed, agreed = prepared.executed, prepared.terms
        return DryRun(
            id=attempt.trade.id,
            block_number=attempt.block.header.number + 1,
            gas_used=executed.gas_used,
            effective_gas_price=executed.effective_gas_price,
            gross_profit=prepared.gross_profit,
            base_token=attempt.trade.base_token,
            bid_wei=agreed.bid_wei,
            net_profit_wei=agreed.net_profit_wei,
            latency_ns=self._age(attempt),
        )

    async def _send(
        self,
        attempt: _Attempt,
        prepared: _Prepared,
        reports: trio.MemorySendChannel[Report],
        sent: trio.MemorySendChannel[Sent],
    ) -> None:
        """Journal, sign, send, hand over to the tracker."""
        trade, identity = attempt.trade, self._identity
        assert identity.key is not None
        assert identity.relays is not None
        last = attempt.place.deadline_block
        leased = self._nonces.lease(last)
        if isinstance(leased, NoLease) or leased[1].nonce != prepared.transaction.nonce:
            detail = leased.detail if isinstance(leased, NoLease) else "a newer block came"
            await reports.send(Rejected(trade.id, TOO_LATE, detail, attempt.block.header.number))
            return
        self._nonces, _ = leased
        await self._write(
            "intent", intent_record(trade.id, prepared.transaction, prepared.terms, attempt.block.header.number + 1)
        )
        signed = sign(prepared.transaction, identity.key)
        targets = range(attempt.block.header.number + 1, last + 1)
        bundles = [Bundle((signed.raw,), target) for target in targets]
        latency_ns = self._age(attempt)
        self._figures.bus_to_bundle.add(latency_ns / NS)
        replies = await self._send_all(identity.relays, bundles, attempt.block.deadline)
        submitted = Submitted(
            id=trade.id,
            tx_hash=signed.hash,
            bundle_hash=bundles[0].hash,
            target_block=last,
            nonce=signed.nonce,
            bid_wei=prepared.terms.bid_wei,
            expected_net_profit_wei=prepared.terms.net_profit_wei,
            replies=replies,
            latency_ns=latency_ns,
        )
        await reports.send(submitted)
        if all(isinstance(reply, Refused) for _, reply in replies):
            not_public = await self._send_publicly(attempt, prepared, signed)
            if not_public is not None:
                words = [f"{relay}: {reply.detail}" for relay, reply in replies if isinstance(reply, Refused)]
                detail = "; ".join([*words, f"public: {not_public}"])
                missed = Missed(trade.id, signed.hash, submitted.bundle_hash, last, REFUSED, detail, latency_ns)
                await reports.send(missed)
                return
        await sent.send(
            Sent(submitted, trade, last, prepared.terms.coinbase_wei, prepared.executed.coinbase_payment_wei)
        )

    async def _send_publicly(self, attempt: _Attempt, prepared: _Prepared, signed: SignedTransaction) -> str | None:
        """Send what no relay took to the public mempool, if that is configured and bounded; else say why not.

        It is the same transaction with the same nonce, so at most one of all attempts can ever land, and its own guards
        (last block, least profit) hold there too: what it can lose is the gas of a revert.
        """
        mev, costs = self._settings.mev, attempt.block.costs
        bound = costs.prices.units(costs.wrapped_native, Decimal(str(mev.max_public_loss_usd)))
        withheld = check_public(
            allowed=mev.fallback_to_public,
            max_loss_wei=None if isinstance(bound, NoPrice) else int(bound),
            worst_loss_wei=prepared.transaction.gas_limit * prepared.transaction.max_fee_per_gas,
            private_may_land=False,
        )
        if withheld is not None:
            return f"{withheld.reason}, {withheld.detail}"
        await self._write("public", {"id": attempt.trade.id, "tx_hash": hex0x(signed.hash)})
        try:
            await self._chain.send_publicly(signed.raw)
        except NodeError as error:
            return str(error)
        return None

    async def _send_all(self, relays: Sends, bundles: list[Bundle], deadline: float) -> tuple[tuple[str, Reply], ...]:
        replies: list[tuple[str, Reply]] = []

        async def one(bundle: Bundle) -> None:
            replies.extend(await relays.send(bundle, deadline))

        async with trio.open_nursery() as nursery:
            for bundle in bundles:
                nursery.start_soon(one, bundle)
        return tuple(replies)

    def _age(self, attempt: _Attempt) -> int:
        return int((trio.current_time() - attempt.block.received_at) * NS)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A transaction that simulated well on its final terms."""

    transaction: Transaction
    terms: Terms
    executed: Executed
    gross_profit: int
