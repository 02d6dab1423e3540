"""Bus messages: from frames and back. ``encode`` and ``decode`` are the doors; the structs live in ``feed.records``.

Types outside the closed list come out as ``Opaque``: kept, counted and passed by.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import error
from typing import Final

import msgspec

from flasharb.feed.layouts import CODECS
from flasharb.feed.records import (
    ArbitrageSignal,
    FlashLoanResult,
    GasPrice,
    Heartbeat,
    Message,
    Opaque,
    PoolBurn,
    PoolLiquidity,
    PoolMint,
    PoolState,
    PoolSwap,
    PoolSync,
    PoolTick,
    Quote,
    RecoveryRequest,
    Snapshot,
    StateInvalidation,
    Trade,
)
from flasharb.feed.tlv import MalformedMessage, join, split
from flasharb.feed.wire import Dialect, Frame, encode_frame

__all__ = [
    "ArbitrageSignal",
    "FlashLoanResult",
    "GasPrice",
    "Heartbeat",
    "MalformedMessage",
    "Message",
    "Opaque",
    "PoolBurn",
    "PoolLiquidity",
    "PoolMint",
    "PoolState",
    "PoolSwap",
    "PoolSync",
    "PoolTick",
    "Quote",
    "RecoveryRequest",
    "Snapshot",
    "StateInvalidation",
    "Trade",
    "decode",
    "decode_value",
    "domain_of",
    "encode",
    "encode_tlv",
    "encode_value",
]

SOURCE_ARBITRAGE: Final[dict[Dialect, int]] = {"p1": 20, "p3": 10}
"""Our own source number in message headers."""
SOURCE_POLYGON: Final = 4
"""The source of on-chain events, in both dialects."""

_DECODERS: Final = {dialect: {kind: codec.decode for kind, codec in table.items()} for dialect, table in CODECS.items()}


def domain_of(message: Message, dialect: Dialect) -> int:
    """The relay domain that a message travels in: market data, signal, execution or system (p3 counts from 0)."""
    kind = message.type if isinstance(message, Opaque) else message.TYPE
    if 20 <= kind < 40 or 60 <= kind < 80:
        domain = 2
    elif 40 <= kind < 60:
        domain = 3
    elif 80 <= kind < 120:
        domain = 4
    else:
        domain = 1
    return domain if dialect == "p1" else domain - 1


def encode(
    messages: Message | Iterable[Message],
    *,
    dialect: Dialect = "p1",
    source: int,
    timestamp_ns: int,
    sequence: int = 0,
    domain: int | None = None,
    flags: int = 0,
    length_prefix: bool = False,
) -> bytes:
    """One bus message that carries ``messages`` as its TLVs, header and CRC included.

    ``domain`` defaults to that of the first TLV.

    Raises:
        ValueError: a field out of its range, a type that the dialect lacks, or a payload without any TLV.
    """
    several = (messages,) if isinstance(messages, msgspec.Struct) else tuple(messages)
    if not several:
        raise ValueError("a bus message needs at least one TLV")
    payload = b"".join(encode_tlv(message, dialect) for message in several)
    if domain is None:
        domain = domain_of(several[0], dialect)
    try:
        return encode_frame(
            Frame(dialect, domain, source, flags, sequence, timestamp_ns, payload), length_prefix=length_prefix
        )
    except error as problem:
        raise ValueError(f"header field out of range: {problem}") from None


def encode_tlv(message: Message, dialect: Dialect) -> bytes:
    """One TLV record of a message.

    Raises:
        ValueError: a field out of its range, or a type that the dialect lacks.
    """
    if isinstance(message, Opaque):
        return join(message.type, message.value)
    return join(message.TYPE, encode_value(message, dialect))


def encode_value(message: Message, dialect: Dialect) -> bytes:
    """The value bytes of a message, without its TLV header.

    Raises:
        ValueError: a field out of its range, or a type that the dialect lacks.
    """
    if isinstance(message, Opaque):
        return message.value
    codec = CODECS[dialect].get(message.TYPE)
    if codec is None:
        raise ValueError(f"dialect {dialect} has no {type(message).__name__}")
    try:
        encoded: bytes = codec.encode(message)
    except (error, OverflowError) as problem:
        raise ValueError(f"{type(message).__name__} field out of range: {problem}") from None
    return encoded


def decode(frame: Frame) -> list[Message]:
    """The messages of a frame.

    Raises:
        MalformedMessage: broken TLV framing, or a known type with another length than its layout has.
    """
    dialect = frame.dialect
    payload = frame.payload
    decoders = _DECODERS[dialect]
    # Nearly every message is one standard TLV: spare it the list of records.
    if len(payload) >= 2 and payload[0] in decoders and payload[1] == len(payload) - 2:
        return [decode_value(payload[0], payload[2:], dialect)]
    return [decode_value(kind, value, dialect) for kind, value in split(payload)]


def decode_value(kind: int, value: bytes, dialect: Dialect) -> Message:
    """One message from its TLV type and value bytes.

    Raises:
        MalformedMessage: a known type with another length than its layout has.
    """
    decoder = _DECODERS[dialect].get(kind)
    if decoder is None:
        return Opaque(kind, value)
    try:
        message: Message = decoder(value)
    except error:
        raise MalformedMessage(f"TLV type {kind} with {len(value)} bytes: not its layout in {dialect}") from None
    return message
