"""Balance changes, measured: ``balanceOf`` before and after, ETH by the accounts themselves, never by events.

Events only say where to look: which token moved at whose account. What cannot be measured because state is missing is
named, not guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from flasharb.evm import LogEntry, Machine, MissingState
from flasharb.simulation.result import Log
from flasharb.units import Address

Pair = tuple[Address, Address]
"""(account, token)."""

BALANCE_OF: Final = bytes.fromhex("70a08231")
_TRANSFER: Final = bytes.fromhex("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef")
DEPOSIT: Final = bytes.fromhex("e1fffcc4923d04b559f4d29a8bfc6cda04eb5b0d3c460751c2402c5c5cc9109c")
WITHDRAWAL: Final = bytes.fromhex("7fcf532c15f0a6db0bd6d0e038bea71d30d808c7d98cb3bf7268a95bf5081b65")
BALANCE_GAS: Final = 3_000_000


def pairs_of(logs: Iterable[LogEntry | Log]) -> list[Pair]:
    """The accounts and tokens that ERC-20 transfers and WETH wrapping name, each once, in order."""
    pairs: dict[Pair, None] = {}
    for log in logs:
        if not log.topics or len(log.data) != 32:
            continue
        token = Address(log.address)
        if (log.topics[0] == _TRANSFER and len(log.topics) == 3) or (
            log.topics[0] in (DEPOSIT, WITHDRAWAL) and len(log.topics) == 2
        ):
            for topic in log.topics[1:]:
                pairs[Address(topic[12:]), token] = None
    return list(pairs)


def token_balance(machine: Machine, account: Address, token: Address) -> int | None:
    """What ``token`` says that ``account`` has; None when it does not say (no such function, a revert).

    Raises:
        MissingState: state of the token is unknown.
    """
    answer = machine.call(token, BALANCE_OF + bytes(12) + account, gas=BALANCE_GAS)
    if not answer.success or len(answer.output) < 32:
        return None
    return int.from_bytes(answer.output[:32], "big")


def token_balances(machine: Machine, pairs: Iterable[Pair]) -> tuple[dict[Pair, int], dict[Pair, MissingState]]:
    """The balances that can be told, and what is missing for the others."""
    balances: dict[Pair, int] = {}
    missing: dict[Pair, MissingState] = {}
    for account, token in pairs:
        try:
            balance = token_balance(machine, account, token)
        except MissingState as lacking:
            missing[account, token] = lacking
            continue
        if balance is not None:
            balances[account, token] = balance
    return balances, missing


def changes(
    before: Mapping[Pair, int],
    after: Mapping[Pair, int],
    wei_before: Mapping[bytes, int],
    wei_after: Mapping[bytes, int],
) -> dict[Address, dict[Address | None, int]]:
    """Signed changes by account and token (None = ETH), zeros left out."""
    changed: dict[Address, dict[Address | None, int]] = {}
    for account in wei_after:
        delta = wei_after[account] - wei_before[account]
        if delta:
            changed.setdefault(Address(account), {})[None] = delta
    for (account, token), balance in after.items():
        if (account, token) in before and balance != before[account, token]:
            changed.setdefault(account, {})[token] = balance - before[account, token]
    return changed
