"""What a callback's caller is given: ``PAY`` what it says it is owed, ``SEND`` what the program says.

==========  ================================================================
op          fields
==========  ================================================================
0x08 PAY    [token 20]; 0x04: the token is given (else WETH), 0x01: a lender
0x03 SEND   token 20, amount 16
==========  ================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Self

from flasharb.execution.commands.wire import Command, Reader, bit, name_of, positive
from flasharb.units import Address, checksum

PAY: Final = 0x08
TOKEN_GIVEN: Final = 0x04
PAY_LENDER: Final = 0x01
SEND: Final = 0x03


@dataclass(frozen=True, slots=True)
class Pay(Command):
    """Pays the caller of this callback, a V3 pool or a lender, what it is owed. ``token`` None = WETH."""

    ops: ClassVar = frozenset(PAY | token | lender for token in (0, TOKEN_GIVEN) for lender in (0, PAY_LENDER))

    token: Address | None
    lender: bool = False

    def encode(self) -> bytes:
        """See ``Command``."""
        return bytes((PAY | bit(self.token, TOKEN_GIVEN) | bit(self.lender, PAY_LENDER),)) + (self.token or b"")

    @classmethod
    def decode(cls, op: int, reader: Reader) -> Self:
        """See ``Command``."""
        return cls(reader.address("token") if op & TOKEN_GIVEN else None, bool(op & PAY_LENDER))

    def sentence(self, following: Command | None) -> str:
        """See ``Command``."""
        return f"pay the {'lender' if self.lender else 'caller'} what it is owed in {name_of(self.token)}"


@dataclass(frozen=True, slots=True)
class Send(Command):
    """Pays the caller of this callback an amount: a V2 pair does not say what it is owed."""

    ops: ClassVar = frozenset({SEND})

    token: Address
    amount: int

    def encode(self) -> bytes:
        """See ``Command``."""
        return bytes((SEND,)) + self.token + positive(self.amount)

    @classmethod
    def decode(cls, op: int, reader: Reader) -> Self:
        """See ``Command``."""
        return cls(reader.address("token"), reader.amount("amount"))

    def sentence(self, following: Command | None) -> str:
        """See ``Command``."""
        return f"send {self.amount} of {checksum(self.token)} to the caller"
