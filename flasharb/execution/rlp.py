"""Recursive Length Prefix, the encoding half: all that a transaction needs."""

from __future__ import annotations

from collections.abc import Iterable


def encode_bytes(raw: bytes) -> bytes:
    """A byte string."""
    if len(raw) == 1 and raw[0] < 0x80:
        return raw
    return _prefix(0x80, len(raw)) + raw


def encode_int(number: int) -> bytes:
    """A whole number ≥ 0, big-endian without leading zeros (0 is the empty string).

    Raises:
        OverflowError: negative.
    """
    return encode_bytes(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def encode_list(items: Iterable[bytes]) -> bytes:
    """A list of items that are encoded already."""
    payload = b"".join(items)
    return _prefix(0xC0, len(payload)) + payload


def _prefix(base: int, length: int) -> bytes:
    if length < 56:
        return bytes([base + length])
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([base + 55 + len(size)]) + size
