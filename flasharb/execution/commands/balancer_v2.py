"""Balancer V2's vault: a flash loan, one swap, and several in a row.

================  ==============================================================================================
op                fields
================  ==============================================================================================
0xc4 BALANCER     token 20, length 2, amount 16, program: borrows, runs the program in the callback
0x30 VAULT_SWAP   pool id 32, token in 20, token out 20, amount 16
0x33 VAULT_BATCH  recipient << 6 | count 1, amount 16, token in 20, count times: pool id 32, token out 20
================  ==============================================================================================

The recipient of VAULT_SWAP stands in the lowest two bits. A batch settles only its first and last token: each pool less
saves two transfers and an approval. The vault is locked during its own flash loan: no swap within.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from flasharb.execution.commands.leg import Leg
from flasharb.execution.commands.wire import (
    LENGTH_BYTES,
    Command,
    Reader,
    Recipient,
    outward,
    positive,
    receiver_of,
    with_program,
)
from flasharb.units import Address, checksum

BALANCER: Final = 0xC4
VAULT_SWAP: Final = 0x30
VAULT_BATCH: Final = 0x33
MOST_STEPS: Final = 0x3F


@dataclass(frozen=True, slots=True)
class Borrow(Command):
    """A flash loan; ``program`` runs in its callback and must pay the vault."""

    ops: ClassVar = frozenset({BALANCER})

    token: Address
    amount: int
    program: tuple[Command, ...]

    @property
    def inner(self) -> tuple[Command, ...]:
        """See ``Command``."""
        return self.program

    def encode(self) -> bytes:
        """See ``Command``."""
        return bytes((BALANCER,)) + self.token + with_program(positive(self.amount), self.program)

    @classmethod
    def decode(cls, op: int, reader: Reader) -> Self:
        """See ``Command``."""
        token, length = reader.address("token"), reader.number(LENGTH_BYTES, "length")
        amount = reader.amount("amount")
        return cls(token, amount, reader.commands(length))

    def sentence(self, following: Command | None) -> str:
        """See ``Command``."""
        return f"borrow {self.amount} of {checksum(self.token)} from the Balancer vault, in the callback:"


@dataclass(frozen=True, slots=True)
class SwapVault(Command):
    """One swap of exact input."""

    ops: ClassVar = frozenset(range(VAULT_SWAP, VAULT_SWAP + 3))

    pool_id: bytes
    token_in: Address
    token_out: Address
    amount: int
    recipient: Recipient

    def encode(self) -> bytes:
        """See ``Command``."""
        op = VAULT_SWAP | outward(self.recipient)
        return bytes((op,)) + _id(self.pool_id) + self.token_in + self.token_out + positive(self.amount)

    @classmethod
    def decode(cls, op: int, reader: Reader) -> Self:
        """See ``Command``."""
        pool_id = reader.take(32, "pool id")
        token_in, token_out = reader.address("token in"), reader.address("token out")
        return cls(pool_id, token_in, token_out, reader.amount("amount"), Recipient(op & 3))

    def sentence(self, following: Command | None) -> str:
        """See ``Command``."""
        way = f"{self.amount} of {checksum(self.token_in)} for {checksum(self.token_out)}"
        return f"Balancer {self.pool_id.hex()}: {way}, to {receiver_of(self.recipient, following)}"


@dataclass(frozen=True, slots=True)
class SwapVaultBatch(Command):
    """Swaps in a row, each taking all that the one before gives. ``steps``: pool id and token out."""

    ops: ClassVar = frozenset({VAULT_BATCH})

    token_in: Address
    amount: int
    steps: tuple[tuple[bytes, Address], ...]
    recipient: Recipient

    def encode(self) -> bytes:
        """See ``Command``."""
        if not 1 <= len(self.steps) <= MOST_STEPS:
            raise ValueError(f"a batch has 1 to {MOST_STEPS} steps, not {len(self.steps)}")
        how = outward(self.recipient) << 6 | len(self.steps)
        steps = b"".join(_id(pool_id) + token for pool_id, token in self.steps)
        return bytes((VAULT_BATCH, how)) + positive(self.amount) + self.token_in + steps

    @classmethod
    def decode(cls, op: int, reader: Reader) -> Self:
        """See ``Command``."""
        how, amount, token = reader.number(1, "count"), reader.amount("amount"), reader.address("token")
        steps = tuple((reader.take(32, "pool id"), reader.address("token")) for _ in range(how & MOST_STEPS))
        return cls(token, amount, steps, Recipient(how >> 6))

    def sentence(self, following: Command | None) -> str:
        """See ``Command``."""
        way = ", then ".join(f"{pool_id.hex()} for {checksum(token)}" for pool_id, token in self.steps)
        to = receiver_of(self.recipient, following)
        return f"Balancer batch: {self.amount} of {checksum(self.token_in)} through {way}, to {to}"


def _id(value: bytes) -> bytes:
    if len(value) != 32:
        raise ValueError(f"a Balancer pool id has 32 bytes, not {len(value)}")
    return value


def swap(legs: Sequence[Leg], to: Recipient) -> Command:
    """One swap, or a batch for legs that follow each other, with the input in hand.

    Raises:
        ValueError: a leg without its pool id.
    """
    ids = []
    for leg in legs:
        if not isinstance(leg.facts, bytes):
            raise ValueError(f"{checksum(leg.pool)}: a Balancer pool needs its pool id, not {leg.facts!r}")
        ids.append(leg.facts)
    first = legs[0]
    if len(legs) == 1:
        return SwapVault(ids[0], first.token_in, first.token_out, first.amount_in, to)
    steps = tuple((pool_id, leg.token_out) for pool_id, leg in zip(ids, legs, strict=True))
    return SwapVaultBatch(first.token_in, first.amount_in, steps, to)
