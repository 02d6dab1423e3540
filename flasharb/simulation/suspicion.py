"""Which token lets simulations fail that exact quotes said would work.

A pool that finds less than it was owed says so in words of its own (``UniswapV2: K``, ``IIA``, ``CurrencyNotSettled``).
With quotes equal to the contracts to the unit, a token that moved otherwise is what remains; which one of a route, the
words do not say. So every token of such a route is counted, those that also go through simulations that succeed are
cleared, and a token that only fails is named after ``LIMIT`` times. FlashArb's own ``TransferFailed`` names the token.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from eth_hash.auto import keccak

from flasharb.units import Address

LIMIT: Final = 3

_PAID_LESS: Final = frozenset(
    {
        "UniswapV2: K",
        "UniswapV2: INSUFFICIENT_INPUT_AMOUNT",
        "Pancake: K",
        "Pancake: INSUFFICIENT_INPUT_AMOUNT",
        "IIA",
        f"custom error 0x{keccak(b'CurrencyNotSettled()')[:4].hex()}",
    }
)
_NOT_MOVED: Final = frozenset({"UniswapV2: TRANSFER_FAILED", "Pancake: TRANSFER_FAILED", "TF", "STF"})
_NAMES_TOKEN: Final = f"custom error 0x{keccak(b'TransferFailed(address)')[:4].hex()} with 0x{'00' * 12}"


def is_tokens_fault(revert_reason: str) -> bool:
    """Whether a pool or FlashArb said that a token did not move as it should."""
    return revert_reason in _PAID_LESS or revert_reason in _NOT_MOVED or _named(revert_reason) is not None


class Suspicion:
    """Counts failures by token. ``trusted`` tokens (the base tokens) are never suspected."""

    def __init__(self, trusted: Collection[Address]) -> None:
        self._trusted = frozenset(trusted)
        self._failures: dict[Address, int] = {}

    def passed(self, tokens: Iterable[Address]) -> None:
        """A simulation through these tokens succeeded."""
        for token in tokens:
            self._failures.pop(token, None)

    def failed(self, revert_reason: str, tokens: Iterable[Address]) -> frozenset[Address]:
        """A simulation through these tokens failed; those that are to be quarantined now."""
        named = _named(revert_reason)
        if named is not None:
            return frozenset({named}) - self._trusted
        if not is_tokens_fault(revert_reason):
            return frozenset()
        guilty = set()
        for token in set(tokens) - self._trusted:
            count = self._failures.get(token, 0) + 1
            self._failures[token] = count
            if count >= LIMIT:
                guilty.add(token)
        return frozenset(guilty)


def _named(revert_reason: str) -> Address | None:
    """The token that FlashArb's own error names."""
    if not revert_reason.startswith(_NAMES_TOKEN) or len(revert_reason) != len(_NAMES_TOKEN) + 40:
        return None
    return Address(bytes.fromhex(revert_reason[-40:]))
