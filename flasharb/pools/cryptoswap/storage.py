"""A CryptoSwap pool from storage slots, without doing the reading. See ``pools.loading`` for the manner."""

from __future__ import annotations

from collections.abc import Mapping

from flasharb.pools.cryptoswap.pool import CryptoSwapPool, crypto_pool
from flasharb.pools.cryptoswap.rules import CryptoFacts, CryptoRules
from flasharb.pools.cryptoswap.state import CryptoParameters, GammaRamp, Prices
from flasharb.pools.loading import CorruptPool
from flasharb.pools.needs import NeedsSlots, missing_slots
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address

_HALF = (1 << 128) - 1
_QUARTER = (1 << 64) - 1


def state_slots(rules: CryptoRules, slots: Mapping[int, int], timestamp: int) -> set[int]:
    """The slots of the pool's own contract that are needed, as far as those already known tell."""
    at = rules.slots
    wanted = {at.price_scale, at.price_oracle, at.last_prices, at.last_timestamp, at.future_a_gamma, at.future_time}
    wanted |= {at.d, at.xcp_profit, at.virtual_price, *at.fees, *at.rebalancing}
    wanted |= {at.balances + k for k in range(rules.coins)}
    if at.not_adjusted is not None:
        wanted.add(at.not_adjusted)
        if slots.get(at.not_adjusted):
            # a pool that is adjusting does not ask whether it may
            wanted.discard(at.rebalancing[0])
    if at.total_supply is not None:
        wanted.add(at.total_supply)
    # where a ramp began no longer matters when it is over, and a recorded block does not hold it then
    if slots.get(at.future_time, 0) > timestamp:
        wanted |= {at.initial_a_gamma, at.initial_time}
    return wanted


def load(
    spec: PoolSpec,
    facts: CryptoFacts,
    slots: Mapping[int, int],
    timestamp: int,
    elsewhere: Mapping[tuple[Address, int], int] | None = None,
) -> CryptoSwapPool | NeedsSlots:
    """The pool at these slots, for blocks of ``timestamp``; or what is still missing.

    ``elsewhere`` holds slots of other contracts: the LP token's total supply. Without ``facts.supply`` the pool quotes,
    but does not know itself after a swap.
    """
    rules, at = facts.rules, facts.rules.slots
    missing = missing_slots(state_slots(rules, slots, timestamp), slots)
    if missing:
        return missing
    supply: int | None = None
    if at.total_supply is not None:
        supply = slots[at.total_supply]
    elif facts.supply is not None:
        if elsewhere is None or facts.supply not in elsewhere:
            return NeedsSlots(elsewhere=frozenset({facts.supply}))
        supply = elsewhere[facts.supply]
    last_timestamp = slots[at.last_timestamp]
    prices = Prices(
        scale=_prices(rules, slots[at.price_scale]),
        oracle=_prices(rules, slots[at.price_oracle]),
        last=_prices(rules, slots[at.last_prices]),
        # "twocrypto_ng" packs the time of another oracle beside it
        last_timestamp=last_timestamp & _HALF,
        xcp_profit=slots[at.xcp_profit],
        virtual_price=slots[at.virtual_price],
        not_adjusted=at.not_adjusted is not None and bool(slots[at.not_adjusted]),
    )
    return crypto_pool(
        spec,
        facts,
        _parameters(rules, slots, timestamp),
        balances=tuple(slots[at.balances + k] for k in range(rules.coins)),
        d=slots[at.d],
        prices=prices,
        supply=supply,
        timestamp=timestamp,
    )


def _parameters(rules: CryptoRules, slots: Mapping[int, int], timestamp: int) -> CryptoParameters:
    at, end = rules.slots, slots[rules.slots.future_time]
    future = _a_gamma(slots[at.future_a_gamma])
    ramp = GammaRamp(future, future, 0, end)
    if end > timestamp:
        ramp = GammaRamp(_a_gamma(slots[at.initial_a_gamma]), future, slots[at.initial_time], end)
        if ramp.initial_time > timestamp:
            raise CorruptPool(f"the ramp of A begins at {ramp.initial_time}, after the block at {timestamp}")
    if rules.packed:
        fees, rebalancing = _three(slots[at.fees[0]]), _three(slots[at.rebalancing[0]])
        return CryptoParameters(ramp, *fees, *rebalancing)
    extra, step, ma_time = (slots.get(slot) for slot in at.rebalancing)
    assert step is not None
    assert ma_time is not None
    mid_fee, out_fee, fee_gamma = (slots[slot] for slot in at.fees)
    return CryptoParameters(ramp, mid_fee, out_fee, fee_gamma, extra, step, ma_time)


def _a_gamma(word: int) -> tuple[int, int]:
    return word >> 128, word & _HALF


def _prices(rules: CryptoRules, word: int) -> tuple[int, ...]:
    return (word,) if rules.coins == 2 else (word & _HALF, word >> 128)


def _three(word: int) -> tuple[int, int, int]:
    return word >> 128 & _QUARTER, word >> 64 & _QUARTER, word & _QUARTER
