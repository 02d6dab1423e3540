"""The price of blob gas (EIP-4844, EIP-7691, EIP-7840, EIP-7918)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Protocol

from flasharb.evm.forks import BLOB_SCHEDULES, GAS_PER_BLOB, Fork

_EXECUTION_GAS_OF_A_BLOB: Final = 8_192


class Parent(Protocol):
    """What a block's header says of gas, in units; the base fee in wei."""

    @property
    def base_fee_per_gas(self) -> int: ...

    @property
    def blob_gas_used(self) -> int: ...

    @property
    def excess_blob_gas(self) -> int: ...


@lru_cache(256)
def blob_base_fee(fork: Fork, excess_blob_gas: int) -> int:
    """The price of blob gas, in wei, in a block with this excess: e to the power of excess / fraction, in integers."""
    fraction = BLOB_SCHEDULES[fork].update_fraction
    total, term, n = 0, fraction, 1
    while term:
        total += term
        term = term * excess_blob_gas // (fraction * n)
        n += 1
    return total // fraction


def most_blob_gas(fork: Fork) -> int:
    """How much blob gas a block may use."""
    return BLOB_SCHEDULES[fork].most * GAS_PER_BLOB


def excess_after(fork: Fork, parent: Parent) -> int | None:
    """The excess blob gas of a block under the rules of ``fork``; None before Cancun.

    Since Osaka (EIP-7918) a blob costs no less than 8,192 gas: where it would, blocks at the target raise the excess.
    """
    schedule = BLOB_SCHEDULES.get(fork)
    if schedule is None:
        return None
    excess, used = parent.excess_blob_gas, parent.blob_gas_used
    total = excess + used
    target = schedule.target * GAS_PER_BLOB
    if total < target:
        return 0
    if fork.since(Fork.OSAKA):
        floor = _EXECUTION_GAS_OF_A_BLOB * parent.base_fee_per_gas
        if floor > GAS_PER_BLOB * blob_base_fee(fork, excess):
            return excess + used * (schedule.most - schedule.target) // schedule.most
    return total - target
