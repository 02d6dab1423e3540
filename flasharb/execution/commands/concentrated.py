"""Pools that give before they take and ask for their input in a callback: Uniswap V3 and forks.

============  ==================================================================================================
op            fields
============  ==================================================================================================
0x80 V3_SWAP  pool 20, length 2, [amount 16], program: swaps, runs the program in the callback
============  ==================================================================================================

Flags. 0x20: zero_for_one. 0x10: gives the callback's caller what it is owed, amount and recipient are not given. 0x08:
the amount is an exact input. Lowest two bits: the recipient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Self

from flasharb.execution.commands.wire import (
    LENGTH_BYTES,
    OWED,
    ZERO_FOR_ONE,
    Command,
    Reader,
    Recipient,
    amount_or_owed,
    bit,
    optional,
    owed_or,
    receiver_of,
    recipient_in,
    way,
    with_program,
)
from flasharb.units import Address

V3_SWAP: Final = 0x80
EXACT_INPUT: Final = 0x08


@dataclass(frozen=True, slots=True)
class SwapV3(Command):
    """A V3 pool's swap; ``program`` runs in its callback and must pay the pool.

    ``amount`` None = what the caller of this callback is owed, which is also who receives it (exact output).
    """

    ops: ClassVar = frozenset(range(V3_SWAP, V3_SWAP + 0x40))

    pool: Address
    zero_for_one: bool
    exact_in: bool
    amount: int | None
    recipient: Recipient
    program: tuple[Command, ...]

    @property
    def receiver(self) -> Address:
        """See ``Command``."""
        return self.pool

    @property
    def inner(self) -> tuple[Command, ...]:
        """See ``Command``."""
        return self.program

    def encode(self) -> bytes:
        """See ``Command``."""
        op = V3_SWAP | bit(self.zero_for_one, ZERO_FOR_ONE) | owed_or(self.recipient, self.amount)
        op |= bit(self.exact_in, EXACT_INPUT)
        if self.exact_in and self.amount is None:
            raise ValueError("what is owed can only be an exact output")
        return bytes((op,)) + self.pool + with_program(optional(self.amount), self.program)

    @classmethod
    def decode(cls, op: int, reader: Reader) -> Self:
        """See ``Command``."""
        pool, length = reader.address("pool"), reader.number(LENGTH_BYTES, "length")
        amount = None if op & OWED else reader.amount("amount")
        program = reader.commands(length)
        return cls(pool, bool(op & ZERO_FOR_ONE), bool(op & EXACT_INPUT), amount, recipient_in(op), program)

    def sentence(self, following: Command | None) -> str:
        """See ``Command``."""
        to = receiver_of(self.recipient, following, self.program)
        side = "in, output" if self.exact_in else "out"
        amount = amount_or_owed(self.amount)
        return f"V3 {way(self.pool, self.zero_for_one)}: {amount} {side} to {to}, in the callback:"
