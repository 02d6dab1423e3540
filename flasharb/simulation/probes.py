"""The trials of pools that only a trial can vouch for, by protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

from flasharb.evm import BlockContext, Fork, MissingState, StateSource
from flasharb.pools.spec import PoolSpec
from flasharb.pools.vault_shares import pool as vault_shares
from flasharb.pools.wrapped_steth import pool as wrapped_steth
from flasharb.pools.wrapped_steth.pool import WrappedFacts
from flasharb.simulation.vault_probe import probe_vault
from flasharb.simulation.wrapped_probe import probe_wrapped
from flasharb.units import Address, checksum

Probe: TypeAlias = Callable[
    [PoolSpec, Address, StateSource, BlockContext, Fork],
    PoolSpec | str | MissingState,
]


def _vault(
    spec: PoolSpec, actor: Address, source: StateSource, context: BlockContext, fork: Fork
) -> PoolSpec | str | MissingState:
    found = probe_vault(spec.address, actor, source, context, fork)
    if isinstance(found, str | MissingState):
        return found
    if found.asset != spec.tokens[vault_shares.ASSET]:
        return f"its asset is {checksum(found.asset)}, not {checksum(spec.tokens[vault_shares.ASSET])}"
    return vault_shares.spec_of(found)


def _wrapped(
    spec: PoolSpec, actor: Address, source: StateSource, context: BlockContext, fork: Fork
) -> PoolSpec | str | MissingState:
    facts = WrappedFacts(*spec.tokens)
    refused = probe_wrapped(facts, actor, source, context, fork)
    return replace(spec, facts=facts) if refused is None else refused


PROBES: Final[Mapping[str, Probe]] = {vault_shares.PROTOCOL: _vault, wrapped_steth.PROTOCOL: _wrapped}
"""The spec with what was found out as its facts, or why it is not modelled, or the state that the trial lacks."""
