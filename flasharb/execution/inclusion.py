"""Did it land? Decided from receipts and the account's nonce at a head; no relay's word counts.

Waiting is counted in blocks, never by the clock: a missed slot moves time, not block numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from flasharb.units import Hash32


class Miss(StrEnum):
    """Why a bundle is given up."""

    NOT_INCLUDED = "not_included"
    """Its last target block passed without it."""
    NONCE_USED = "nonce_used"
    """Another transaction of the account took the nonce."""
    SPLIT = "split"
    """Only a part of the bundle landed, or in several blocks: somebody took it apart."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a node says of a mined transaction."""

    tx_hash: Hash32
    block_number: int
    block_hash: Hash32
    status: int
    gas_used: int
    effective_gas_price: int


@dataclass(frozen=True, slots=True)
class Pending:
    """Not decided at this head: ask again at the next."""


@dataclass(frozen=True, slots=True)
class Landed:
    """All transactions stand in one block. ``settled`` once ``confirmations`` blocks stand on it."""

    receipts: tuple[Receipt, ...]
    settled: bool

    @property
    def succeeded(self) -> bool:
        """True when none reverted."""
        return all(receipt.status == 1 for receipt in self.receipts)


@dataclass(frozen=True, slots=True)
class Lost:
    """It will not land any more. The transaction itself stays valid until its nonce moves; its guards protect it."""

    reason: Miss
    detail: str


Inclusion = Pending | Landed | Lost


def decide(
    receipts: Sequence[Receipt | None],
    *,
    head: int,
    max_block: int,
    nonce: int,
    account_nonce: int | None,
    confirmations: int = 0,
) -> Inclusion:
    """Judge a bundle at ``head``.

    ``receipts`` has one entry per transaction, None where the node knows no receipt at ``head``; ``nonce`` is the one
    that the bundle was signed with, ``account_nonce`` the account's at ``head`` (None = not known).
    """
    found = tuple(receipt for receipt in receipts if receipt is not None)
    blocks = {receipt.block_hash for receipt in found}
    if found and len(found) == len(receipts) and len(blocks) == 1:
        return Landed(found, settled=head - found[0].block_number >= confirmations)
    if found:
        return Lost(Miss.SPLIT, f"{len(found)} of {len(receipts)} transactions landed, in {len(blocks)} block(s)")
    if account_nonce is not None and account_nonce > nonce:
        return Lost(Miss.NONCE_USED, f"the account's nonce is {account_nonce}, the bundle's {nonce}")
    if head >= max_block:
        return Lost(Miss.NOT_INCLUDED, f"block {max_block} is past: the head is {head}")
    return Pending()
