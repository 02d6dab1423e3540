"""A CryptoSwap pool from storage slots, without doing the reading. See ``pools.storage`` for the manner."""

from __future__ import annotations

from collections.abc import Mapping

from flasharb.pools.cryptoswap.admission import recognise, related
from flasharb.pools.cryptoswap.pool import CryptoSwapPool, crypto_pool
from flasharb.pools.cryptoswap.rules import CryptoRules, facts_of
from flasharb.pools.cryptoswap.state import CryptoParameters, GammaRamp, Prices
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import CorruptPool, Elsewhere, Needs, Refused, contradiction
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
    wanted |= {slot for slot in (at.total_supply, at.is_killed) if slot is not None}
    # where a ramp began no longer matters when it is over, and a recorded block does not hold it then
    if slots.get(at.future_time, 0) > timestamp:
        wanted |= {at.initial_a_gamma, at.initial_time}
    return wanted


def identify(pool: Address, slots: Mapping[int, int], elsewhere: Elsewhere) -> PoolSpec | Needs | Refused | None:
    """What the contract at this address is, or what must be known to say so; None where it is no such pool."""
    if pool not in elsewhere.codes:
        return Needs(code=frozenset({pool}))
    code = elsewhere.codes[pool]
    missing = related(code) - elsewhere.codes.keys()
    if missing:
        return Needs(code=missing)
    recognised = recognise(code, elsewhere.codes)
    return recognised if recognised is None or isinstance(recognised, Refused) else recognised.spec(pool, slots)


def load(spec: PoolSpec, slots: Mapping[int, int], elsewhere: Elsewhere) -> CryptoSwapPool | Needs | Refused:
    """The pool at these slots, for blocks of ``elsewhere.timestamp``; or what is still missing.

    Where the LP token's supply is ``elsewhere.unknown``, the pool quotes, but does not know itself after a swap.
    """
    told = identify(spec.address, slots, elsewhere)
    if told is None:
        return Refused("its code is not that of a CryptoSwap contract that is proven here")
    if not isinstance(told, PoolSpec):
        return told
    if told != spec:
        return contradiction(spec, told)
    return state(spec, slots, elsewhere)


def state(spec: PoolSpec, slots: Mapping[int, int], elsewhere: Elsewhere) -> CryptoSwapPool | Needs | Refused:
    """As ``load``, of a contract that is known to be what its spec says."""
    facts, timestamp = facts_of(spec), elsewhere.timestamp
    if timestamp is None:
        return Needs(timestamp=True)
    rules, at = facts.rules, facts.rules.slots
    missing = frozenset(state_slots(rules, slots, timestamp) - slots.keys())
    if missing:
        return Needs(missing)
    if at.is_killed is not None and slots[at.is_killed]:
        return Refused("the pool is killed")
    supply: int | None = None
    if at.total_supply is not None:
        supply = slots[at.total_supply]
    elif facts.supply is not None:
        supply = elsewhere.slots.get(facts.supply)
        if supply is None and facts.supply not in elsewhere.unknown:
            return Needs(elsewhere=frozenset({facts.supply}))
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
