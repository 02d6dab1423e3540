"""Pools of the Vault as they are registered: nothing is taken from a file on trust.

A pool's facts are immutables in its code, so whoever loads a pool brings the code of the pool and of its Vault along:
both must be of a known version, and the pool's must say exactly what the facts say. The Vault's code also says until
when it can be paused; from then on its pause, which a recorded block need not hold, means nothing.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from flasharb.pools.balancer.code import VAULT, recognise, vault_pausable_until
from flasharb.pools.balancer.facts import Specialisation, WeightedFacts, specialisation
from flasharb.pools.balancer.stable import StablePool
from flasharb.pools.balancer.stable_facts import StableFacts
from flasharb.pools.balancer.storage import load_stable, load_weighted
from flasharb.pools.balancer.vault import PAUSED
from flasharb.pools.balancer.weighted import WeightedPool
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import Elsewhere, Needs, Refused, stored_spec
from flasharb.units import Address, Hash32, checksum

WEIGHTED: Final = "balancer_weighted"
STABLE: Final = "balancer_stable"

_recognise = lru_cache(1024)(recognise)
_pausable_until = lru_cache(8)(vault_pausable_until)


def facts_of(spec: PoolSpec) -> WeightedFacts | StableFacts:
    """The facts of a pool of the Vault."""
    assert isinstance(spec.facts, WeightedFacts | StableFacts)
    return spec.facts


def pool_id_of(spec: PoolSpec) -> Hash32:
    """What the Vault calls the pool."""
    return facts_of(spec).pool_id


def vault_of(spec: PoolSpec) -> Address:
    """Who holds the pool's tokens and emits its events."""
    return facts_of(spec).vault


def recognised(code: bytes, pool_id: Hash32, tokens: tuple[Address, ...], vault: Address = VAULT) -> PoolSpec | str:
    """The pool with this id, tokens and code, or why it is not one that is modelled."""
    facts = _recognise(code, tokens, vault)
    if isinstance(facts, str):
        return facts
    if facts.pool_id != pool_id:
        return f"its code names the pool 0x{facts.pool_id.hex()}"
    protocol = WEIGHTED if isinstance(facts, WeightedFacts) else STABLE
    told = stored_spec(lambda: PoolSpec(Address(pool_id[:20]), protocol, tokens, 0, facts=facts))
    return told.reason if isinstance(told, Refused) else told


def vouch(spec: PoolSpec, _chain_id: int) -> str | None:
    """Why the pool cannot be what its file says, as far as that shows without its code (see ``load``)."""
    facts = facts_of(spec)
    if facts.vault != VAULT:
        return f"{checksum(facts.vault)} is not Balancer's Vault"
    if spec.address != facts.pool_id[:20]:
        return f"{checksum(spec.address)} is not how its id 0x{facts.pool_id.hex()} begins"
    if len(facts.scaling) != len(spec.tokens):
        return f"{len(spec.tokens)} tokens, but facts of {len(facts.scaling)}"
    if (spec.protocol == WEIGHTED) != isinstance(facts, WeightedFacts):
        return f"a pool of kind {facts.kind} is not {spec.protocol}"
    if isinstance(facts, StableFacts) and spec.tokens[facts.bpt] != spec.address:
        return "its own token is not where its facts say"
    if specialisation(facts.pool_id) is Specialisation.TWO_TOKEN and len(spec.tokens) != 2:
        return "its id says that it has two tokens"
    return None


def load(spec: PoolSpec, slots: Mapping[int, int], elsewhere: Elsewhere) -> WeightedPool | StablePool | Needs | Refused:
    """The pool, once its code and its Vault's vouch for it.

    Raises:
        CorruptPool: the Vault does not know the pool by these tokens.
    """
    facts = facts_of(spec)
    missing = frozenset({spec.address, facts.vault} - elsewhere.codes.keys())
    if missing or elsewhere.timestamp is None:
        return Needs(code=missing, timestamp=True)
    found = _recognise(elsewhere.codes[spec.address], spec.tokens, facts.vault)
    if found != facts:
        return Refused(found if isinstance(found, str) else "its facts are not those that its code holds")
    until = _pausable_until(elsewhere.codes[facts.vault])
    if until is None:
        return Refused("the code of its Vault is not that of Balancer's")
    if elsewhere.timestamp > until:
        no_pause = ChainMap({(facts.vault, PAUSED): 0}, elsewhere.slots)  # type: ignore[arg-type]  # only read
        elsewhere = Elsewhere(no_pause, elsewhere.code_hashes, elsewhere.timestamp, elsewhere.codes)
    return (load_weighted if isinstance(facts, WeightedFacts) else load_stable)(spec, slots, elsewhere)
