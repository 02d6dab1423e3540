"""Simulations on the chain's state, with the node behind the workers.

A worker answers what state it lacks; that is fetched in one batch and the request runs again, until it has everything.
What the last simulations read is fetched beforehand: at each new head, before there are candidates, for the newest of
them; before a simulation for the last ones through the same pools, or for pools that were never simulated what the
node's own access list names; so that usually the first run is the last. Several of the last simulations, not one,
because the two directions through a pool read different slots (measured: every fourth run lacked just such one).

What a block's state is known to be is never taken for the next block's, except code that cannot change. Logs would not
tell what did: storage changes without any. So the places that matter are read again, all in one batch.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import trio

from flasharb.adapters.chain import accessed
from flasharb.adapters.node import Node, RpcError
from flasharb.adapters.node_opinion import node_opinion
from flasharb.adapters.proven import ProvenReader, anchor
from flasharb.adapters.readers import NodeReader, StateReader
from flasharb.errors import NodeError, StateDisproved, StateUnavailable
from flasharb.evm import BlockContext, Fork, MissingState, UnsignedTransaction
from flasharb.feed.events import BlockHeader
from flasharb.pools.spec import PoolSpec
from flasharb.service.conflated import Conflated
from flasharb.service.facts import CodeFact, FactLog
from flasharb.service.frames import Exhausted
from flasharb.service.requests import Invalid, OverGas, Probed, ProbeRequest, Request, TokenRequest
from flasharb.service.workers import Died, Overrun, Workers
from flasharb.settings import Simulation as Settings
from flasharb.simulation.discovery import named_by
from flasharb.simulation.opinion import DIFFERS, Case, Opinion, Unable, Unconfirmed, unconfirmed
from flasharb.simulation.result import Simulation
from flasharb.simulation.token_check import Parties, Verdict
from flasharb.units import Address, Hash32

LOG: Final = logging.getLogger(__name__)

MAX_ROUNDS: Final = 512
"""Round trips for one simulation; a contract that always asks for more is no candidate."""
KEPT_BLOCKS: Final = 2
REMEMBERED_POOLS: Final = 4096
REMEMBERED_RUNS: Final = 4
"""Simulations remembered for each pool."""
WARM_RUNS: Final = 16
"""The newest simulations, whose places are read again at each new head."""
KEPT_CODES: Final = 4096
"""Codes that a worker holds before it starts anew (at most 24 kB each)."""
KEPT_LACKING: Final = 1024
"""Places kept of what the trials of one pool have read; most read some dozens."""
UNKNOWN_METHOD: Final = frozenset({-32601, -32600})
STATE_DISPROVED: Final = "state_disproved"

Touched = Mapping[Address, frozenset[int]]


@dataclass(frozen=True, slots=True)
class Unsimulated:
    """Why a simulation gave no result; ``reason`` is a fixed word."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Head:
    """The block on top of which is simulated; ``fork`` are the rules of the block after it.

    ``parent``: the hash of the block before, None where it does not matter.
    """

    hash: Hash32
    number: int
    fork: Fork
    parent: Hash32 | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """Transactions on top of a head. ``route``: its pools, which tell what earlier simulations were alike.

    ``final``: what is simulated is what would be signed, so that the second opinion is asked.
    """

    head: Head
    context: BlockContext
    transactions: Sequence[bytes | UnsignedTransaction]
    measure: tuple[tuple[Address, Address], ...]
    route: tuple[Address, ...]
    final: bool = False


@dataclass(frozen=True, slots=True)
class TokenTrial:
    """A token to be tried out on top of a head."""

    head: Head
    context: BlockContext
    token: Address
    parties: Parties


@dataclass(frozen=True, slots=True)
class PoolTrial:
    """A pool to be tried out on top of a head, ``actor`` being who trades in it."""

    head: Head
    context: BlockContext
    spec: PoolSpec
    actor: Address


Work = Job | TokenTrial | PoolTrial


@dataclass(slots=True)
class _Known:
    """What is known of the state at the end of one block."""

    head: Head
    kept_codes: Mapping[bytes, bytes]
    log: FactLog = field(default_factory=FactLog)
    fetching: trio.Lock = field(default_factory=trio.Lock)
    reader: StateReader | None = None


