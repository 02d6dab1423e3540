"""Simulations on the chain's state, with the node behind the workers.

A worker answers what state it lacks; that is fetched in one batch and the request runs again, until it has everything.
What the last simulations through the same pools read is fetched beforehand, or for pools that were never simulated
what the node's own access list names, so that usually the first run is the last. Several of the last simulations, not
one, because the two directions through a pool read different slots (measured: every fourth run lacked just such one).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import trio

from flasharb.adapters.chain import accessed
from flasharb.adapters.node import Node, RpcError
from flasharb.adapters.state import fetch_missing
from flasharb.evm import BlockContext, Fork, MissingState, UnsignedTransaction
from flasharb.service.facts import Fact, FactLog
from flasharb.service.requests import Invalid, Request, TokenRequest
from flasharb.service.workers import Died, Overrun, Workers
from flasharb.simulation.discovery import named_by
from flasharb.simulation.result import Simulation
from flasharb.simulation.token_check import Parties, Verdict
from flasharb.units import Address, Hash32

MAX_ROUNDS: Final = 512
"""Round trips for one simulation; a contract that always asks for more is no candidate."""
KEPT_BLOCKS: Final = 2
REMEMBERED_POOLS: Final = 4096
REMEMBERED_RUNS: Final = 4
"""Simulations remembered for each pool."""
UNKNOWN_METHOD: Final = frozenset({-32601, -32600})


@dataclass(frozen=True, slots=True)
class Unsimulated:
    """Why a simulation gave no result; ``reason`` is a fixed word."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Job:
    """Transactions on top of block ``parent``. ``route``: its pools, which tell what earlier simulations were alike."""

    parent: Hash32
    parent_number: int
    context: BlockContext
    fork: Fork
    transactions: Sequence[bytes | UnsignedTransaction]
    measure: tuple[tuple[Address, Address], ...]
    route: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class TokenTrial:
    """A token to be tried out on top of block ``parent``."""

    parent: Hash32
    parent_number: int
    context: BlockContext
    fork: Fork
    token: Address
    parties: Parties


class Simulator:
    """Simulates jobs; safe for several at once."""

    def __init__(self, workers: Workers, node: Node) -> None:
        self._workers = workers
        self._node = node
        self._logs: OrderedDict[Hash32, FactLog] = OrderedDict()
        self._touched: OrderedDict[Address, deque[Mapping[Address, frozenset[int]]]] = OrderedDict()
        self._latest: Mapping[Address, frozenset[int]] = {}
        self._node_lists_access = True
        self._prefetching = trio.Lock()
        self.rounds = 0
        """Round trips to the node so far."""

    async def simulate(self, job: Job) -> Simulation | Unsimulated:
        """Run a job to its end.

        Raises:
            NodeError: the node does not give the state.
            WorkerBug: our own code failed.
        """
        log = self._log(job.parent)
        await self._prefetch(job, log)
        answer = await self._answered(
            job,
            log,
            lambda facts: Request(job.parent, facts, job.context, job.fork, job.transactions, job.measure),
        )
        if isinstance(answer, Simulation):
            self._remember(job.route, answer.touched)
        assert not isinstance(answer, Verdict)
        return answer

    async def check_token(self, trial: TokenTrial) -> Verdict | Unsimulated:
        """Try a token out.

        Raises:
            NodeError: the node does not give the state.
            WorkerBug: our own code failed.
        """
        answer = await self._answered(
            trial,
            self._log(trial.parent),
            lambda facts: TokenRequest(trial.parent, facts, trial.context, trial.fork, trial.token, trial.parties),
        )
        assert not isinstance(answer, Simulation)
        return answer

    async def _answered(
        self, job: Job | TokenTrial, log: FactLog, request: Callable[[Sequence[Fact]], Request | TokenRequest]
    ) -> Simulation | Verdict | Unsimulated:
        """Ask a worker until it lacks nothing; ``request`` is built around the facts that the worker has not seen."""
        for _ in range(MAX_ROUNDS):
            answer = await self._workers.call(lambda memory: request(self._news(job.parent, log, memory)))
            match answer:
                case Simulation() | Verdict():
                    return answer
                case MissingState():
                    await self._fetch(answer, job, log)
                case Invalid():
                    return Unsimulated("invalid_transaction", answer.reason)
                case Overrun():
                    return Unsimulated("simulation_overrun", f"more than {answer.budget_s:g} s")
                case Died():
                    return Unsimulated("simulation_died", f"its worker ended with status {answer.status}")
        return Unsimulated("simulation_endless", f"still lacks state after {MAX_ROUNDS} round trips")

    def _news(self, parent: Hash32, log: FactLog, memory: dict[Any, Any]) -> Sequence[Fact]:
        """The facts for a worker that has been sent ``memory[parent]`` of this block so far."""
        known = memory.get(parent, 0)
        for other in [one for one in memory if one not in self._logs]:
            del memory[other]
        memory[parent] = len(log)
        return log.since(known)

    def _log(self, parent: Hash32) -> FactLog:
        log = self._logs.get(parent)
        if log is None:
            log = self._logs[parent] = FactLog()
            while len(self._logs) > KEPT_BLOCKS:
                self._logs.popitem(last=False)
        return log

    async def _prefetch(self, job: Job, log: FactLog) -> None:
        """Everything that this simulation will probably read, in one batch."""
        accounts: set[bytes] = set()
        slots: set[tuple[bytes, int]] = set()
        for touched in [self._latest, *(run for pool in job.route for run in self._touched.get(pool, ()))]:
            for address, read in touched.items():
                accounts.add(address)
                slots.update((address, slot) for slot in read)
        if any(pool not in self._touched for pool in job.route):
            found = await self._accessed(job)
            accounts |= found.accounts
            slots |= found.slots
        # One after the other: a block's trades need mostly the same, and nothing shall be asked for twice.
        async with self._prefetching:
            accounts -= log.accounts
            slots -= log.slots
            if accounts or slots:
                await self._fetch(MissingState(accounts=accounts, slots=slots), job, log)

    async def _accessed(self, job: Job) -> MissingState:
        """What the node itself finds that an unknown route uses; nothing where it does not offer that."""
        named = named_by(job.transactions, job.context)
        if not self._node_lists_access:
            return named
        accounts, slots = set(named.accounts), set(named.slots)
        for transaction in job.transactions:
            if isinstance(transaction, bytes) or not transaction.to:
                continue
            sender, to = Address(transaction.sender), Address(transaction.to)
            try:
                found = await accessed(self._node, sender, to, transaction.data, job.parent_number)
            except RpcError as error:
                self._node_lists_access = error.failure.code not in UNKNOWN_METHOD
                continue
            accounts |= found[0]
            slots |= found[1]
        return MissingState(accounts=accounts, slots=slots)

    async def _fetch(self, missing: MissingState, job: Job | TokenTrial, log: FactLog) -> None:
        self.rounds += 1
        await fetch_missing(self._node, missing, job.parent_number, log)

    def _remember(self, route: tuple[Address, ...], touched: Mapping[Address, frozenset[int]]) -> None:
        self._latest = touched
        for pool in route:
            self._touched.setdefault(pool, deque(maxlen=REMEMBERED_RUNS)).append(touched)
            self._touched.move_to_end(pool)
        while len(self._touched) > REMEMBERED_POOLS:
            self._touched.popitem(last=False)
