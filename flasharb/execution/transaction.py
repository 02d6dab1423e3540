"""The one transaction type we send: EIP-1559 (type 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eth_hash.auto import keccak

from flasharb.evm.rlp import encode_bytes, encode_int, encode_list
from flasharb.units import Address, Hash32

TYPE: Final = b"\x02"
MAX_TRANSACTION_GAS: Final = 16_777_216
"""The protocol's cap on a gas limit (EIP-7825, mainnet since December 2025); the local EVM does not know it."""

AccessList = tuple[tuple[Address, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class Transaction:
    """An unsigned type-2 transaction; fees in wei per gas, ``value`` in wei. ``to`` None creates a contract.

    Raises:
        ValueError: a field outside what the protocol can hold, or a tip above the fee cap.
    """

    chain_id: int
    nonce: int
    max_priority_fee_per_gas: int
    max_fee_per_gas: int
    gas_limit: int
    to: Address | None
    value: int
    data: bytes
    access_list: AccessList = ()

    def __post_init__(self) -> None:
        limits = {
            "chain_id": (1, 2**64),
            "nonce": (0, 2**64 - 1),  # EIP-2681: 2**64 - 1 itself can never be sent
            "max_priority_fee_per_gas": (0, 2**256),
            "max_fee_per_gas": (0, 2**256),
            "gas_limit": (21_000, MAX_TRANSACTION_GAS + 1),
            "value": (0, 2**256),
        }
        for name, (least, end) in limits.items():
            if not least <= getattr(self, name) < end:
                raise ValueError(f"{name} = {getattr(self, name)} is not from {least} to {end - 1}")
        if self.max_priority_fee_per_gas > self.max_fee_per_gas:
            raise ValueError(f"tip {self.max_priority_fee_per_gas} is above the fee cap {self.max_fee_per_gas}")
        if any(len(account) != 20 for account, _ in self.access_list) or (self.to is not None and len(self.to) != 20):
            raise ValueError("an address must have 20 bytes")


@dataclass(frozen=True, slots=True)
class Signature:
    """``y_parity`` 0 or 1, and the curve's ``r`` and (low) ``s``."""

    y_parity: int
    r: int
    s: int


def signing_hash(transaction: Transaction) -> Hash32:
    """What the sender signs."""
    return Hash32(keccak(TYPE + encode_list(_fields(transaction))))


def encode_signed(transaction: Transaction, signature: Signature) -> bytes:
    """The EIP-2718 envelope, as it stands in a block and in a bundle."""
    signed = [encode_int(number) for number in (signature.y_parity, signature.r, signature.s)]
    return TYPE + encode_list(_fields(transaction) + signed)


def _fields(transaction: Transaction) -> list[bytes]:
    fees = (transaction.max_priority_fee_per_gas, transaction.max_fee_per_gas)
    numbers = (transaction.chain_id, transaction.nonce, *fees, transaction.gas_limit)
    entries = (
        encode_list((encode_bytes(account), encode_list(encode_bytes(slot.to_bytes(32, "big")) for slot in slots)))
        for account, slots in transaction.access_list
    )
    return [
        *map(encode_int, numbers),
        encode_bytes(transaction.to or b""),
        encode_int(transaction.value),
        encode_bytes(transaction.data),
        encode_list(entries),
    ]
