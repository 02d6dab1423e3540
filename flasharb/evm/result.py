"""What the machine answers: logs, call frames, results of transactions and calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class LogEntry(NamedTuple):
    """An event; topics are 32 bytes each."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class CallFrame:
    """One message call of a transaction, with those it made.

    ``kind`` is call, delegatecall, callcode, staticcall or create; ``address`` is the account whose storage is used,
    ``code_address`` where the code stands; gas as given and used.
    """

    kind: str
    sender: bytes
    address: bytes
    code_address: bytes
    value: int
    gas: int
    gas_used: int
    input: bytes
    output: bytes
    error: str | None
    logs: tuple[LogEntry, ...]
    calls: tuple[CallFrame, ...]


@dataclass(frozen=True, slots=True)
class TransactionResult:
    """A transaction after execution. ``status`` 1 = success; amounts in wei; ``error`` is None on success.

    ``output`` is the return data, or the revert data. ``coinbase_payment`` is what the fee recipient's balance grew by.
    """

    status: int
    gas_used: int
    effective_gas_price: int
    output: bytes
    error: str | None
    logs: tuple[LogEntry, ...]
    contract_address: bytes | None
    coinbase_payment: int
    trace: CallFrame | None = None


@dataclass(frozen=True, slots=True)
class CallResult:
    """A message call that changed nothing. ``gas_used`` leaves the transaction's intrinsic gas out."""

    success: bool
    output: bytes
    gas_used: int
    error: str | None
    logs: tuple[LogEntry, ...]
    trace: CallFrame | None = None
