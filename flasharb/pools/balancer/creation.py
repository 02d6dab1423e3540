"""``PoolRegistered`` of Balancer's Vault: the only way into it; what the pool is, its code and the Vault say.

That its factory is one of Balancer's is not asked: a pool's code must be to the byte what those factories create, and
whoever else creates that code has made the same pool.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from flasharb.pools.balancer.admission import recognised
from flasharb.pools.balancer.code import VAULT, tokens_of
from flasharb.pools.balancer.facts import Specialisation, specialisation
from flasharb.pools.balancer.vault import entry
from flasharb.pools.creation import Claim, Creation, FactoryLog
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import Elsewhere, Needs, Refused, address_in
from flasharb.settings import DEVNET_CHAIN_ID
from flasharb.units import Address, Hash32

REGISTERED: Final = 5
"""The Vault's slot with a mapping of pool ids to whether they are registered."""
_PAIRS: Final = 9
"""And the one with the two tokens of each pool of the specialisation TWO_TOKEN."""


def identify(
    pool_id: Hash32, vault: Address, _slots: Mapping[int, int], elsewhere: Elsewhere
) -> PoolSpec | Needs | Refused | None:
    """What the pool with this id is, or what must be known to say so; None where its code is not modelled."""
    pool, registered = Address(pool_id[:20]), (vault, entry(pool_id, REGISTERED))
    pair = [(vault, entry(pool_id, _PAIRS) + k) for k in (0, 1)]
    wanted = {registered, *(pair if specialisation(pool_id) is Specialisation.TWO_TOKEN else ())}
    slots, code = frozenset(wanted - elsewhere.slots.keys()), elsewhere.codes.get(pool)
    if slots or code is None:
        return Needs(elsewhere=slots, code=frozenset({pool} - elsewhere.codes.keys()))
    if not elsewhere.slots[registered]:
        return Refused(f"its Vault has not registered the pool 0x{pool_id.hex()}")
    # the code of some pools of two tokens names the first one only
    tokens = tuple(address_in(elsewhere.slots[place]) for place in pair) if len(wanted) > 1 else tokens_of(code)
    if tokens is None:
        return None
    told = recognised(code, pool_id, tokens, vault)
    return Refused(told) if isinstance(told, str) else told


def _read(_protocol: str, log: FactoryLog, _chain_id: int) -> Claim:
    pool, pool_id = log.topic_address(2), Hash32(log.topics[1])
    if pool_id[:20] != pool:
        raise ValueError(f"pool id 0x{pool_id.hex()} does not begin with the pool beside it")
    specialisation(pool_id)
    return Claim(pool, partial(identify, pool_id, log.emitter))


POOL_REGISTERED: Final = Creation(
    "PoolRegistered(bytes32,address,uint8)", 2, 1, _read, {1: (VAULT,), DEVNET_CHAIN_ID: (VAULT,)}
)
