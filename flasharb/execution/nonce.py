"""Nonces are leased per target block, from the confirmed account state at the head.

Every bundle for a block carries the account's confirmed nonce: at most one of them can land, the others then die for
free. So a nonce is never counted up on sending, and never read from ``pending``. It is read again at every head,
because it may move without us (another machine, an EIP-7702 authorization).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from flasharb.units import Hash32


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to sign with ``nonce`` for blocks up to ``target_block``, given at ``head``."""

    nonce: int
    head: Hash32
    target_block: int


@dataclass(frozen=True, slots=True)
class NoLease:
    """Why nothing may be signed now."""

    detail: str


@dataclass(frozen=True, slots=True)
class Nonces:
    """What is known of our account. Immutable: each head gives a new value."""

    head_number: int | None = None
    head: Hash32 | None = None
    confirmed: int | None = None
    """The account's nonce (``latest``) at ``head``; None until the node has said it for this very head."""
    live: tuple[Lease, ...] = ()
    """Leases whose transaction may still land."""

    def at_head(self, number: int, block_hash: Hash32) -> Nonces:
        """A new head: the nonce is unknown until the node reports it at that head."""
        return Nonces(number, block_hash, None, self.live)

    def confirm(self, block_hash: Hash32, nonce: int) -> tuple[Nonces, tuple[Lease, ...]]:
        """The node says ``nonce`` at ``block_hash``. Also returns the leases that died.

        A lease dies when its nonce is used up, and when its last block has passed. An answer about another head
        than the present one changes nothing.
        """
        if block_hash != self.head or self.head_number is None:
            return self, ()
        head_number = self.head_number
        alive = tuple(one for one in self.live if one.nonce >= nonce and one.target_block > head_number)
        dead = tuple(one for one in self.live if one not in alive)
        return replace(self, confirmed=nonce, live=alive), dead

    def lease(self, target_block: int) -> tuple[Nonces, Lease] | NoLease:
        """The nonce to sign with for ``target_block``, or why none can be given (fail closed)."""
        if self.head is None or self.head_number is None:
            return NoLease("no head is known")
        if self.confirmed is None:
            return NoLease(f"the account's nonce at block {self.head_number} is not known yet")
        if target_block <= self.head_number:
            return NoLease(f"block {target_block} is past: the head is {self.head_number}")
        lease = Lease(self.confirmed, self.head, target_block)
        return replace(self, live=(*self.live, lease)), lease
