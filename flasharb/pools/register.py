"""Where pools from all sources meet: each is vouched for before it is taken, and what is refused has a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from flasharb.pools.creation import Claim, Creation, FactoryLog, Listing, Told
from flasharb.pools.identify import identify
from flasharb.pools.protocols import PROTOCOLS, Deployment, check_address
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import Refused as NotTraded
from flasharb.units import Address, checksum


class Refusal(StrEnum):
    """Why a pool is not taken."""

    DUPLICATE = "duplicate"
    """It was named before, in the same way."""
    CONTRADICTION = "contradiction"
    """Its address was named before, as another pool."""
    IMPOSTOR = "impostor"
    """No factory that is known creates it at that address."""
    UNWRITABLE = "unwritable"
    """It is one, and its protocol does not say how its facts stand in a pool file."""
    UNKNOWN_CODE = "unknown_code"
    """A known factory or registry names it, and its code is none whose mathematics is known here."""
    NOT_TRADED = "not_traded"
    """It is of a known kind, and something about it is not modelled, or not known."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A pool that was not taken: ``source`` named it."""

    pool: Address
    refusal: Refusal
    detail: str
    source: str

    def __str__(self) -> str:
        return f"{checksum(self.pool)} ({self.source}): {self.refusal}: {self.detail}"


def creators(chain_id: int, deployments: Mapping[str, Deployment]) -> list[tuple[str, Address, Creation]]:
    """Who tells of new pools on a chain: protocol, emitting contract, and the log."""
    found = []
    for name, protocol in PROTOCOLS.items():
        deployment = deployments.get(name)
        factory = () if deployment is None else (deployment.factory,)
        for creation in protocol.creations:
            emitters = dict.fromkeys((*factory, *creation.emitters.get(chain_id, ())))
            found += [(name, emitter, creation) for emitter in emitters]
    return found


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

    def offer_for_file(self, spec: PoolSpec, source: str) -> Refused | None:
        """The same for a pool that is to be written to a pool file."""
        if spec.facts is not None and PROTOCOLS[spec.protocol].write_facts is None and spec.address not in self.specs:
            detail = f"list this {spec.protocol} pool by hand, with its facts"
            return self._refuse(spec.address, Refusal.UNWRITABLE, detail, source)
        return self.offer(spec, source)

    def unknown(self, pool: Address, source: str, detail: str) -> Refused:
        """Note a pool that somebody named and that no factory creates for the tokens it is said to have."""
        return self._refuse(pool, Refusal.IMPOSTOR, detail, source)

    def not_traded(self, pool: Address, source: str, detail: str) -> Refused:
        """Note a pool of a known kind about which something is not modelled, or not known."""
        return self._refuse(pool, Refusal.NOT_TRADED, detail, source)

    def created(self, log: FactoryLog) -> Refused | Claim | Listing | None:
        """Take the pool that a factory's log tells of; logs that tell of none are let pass.

        Where the log does not say all of it, the answer is how to find out; see ``told``.
        """
        for name, emitter, creation in creators(self.chain_id, self.deployments):
            if emitter != log.emitter or not creation.fits(log):
                continue
            source = f"{name} factory, block {log.block_number}"
            try:
                found = creation.read(name, log, self.chain_id)
            except ValueError as error:
                return self.unknown(log.emitter, source, f"a log of its factory: {error}")
            if isinstance(found, Claim | Listing):
                return replace(found, source=source)
            if found is not None:
                return self.offer_for_file(found, source)
        return None

    def told(self, claim: Claim, told: Told) -> Refused | None:
        """Take a pool that was only named, now that it is known what it is."""
        if told is None:
            detail = "its code is none whose mathematics is known here"
            return self._refuse(claim.pool, Refusal.UNKNOWN_CODE, detail, claim.source)
        if isinstance(told, NotTraded):
            return self.not_traded(claim.pool, claim.source, told.reason)
        return self.offer_for_file(told, claim.source)

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
