"""A second opinion: what another implementation says that a transaction does, held against what ours says.

Success, output, logs and balance changes must be equal. Gas is not compared: revm's Python binding cannot tell it. The
words of a failure are not either: engines name the same failure differently. What gas costs is taken out of the ETH
changes, so that only what the contracts moved is compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flasharb.evm import Account, BlockContext, Fork, UnsignedTransaction
from flasharb.evm.transactions import Transaction, decode
from flasharb.simulation.measure import Pair
from flasharb.simulation.result import Executed, Log
from flasharb.units import Address, checksum, hex0x

Changes = Mapping[Address, Mapping[Address | None, int]]
"""Signed changes by account and token (None = ETH), in the smallest unit, without zeros."""


@dataclass(frozen=True, slots=True)
class Case:
    """A transaction, its block, and the state that it found: everything that ours touched, and nothing else.

    ``pairs``: the (account, token) whose balances are compared besides all ETH. ``earlier``: transactions of the same
    block that run first, whose effects ``before`` holds already.
    """

    transaction: bytes | UnsignedTransaction
    context: BlockContext
    fork: Fork
    before: Mapping[bytes, Account]
    pairs: Sequence[Pair]
    earlier: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Opinion:
    """What ``engine`` says. ``logs`` and ``changes`` are None where it cannot tell; ETH changes are without gas."""

    engine: str
    status: int
    output: bytes
    logs: tuple[Log, ...] | None
    changes: Changes | None


@dataclass(frozen=True, slots=True)
class Unable:
    """The engine cannot say: it lacks a rule that matters here, or does not answer."""

    engine: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """Why a simulation must not be trusted; ``reason`` is a fixed word."""

    reason: str
    detail: str


DIFFERS = "second_opinion_differs"
UNABLE = "second_opinion_unable"


def unconfirmed(ours: Executed, case: Case, opinion: Opinion | Unable) -> Unconfirmed | None:
    """None: both say the same."""
    if isinstance(opinion, Unable):
        return Unconfirmed(UNABLE, f"{opinion.engine}: {opinion.reason}")
    found = difference(ours, case, opinion)
    return None if found is None else Unconfirmed(DIFFERS, found)


def difference(ours: Executed, case: Case, opinion: Opinion) -> str | None:
    """The first thing about which the two do not agree, with both values; None: they agree."""
    other = opinion.engine
    if ours.status != opinion.status:
        words = {1: "success", 0: "failure"}
        ours_says = words[ours.status] + (f" ({ours.revert_reason})" if ours.revert_reason else "")
        return f"status: ours {ours_says}, {other} {words[opinion.status]} with output {_short(opinion.output)}"
    if ours.output != opinion.output:
        return f"output: ours {_short(ours.output)}, {other} {_short(opinion.output)}"
    if opinion.logs is not None and ours.logs != opinion.logs:
        return f"logs: ours {_logs(ours.logs)}, {other} {_logs(opinion.logs)}"
    if opinion.changes is not None:
        return _changed(without_gas(ours, case), opinion.changes, other)
    return None


def without_gas(ours: Executed, case: Case) -> Changes:
    """Our balance changes as they would be if gas were free."""
    tx = transaction_of(case.transaction)
    base_fee = case.context.base_fee_per_gas
    changes = {account: dict(tokens) for account, tokens in ours.balance_changes.items()}
    sender, coinbase = Address(tx.sender), Address(case.context.coinbase)
    for account, wei in (
        (sender, ours.gas_used * ours.effective_gas_price),
        (coinbase, -ours.gas_used * (ours.effective_gas_price - base_fee)),
    ):
        tokens = changes.setdefault(account, {})
        tokens[None] = tokens.get(None, 0) + wei
    return without_zeros(changes)


def without_zeros(changes: Changes) -> Changes:
    """The same changes in the one form that can be compared."""
    kept = {account: {token: by for token, by in tokens.items() if by} for account, tokens in changes.items()}
    return {account: tokens for account, tokens in kept.items() if tokens}


def transaction_of(transaction: bytes | UnsignedTransaction) -> Transaction | UnsignedTransaction:
    """The fields of a signed or unsigned transaction."""
    return decode(transaction) if isinstance(transaction, bytes) else transaction


def gas_limit_of(transaction: bytes | UnsignedTransaction) -> int:
    """The gas that a transaction asks for."""
    tx = transaction_of(transaction)
    return tx.gas if isinstance(tx, Transaction) else tx.gas_limit


def _changed(ours: Changes, theirs: Changes, other: str) -> str | None:
    for account in sorted(ours.keys() | theirs.keys()):
        mine, yours = ours.get(account, {}), theirs.get(account, {})
        for token in mine.keys() | yours.keys():
            if mine.get(token, 0) != yours.get(token, 0):
                what = "ETH" if token is None else checksum(token)
                return (
                    f"balance of {checksum(account)} in {what}: ours changes by {mine.get(token, 0)}, "
                    f"{other} by {yours.get(token, 0)}"
                )
    return None


def _short(data: bytes) -> str:
    return hex0x(data) if len(data) <= 64 else f"{hex0x(data[:64])}… ({len(data)} bytes)"


def _logs(logs: Sequence[Log]) -> str:
    shown = "; ".join(
        f"{checksum(log.address)} {log.topics[0].hex()[:8] if log.topics else ''} {_short(log.data)}"
        for log in logs[:8]
    )
    return f"{len(logs)} ({shown})"
