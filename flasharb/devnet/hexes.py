"""The hexadecimal texts of JSON-RPC: quantities without leading zeros, data with all its bytes."""

from __future__ import annotations


def hex_int(value: int) -> str:
    """A quantity: ``0x0``, ``0x41``."""
    return hex(value)


def hex_bytes(raw: bytes) -> str:
    """Data: two digits a byte."""
    return "0x" + raw.hex()


def hex_word(value: int) -> str:
    """A 32-byte storage word."""
    return f"0x{value:064x}"


def parse_int(text: object) -> int:
    """A quantity.

    Raises:
        ValueError: not ``0x`` and at least one hex digit.
    """
    if not isinstance(text, str) or not text.startswith("0x") or len(text) < 3:
        raise ValueError(f"expected a 0x quantity, got {text!r}")
    return int(text, 16)


def parse_bytes(text: object, length: int | None = None) -> bytes:
    """Data, of ``length`` bytes where one is given.

    Raises:
        ValueError: no ``0x``, an odd number of digits, another length.
    """
    if not isinstance(text, str) or not text.startswith("0x"):
        raise ValueError(f"expected 0x data, got {text!r}")
    try:
        raw = bytes.fromhex(text[2:])
    except ValueError:
        raise ValueError(f"expected 0x data, got {text[:80]!r}") from None
    if length is not None and len(raw) != length:
        raise ValueError(f"expected {length} bytes, got {len(raw)}: {text[:80]!r}")
    return raw
