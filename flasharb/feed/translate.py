"""From bus messages to events: what moves a pool's state, and what only looks as if it did.

PoolSync is authoritative for constant-product pools; their PoolSwap is the same trade told twice and moves nothing.
For concentrated pools PoolSwap carries price, tick and liquidity, PoolMint and PoolBurn the ticks. They carry no block:
they belong to the block of the message before them. A truncated price is never used; the pool is reported unreliable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, cast

from flasharb.feed import events
from flasharb.feed.events import Event, FeedGap, GasHint, PoolEvent, PoolsInvalidated, PoolUnreliable, PriceHint
from flasharb.feed.messages import decode
from flasharb.feed.named import named
from flasharb.feed.pool_runs import CONCENTRATED_VENUES, PoolRun, split
from flasharb.feed.records import (
    INVALIDATION_REASONS,
    GasPrice,
    Heartbeat,
    Opaque,
    PoolBurn,
    PoolMint,
    PoolState,
    PoolSwap,
    PoolSync,
    Quote,
    RecoveryRequest,
    StateInvalidation,
    Trade,
)
from flasharb.feed.runs import Run
from flasharb.feed.sequence import Gap, SequenceTracker
from flasharb.feed.tick_check import (
    MAX_SQRT_PRICE_X96,
    MAX_TICK,
    MIN_SQRT_PRICE_X96,
    MIN_TICK,
    is_price_of_tick,
)
from flasharb.feed.tlv import MalformedMessage
from flasharb.feed.wire import Dialect, Frame
from flasharb.units import Address

_CONSTANT_PRODUCT_TYPES: Final = frozenset({0, 2})
_CHANGES: Final = (events.V3Mint, events.V3Burn)
_MAX_REMEMBERED: Final = 100_000


@dataclass(slots=True)
class TranslatorCounters:
    """What came in messages; ``passive`` are those known messages that say nothing about state or prices."""

    messages: int = 0
    unknown: int = 0
    malformed: int = 0
    stale: int = 0
    passive: int = 0
    gaps: int = 0


class Translator:
    """Turns one connection's frames into events, in order."""

    def __init__(self, consumer_id: int = 1, *, tell_names: bool = False) -> None:
        """``tell_names``: the first message of each pool that says which tokens it has gives ``PoolNamed`` as well."""
        self._named: set[bytes] | None = set() if tell_names else None
        self.counters = TranslatorCounters()
        self.requests: list[tuple[int, RecoveryRequest]] = []
        """Recovery requests, with their domain, that the owner of the connection may send (and then clears)."""
        self._consumer_id = consumer_id
        self._sequences = SequenceTracker()
        self._block: int | None = None
        self._newest = 0
        self._latest: dict[bytes, tuple[int, PoolEvent | PoolUnreliable]] = {}
        # What is not entered in ``_latest`` yet, because nothing has come that would have to be compared with it; how
        # many events that is; and the newest time of all that is or will be in there.
        self._unentered: list[PoolRun | tuple[int, PoolEvent | PoolUnreliable]] = []
        self._unentered_count = 0
        self._latest_ns = -1
        self._handlers: dict[type, Callable[[Any, Dialect, list[Event | PoolRun]], None]] = {
            PoolSync: self._on_sync,
            PoolSwap: self._on_swap,
            PoolMint: self._on_liquidity,
            PoolBurn: self._on_liquidity,
            PoolState: self._on_state,
            Heartbeat: self._on_heartbeat,
            GasPrice: self._on_gas_price,
            Trade: self._on_trade,
            Quote: self._on_quote,
            StateInvalidation: self._on_invalidation,
            Opaque: self._on_opaque,
        }

    def reset(self) -> None:
        """The connection was lost: numbers start anew, and the block of the next message is unknown."""
        self._sequences.reset()
        self._block = None
        self._forget_latest()
        self.requests.clear()

    def translate(self, frames: Iterable[Frame | Run]) -> list[Event | PoolRun]:
        """The events of these frames. Damaged and lost messages become ``FeedGap``; nothing is raised.

        A run stays in one piece for each block if its events need no judgement one by one.
        """
        found: list[Event | PoolRun] = []
        for part in frames:
            if not isinstance(part, Run):
                self._translate((part,), found)
            elif not self._take_run(part, found):
                self._translate(part.frames(), found)
        return found

    def _translate(self, frames: Iterable[Frame], found: list[Event | PoolRun]) -> None:
        handlers = self._handlers
        for frame in frames:
            if frame.sequence:
                verdict = self._sequences.observe(frame.domain, frame.source, frame.sequence, frame.timestamp_ns)
                if verdict == "stale":
                    self.counters.stale += 1
                    continue
                if isinstance(verdict, Gap):
                    self._note_gap(verdict, found)
                elif verdict == "restarted":
                    self.counters.gaps += 1
                    found.append(FeedGap(f"domain {frame.domain} source {frame.source} numbers its messages anew"))
            try:
                messages = decode(frame)
            except MalformedMessage as problem:
                self.counters.malformed += 1
                found.append(FeedGap(f"malformed message from domain {frame.domain} source {frame.source}: {problem}"))
                continue
            self.counters.messages += len(messages)
            for message in messages:
                on_message = handlers.get(type(message))
                if on_message is None:
                    self.counters.passive += 1
                else:
                    on_message(message, frame.dialect, found)

    def _take_run(self, run: Run, found: list[Event | PoolRun]) -> bool:
        """Take a run whole, with what its messages one by one would have done; False if that has to be seen."""
        parts = split(run)
        if parts is None or parts[0].block_number < self._newest:
            return False
        first = parts[0]
        if first.block_number == self._newest and len(first) and first.rows["time"][0] <= self._latest_ns:
            return False
        if not self._sequences.take_run(run):
            return False
        self.counters.messages += len(run)
        for part in parts:
            self._advance(part.block_number)
            if len(part):
                self._remember(part, len(part), int(part.rows["time"][-1]))
                found.append(part)
        return True

    def _note_gap(self, gap: Gap, found: list[Event | PoolRun]) -> None:
        self.counters.gaps += 1
        request = gap.request(self._consumer_id)
        if request is not None:
            self.requests.append((gap.domain, request))
        found.append(FeedGap(str(gap)))

    def _on_sync(self, message: PoolSync, dialect: Dialect, found: list[Event | PoolRun]) -> None:
        self._name(message, found)
        self._advance(message.block_number)
        pool = cast("Address", message.pool)
        sync = events.V2Sync(pool, message.reserve0, message.reserve1, message.block_number)
        self._keep(sync, message.timestamp_ns, found)

    def _on_swap(self, message: PoolSwap, dialect: Dialect, found: list[Event | PoolRun]) -> None:
        self._name(message, found)
        self._advance(message.block_number)
        swap = _swap(message, dialect)
        if swap is not None:
            self._keep(swap, message.timestamp_ns, found)

    def _on_state(self, message: PoolState, dialect: Dialect, found: list[Event | PoolRun]) -> None:
        self._name(message, found)
        self._advance(message.block_number)
        self._keep(_state(message), message.timestamp_ns, found)

    def _on_heartbeat(self, message: Heartbeat, dialect: Dialect, found: list[Event | PoolRun]) -> None:
        self._advance(message.block_number)
        found.append(events.Heartbeat(message.block_number, message.timestamp_ns))

    def _on_gas_price(self, message: GasPrice, dialect: Dialect, found: list[Event | PoolRun]) -> None:
        self._advance(message.block_number)
        found.append(GasHint(message.block_number, message.base_fee_gwei, message.priority_fee_gwei))

    def _on_trade(self, message: Trade, dialect: Dialect, found: list[Event | PoolRun]) -> None:
        found.append(PriceHint(message.venue, message.asset_id, message.price_e8, message.timestamp_ns))

    def _on_quote(self, message: Quote, dialect: Dialect, found: list[Event | PoolRun]) -> None:
        middle = (message.bid_price_e8 + message.ask_price_e8) // 2
        found.append(PriceHint(message.venue, message.asset_id, middle, message.timestamp_ns))

    def _on_invalidation(self, message: StateInvalidation, dialect: Dialect, found: list[Event | PoolRun]) -> None:
        found.extend(_invalidations(message))

    def _on_opaque(self, message: Opaque, dialect: Dialect, found: list[Event | PoolRun]) -> None:
        self.counters.unknown += 1

    def _on_liquidity(self, message: PoolMint, dialect: Dialect, found: list[Event | PoolRun]) -> None:
        pool = cast("Address", message.pool)
        if self._block is None or self._block < self._newest:
            # Of an unknown block, or of one that may be closed: whether the pool's state has it, only the node knows.
            self.counters.gaps += 1
            found.append(FeedGap("liquidity changed in a block that the bus does not name", frozenset({pool})))
            return
        kind = events.V3Burn if isinstance(message, PoolBurn) else events.V3Mint
        change = kind(pool, message.tick_lower, message.tick_upper, message.liquidity, self._block)
        self._keep(change, message.timestamp_ns, found)

    def _name(self, message: PoolSync | PoolSwap | PoolState, found: list[Event | PoolRun]) -> None:
        if self._named is None or message.pool in self._named or len(self._named) >= _MAX_REMEMBERED:
            return
        self._named.add(message.pool)
        name = named(message)
        if name is not None:
            found.append(name)

    def _advance(self, block_number: int) -> None:
        if block_number != self._block:
            self._block = block_number
            if block_number > self._newest:
                self._newest = block_number
                self._forget_latest()

    def _forget_latest(self) -> None:
        self._latest.clear()
        self._unentered.clear()
        self._unentered_count = 0
        self._latest_ns = -1

    def _remember(self, told: PoolRun | tuple[int, PoolEvent | PoolUnreliable], count: int, newest_ns: int) -> None:
        self._unentered.append(told)
        self._unentered_count += count
        self._latest_ns = newest_ns
        if self._unentered_count > _MAX_REMEMBERED:
            self._enter_all()

    def _enter_all(self) -> None:
        for told in self._unentered:
            for timestamp_ns, event in told.timed() if isinstance(told, PoolRun) else (told,):
                if len(self._latest) < _MAX_REMEMBERED:
                    self._latest[event.pool] = (timestamp_ns, event)
        self._unentered.clear()
        self._unentered_count = 0

    def _keep(self, event: PoolEvent | PoolUnreliable, timestamp_ns: int, found: list[Event | PoolRun]) -> None:
        """Pass a pool's event on unless the same block already told something newer, or just this."""
        if timestamp_ns <= self._latest_ns:
            self._enter_all()
            known = self._latest.get(event.pool)
            if known is not None and event.block_number == known[1].block_number:
                newest_ns, latest = known
                repeated = timestamp_ns == newest_ns and event == latest
                if repeated or timestamp_ns < newest_ns:
                    self._pass_over(event, latest, found)
                    return
        self._remember((timestamp_ns, event), 1, max(timestamp_ns, self._latest_ns))
        found.append(event)

    def _pass_over(
        self, event: PoolEvent | PoolUnreliable, latest: PoolEvent | PoolUnreliable, found: list[Event | PoolRun]
    ) -> None:
        """An older or repeated event: ignored where the latest one says it all, which a liquidity change never does.

        Whether such a change is told twice or happened twice, and whether a price includes it, only the node knows.
        """
        self.counters.stale += 1
        if isinstance(event, _CHANGES) or isinstance(latest, _CHANGES):
            self.counters.gaps += 1
            found.append(
                FeedGap("liquidity changes of one block came repeated or out of order", frozenset({event.pool}))
            )