class Simulator:
    """Simulates jobs; safe for several at once."""

    def __init__(self, workers: Workers, node: Node, settings: Settings) -> None:
        self._workers = workers
        self._node = node
        self._settings = settings
        self._blocks: OrderedDict[Hash32, _Known] = OrderedDict()
        self._touched: OrderedDict[Address, deque[Touched]] = OrderedDict()
        self._latest: deque[Touched] = deque(maxlen=WARM_RUNS)
        self._lacked: dict[Address, MissingState] = {}
        self._codes: dict[bytes, bytes] = {}
        self._node_lists_access = True
        self._half_noted = False
        self.rounds = 0
        """Round trips to the node so far."""

    async def follow(self, heads: Conflated[BlockHeader], head_of: Callable[[BlockHeader], Head]) -> None:
        """Read at each new head what the newest simulations read, until there are no more heads."""
        async for header in heads:
            try:
                await self.warm(head_of(header))
            except (NodeError, StateUnavailable, StateDisproved, ValueError) as error:
                # Whoever needs the state asks again, and is told.
                LOG.debug("state of block %d is not there beforehand: %s", header.number, error)

    async def warm(self, head: Head) -> None:
        """Read in one batch what the newest simulations read.

        Raises:
            NodeError: the node does not give the state.
            StateDisproved: the state that it gives is wrong.
        """
        await self._fetch_unknown(self._block(head), _places(self._latest))

    async def simulate(self, job: Job) -> Simulation | Unsimulated:
        """Run a job to its end.

        Raises:
            NodeError: the node does not give the state.
            WorkerBug: our own code failed.
        """
        answer = await self._answered(job)
        assert isinstance(answer, Simulation | Unsimulated)
        if isinstance(answer, Simulation):
            self._remember(job.route, answer.touched)
            if job.final and self._settings.second_opinion == "node":
                case = Case(job.transactions[-1], job.context, job.head.fork, {}, job.measure)
                opinion = await node_opinion(self._node, job.head.hash, case)
                self._note_half(opinion)
                objection = unconfirmed(answer.transactions[-1], case, opinion)
                if objection is not None:
                    return _objected(objection)
        return answer

    async def check_token(self, trial: TokenTrial) -> Verdict | Unsimulated:
        """Try a token out.

        Raises:
            NodeError: the node does not give the state.
            WorkerBug: our own code failed.
        """
        answer = await self._answered(trial)
        assert isinstance(answer, Verdict | Unsimulated)
        return answer

    async def probe(self, trial: PoolTrial) -> Probed | Unsimulated:
        """Try a pool out. What its last trial read is read beforehand, in one batch.

        Raises:
            NodeError: the node does not give the state.
            WorkerBug: our own code failed.
        """
        answer = await self._answered(trial)
        assert isinstance(answer, Probed | Unsimulated)
        return answer

    async def _answered(self, job: Work) -> Simulation | Verdict | Probed | Unsimulated:
        """Ask workers until nothing is lacking."""
        known = self._block(job.head)
        try:
            if isinstance(job, Job):
                await self._prefetch(job, known)
            elif isinstance(job, PoolTrial) and job.spec.address in self._lacked:
                await self._fetch_unknown(known, self._lacked[job.spec.address])
            for _ in range(MAX_ROUNDS):
                answer = await self._workers.call(lambda memory: self._request(job, known, memory))
                if isinstance(answer, MissingState):
                    if isinstance(job, PoolTrial):
                        self._note_lacking(job.spec.address, answer)
                    await self._fetch(answer, known)
                    continue
                return self._concluded(answer)
        except StateDisproved as disproved:
            LOG.error("STATE DISPROVED, nothing is signed on it: %s", disproved)
            return Unsimulated(STATE_DISPROVED, str(disproved))
        return Unsimulated("simulation_endless", f"still lacks state after {MAX_ROUNDS} round trips")

    def _note_lacking(self, pool: Address, lacking: MissingState) -> None:
        """Keep what a pool's trials read; where that is other places in each block, begin anew now and then."""
        before = self._lacked.get(pool)
        places = lacking if before is None else before | lacking
        many = len(places.accounts) + len(places.slots) > KEPT_LACKING
        self._lacked[pool] = lacking if many else places

    def _concluded(self, answer: Any) -> Simulation | Verdict | Probed | Unsimulated:
        match answer:
            case Simulation() | Verdict() | Probed():
                return answer
            case Unconfirmed():
                return _objected(answer)
            case Invalid(reason):
                return Unsimulated("invalid_transaction", reason)
            case OverGas(wanted, budget):
                return Unsimulated("over_gas_budget", f"asks for {wanted} gas, simulation.gas_limit is {budget}")
            case Overrun(budget_s):
                return Unsimulated("simulation_overrun", f"more than {budget_s:g} s")
            case Exhausted(what):
                return Unsimulated("simulation_exhausted", f"its worker ran out of {what}")
            case Died(status):
                return Unsimulated("simulation_died", f"its worker ended with status {status}")
        raise AssertionError(answer)

    def _note_half(self, opinion: Opinion | Unable) -> None:
        """Say once that the node cannot tell all that should be compared."""
        if isinstance(opinion, Opinion) and opinion.changes is None and not self._half_noted:
            self._half_noted = True
            LOG.warning("%s has no eth_simulateV1: it confirms success and output only", opinion.engine)

    def _request(self, job: Work, known: _Known, memory: dict[Any, Any]) -> Request | TokenRequest | ProbeRequest:
        """The request for a worker of which ``memory`` says what it has been told."""
        anew = len(memory.get("codes", ())) > KEPT_CODES
        if anew:
            memory.clear()
        told_codes: set[bytes] = memory.setdefault("codes", set())
        told: dict[Hash32, int] = memory.setdefault("facts", {})
        for block in [one for one in told if one not in self._blocks]:
            del told[block]
        facts = known.log.since(told.get(job.head.hash, 0))
        new = [fact for fact in facts if not (isinstance(fact, CodeFact) and fact.hash in told_codes)]
        told_codes.update(fact.hash for fact in new if isinstance(fact, CodeFact))
        told[job.head.hash] = len(known.log)
        if isinstance(job, TokenTrial):
            return TokenRequest(job.head.hash, new, job.context, job.head.fork, job.token, job.parties, anew)
        if isinstance(job, PoolTrial):
            return ProbeRequest(job.head.hash, new, job.context, job.head.fork, job.spec, job.actor, anew)
        return Request(
            parent=job.head.hash,
            facts=new,
            context=job.context,
            fork=job.head.fork,
            transactions=job.transactions,
            measure=job.measure,
            gas_budget=self._settings.gas_limit,
            anew=anew,
            ask_revm=job.final and self._settings.second_opinion == "revm",
        )

    def _block(self, head: Head) -> _Known:
        known = self._blocks.get(head.hash)
        if known is None:
            before = None if head.parent is None else self._blocks.get(head.parent)
            lasting = before is not None and before.head.fork.since(Fork.CANCUN)
            kept = before.log.lasting_codes() if before is not None and lasting else {}
            known = self._blocks[head.hash] = _Known(head, kept)
            while len(self._blocks) > KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        return known

    async def _prefetch(self, job: Job, known: _Known) -> None:
        """Everything that this simulation will probably read, in one batch."""
        alike = [run for pool in job.route for run in self._touched.get(pool, ())]
        places = _places([*list(self._latest)[-1:], *alike])
        if any(pool not in self._touched for pool in job.route):
            places |= await self._accessed(job)
        await self._fetch_unknown(known, places)

    async def _accessed(self, job: Job) -> MissingState:
        """What the node itself finds that an unknown route uses; nothing where it does not offer that."""
        found = named_by(job.transactions, job.context)
        if not self._node_lists_access:
            return found
        for transaction in job.transactions:
            if isinstance(transaction, bytes) or not transaction.to:
                continue
            sender, to = Address(transaction.sender), Address(transaction.to)
            try:
                accounts, slots = await accessed(self._node, sender, to, transaction.data, job.head.number)
            except RpcError as error:
                self._node_lists_access = error.failure.code not in UNKNOWN_METHOD
                continue
            found |= MissingState(accounts=accounts, slots=slots)
        return found

    async def _fetch_unknown(self, known: _Known, places: MissingState) -> None:
        # One after the other: a block's trades need mostly the same, and nothing shall be asked for twice.
        async with known.fetching:
            accounts, slots = places.accounts - known.log.accounts, places.slots - known.log.slots
            if accounts or slots:
                await self._fetch(MissingState(accounts=accounts, slots=slots), known)

    async def _fetch(self, missing: MissingState, known: _Known) -> None:
        self.rounds += 1
        if known.reader is None:
            known.reader = await self._reader(known)
        await known.reader.fetch(missing, known.log)

    async def _reader(self, known: _Known) -> StateReader:
        if not self._settings.verify_state:
            return NodeReader(self._node, known.head.hash, known.kept_codes)
        if len(self._codes) > KEPT_CODES:
            self._codes.clear()
        return ProvenReader(self._node, await anchor(self._node, known.head.hash), self._codes)

    def _remember(self, route: tuple[Address, ...], touched: Touched) -> None:
        self._latest.append(touched)
        for pool in route:
            self._touched.setdefault(pool, deque(maxlen=REMEMBERED_RUNS)).append(touched)
            self._touched.move_to_end(pool)
        while len(self._touched) > REMEMBERED_POOLS:
            self._touched.popitem(last=False)


def _places(runs: Iterable[Touched]) -> MissingState:
    accounts: set[bytes] = set()
    slots: set[tuple[bytes, int]] = set()
    for touched in runs:
        for address, read in touched.items():
            accounts.add(address)
            slots.update((address, slot) for slot in read)
    return MissingState(accounts=accounts, slots=slots)


def _objected(objection: Unconfirmed) -> Unsimulated:
    level = logging.ERROR if objection.reason == DIFFERS else logging.WARNING
    LOG.log(level, "%s, the candidate is not signed: %s", objection.reason, objection.detail)
    return Unsimulated(objection.reason, objection.detail)
