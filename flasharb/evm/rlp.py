"""Recursive Length Prefix: what transactions, receipts and tries need of it, without the layers of a general library.

Decoding is strict: every value has one encoding, and anything else is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Union

Item = Union[bytes, "Sequence[Item]"]
"""A byte string, or a list of items."""

_SINGLE: Final = tuple(bytes([value]) for value in range(256))
_MAX_DEPTH: Final = 16


class MalformedRlp(ValueError):
    """Bytes that are no canonical encoding of anything."""


def encode(item: Item) -> bytes:
    """Byte strings and lists of them, nested."""
    if isinstance(item, bytes):
        return encode_bytes(item)
    return encode_list([encode_bytes(one) if isinstance(one, bytes) else encode(one) for one in item])


def encode_bytes(raw: bytes) -> bytes:
    """A byte string."""
    length = len(raw)
    if length == 1 and raw[0] < 0x80:
        return raw
    return (_SINGLE[0x80 + length] if length < 56 else _long_prefix(0x80, length)) + raw


def encode_int(number: int) -> bytes:
    """A whole number ≥ 0, big-endian without leading zeros (0 is the empty string).

    Raises:
        OverflowError: negative.
    """
    return encode_bytes(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def encode_list(items: Iterable[bytes]) -> bytes:
    """A list of items that are encoded already."""
    payload = b"".join(items)
    length = len(payload)
    return (_SINGLE[0xC0 + length] if length < 56 else _long_prefix(0xC0, length)) + payload


def _long_prefix(base: int, length: int) -> bytes:
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return _SINGLE[base + 55 + len(size)] + size


def decode(data: bytes) -> Item:
    """The one item that the bytes are; lists come as Python lists.

    Raises:
        MalformedRlp: cut short, followed by something, not canonical, or nested more than 16 deep.
    """
    item, end = _item(data, 0, len(data), 0)
    if end != len(data):
        raise MalformedRlp(f"{len(data) - end} bytes follow the end")
    return item


def decode_list(data: bytes) -> tuple[list[Item], list[int]]:
    """The items of the list that the bytes are, and at which byte each of them begins.

    Raises:
        MalformedRlp: as ``decode``, or no list.
    """
    start, end = _span(data, 0, len(data))
    if data[0] < 0xC0:
        raise MalformedRlp("no list")
    if end != len(data):
        raise MalformedRlp(f"{len(data) - end} bytes follow the end")
    return _items(data, start, end, 1)


def _items(data: bytes, at: int, end: int, depth: int) -> tuple[list[Item], list[int]]:
    if depth > _MAX_DEPTH:
        raise MalformedRlp(f"lists in lists, more than {_MAX_DEPTH} deep")
    items, begins = [], []
    while at < end:
        begins.append(at)
        item, at = _item(data, at, end, depth)
        items.append(item)
    return items, begins


def _item(data: bytes, at: int, limit: int, depth: int) -> tuple[Item, int]:
    """The item at ``at``, which must end by ``limit``, and where it ends."""
    start, end = _span(data, at, limit)
    if data[at] >= 0xC0:
        return _items(data, start, end, depth + 1)[0], end
    return data[start:end], end


def _span(data: bytes, at: int, limit: int) -> tuple[int, int]:
    """Where the content of the item at ``at`` begins and ends."""
    if at >= limit:
        raise MalformedRlp("no bytes")
    first = data[at]
    if first < 0x80:
        return at, at + 1
    base = 0x80 if first < 0xC0 else 0xC0
    length, start = first - base, at + 1
    if length > 55:
        size = length - 55
        start += size
        length = int.from_bytes(data[at + 1 : start], "big")
        if start > limit or length < 56 or data[at + 1] == 0:
            raise MalformedRlp(f"the length at byte {at} is not canonical")
    end = start + length
    if end > limit:
        raise MalformedRlp(f"the item at byte {at} ends {end - limit} bytes too late")
    if length == 1 and base == 0x80 and data[start] < 0x80:
        raise MalformedRlp(f"the byte at {start} needs no prefix")
    return start, end
