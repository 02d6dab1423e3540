"""Readings of a finished py-evm computation: logs, reason of failure, call tree."""

from __future__ import annotations

from typing import Any

from flasharb.evm.result import CallFrame, LogEntry


def _log(account: bytes, topics: tuple[int, ...], data: bytes) -> LogEntry:
    return LogEntry(account, tuple(topic.to_bytes(32, "big") for topic in topics), bytes(data))


def logs_of(computation: Any) -> tuple[LogEntry, ...]:
    """The logs in order; none of a failed frame."""
    return tuple(_log(*entry) for entry in computation.get_log_entries())


def reason_of(computation: Any) -> str | None:
    """Why the computation failed, in py-evm's words; None when it succeeded. Revert data is not decoded here."""
    if computation.is_success:
        return None
    error = computation.error
    name = type(error).__name__
    if name == "Revert":
        return "execution reverted"
    text = str(error)
    return f"{name}: {text}" if text else name


def frame_of(computation: Any) -> CallFrame:
    """The call tree."""
    message = computation.msg
    return CallFrame(
        kind=_kind(message),
        sender=message.sender,
        address=message.storage_address,
        code_address=message.storage_address if message.is_create else message.code_address,
        value=message.value,
        gas=message.gas,
        gas_used=computation.get_gas_used(),
        input=bytes(message.code if message.is_create else message.data),
        output=bytes(computation.output),
        error=reason_of(computation),
        logs=_own_logs(computation),
        calls=tuple(calls) if (calls := getattr(computation, "calls", None)) is not None else _calls(computation),
    )


def _own_logs(computation: Any) -> tuple[LogEntry, ...]:
    """The logs of this frame alone. Frames that have absorbed those of their calls note each log's depth first."""
    if computation.is_error:
        return ()
    entries = computation._log_entries
    if hasattr(computation, "calls"):
        entries = [entry for entry in entries if entry[0] == computation.msg.depth]
    return tuple(_log(*entry[1:]) for entry in entries)


def _calls(computation: Any) -> tuple[CallFrame, ...]:
    return tuple(frame_of(child) for child in computation.children)


def _kind(message: Any) -> str:
    if message.is_create:
        return "create"
    if message.code_address != message.storage_address and not message.is_delegation:
        return "callcode" if message.should_transfer_value else "delegatecall"
    return "call" if message.should_transfer_value else "staticcall"
