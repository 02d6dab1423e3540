"""Units and constants that every stage shares.

Amounts are plain ``int`` in a token's smallest unit (``_wei`` for ETH); the name carries the unit where the type does
not.
Addresses are 20 raw bytes inside the program; checksummed hex exists only in ``adapters`` and ``cli``.
"""

from __future__ import annotations

from typing import Final, NewType

from eth_hash.auto import keccak

Address = NewType("Address", bytes)
"""20 raw bytes in display order."""

Hash32 = NewType("Hash32", bytes)
"""32 raw bytes: a block, transaction or bundle hash."""

WEI_PER_ETH: Final = 10**18
WEI_PER_GWEI: Final = 10**9
WAD: Final = 10**18
"""Parts of 1e18 in one: fees and rates of lending and stablecoin contracts."""
PIPS: Final = 1_000_000
"""Hundredths of a basis point in one: Uniswap's fee unit (0.3 % = 3000 pips)."""
BPS: Final = 10_000
ZERO_ADDRESS: Final = Address(bytes(20))


def address(text: str) -> Address:
    """Parse ``0x`` + 40 hex digits, in any case.

    A mixed-case text must carry a valid EIP-55 checksum, so that a typing error is not taken for an account.

    Raises:
        ValueError: not 20 bytes of hex, or a wrong checksum.
    """
    digits = text.removeprefix("0x")
    try:
        raw = Address(bytes.fromhex(digits))
    except ValueError:
        raise ValueError(f"not an address: {text!r} (expected 0x and 40 hex digits)") from None
    if len(raw) != 20 or len(digits) != 40:
        raise ValueError(f"not an address: {text!r} (expected 0x and 40 hex digits)")
    if digits not in (digits.lower(), digits.upper()) and checksum(raw) != "0x" + digits:
        raise ValueError(f"address with a wrong checksum: {text!r} (meant: {checksum(raw)}?)")
    return raw


def checksum(raw: bytes) -> str:
    """The EIP-55 text of a 20-byte address."""
    digits = raw.hex()
    marks = keccak(digits.encode()).hex()
    return "0x" + "".join(c.upper() if int(mark, 16) >= 8 else c for c, mark in zip(digits, marks, strict=False))


def hex0x(raw: bytes) -> str:
    """``0x`` + lower-case hex."""
    return "0x" + raw.hex()
