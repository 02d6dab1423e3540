"""The 32-byte message headers of the bus: H1 (dialect p1), H2 (one day's variant, skipped) and H3 (dialect p3).

All three carry magic 0xDEADBEEF and version 1, so only the place of the magic and the CRC tell them apart.
The CRC-32 (zlib's) covers every byte of the message except the four checksum bytes themselves.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, Literal
from zlib import crc32

import msgspec

Dialect = Literal["p1", "p3"]

MAGIC: Final = b"\xef\xbe\xad\xde"
MAGIC_NUMBER: Final = 0xDEADBEEF
VERSION: Final = 1
HEADER_BYTES: Final = 32
DEFAULT_MAX_MESSAGE_BYTES: Final = 65_536 + HEADER_BYTES

H1: Final = Struct("<IBBBBIQQI")
"""magic, domain, version, source, flags, payload_size, sequence, timestamp_ns, checksum"""
H2: Final = Struct("<QQIIIBBBB")
"""sequence, timestamp_ns, magic, payload_size, checksum, domain, version, source, flags"""
H3: Final = Struct("<IBBBBQQII")
"""magic, domain, version, source, flags, sequence, timestamp_ns, payload_size, checksum"""
H2_MAGIC_OFFSET: Final = 16
CHECKSUM_OFFSET: Final = 28
"""of H1 and H3"""
H2_CHECKSUM_OFFSET: Final = 24

HELLO_P1: Final = MAGIC + bytes.fromhex("000000000100000002000000") + bytes(20)
"""What p1 producers write right after connecting: 36 bytes that are no message."""
HELLO_P3: Final = MAGIC + bytes.fromhex("01010200") + bytes(24)
"""What p3 producers write right after connecting: 32 bytes without a valid CRC."""


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One message off the wire: header fields and the undivided TLV bytes."""

    dialect: Dialect
    domain: int
    source: int
    flags: int
    sequence: int
    timestamp_ns: int
    payload: bytes


class Header(msgspec.Struct, frozen=True, gc=False):
    """The fields of a message header, whichever layout they came in."""

    domain: int
    version: int
    source: int
    flags: int
    payload_size: int
    sequence: int
    timestamp_ns: int
    checksum: int


def decode_h1(data: bytes, offset: int = 0) -> Header:
    """Read header layout H1; the magic is the caller's to check."""
    _, domain, version, source, flags, size, sequence, timestamp_ns, checksum = H1.unpack_from(data, offset)
    return Header(domain, version, source, flags, size, sequence, timestamp_ns, checksum)


def decode_h2(data: bytes, offset: int = 0) -> Header:
    """Read header layout H2; the magic (at offset 16) is the caller's to check."""
    sequence, timestamp_ns, _, size, checksum, domain, version, source, flags = H2.unpack_from(data, offset)
    return Header(domain, version, source, flags, size, sequence, timestamp_ns, checksum)


def decode_h3(data: bytes, offset: int = 0) -> Header:
    """Read header layout H3; the magic is the caller's to check."""
    _, domain, version, source, flags, sequence, timestamp_ns, size, checksum = H3.unpack_from(data, offset)
    return Header(domain, version, source, flags, size, sequence, timestamp_ns, checksum)


def encode_frame(frame: Frame, *, length_prefix: bool = False) -> bytes:
    """The message's bytes, with CRC; ``length_prefix`` puts its length in front as u32 little-endian."""
    if frame.dialect == "p1":
        head = H1.pack(
            MAGIC_NUMBER,
            frame.domain,
            VERSION,
            frame.source,
            frame.flags,
            len(frame.payload),
            frame.sequence,
            frame.timestamp_ns,
            0,
        )
    else:
        head = H3.pack(
            MAGIC_NUMBER,
            frame.domain,
            VERSION,
            frame.source,
            frame.flags,
            frame.sequence,
            frame.timestamp_ns,
            len(frame.payload),
            0,
        )
    checksum = crc32(frame.payload, crc32(head[:28]))
    message = head[:28] + checksum.to_bytes(4, "little") + frame.payload
    return len(message).to_bytes(4, "little") + message if length_prefix else message
