"""A StableSwap pool from storage slots, without doing the reading. See ``pools.loading`` for the manner."""

from __future__ import annotations

from collections.abc import Mapping

from flasharb.pools.loading import CorruptPool
from flasharb.pools.needs import NeedsSlots, missing_slots
from flasharb.pools.spec import PoolSpec
from flasharb.pools.stableswap.pool import StableParameters, StableSwapPool, stable_pool
from flasharb.pools.stableswap.ramp import Ramp, steady
from flasharb.pools.stableswap.rules import StableFacts, StableRules
from flasharb.units import Address


def state_slots(facts: StableFacts) -> set[int]:
    """The slots of the pool's own contract that change while it is used."""
    at, coins = facts.rules.slots, range(len(facts.coins))
    wanted = {at.fee, at.future_a, at.future_a_time}
    wanted |= {slot for slot in (at.admin_fee, at.offpeg_fee_multiplier, at.is_killed) if slot is not None}
    wanted |= {at.balances + k for k in coins}
    if at.admin_balances is not None:
        wanted |= {at.admin_balances + k for k in coins}
    if facts.supply is not None and at.total_supply is not None:
        wanted.add(at.total_supply)
    return wanted


def load(
    spec: PoolSpec,
    facts: StableFacts,
    slots: Mapping[int, int],
    timestamp: int,
    elsewhere: Mapping[tuple[Address, int], int] | None = None,
) -> StableSwapPool | NeedsSlots:
    """The pool at these slots, for blocks of ``timestamp``; or what is still missing.

    ``elsewhere`` holds slots of other contracts: the LP token's total supply. Without ``facts.supply`` the pool has no
    LP hops and needs none. The pool is not asked whether it is killed: see ``admission.admit``.
    """
    at, wanted = facts.rules.slots, state_slots(facts)
    if slots.get(at.future_a_time, 0) > timestamp:
        wanted |= {at.initial_a, at.initial_a_time}
    missing = missing_slots(wanted, slots)
    if missing:
        return missing
    supply: int | None = None
    if facts.supply is not None:
        contract, slot = facts.supply
        if contract == spec.address:
            supply = slots[slot]
        elif elsewhere is None or facts.supply not in elsewhere:
            return NeedsSlots(elsewhere=frozenset({facts.supply}))
        else:
            supply = elsewhere[facts.supply]
    parameters = _parameters(facts.rules, slots, timestamp)
    balances = _balances(facts, slots)
    return stable_pool(spec, facts, parameters, balances=balances, supply=supply, timestamp=timestamp)


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
    at, coins = facts.rules.slots, range(len(facts.coins))
    if at.admin_balances is None:
        return tuple(slots[at.balances + k] for k in coins)
    net = tuple(slots[at.balances + k] - slots[at.admin_balances + k] for k in coins)
    if min(net) < 0:
        raise CorruptPool("the admin's balances exceed the pool's")
    return net
