"""Revert data in words: ``Error(string)``, ``Panic(uint256)``, custom errors by their selector."""

from __future__ import annotations

from typing import Final

ERROR_SELECTOR: Final = bytes.fromhex("08c379a0")
PANIC_SELECTOR: Final = bytes.fromhex("4e487b71")

PANICS: Final = {
    0x00: "compiler-inserted check",
    0x01: "assertion failed",
    0x11: "arithmetic overflow or underflow",
    0x12: "division by zero",
    0x21: "value outside its enum",
    0x22: "badly encoded storage bytes",
    0x31: "pop from an empty array",
    0x32: "array index out of bounds",
    0x41: "out of memory",
    0x51: "call of an uninitialised function",
}


def revert_reason(output: bytes, error: str | None) -> str | None:
    """Why a transaction or call failed, None when it did not.

    ``output`` is its revert data, ``error`` what the machine says (``None`` = success).
    """
    if error is None:
        return None
    if error != "execution reverted" or not output:
        return error
    selector, data = output[:4], output[4:]
    if selector == ERROR_SELECTOR:
        text = _string(data)
        if text is not None:
            return text
    if selector == PANIC_SELECTOR and len(data) == 32:
        code = int.from_bytes(data, "big")
        return f"panic {code:#04x}: {PANICS.get(code, 'unknown code')}"
    if len(output) < 4:
        return f"reverted with 0x{output.hex()}"
    return f"custom error 0x{selector.hex()}" + (f" with 0x{data.hex()}" if data else "")


def _string(data: bytes) -> str | None:
    if len(data) < 64:
        return None
    at = int.from_bytes(data[:32], "big")
    size = int.from_bytes(data[at : at + 32], "big")
    if at + 32 + size > len(data):
        return None
    return data[at + 32 : at + 32 + size].decode("utf-8", "replace")
