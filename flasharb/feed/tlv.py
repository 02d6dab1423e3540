"""TLV framing inside a message: standard (type, length u8) and extended (255, 0, type, length u16 LE) records."""

from __future__ import annotations

from typing import Final

EXTENDED: Final = 255
MAX_STANDARD_BYTES: Final = 255
MAX_EXTENDED_BYTES: Final = 65_535


class MalformedMessage(ValueError):
    """A message whose CRC is right and whose content is not: the producer and we disagree on a layout."""


def split(payload: bytes) -> list[tuple[int, bytes]]:
    """The (type, value) records of a message.

    Raises:
        MalformedMessage: a record that runs over the end, or an extended record without its zero byte.
    """
    records: list[tuple[int, bytes]] = []
    position = 0
    size = len(payload)
    while position < size:
        if position + 2 > size:
            raise MalformedMessage("truncated TLV: one byte is left where a record should begin")
        kind = payload[position]
        if kind == EXTENDED:
            start = position + 5
            if payload[position + 1] != 0:
                raise MalformedMessage(f"extended TLV with {payload[position + 1]} where a zero byte belongs")
            if start > size:
                raise MalformedMessage("truncated TLV: an extended record without its length")
            kind = payload[position + 2]
            end = start + int.from_bytes(payload[position + 3 : start], "little")
        else:
            start = position + 2
            end = start + payload[position + 1]
        if end > size:
            raise MalformedMessage(f"truncated TLV: type {kind} has {end - start} bytes, {size - start} are left")
        records.append((kind, payload[start:end]))
        position = end
    return records


def join(kind: int, value: bytes, *, extended: bool = False) -> bytes:
    """One record; longer values than 255 bytes (or ``extended``) take the extended form.

    Raises:
        ValueError: a type outside 1..254 or a value of more than 65,535 bytes.
    """
    if not 1 <= kind < EXTENDED:
        raise ValueError(f"TLV type {kind} is outside 1..254")
    if len(value) > MAX_EXTENDED_BYTES:
        raise ValueError(f"TLV value of {len(value)} bytes; the most is {MAX_EXTENDED_BYTES}")
    if extended or len(value) > MAX_STANDARD_BYTES:
        return bytes((EXTENDED, 0, kind)) + len(value).to_bytes(2, "little") + value
    return bytes((kind, len(value))) + value
