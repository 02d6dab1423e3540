"""Pairs that are paid by a transfer and give by ``swap(uint256,uint256,address,bytes)``: Uniswap V2, Solidly, forks.

They differ in how much they give for what comes in, which is the trade's to know; how they are called is the same,
and the name of the flash-swap callback does not matter.

=============  =================================================================================================
op             fields
=============  =================================================================================================
0x40 V2_SWAP   pool 20, [token 20], [in 16], [out 16]: swaps what is sent to the pair first, or was before
0xc0 V2_FLASH  pool 20, length 2, out 16, program: swaps to the contract, runs the program in the callback
=============  =================================================================================================

Flags. 0x20: zero_for_one. V2_SWAP only: 0x10: gives the callback's caller what it is owed; 0x08: sends ``in`` first;
0x04: the token is given (else WETH); lowest two bits: the recipient.
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
    name_of,
    optional,
    outward,
    owed_or,
    positive,
    receiver_of,
    recipient_in,
    way,
    with_program,
)
from flasharb.units import Address, checksum

V2_SWAP: Final = 0x40
V2_FLASH: Final = 0xC0
PAY_FIRST: Final = 0x08
TOKEN_GIVEN: Final = 0x04


@dataclass(frozen=True, slots=True)
class SwapV2(Command):
    """A pair's swap without callback. ``pay`` is sent to the pair first (0: somebody else did).

    ``amount_out`` None = what the caller of this callback is owed, which is also who receives it. ``token``: what is
    sent first; None = WETH.
    """

    ops: ClassVar = frozenset(range(V2_SWAP, V2_SWAP + 0x40))

    pool: Address
    zero_for_one: bool
    amount_out: int | None
    recipient: Recipient
    pay: int = 0
    token: Address | None = None

    @property
    def receiver(self) -> Address:
        """See ``Command``."""
        return self.pool

    def encode(self) -> bytes:
        """See ``Command``."""
        op = V2_SWAP | bit(self.zero_for_one, ZERO_FOR_ONE) | owed_or(outward(self.recipient), self.amount_out)
        op |= bit(self.pay, PAY_FIRST) | bit(self.token, TOKEN_GIVEN)
        if self.token and not self.pay:
            raise ValueError("a token without an amount to send to the pair")
        first = (self.token or b"") + (positive(self.pay) if self.pay else b"")
        return bytes((op,)) + self.pool + first + optional(self.amount_out)

    @classmethod
    def decode(cls, op: int, reader: Reader) -> Self:
        """See ``Command``."""
        pool = reader.address("pool")
        token = reader.address("token") if op & TOKEN_GIVEN else None
        pay = reader.amount("input") if op & PAY_FIRST else 0
        out = None if op & OWED else reader.amount("output")
        return cls(pool, bool(op & ZERO_FOR_ONE), out, recipient_in(op), pay, token)

    def sentence(self, following: Command | None) -> str:
        """See ``Command``."""
        sent = f"send {self.pay} of {name_of(self.token)} to {checksum(self.pool)}, then " if self.pay else ""
        to = receiver_of(self.recipient, following)
        return f"{sent}V2 {way(self.pool, self.zero_for_one)}: {amount_or_owed(self.amount_out)} out to {to}"


@dataclass(frozen=True, slots=True)
class FlashV2(Command):
    """A pair's flash swap to the contract; ``program`` runs in its callback and must pay the pair."""

    ops: ClassVar = frozenset({V2_FLASH, V2_FLASH | ZERO_FOR_ONE})

    pool: Address
    zero_for_one: bool
    amount_out: int
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
        op = V2_FLASH | bit(self.zero_for_one, ZERO_FOR_ONE)
        return bytes((op,)) + self.pool + with_program(positive(self.amount_out), self.program)

    @classmethod
    def decode(cls, op: int, reader: Reader) -> Self:
        """See ``Command``."""
        pool, length = reader.address("pool"), reader.number(LENGTH_BYTES, "length")
        out = reader.amount("output")
        return cls(pool, bool(op & ZERO_FOR_ONE), out, reader.commands(length))

    def sentence(self, following: Command | None) -> str:
        """See ``Command``."""
        return f"V2 flash {way(self.pool, self.zero_for_one)}: {self.amount_out} out to this contract, in the callback:"