def _swap(message: PoolSwap, dialect: Dialect) -> PoolEvent | PoolUnreliable | None:
    pool, price, tick = Address(message.pool), message.sqrt_price_x96, message.tick
    if not price and not tick and not message.liquidity and message.venue not in CONCENTRATED_VENUES:
        return None
    if not MIN_SQRT_PRICE_X96 <= price < MAX_SQRT_PRICE_X96 or not MIN_TICK <= tick < MAX_TICK:
        return PoolUnreliable(pool, f"sqrt price {price} at tick {tick} is no pool's", message.block_number)
    if dialect == "p3" and not is_price_of_tick(price, tick):
        return PoolUnreliable(pool, f"sqrt price {price} was truncated: tick {tick}", message.block_number)
    return events.V3Swap(pool, price, tick, message.liquidity, message.block_number)


def _state(message: PoolState) -> PoolEvent | PoolUnreliable:
    pool = Address(message.pool)
    if message.pool_type in _CONSTANT_PRODUCT_TYPES:
        return events.V2Sync(pool, message.reserve0, message.reserve1, message.block_number)
    return PoolUnreliable(pool, "PoolState holds only 128 bits of the sqrt price, and no ticks", message.block_number)


def _invalidations(message: StateInvalidation) -> list[PoolsInvalidated]:
    reason = INVALIDATION_REASONS.get(message.reason, f"reason {message.reason}")
    by_venue: dict[int, list[int]] = {}
    for instrument in message.instruments:
        by_venue.setdefault(instrument.venue, []).append(instrument.asset_id)
    return [PoolsInvalidated(venue, tuple(asset_ids), reason) for venue, asset_ids in by_venue.items()]
