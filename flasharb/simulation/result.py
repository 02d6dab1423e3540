"""What a simulation answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flasharb.evm import CallFrame, MissingState
from flasharb.units import Address, Hash32


@dataclass(frozen=True, slots=True)
class Log:
    """An event that a contract emitted."""

    address: Address
    topics: tuple[Hash32, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Executed:
    """One transaction after execution, exactly as the chain would account for it.

    ``balance_changes[account][token]`` is the signed change in the token's smallest unit, measured by ``balanceOf``
    before and after (never from events); the key ``None`` stands for ETH, gas included. ``coinbase_payment_wei`` is
    what the fee recipient gained from this transaction (priority fee and direct payment).
    """

    tx_hash: Hash32 | None
    status: int
    gas_used: int
    effective_gas_price: int
    output: bytes
    revert_reason: str | None
    logs: tuple[Log, ...]
    balance_changes: Mapping[Address, Mapping[Address | None, int]]
    coinbase_payment_wei: int
    contract_address: Address | None = None
    trace: CallFrame | None = None


@dataclass(frozen=True, slots=True)
class Simulation:
    """All transactions of one request, in order. ``touched`` lists the (account, slots) read, for the next prefetch.

    ``unmeasured`` says which state was missing to measure balances that only transfer events asked for.
    """

    transactions: tuple[Executed, ...]
    touched: Mapping[Address, frozenset[int]] = field(default_factory=dict)
    unmeasured: MissingState | None = None
