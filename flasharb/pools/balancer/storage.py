"""Pools of the Vault from storage slots, without doing the reading. See ``pools.storage`` for the manner.

A pool's own slots (those of the Vault: see ``vault``)::

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
from flasharb.pools.balancer.log_exp import ONE
from flasharb.pools.balancer.stable import StablePool
from flasharb.pools.balancer.stable_facts import JoinExit, ProtocolFees, Ramp, Rate, StableFacts
from flasharb.pools.balancer.vault import PAUSED, Balances, balance_slots, balances_of
from flasharb.pools.balancer.weighted import WeightedPool
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import Elsewhere, Needs, Refused, mapping_slot

Facts = WeightedFacts | StableFacts

_SUPPLY: Final = 2
_MISC: Final = 8
_AMPLIFICATION: Final = 9
_RATES: Final = 10
_PROTOCOL_FEES: Final = 11
_LAST: Final = 12
_UINT64: Final = (1 << 64) - 1
_RECOVERY: Final = 1 << 255
# what every setter of a pool keeps to; a contract of the same code may have been put there with other storage
_MOST_FEE: Final = 10**17
_AMPLIFICATIONS: Final = range(1_000, 5_000_001)


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


def load_weighted(spec: PoolSpec, slots: Mapping[int, int], elsewhere: Elsewhere) -> WeightedPool | Needs | Refused:
    """The weighted pool at these slots, or what is still missing, or why it must not be traded.

    Raises:
        CorruptPool: the Vault does not know the pool by these tokens.
    """
    facts = spec.facts
    assert isinstance(facts, WeightedFacts)
    balances = _state(spec, facts, {_fee_slot(facts)}, slots, elsewhere)
    if not isinstance(balances, Balances):
        return balances
    fee = _fee(facts, slots)
    if fee > _MOST_FEE:
        return Refused(_impossible_fee(fee))
    return WeightedPool(spec, balances.cash, balances.managed, fee, facts)


def load_stable(spec: PoolSpec, slots: Mapping[int, int], elsewhere: Elsewhere) -> StablePool | Needs | Refused:
    """The stable pool at these slots in a block of ``elsewhere.timestamp``; see ``load_weighted``."""
    facts = spec.facts
    assert isinstance(facts, StableFacts)
    rates = {k: mapping_slot(k, _RATES) for k, flag in enumerate(facts.has_rate) if flag}
    wanted = {_SUPPLY, _MISC, _AMPLIFICATION, _PROTOCOL_FEES, _LAST, *rates.values()}
    balances = _state(spec, facts, wanted, slots, elsewhere)
    if not isinstance(balances, Balances):
        return balances
    assert elsewhere.timestamp is not None
    pool = StablePool(
        spec,
        balances.cash,
        balances.managed,
        _fee(facts, slots),
        facts,
        Ramp.of_word(slots[_AMPLIFICATION]),
        tuple(Rate.of_word(slots[rates[k]]) if k in rates else Rate() for k in range(len(spec.tokens))),
        slots[_SUPPLY],
        JoinExit.of_word(slots[_LAST]),
        ProtocolFees.of_word(slots[_PROTOCOL_FEES]),
        elsewhere.timestamp,
    )
    reason = _impossible(pool)
    return pool if reason is None else Refused(reason)


def _impossible(pool: StablePool) -> str | None:
    """Why no setter has left the pool in this state."""
    if pool.fee > _MOST_FEE:
        return _impossible_fee(pool.fee)
    if pool.ramp.start not in _AMPLIFICATIONS or pool.ramp.end not in _AMPLIFICATIONS:
        return f"no pool has an amplification from {pool.ramp.start} to {pool.ramp.end} thousandths"
    if not all(rate.current for rate in pool.rates):
        return "one of its tokens has a rate of zero"
    return "the protocol takes all of it" if max(pool.protocol) >= ONE else None


def _impossible_fee(fee: int) -> str:
    return f"its fee of {fee} parts in 1e18 is more than the tenth that a pool can have"


def _state(
    spec: PoolSpec, facts: Facts, wanted: set[int], slots: Mapping[int, int], elsewhere: Elsewhere
) -> Balances | Needs | Refused:
    """The balances, once all slots are there and nothing speaks against the pool.

    A pause that is set is taken as one that holds, until no pause can hold any more. In recovery mode a pool still
    swaps, but it pays no protocol fees and may be left in proportion only: that is not modelled.
    """
    if elsewhere.timestamp is None:
        return Needs(timestamp=True)
    own = wanted | ({_paused_slot(facts)} if elsewhere.timestamp <= facts.pausable_until else set())
    others = {(facts.vault, PAUSED), *((facts.vault, slot) for slot in balance_slots(facts.pool_id, spec.tokens))}
    missing = Needs(frozenset(own) - slots.keys(), frozenset(others) - elsewhere.slots.keys())
    if missing.slots or missing.elsewhere:
        return missing
    if elsewhere.slots[facts.vault, PAUSED] & 0xFF:
        return Refused("the Vault is paused")
    if own != wanted and slots[_paused_slot(facts)] & 0xFF:
        return Refused("the pool is paused")
    if facts.kind not in ("weighted_v1", "weighted_2tokens_v1") and slots[_MISC] & _RECOVERY:
        return Refused("the pool is in recovery mode")
    balances = balances_of(facts.vault, facts.pool_id, spec.tokens, elsewhere.slots)
    if not any((*balances.cash, *balances.managed)):
        # so reads a pool that the Vault never heard of, too
        return Refused("the Vault holds nothing for the pool")
    return balances
