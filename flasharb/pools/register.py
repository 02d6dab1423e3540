"""Where pools from all sources meet: each is vouched for before it is taken, and what is refused has a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from flasharb.pools.creation import FactoryLog
from flasharb.pools.identify import identify
from flasharb.pools.protocols import PROTOCOLS, Deployment, check_address
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address, checksum


class Refusal(StrEnum):
    """Why a pool is not taken."""

    DUPLICATE = "duplicate"
    """It was named before, in the same way."""
    CONTRADICTION = "contradiction"
    """Its address was named before, as another pool."""
    IMPOSTOR = "impostor"
    """No factory that is known creates it at that address."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A pool that was not taken: ``source`` named it."""

    pool: Address
    refusal: Refusal
    detail: str
    source: str

    def __str__(self) -> str:
        return f"{checksum(self.pool)} ({self.source}): {self.refusal}: {self.detail}"


@dataclass(slots=True)
class Register:
    """The pools of one chain, each address once. ``deployments`` are the factories that vouch."""

    chain_id: int
    deployments: Mapping[str, Deployment]
    specs: dict[Address, PoolSpec] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """Refusals by kind; duplicates too, which need no line each."""

    def offer(self, spec: PoolSpec, source: str) -> Refused | None:
        """Take a pool, or say why not."""
        known = self.specs.get(spec.address)
        if known == spec:
            return self._refuse(spec.address, Refusal.DUPLICATE, "listed already", source)
        if known is not None:
            detail = f"it is the {known.protocol} pool of {' and '.join(map(checksum, known.tokens))}"
            return self._refuse(spec.address, Refusal.CONTRADICTION, detail, source)
        reason = check_address(spec, self.chain_id, {self.chain_id: self.deployments})
        if reason is not None:
            return self._refuse(spec.address, Refusal.IMPOSTOR, reason, source)
        self.specs[spec.address] = spec
        return None

    def unknown(self, pool: Address, source: str, detail: str) -> Refused:
        """Note a pool that somebody named and that no factory creates for the tokens it is said to have."""
        return self._refuse(pool, Refusal.IMPOSTOR, detail, source)

    def created(self, log: FactoryLog) -> Refused | None:
        """Take the pool that a factory's log tells of; logs that tell of none are let pass."""
        for name, deployment in self.deployments.items():
            creation = PROTOCOLS[name].creation
            if creation is None or deployment.factory != log.emitter or not creation.fits(log):
                continue
            source = f"{name} factory, block {log.block_number}"
            try:
                spec = creation.read(name, log)
            except ValueError as error:
                return self.unknown(log.emitter, source, f"a log of its factory: {error}")
            if spec is not None:
                return self.offer(spec, source)
        return None

    def named(self, pool: Address, tokens: tuple[Address, Address], source: str) -> Refused | None:
        """Take a pool of which only the tokens are told."""
        spec = identify(pool, tokens, self.deployments)
        if spec is None:
            pair = " and ".join(map(checksum, tokens))
            return self.unknown(pool, source, f"no factory that we know creates a pool of {pair} there")
        return self.offer(spec, source)

    def _refuse(self, pool: Address, refusal: Refusal, detail: str, source: str) -> Refused:
        refused = Refused(pool, refusal, detail, source)
        self.counts[refusal.value] += 1
        if refusal is not Refusal.DUPLICATE:
            self.refused.append(refused)
        return refused
