"""Keys that sign and never show themselves.

``SigningKey`` has no way to give its secret back: not by ``repr``, ``str``, formatting, copying, pickling, comparing or
an exception. Signatures are deterministic (RFC 6979) and have a low ``s``.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Final, NoReturn

import coincurve
from eth_hash.auto import keccak

from flasharb.execution.transaction import Signature, Transaction, encode_signed, signing_hash
from flasharb.units import Address, Hash32, checksum

CURVE_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


class BadKey(ValueError):
    """Not a private key; the message says what is wrong and never what was given."""


class SigningKey:
    """A secp256k1 private key and its address."""

    __slots__ = ("__key", "address")

    def __init__(self, secret: bytes) -> None:
        """Take 32 bytes.

        Raises:
            BadKey: not 32 bytes, zero, or not below the curve's order.
        """
        length, number = len(secret), int.from_bytes(secret, "big")
        good = length == 32 and 0 < number < CURVE_ORDER
        key = coincurve.PrivateKey(secret) if good else None
        # Before anything raises: a traceback that shows local variables must not find the secret in this frame.
        zero = number == 0
        del secret, number
        if key is None:
            raise BadKey(
                f"a private key has 32 bytes, not {length}"
                if length != 32
                else "a private key must not be zero"
                if zero
                else "a private key must be below the curve's order"
            )
        self.__key = key
        self.address = Address(keccak(key.public_key.format(compressed=False)[1:])[12:])

    @classmethod
    def from_hex(cls, text: str) -> SigningKey:
        """Take 64 hex digits, with or without ``0x``, spaces around them ignored.

        Raises:
            BadKey: anything else.
        """
        digits, secret = text.strip().removeprefix("0x"), None
        with contextlib.suppress(ValueError):
            secret = bytes.fromhex(digits) if len(digits) == 64 else None
        length = len(digits)
        del digits, text
        if secret is None:
            raise BadKey(f"a private key has 64 hex digits; this has {length} characters")
        try:
            return cls(secret)
        finally:
            del secret

    def sign_hash(self, digest: bytes) -> Signature:
        """Sign 32 bytes."""
        raw = self.__key.sign_recoverable(digest, hasher=None)
        return Signature(raw[64], int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:64], "big"))

    def sign_text(self, text: bytes) -> bytes:
        """EIP-191 "personal message" over the bytes: ``r || s || v`` with v 27 or 28."""
        digest = keccak(b"\x19Ethereum Signed Message:\n" + str(len(text)).encode() + text)
        raw: bytes = self.__key.sign_recoverable(digest, hasher=None)
        return raw[:64] + bytes([raw[64] + 27])

    def __repr__(self) -> str:
        # A refused key is half built and still shown by tools that print the local variables of a traceback.
        return f"<SigningKey of {checksum(self.address) if hasattr(self, 'address') else 'nobody'}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SigningKey) and self.address == other.address

    def __hash__(self) -> int:
        return hash(self.address)

    def __copy__(self) -> SigningKey:
        return self

    def __deepcopy__(self, memo: object) -> SigningKey:
        return self

    def __getstate__(self) -> NoReturn:
        raise TypeError("a signing key is not pickled: it stays in its process")

    def __reduce__(self) -> NoReturn:
        self.__getstate__()


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A transaction as it goes out. ``raw`` is not shown: until its block has passed nobody else may have it."""

    raw: bytes = field(repr=False)
    hash: Hash32
    sender: Address
    nonce: int


def sign(transaction: Transaction, key: SigningKey) -> SignedTransaction:
    """Sign a transaction."""
    raw = encode_signed(transaction, key.sign_hash(signing_hash(transaction)))
    return SignedTransaction(raw, Hash32(keccak(raw)), key.address, transaction.nonce)
