"""How one event moves one pool. Only what the event says is used; what contradicts the pool makes its state unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from flasharb.feed.events import PoolEvent, PoolLog, V2Sync, V3Burn, V3Initialize, V3Mint, V3Swap
from flasharb.pools import Pool, V2Pool, V3Pool
from flasharb.pools.concentrated.tick_bitmap import word_of
from flasharb.pools.errors import QuoteUnavailable
from flasharb.pools.events import StateUnknown
from flasharb.pools.protocols import PROTOCOLS, sources_of


@dataclass(frozen=True, slots=True)
class Inconsistent:
    """An event that does not fit the pool's known state, so that the state must be loaded anew."""

    reason: str


def next_state(pool: Pool, event: PoolEvent) -> Pool | Inconsistent:
    """The pool after the event."""
    if isinstance(event, PoolLog):
        return _by_rule(pool, event)
    if isinstance(event, V2Sync):
        if not isinstance(pool, V2Pool):
            return Inconsistent("a V2 sync for a concentrated pool")
        return pool.with_reserves(event.reserve0, event.reserve1)
    if not isinstance(pool, V3Pool):
        return Inconsistent(f"a {type(event).__name__} for a constant-product pool")
    try:
        return _concentrated(pool, event)
    except ValueError as error:
        return Inconsistent(str(error))


def _by_rule(pool: Pool, log: PoolLog) -> Pool | Inconsistent:
    """The pool after a log that only its protocol understands; one that is none of its protocol's changes nothing."""
    protocol = PROTOCOLS.get(pool.spec.protocol)
    rule = protocol.rules.get(log.topics[0]) if protocol is not None else None
    if rule is None:
        return pool
    if log.emitter is not None and log.emitter not in sources_of(pool.spec):
        # anybody can emit a log that names the pool: only the contract that keeps it is believed
        return pool
    if not rule.fits(log):
        return Inconsistent(f"a log of {rule.signature} in another shape")
    try:
        return rule.apply(pool, log)
    except (StateUnknown, QuoteUnavailable, ValueError) as error:
        return Inconsistent(str(error))


def _concentrated(pool: V3Pool, event: V3Swap | V3Initialize | V3Mint | V3Burn) -> V3Pool:
    match event:
        case V3Swap():
            return _checked(pool.with_price(event.sqrt_price_x96, event.tick, event.liquidity))
        case V3Initialize():
            return pool.with_price(event.sqrt_price_x96, event.tick, 0)
        case V3Mint():
            return pool.with_liquidity_change(event.tick_lower, event.tick_upper, event.liquidity)
        case V3Burn():
            return pool.with_liquidity_change(event.tick_lower, event.tick_upper, -event.liquidity)
        case _:
            assert_never(event)


def _checked(pool: V3Pool) -> V3Pool:
    """The pool after a swap, if the ticks that are known still say where it is.

    Raises:
        ValueError: the price left the known ticks, or a mint or burn was missed.
    """
    ladder = pool.ladder
    if not ladder.knows_word(word_of(pool.tick, ladder.tick_spacing)):
        raise ValueError(f"the price left the loaded ticks (tick {pool.tick})")
    if not pool.ticks_agree():
        known = ladder.liquidity_at(pool.tick)
        raise ValueError(f"the chain's liquidity {pool.liquidity} contradicts the ticks ({known}): events were missed")
    return pool
