"""Pools of the Vault from storage slots, without doing the reading. See ``pools.loading`` for the manner.

``slots`` are the pool's own, ``elsewhere`` holds those of the Vault. A pool's own slots::

    2   total supply of its token                    (stable)
    6   paused (weighted_v1, weighted_2tokens_v1), 7 elsewhere
    7   swap fee                                     (weighted_v1)
    8   from bit 86: swap fee                        (weighted_2tokens_v1)
    8   from bit 192: swap fee; bit 255: recovery    (all later pools)
    9   amplification: start, end, start time, end time, 64 bits each
    10  a mapping of rates by token: current, old (96 bits), duration, expiry (32 bits)
    11  the protocol's share of swap fees and of yield, 64 bits each
    12  the last join or exit: invariant (233 bits), amplification
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flasharb.pools.balancer.facts import WeightedFacts
from flasharb.pools.balancer.stable import StablePool
from flasharb.pools.balancer.stable_facts import JoinExit, ProtocolFees, Ramp, Rate, StableFacts
from flasharb.pools.balancer.vault import PAUSED, Balances, Slot, load_balances
from flasharb.pools.balancer.weighted import WeightedPool
from flasharb.pools.loading import mapping_slot
from flasharb.pools.needs import NeedsSlots, missing_slots
from flasharb.pools.spec import PoolSpec

Facts = WeightedFacts | StableFacts

_SUPPLY: Final = 2
_MISC: Final = 8
_AMPLIFICATION: Final = 9
_RATES: Final = 10
_PROTOCOL_FEES: Final = 11
_LAST: Final = 12
_UINT64: Final = (1 << 64) - 1
_RECOVERY: Final = 1 << 255


def _paused_slot(facts: Facts) -> int:
    return 6 if facts.kind in ("weighted_v1", "weighted_2tokens_v1") else 7


def _fee_slot(facts: Facts) -> int:
    return 7 if facts.kind == "weighted_v1" else _MISC


def _fee(facts: Facts, slots: Mapping[int, int]) -> int:
    if facts.kind == "weighted_v1":
        return slots[7]
    if facts.kind == "weighted_2tokens_v1":
        return slots[_MISC] >> 86 & _UINT64
    return slots[_MISC] >> 192 & _UINT64 >> 1


def admit(facts: Facts, slots: Mapping[int, int], elsewhere: Mapping[Slot, int]) -> str | NeedsSlots | None:
    """Why the pool must not be traded as it stands, None where nothing speaks against it; or what is not known yet.

    A pause that is set is taken as one that holds, though it would run out by itself. In recovery mode a pool still
    swaps, but it pays no protocol fees and may be left in proportion only: that is not modelled.
    """
    vault_slot = (facts.vault, PAUSED)
    missing = missing_slots({_paused_slot(facts), _fee_slot(facts)}, slots)
    if missing or vault_slot not in elsewhere:
        return NeedsSlots(missing.slots if missing else frozenset(), frozenset({vault_slot} - elsewhere.keys()))
    if elsewhere[vault_slot] & 0xFF:
        return "the Vault is paused"
    if slots[_paused_slot(facts)] & 0xFF:
        return "the pool is paused"
    if _fee_slot(facts) == _MISC and facts.kind != "weighted_2tokens_v1" and slots[_MISC] & _RECOVERY:
        return "the pool is in recovery mode"
    return None


def load_weighted(
    spec: PoolSpec, facts: WeightedFacts, slots: Mapping[int, int], elsewhere: Mapping[Slot, int]
) -> WeightedPool | NeedsSlots:
    """The weighted pool at these slots, or what is still missing. Whether it may be traded: see ``admit``.

    Raises:
        CorruptPool: the Vault does not know the pool by these tokens.
    """
    balances = _state(facts, {_fee_slot(facts)}, slots, elsewhere)
    if isinstance(balances, NeedsSlots):
        return balances
    return WeightedPool(spec, balances.cash, balances.managed, _fee(facts, slots), facts)


def load_stable(
    spec: PoolSpec, facts: StableFacts, slots: Mapping[int, int], timestamp: int, elsewhere: Mapping[Slot, int]
) -> StablePool | NeedsSlots:
    """The stable pool at these slots for blocks of ``timestamp``, or what is still missing; see ``load_weighted``."""
    rates = {k: mapping_slot(k, _RATES) for k, flag in enumerate(facts.has_rate) if flag}
    wanted = {_SUPPLY, _MISC, _AMPLIFICATION, _PROTOCOL_FEES, _LAST, *rates.values()}
    balances = _state(facts, wanted, slots, elsewhere)
    if isinstance(balances, NeedsSlots):
        return balances
    return StablePool(
        spec,
        balances.cash,
        balances.managed,
        _fee(facts, slots),
        facts,
        Ramp.of_word(slots[_AMPLIFICATION]),
        tuple(Rate.of_word(slots[rates[k]]) if k in rates else Rate() for k in range(len(facts.tokens))),
        slots[_SUPPLY],
        JoinExit.of_word(slots[_LAST]),
        ProtocolFees.of_word(slots[_PROTOCOL_FEES]),
        timestamp,
    )


def _state(
    facts: Facts, wanted: set[int], slots: Mapping[int, int], elsewhere: Mapping[Slot, int]
) -> Balances | NeedsSlots:
    """The balances, once all slots are there."""
    missing = missing_slots(wanted, slots)
    balances = load_balances(facts.vault, facts.pool_id, facts.tokens, elsewhere)
    if missing and isinstance(balances, NeedsSlots):
        return NeedsSlots(missing.slots, balances.elsewhere)
    return missing or balances
