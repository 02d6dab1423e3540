"""Pools that only a trial vouches for (ERC-4626 vaults, wstETH): tried out at every head, FlashArb being who trades.

Nothing that was found out is taken for granted in the next block: a vault behind a proxy may be another one then, may
pause, or charge a fee. What a trial finds goes into the spec, from where the updater's next reading takes it: the facts
that a pool is computed with, or the reason why it is not. A trial that could not be made is such a reason too. Between
a trial and the trade there is still the simulation of the trade itself.

One trial at a time, beside the block's trades: what is late by a block is the admission, never the state.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import replace
from typing import Protocol

from flasharb.errors import NodeError, StateUnavailable
from flasharb.evm import BlockContext
from flasharb.feed.events import BlockHeader
from flasharb.pools.protocols import probed_among
from flasharb.pools.spec import PoolSpec
from flasharb.pools.untried import Untried
from flasharb.service.conflated import Conflated
from flasharb.service.requests import Probed
from flasharb.service.simulator import Head, PoolTrial, Unsimulated
from flasharb.units import Address, checksum


class Probes(Protocol):
    """``service.simulator.Simulator``."""

    async def probe(self, trial: PoolTrial) -> Probed | Unsimulated: ...


class Probing:
    """Keeps the probed pools among ``specs`` at what their last trial found; ``report`` hears of every change."""

    def __init__(
        self, probes: Probes, specs: MutableMapping[Address, PoolSpec], actor: Address, report: Callable[[str], None]
    ) -> None:
        self._probes = probes
        self._specs = specs
        self._probed = probed_among(specs.values())
        self._actor = actor
        self._report = report

    async def follow(
        self, heads: Conflated[BlockHeader], place: Callable[[BlockHeader], tuple[Head, BlockContext]]
    ) -> None:
        """Try out all of them at each new head, until there are no more heads."""
        async for header in heads:
            try:
                head, context = place(header)
            except ValueError as error:
                self._withdraw(f"not probed: {error}")
            else:
                await self.look(head, context)

    async def look(self, head: Head, context: BlockContext) -> None:
        """Try out all of them on top of one head."""
        for at in self._probed:
            spec = self._specs[at]
            self._note(spec, await self._found(PoolTrial(head, context, spec, self._actor)))

    def _withdraw(self, reason: str) -> None:
        for at in self._probed:
            self._note(self._specs[at], reason)

    async def _found(self, trial: PoolTrial) -> PoolSpec | str:
        try:
            answer = await self._probes.probe(trial)
        except (NodeError, StateUnavailable) as error:
            return f"not probed: {error}"
        if isinstance(answer, Unsimulated):
            return f"not probed: {answer.reason}, {answer.detail}"
        return answer.found

    def _note(self, before: PoolSpec, found: PoolSpec | str) -> None:
        after = replace(before, facts=Untried(found)) if isinstance(found, str) else found
        if after == before:
            return
        self._specs[before.address] = after
        told = f"refused: {found}" if isinstance(found, str) else "its trial is passed"
        self._report(f"{checksum(before.address)}: {before.protocol}, {told}")
