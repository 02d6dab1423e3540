"""Tokens are tried out before their first trade, and watched afterwards.

Stands between the executor and the simulator. A route with a token that does not move as it should is answered like a
simulation that could not be done, with the reason; the token goes into quarantine, where the search leaves its pools
out from then on. Base tokens are trusted: whoever configured them knows them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

import trio

from flasharb.adapters.quarantine import Quarantine
from flasharb.errors import OutsideError
from flasharb.market.quarantine import Quarantined
from flasharb.pools.protocols import holder_of
from flasharb.pools.spec import PoolSpec
from flasharb.service.simulator import Job, TokenTrial, Unsimulated
from flasharb.simulation.result import Simulation
from flasharb.simulation.suspicion import Suspicion
from flasharb.simulation.token_check import Parties, TokenFault, Verdict
from flasharb.units import ZERO_ADDRESS, Address, checksum

LOG: Final = logging.getLogger(__name__)

QUARANTINED: Final = "token_quarantined"
UNTRIED: Final = "token_untried"
"""The token could not be tried out: no pool of the route holds enough of it, or the trial itself failed."""
SIMULATIONS_FAIL: Final = "simulations_fail"


class Simulates(Protocol):
    """``service.simulator.Simulator``."""

    async def simulate(self, job: Job) -> Simulation | Unsimulated: ...
    async def check_token(self, trial: TokenTrial) -> Verdict | Unsimulated: ...


class Vetting:
    """A simulator that knows its tokens; safe for several at once.

    ``specs`` are the tracked pools, ``contract`` and ``owner`` ours, ``trusted`` the base tokens. ``report`` tells of a
    token that was quarantined.
    """

    def __init__(
        self,
        simulator: Simulates,
        quarantine: Quarantine,
        specs: Mapping[Address, PoolSpec],
        ours: tuple[Address, Address],
        trusted: Collection[Address],
        report: Callable[[str], None],
    ) -> None:
        self._simulator = simulator
        self._quarantine = quarantine
        self._specs = specs
        self._contract, self._owner = ours
        self._trusted = frozenset(trusted) | {ZERO_ADDRESS}
        self._report = report
        self._suspicion = Suspicion(self._trusted)
        self._passed: set[Address] = set()
        self._trying = trio.Lock()

    async def simulate(self, job: Job) -> Simulation | Unsimulated:
        """Run a job, if its tokens may be traded, and learn from what becomes of it.

        Raises:
            NodeError: the node does not give the state.
            WorkerBug: our own code failed.
        """
        refused = await self._refused(job)
        if refused is not None:
            return refused
        answer = await self._simulator.simulate(job)
        if isinstance(answer, Simulation):
            await self._learn(job, answer)
        return answer

    async def _refused(self, job: Job) -> Unsimulated | None:
        """Why the route may not be run: one of its tokens, tried out by one of its pools that hold it.

        A pool need not hold each of its tokens: a vault has none of its own shares, a Curve pool makes its LP token as
        it is bought. The next pool on the route holds that; and what only one pool of the route has stays where it is.
        """
        holders: dict[Address, list[PoolSpec]] = {}
        for pool in dict.fromkeys(job.route):
            for token in self._specs[pool].tokens:
                if token not in self._trusted and token not in self._passed:
                    holders.setdefault(token, []).append(self._specs[pool])
        for token, specs in holders.items():
            async with self._trying:
                refused = await self._try_out(token, specs, job)
            if refused is not None:
                return refused
        return None

    async def _try_out(self, token: Address, specs: list[PoolSpec], job: Job) -> Unsimulated | None:
        known = self._quarantine.tokens.get(token)
        if known is not None:
            return Unsimulated(QUARANTINED, f"{checksum(token)}: {known.reason}, {known.evidence}")
        if token in self._passed:
            return None
        missing = "no pool of the route holds it"
        for spec in specs:
            if holder_of(spec) == token:
                continue
            parties = Parties(holder_of(spec), self._contract, self._owner)
            trial = TokenTrial(job.head, job.context, token, parties)
            verdict = await self._simulator.check_token(trial)
            if isinstance(verdict, Unsimulated):
                return Unsimulated(UNTRIED, f"{checksum(token)}: {verdict.reason}, {verdict.detail}")
            if verdict.fault is None:
                self._passed.add(token)
                return None
            if verdict.fault is not TokenFault.NOT_HELD:
                await self._lock_away(token, Quarantined(verdict.fault, job.head.number, verdict.evidence))
                return Unsimulated(QUARANTINED, f"{checksum(token)}: {verdict.fault}, {verdict.evidence}")
            missing = verdict.evidence
        return Unsimulated(UNTRIED, f"{checksum(token)}: {missing}") if len(specs) > 1 else None

    async def _learn(self, job: Job, simulation: Simulation) -> None:
        tokens = {token for pool in job.route for token in self._specs[pool].tokens}
        for executed in simulation.transactions:
            if executed.status == 1:
                self._suspicion.passed(tokens)
                continue
            reason = executed.revert_reason or ""
            for token in self._suspicion.failed(reason, tokens) & tokens:
                self._passed.discard(token)
                found = Quarantined(SIMULATIONS_FAIL, job.head.number, f"the last simulation said: {reason}")
                await self._lock_away(token, found)

    async def _lock_away(self, token: Address, found: Quarantined) -> None:
        try:
            await trio.to_thread.run_sync(self._quarantine.add, token, found)
        except OutsideError as error:
            # It holds for this run all the same; the next one will find out again.
            LOG.error("%s", error)
        self._report(f"{checksum(token)}: {found.reason}, {found.evidence}")
