"""Uniswap V4: swaps on account with the one manager, everything paid before its unlocking ends.

===============  ===============================================================================================
op               fields
===============  ===============================================================================================
0xd4 V4_UNLOCK   length 2, program: unlocks the manager, runs the program in the callback
0x20 V4_SWAP     currency0 20, currency1 20, how 1, fee 3, tick spacing 3, amount 16, [hooks 20]
0x24 V4_TAKE     token 20, amount 16: takes out of the credit, or into debt: a loan without fee
0x25 V4_PAY      token 20, amount 16: pays
0x26 V4_SYNC     token 20: what is sent to the manager from here on …
0x27 V4_SETTLE   … counts as paid here
===============  ===============================================================================================

V4_SWAP is of exact input and takes all of the output to the recipient in the lowest two bits; 3: the output stays with
the manager, for the next swap. ``how``: 0x80 zero_for_one, 0x40 hooks are given. Ether is the zero address; it only
comes to the contract itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Self

from flasharb.execution.commands.wire import (
    LENGTH_BYTES,
    Command,
    Reader,
    Recipient,
    bit,
    number,
    positive,
    receiver_of,
    with_program,
)
from flasharb.pools.managed.key import PoolKey
from flasharb.units import ZERO_ADDRESS, Address, checksum

V4_UNLOCK: Final = 0xD4
V4_SWAP: Final = 0x20
V4_TAKE: Final = 0x24
V4_PAY: Final = 0x25
V4_SYNC: Final = 0x26
V4_SETTLE: Final = 0x27
KEPT: Final = 3
ZERO_FOR_ONE: Final = 0x80
HOOKS_GIVEN: Final = 0x40


@dataclass(frozen=True, slots=True)
class UnlockV4(Command):
    """Unlocks the manager; ``program`` runs in its callback and must leave no debt and no credit."""

    ops: ClassVar = frozenset({V4_UNLOCK})

    program: tuple[Command, ...]

    @property
    def inner(self) -> tuple[Command, ...]:
        """See ``Command``."""
        return self.program

    def encode(self) -> bytes:
        """See ``Command``."""
        return bytes((V4_UNLOCK,)) + with_program(b"", self.program)

    @classmethod
    def decode(cls, op: int, reader: Reader) -> Self:
        """See ``Command``."""
        return cls(reader.commands(reader.number(LENGTH_BYTES, "length")))

    def sentence(self, following: Command | None) -> str:
        """See ``Command``."""
        return "unlock the Uniswap V4 manager, in the callback:"


@dataclass(frozen=True, slots=True)
class SwapV4(Command):
    """A swap of exact input; ``recipient`` None: the output stays with the manager."""

    ops: ClassVar = frozenset(range(V4_SWAP, V4_SWAP + 4))

    key: PoolKey
    zero_for_one: bool
    amount: int
    recipient: Recipient | None

    def encode(self) -> bytes:
        """See ``Command``."""
        key = self.key
        if self.recipient is Recipient.INNER:
            raise ValueError("there is no command inside this one to pay")
        how = bit(self.zero_for_one, ZERO_FOR_ONE) | bit(key.hooks != ZERO_ADDRESS, HOOKS_GIVEN)
        return (
            bytes((V4_SWAP | (KEPT if self.recipient is None else self.recipient),))
            + key.currency0
            + key.currency1
            + bytes((how,))
            + number(key.fee, 3, "fee")
            + number(key.tick_spacing, 3, "tick spacing")
            + positive(self.amount)
            + (key.hooks if key.hooks != ZERO_ADDRESS else b"")
        )

    @classmethod
    def decode(cls, op: int, reader: Reader) -> Self:
        """See ``Command``."""
        currency0, currency1 = reader.address("currency 0"), reader.address("currency 1")
        how = reader.number(1, "direction")
        fee, spacing = reader.number(3, "fee"), reader.number(3, "tick spacing")
        amount = reader.amount("amount")
        hooks = reader.address("hooks") if how & HOOKS_GIVEN else ZERO_ADDRESS
        to = op & 3
        key = PoolKey(currency0, currency1, fee, spacing, hooks)
        return cls(key, bool(how & ZERO_FOR_ONE), amount, None if to == KEPT else Recipient(to))

    def sentence(self, following: Command | None) -> str:
        """See ``Command``."""
        tokens = (self.key.currency0, self.key.currency1)
        before, after = tokens if self.zero_for_one else tokens[::-1]
        to = "the manager" if self.recipient is None else receiver_of(self.recipient, following)
        pool = f"fee {self.key.fee}, spacing {self.key.tick_spacing}"
        return f"V4 {_currency(before)} to {_currency(after)} ({pool}): {self.amount} in, output to {to}"


@dataclass(frozen=True, slots=True)
class TakeV4(Command):
    """Takes an amount from the manager, to be paid back before the unlocking ends."""

    ops: ClassVar = frozenset({V4_TAKE})

    token: Address
    amount: int

    def encode(self) -> bytes:
        """See ``Command``."""
        return bytes((V4_TAKE,)) + self.token + positive(self.amount)

    @classmethod
    def decode(cls, op: int, reader: Reader) -> Self:
        """See ``Command``."""
        return cls(reader.address("token"), reader.amount("amount"))

    def sentence(self, following: Command | None) -> str:
        """See ``Command``."""
        return f"borrow {self.amount} of {_currency(self.token)} from the V4 manager"


@dataclass(frozen=True, slots=True)
class PayV4(Command):
    """Pays the manager an amount of a token or, for the zero address, of ether."""

    ops: ClassVar = frozenset({V4_PAY})

    token: Address
    amount: int

    def encode(self) -> bytes:
        """See ``Command``."""
        return bytes((V4_PAY,)) + self.token + positive(self.amount)

    @classmethod
    def decode(cls, op: int, reader: Reader) -> Self:
        """See ``Command``."""
        return cls(reader.address("token"), reader.amount("amount"))

    def sentence(self, following: Command | None) -> str:
        """See ``Command``."""
        return f"pay {self.amount} of {_currency(self.token)} to the V4 manager"


@dataclass(frozen=True, slots=True)
class SyncV4(Command):
    """What is sent to the manager between this and ``SettleV4`` counts as paid."""

    ops: ClassVar = frozenset({V4_SYNC})

    token: Address

    def encode(self) -> bytes:
        """See ``Command``."""
        if self.token == ZERO_ADDRESS:
            raise ValueError("ether cannot be sent to the manager, only paid")
        return bytes((V4_SYNC,)) + self.token

    @classmethod
    def decode(cls, op: int, reader: Reader) -> Self:
        """See ``Command``."""
        return cls(reader.address("token"))

    def sentence(self, following: Command | None) -> str:
        """See ``Command``."""
        return f"let the V4 manager count the {checksum(self.token)} that it is sent"


@dataclass(frozen=True, slots=True)
class SettleV4(Command):
    """The end of what ``SyncV4`` began."""

    ops: ClassVar = frozenset({V4_SETTLE})

    def encode(self) -> bytes:
        """See ``Command``."""
        return bytes((V4_SETTLE,))

    @classmethod
    def decode(cls, op: int, reader: Reader) -> Self:
        """See ``Command``."""
        return cls()

    def sentence(self, following: Command | None) -> str:
        """See ``Command``."""
        return "have it counted as paid"


def _currency(token: Address) -> str:
    return "ether" if token == ZERO_ADDRESS else checksum(token)
