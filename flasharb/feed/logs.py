"""Node logs (JSON-RPC dictionaries) to pool events, by slicing words: an ABI decoder would take fifty times as long.

A log whose topic is ours but whose shape is not comes from some other contract and is none of our business: None.
Events that come in numbers or over the bus are decoded here. Those of all other protocols are handed on as they stand,
for the protocol to decode: the caller names their topics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from eth_hash.auto import keccak

from flasharb.feed.events import PoolEvent, PoolLog, V2Sync, V3Burn, V3Initialize, V3Mint, V3Swap
from flasharb.units import Address


def _topic(signature: str) -> str:
    return "0x" + keccak(signature.encode()).hex()


V2_SYNC: Final = _topic("Sync(uint112,uint112)")
V3_INITIALIZE: Final = _topic("Initialize(uint160,int24)")
V3_SWAP: Final = _topic("Swap(address,address,int256,int256,uint160,uint128,int24)")
PANCAKE_V3_SWAP: Final = _topic("Swap(address,address,int256,int256,uint160,uint128,int24,uint128,uint128)")
V3_MINT: Final = _topic("Mint(address,address,int24,int24,uint128,uint256,uint256)")
V3_BURN: Final = _topic("Burn(address,int24,int24,uint128,uint256,uint256)")

POOL_TOPICS: Final = (V2_SYNC, V3_INITIALIZE, V3_SWAP, PANCAKE_V3_SWAP, V3_MINT, V3_BURN)
"""First topics of the events that are decoded here; ``eth_subscribe`` and ``eth_getLogs`` are asked for these and all
further ones."""

NO_FURTHER: Final[Mapping[bytes, int]] = {}

_SHAPES: Final = {
    # topic0: (number of topics, hex digits of data)
    V2_SYNC: (1, 2 * 64),
    V3_INITIALIZE: (1, 2 * 64),
    V3_SWAP: (3, 5 * 64),
    PANCAKE_V3_SWAP: (3, 7 * 64),
    V3_MINT: (4, 4 * 64),
    V3_BURN: (4, 3 * 64),
}


class MalformedLog(ValueError):
    """Not a log as JSON-RPC defines it."""


def event_of(log: Mapping[str, Any], further: Mapping[bytes, int] = NO_FURTHER) -> PoolEvent | None:
    """The pool event of one log, or None for a log that is none.

    ``further``: first topics of logs to hand on undecoded, and which of their topics begins with the pool's key (0: the
    contract that emitted the log is the pool).

    Raises:
        MalformedLog: a field is missing or not hex.
    """
    try:
        topics, data = log["topics"], log["data"]
        if not topics:
            return None
        shape = _SHAPES.get(topics[0].lower())
        if shape is None:
            return _undecoded(log, further)
        if shape != (len(topics), len(data) - 2):
            return None
        pool = Address(bytes.fromhex(log["address"][2:]))
        return _event(topics, data[2:], pool, int(log["blockNumber"], 16), int(log["logIndex"], 16))
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise MalformedLog(f"malformed log: {type(problem).__name__}: {problem}") from None


def _undecoded(log: Mapping[str, Any], further: Mapping[bytes, int]) -> PoolLog | None:
    topics = tuple(bytes.fromhex(topic[2:]) for topic in log["topics"])
    named_by = further.get(topics[0])
    if named_by is None or named_by >= len(topics):
        return None
    emitter = Address(bytes.fromhex(log["address"][2:]))
    data, place = bytes.fromhex(log["data"][2:]), (int(log["blockNumber"], 16), int(log["logIndex"], 16))
    if not named_by:
        return PoolLog(emitter, topics, data, *place)
    return PoolLog(Address(topics[named_by][:20]), topics, data, *place, emitter)


def _event(topics: list[str], data: str, pool: Address, block_number: int, log_index: int) -> PoolEvent:
    match topics[0].lower():
        case topic if topic == V2_SYNC:
            return V2Sync(pool, _word(data, 0), _word(data, 1), block_number, log_index)
        case topic if topic in (V3_SWAP, PANCAKE_V3_SWAP):
            return V3Swap(pool, _word(data, 2), _signed(_word(data, 4)), _word(data, 3), block_number, log_index)
        case topic if topic == V3_MINT:
            return V3Mint(pool, _tick(topics[2]), _tick(topics[3]), _word(data, 1), block_number, log_index)
        case topic if topic == V3_BURN:
            return V3Burn(pool, _tick(topics[2]), _tick(topics[3]), _word(data, 0), block_number, log_index)
        case _:
            return V3Initialize(pool, _word(data, 0), _signed(_word(data, 1)), block_number, log_index)


def _word(data: str, index: int) -> int:
    return int(data[64 * index : 64 * index + 64], 16)


def _signed(word: int) -> int:
    return word - (1 << 256) if word >> 255 else word


def _tick(topic: str) -> int:
    return _signed(int(topic, 16))
