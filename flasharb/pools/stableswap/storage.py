"""A StableSwap pool from storage slots, without doing the reading. See ``pools.storage`` for the manner."""

from __future__ import annotations

from collections.abc import Mapping

from eth_hash.auto import keccak

from flasharb.pools.curve import forwards_to
from flasharb.pools.errors import Uninitialised
from flasharb.pools.spec import PoolSpec
from flasharb.pools.stableswap.admission import NG_MATH_CODE, mathematics, recognise, refused, watched
from flasharb.pools.stableswap.pool import BasePrice, StableParameters, StableSwapPool, stable_pool
from flasharb.pools.stableswap.ramp import Ramp, steady
from flasharb.pools.stableswap.rules import StableFacts, StableRules, facts_of
from flasharb.pools.storage import CorruptPool, Elsewhere, Needs, Refused, contradiction
from flasharb.units import Address, checksum


def state_slots(facts: StableFacts) -> set[int]:
    """The slots of the pool's own contract that change while it is used, but for its LP token's supply."""
    at, coins = facts.rules.slots, range(facts.lp_index)
    wanted = {at.fee, at.future_a, at.future_a_time}
    wanted |= {slot for slot in (at.admin_fee, at.offpeg_fee_multiplier) if slot is not None}
    wanted |= set() if at.base_price is None else {at.base_price, at.base_price + 1}
    wanted |= {at.balances + k for k in coins}
    if at.admin_balances is not None:
        wanted |= {at.admin_balances + k for k in coins}
    return wanted


def sources(spec: PoolSpec) -> tuple[Address, ...]:
    """The base pool of a metapool: its logs move the price."""
    base = facts_of(spec).base
    return () if base is None else (base.address,)


def identify(
    pool: Address, slots: Mapping[int, int], elsewhere: Elsewhere, asked: PoolSpec | None = None
) -> PoolSpec | Needs | Refused | None:
    """What the contract at this address is, or what must be known to say so; None where it is no such pool."""
    if pool not in elsewhere.codes:
        return Needs(code=frozenset({pool}))
    own = elsewhere.codes[pool]
    target, computing = forwards_to(own), mathematics(own)
    missing = {at for at in (target, computing) if at is not None} - elsewhere.codes.keys()
    if missing:
        return Needs(code=frozenset(missing))
    if computing is not None and keccak(elsewhere.codes[computing]).hex() != NG_MATH_CODE:
        return Refused(f"its mathematics contract {checksum(computing)} is another than the proven one")
    code = recognise(own if target is None else elsewhere.codes[target], target is not None)
    return code if code is None or isinstance(code, Refused) else code.spec(pool, slots, asked)


def load(spec: PoolSpec, slots: Mapping[int, int], elsewhere: Elsewhere) -> StableSwapPool | Needs | Refused:
    """The pool at these slots, for blocks of ``elsewhere.timestamp``; or what is still missing.

    Where the LP token's supply is ``elsewhere.unknown``, the LP hops give no quotes.
    """
    told = identify(spec.address, slots, elsewhere, spec)
    if told is None:
        return Refused("its code is not that of a StableSwap contract that is proven here")
    if not isinstance(told, PoolSpec):
        return told
    if told != spec:
        return contradiction(spec, told)
    return state(spec, slots, elsewhere)


def state(spec: PoolSpec, slots: Mapping[int, int], elsewhere: Elsewhere) -> StableSwapPool | Needs | Refused:
    """As ``load``, of a contract that is known to be what its spec says."""
    facts, timestamp = facts_of(spec), elsewhere.timestamp
    if timestamp is None:
        return Needs(timestamp=True)
    at, wanted = facts.rules.slots, state_slots(facts) | watched(facts).keys()
    if slots.get(at.future_a_time, 0) > timestamp:
        wanted |= {at.initial_a, at.initial_a_time}
    missing, base = frozenset(wanted - slots.keys()), _base(facts, elsewhere)
    if isinstance(base, Refused):
        return base
    others = base.elsewhere if isinstance(base, Needs) else frozenset()
    supply: int | None = None
    if facts.supply_slot is not None:
        place = spec.tokens[facts.lp_index], facts.supply_slot
        supply = slots.get(place[1]) if place[0] == spec.address else elsewhere.slots.get(place)
        if supply is None and place not in elsewhere.unknown:
            own = place[0] == spec.address
            return Needs(missing | {place[1]}, others) if own else Needs(missing, others | {place})
    if missing or isinstance(base, Needs):
        return Needs(missing, others)
    reason = refused(spec, slots)
    if reason is not None:
        return Refused(reason)
    parameters, balances = _parameters(facts.rules, slots, timestamp), _balances(facts, slots)
    copied = None if at.base_price is None else BasePrice(slots[at.base_price], slots[at.base_price + 1])
    try:
        if base is not None:
            base.virtual_price()  # a copy of it may do now, but not for long
        return stable_pool(
            spec, parameters, balances=balances, supply=supply, timestamp=timestamp, base=base, copied=copied
        )
    except Uninitialised as error:
        return Refused(f"its base pool's price is not known: {error}")


def _base(facts: StableFacts, elsewhere: Elsewhere) -> StableSwapPool | Needs | Refused | None:
    """A metapool's base pool, which ``admission`` vouches for; None where there is none."""
    if facts.base is None:
        return None
    own = {slot: value for (at, slot), value in elsewhere.slots.items() if at == facts.base.address}
    loaded = state(facts.base, own, elsewhere)
    if isinstance(loaded, Needs):
        return Needs(elsewhere=loaded.elsewhere | {(facts.base.address, slot) for slot in loaded.slots})
    return Refused(f"its base pool: {loaded.reason}") if isinstance(loaded, Refused) else loaded


def _parameters(rules: StableRules, slots: Mapping[int, int], timestamp: int) -> StableParameters:
    at = rules.slots
    # where a ramp began no longer matters when it is over, and a recorded block does not hold it then
    ramp = steady(slots[at.future_a])
    if slots[at.future_a_time] > timestamp:
        ramp = Ramp(slots[at.initial_a], slots[at.future_a], slots[at.initial_a_time], slots[at.future_a_time])
        if ramp.initial_time > timestamp:
            raise CorruptPool(f"the ramp of A begins at {ramp.initial_time}, after the block at {timestamp}")
    admin_fee = rules.admin_fee if at.admin_fee is None else slots[at.admin_fee]
    assert admin_fee is not None
    offpeg = 0 if at.offpeg_fee_multiplier is None else slots[at.offpeg_fee_multiplier]
    return StableParameters(ramp, slots[at.fee], admin_fee, offpeg)


def _balances(facts: StableFacts, slots: Mapping[int, int]) -> tuple[int, ...]:
    at, coins = facts.rules.slots, range(facts.lp_index)
    if at.admin_balances is None:
        return tuple(slots[at.balances + k] for k in coins)
    net = tuple(slots[at.balances + k] - slots[at.admin_balances + k] for k in coins)
    if min(net) < 0:
        raise CorruptPool("the admin's balances exceed the pool's")
    return net
