"""ABI-encoding of constructor and call arguments, as much of it as the pools of the Vault need.

A number or an address is a word; a ``tuple`` is encoded in place where all of it is static, by reference otherwise; a
``list`` is a dynamic array; ``str`` and ``bytearray`` are byte strings.
"""

from __future__ import annotations

from typing import Any


def encode(*values: Any) -> bytes:
    """The arguments of one call."""
    return _sequence(values)


def _sequence(values: Any) -> bytes:
    heads = [None if _dynamic(value) else _static(value) for value in values]
    at = sum(32 if head is None else len(head) for head in heads)
    head_part, tail_part = b"", b""
    for value, head in zip(values, heads, strict=True):
        if head is None:
            head_part += (at + len(tail_part)).to_bytes(32, "big")
            tail_part += _tail(value)
        else:
            head_part += head
    return head_part + tail_part


def _dynamic(value: Any) -> bool:
    return isinstance(value, list | str | bytearray) or (isinstance(value, tuple) and any(map(_dynamic, value)))


def _static(value: Any) -> bytes:
    if isinstance(value, tuple):
        return b"".join(map(_static, value))
    if isinstance(value, bytes):
        return value if len(value) == 32 else value.rjust(32, b"\0")
    return (int(value) % (1 << 256)).to_bytes(32, "big")


def _tail(value: Any) -> bytes:
    if isinstance(value, tuple):
        return _sequence(value)
    if isinstance(value, list):
        return len(value).to_bytes(32, "big") + _sequence(value)
    raw = value.encode() if isinstance(value, str) else bytes(value)
    return len(raw).to_bytes(32, "big") + raw + bytes(-len(raw) % 32)
