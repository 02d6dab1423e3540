"""Every swap of a recorded block, quoted from the state before it: is our mathematics the chain's, to the unit?

The block is replayed. A pool's state is read from the file before each transaction that swaps through it; within the
transaction it follows the logs, one by one, as the live market does. Each swap event then says what was paid and what
was given, and the quote must be exactly that.

A pair (V2) checks only that its product does not fall: whoever asks for less than the quote is given less. Such swaps
prove nothing either way and are counted as ``took_less``; more than the quote is a mismatch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from flasharb.evm import LogEntry
from flasharb.feed.logs import event_of
from flasharb.market.transition import Inconsistent, next_state
from flasharb.pools import Pool, PoolSpec, V2Pool
from flasharb.pools.errors import QuoteUnavailable
from flasharb.pools.managed import key as managed_key
from flasharb.pools.protocols import LOG_TOPICS
from flasharb.simulation.recorded import RecordedBlock
from flasharb.simulation.recorded_pools import known_pools, offered
from flasharb.simulation.replay import Replay
from flasharb.simulation.result import Log
from flasharb.simulation.swaps import SWAP_TOPICS, Pair, Swap, read_swaps
from flasharb.units import PIPS, Address, Hash32, hex0x

_NO_REASON: Final = "its state is not known"


@dataclass(slots=True)
class Tally:
    """The swap events of one protocol."""

    swaps: int = 0
    exact: int = 0
    took_less: int = 0
    mismatched: int = 0
    unsupported: int = 0
    unknown_state: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """A swap that we would have quoted otherwise."""

    index: int
    protocol: str
    pool: bytes
    amount_in: int
    amount_out: int
    quoted: int


@dataclass(frozen=True, slots=True)
class Quotes:
    """The swaps of a block by protocol, every difference, and why swaps could not be judged, with their number."""

    by_protocol: dict[str, Tally] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)

    def _count(self, protocol: str, kind: str, reason: str = "") -> None:
        tally = self.by_protocol.setdefault(protocol, Tally())
        tally.swaps += 1
        setattr(tally, kind, getattr(tally, kind) + 1)
        if reason:
            self.reasons[reason] = self.reasons.get(reason, 0) + 1


def check_quotes(block: RecordedBlock) -> Quotes:
    """Quote every swap of the block.

    Raises:
        MissingState, InvalidTransaction: the block cannot be replayed from its file.
    """
    replay = Replay(block)
    specs = offered(replay).specs
    currencies = {
        managed_key.facts_of(spec).pool_id: (spec.token0, spec.token1)
        for spec in specs.values()
        if spec.protocol == managed_key.PROTOCOL
    }
    quotes = Quotes()
    for receipt in block.receipts:
        if any(log.topics and log.topics[0] in SWAP_TOPICS for log in receipt.logs):
            touched = {key for log in receipt.logs for key in _keys(log)} & specs.keys()
            known = known_pools(replay, [specs[key] for key in touched])
            judged = _Transaction(replay, receipt.index, specs, known.pools, known.unknown, quotes, currencies)
            judged.judge(receipt.logs)
        replay.advance()
    return quotes


def _keys(log: LogEntry) -> tuple[Address, ...]:
    """The pools that a log may be about: its emitter, or the pool of a singleton that a topic names."""
    if not log.topics:
        return ()
    place = LOG_TOPICS.get(log.topics[0], 0)
    named = (Address(log.topics[place][:20]),) if 0 < place < len(log.topics) else ()
    return (Address(log.address), *named)


@dataclass(slots=True)
class _Transaction:
    """One transaction's logs, in order. ``pools`` follow them; ``before`` holds each pair before its last sync."""

    replay: Replay
    index: int
    specs: dict[Address, PoolSpec]
    pools: dict[Address, Pool]
    unknown: dict[Address, str]
    quotes: Quotes
    currencies: Mapping[bytes, Pair]
    before: dict[Address, Pool] = field(default_factory=dict)

    def judge(self, logs: tuple[LogEntry, ...]) -> None:
        for position, log in enumerate(logs):
            if log.topics and log.topics[0] in SWAP_TOPICS:
                self._judge_swap(log)
            self._follow(log, position)

    def _judge_swap(self, log: LogEntry) -> None:
        own = Log(Address(log.address), tuple(Hash32(topic) for topic in log.topics), log.data)
        for swap in read_swaps([own], self.replay.ask, self.replay.block.chain_id, currencies=self.currencies):
            spec = self.specs.get(Address(swap.pool[:20]))
            if spec is None:
                self.quotes._count(swap.protocol, "unsupported")
                continue
            kind, reason = self._verdict(spec, swap, log)
            self.quotes._count(spec.protocol, kind, reason)

    def _verdict(self, spec: PoolSpec, swap: Swap, log: LogEntry) -> tuple[str, str]:
        pool = self.before.get(spec.address) or self.pools.get(spec.address)
        if pool is None:
            return "unknown_state", self.unknown.get(spec.address, _NO_REASON)
        if swap.token_in not in spec.tokens or swap.token_out not in spec.tokens:
            return "unknown_state", "the swap's tokens are not known"
        i, j = spec.ends(Address(swap.token_in), Address(swap.token_out))
        if isinstance(pool, V2Pool) and _paid_in_both(log):
            return ("took_less" if _keeps_product(pool, log) else "mismatched"), ""
        try:
            quoted = pool.amount_out(i, j, swap.amount_in)
            if quoted == swap.amount_out or self._by_exact_output(pool, i, j, swap):
                return "exact", ""
        except QuoteUnavailable as error:
            return "unknown_state", str(error)
        if isinstance(pool, V2Pool) and swap.amount_out < quoted:
            return "took_less", ""
        self.quotes.differences.append(
            Difference(self.index, spec.protocol, swap.pool, swap.amount_in, swap.amount_out, quoted)
        )
        return "mismatched", ""

    def _by_exact_output(self, pool: Pool, i: int, j: int, swap: Swap) -> bool:
        """Whether it was a swap of exact output, which rounds otherwise."""
        exact_out = getattr(pool, "amount_in_exact_out", None)
        return exact_out is not None and exact_out(i, j, swap.amount_out) == swap.amount_in

    def _follow(self, log: LogEntry, position: int) -> None:
        event = event_of(_as_json(log, self.replay.block.number, position), LOG_TOPICS)
        pool = None if event is None else self.pools.get(event.pool)
        if event is None or pool is None:
            return
        after = next_state(pool, event)
        if isinstance(after, Inconsistent):
            del self.pools[event.pool]
            self.unknown[event.pool] = after.reason
        else:
            if isinstance(pool, V2Pool):
                # A pair's Sync comes before its Swap, which tells of the state before both.
                self.before[event.pool] = pool
            self.pools[event.pool] = after


def _as_json(log: LogEntry, number: int, position: int) -> dict[str, object]:
    return {
        "address": hex0x(log.address),
        "topics": [hex0x(topic) for topic in log.topics],
        "data": hex0x(log.data),
        "blockNumber": hex(number),
        "logIndex": hex(position),
    }


def _paid_in_both(log: LogEntry) -> bool:
    return any(log.data[:32]) and any(log.data[32:64])


def _keeps_product(pool: V2Pool, log: LogEntry) -> bool:
    """The pair's own check, for a swap that was paid in both tokens."""
    in0, in1, out0, out1 = (int.from_bytes(log.data[at : at + 32], "big") for at in range(0, 128, 32))
    fee = pool.spec.fee_pips
    adjusted0 = (pool.reserve0 + in0 - out0) * PIPS - in0 * fee
    adjusted1 = (pool.reserve1 + in1 - out1) * PIPS - in1 * fee
    return adjusted0 * adjusted1 >= pool.reserve0 * pool.reserve1 * PIPS**2
