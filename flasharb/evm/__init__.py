"""A local EVM on py-evm: a library of its own, bytes and ints only.

A ``Machine`` executes transactions and calls in one block, on a ``StateSource``. The source may know only part of the
world: asking for the rest raises ``MissingState``, and the machine is left as it was.
"""

from flasharb.evm.context import BlockContext
from flasharb.evm.forks import Fork, fork_at
from flasharb.evm.machine import Machine, Snapshot
from flasharb.evm.result import CallFrame, CallResult, LogEntry, TransactionResult
from flasharb.evm.source import Account, AccountChange, AccountInfo, DictState, Diff, MissingState, StateSource
from flasharb.evm.transactions import InvalidTransaction, UnsignedTransaction

__all__ = [
    "Account",
    "AccountChange",
    "AccountInfo",
    "BlockContext",
    "CallFrame",
    "CallResult",
    "DictState",
    "Diff",
    "Fork",
    "InvalidTransaction",
    "LogEntry",
    "Machine",
    "MissingState",
    "Snapshot",
    "StateSource",
    "TransactionResult",
    "UnsignedTransaction",
    "fork_at",
]
