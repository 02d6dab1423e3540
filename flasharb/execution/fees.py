"""Base fee of the next block, exactly, and the fee fields of a transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from flasharb.units import WEI_PER_GWEI

ELASTICITY: Final = 2
CHANGE_DENOMINATOR: Final = 8
GAS_PRICE_ABOVE_CAP: Final = "gas_price_above_cap"
"""The reason of a ``Rejected`` whose fee would exceed ``mev.max_gas_price_gwei``."""


class Header(Protocol):
    """The header fields that fix the next base fee."""

    @property
    def base_fee_per_gas(self) -> int: ...
    @property
    def gas_used(self) -> int: ...
    @property
    def gas_limit(self) -> int: ...


def next_base_fee(header: Header) -> int:
    """Base fee of the child of ``header`` in wei (EIP-1559)."""
    fee, target = header.base_fee_per_gas, header.gas_limit // ELASTICITY
    if header.gas_used == target:
        return fee
    if header.gas_used > target:
        # At least 1 wei up: clients that forget this underbid a full block at tiny base fees.
        return fee + max(fee * (header.gas_used - target) // target // CHANGE_DENOMINATOR, 1)
    return fee - fee * (target - header.gas_used) // target // CHANGE_DENOMINATOR


def base_fee_bound(base_fee: int, blocks: int) -> int:
    """Most that the base fee can be ``blocks`` blocks after one with ``base_fee``; exact when every block is full."""
    for _ in range(blocks):
        base_fee += max(base_fee // CHANGE_DENOMINATOR, 1)
    return base_fee


@dataclass(frozen=True, slots=True)
class Fees:
    """Fee fields of a type-2 transaction, wei per gas."""

    max_fee_per_gas: int
    max_priority_fee_per_gas: int


@dataclass(frozen=True, slots=True)
class AboveCap:
    """The fee would exceed the operator's cap; a candidate ends as ``Rejected(reason=GAS_PRICE_ABOVE_CAP)``."""

    needed: int
    cap: int

    @property
    def detail(self) -> str:
        """The figures in gwei, exact."""
        return f"needs {_gwei(self.needed)} gwei, mev.max_gas_price_gwei allows {_gwei(self.cap)}"


def choose_fees(base_fee: int, priority_fee: int, cap: int) -> Fees | AboveCap:
    """Fees for a block whose base fee is (at most) ``base_fee``: exactly base + tip, so nothing is overpaid.

    All in wei per gas; ``cap`` is ``gwei_to_wei(mev.max_gas_price_gwei)``.
    """
    needed = base_fee + priority_fee
    return AboveCap(needed, cap) if needed > cap else Fees(needed, priority_fee)


def gwei_to_wei(gwei: float) -> int:
    """A configured number of gwei in wei; the decimal digits as written, not the float's binary neighbours."""
    whole, _, part = f"{gwei:.9f}".partition(".")
    return int(whole) * WEI_PER_GWEI + int(part)


def _gwei(wei: int) -> str:
    whole, part = divmod(wei, WEI_PER_GWEI)
    return f"{whole}.{part:09d}".rstrip("0").rstrip(".")
