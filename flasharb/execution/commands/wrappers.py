"""One token for another of the same value: ERC-4626 vaults, wstETH, WETH.

=============  =================================================================================================
op             fields
=============  =================================================================================================
0x34 WRAPPER   wrapper 20, how 1, amount 16, [token 20]: how: 0 ERC-4626 deposit, 1 redeem; 2 wstETH wrap, 3 unwrap
0x01 WRAP      amount 16: ether to WETH
0x02 UNWRAP    amount 16: WETH to ether
=============  =================================================================================================

Lowest two bits of WRAPPER: the recipient; a wrapper of stETH pays the contract only. ``token`` is what the wrapper is
approved for: given for deposit and wrap.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final, Self

from flasharb.execution.commands.leg import Leg
from flasharb.execution.commands.wire import Command, Reader, Recipient, outward, positive, receiver_of
from flasharb.units import Address, checksum

WRAPPER: Final = 0x34
WRAP: Final = 0x01
UNWRAP: Final = 0x02


class WrapperCall(IntEnum):
    """Which function of the wrapper."""

    DEPOSIT = 0
    REDEEM = 1
    WRAP_STETH = 2
    UNWRAP_WSTETH = 3


PULLS: Final = (WrapperCall.DEPOSIT, WrapperCall.WRAP_STETH)
FORWARDS: Final = (WrapperCall.DEPOSIT, WrapperCall.REDEEM)
_WORDS: Final = ("deposit", "redeem", "wrap", "unwrap")


@dataclass(frozen=True, slots=True)
class Wrapper(Command):
    """A deposit into or withdrawal from a wrapper. ``token``: what it pulls; None: it burns its own."""

    ops: ClassVar = frozenset(range(WRAPPER, WRAPPER + 3))

    wrapper: Address
    call: WrapperCall
    amount: int
    token: Address | None
    recipient: Recipient = Recipient.SELF

    def encode(self) -> bytes:
        """See ``Command``."""
        if (self.token is not None) != (self.call in PULLS):
            raise ValueError("a wrapper is approved for what it pulls, and for nothing else")
        if self.call not in FORWARDS and self.recipient is not Recipient.SELF:
            raise ValueError("a wrapper of stETH pays its caller only")
        op = WRAPPER | outward(self.recipient)
        return bytes((op,)) + self.wrapper + bytes((self.call,)) + positive(self.amount) + (self.token or b"")

    @classmethod
    def decode(cls, op: int, reader: Reader) -> Self:
        """See ``Command``."""
        wrapper, call = reader.address("wrapper"), WrapperCall(reader.number(1, "call"))
        amount = reader.amount("amount")
        return cls(wrapper, call, amount, reader.address("token") if call in PULLS else None, Recipient(op & 3))

    def sentence(self, following: Command | None) -> str:
        """See ``Command``."""
        to = receiver_of(self.recipient, following)
        return f"{_WORDS[self.call]} {self.amount} at {checksum(self.wrapper)}, output to {to}"


@dataclass(frozen=True, slots=True)
class WrapEther(Command):
    """Ether to WETH, or ``back``."""

    ops: ClassVar = frozenset({WRAP, UNWRAP})

    amount: int
    back: bool = False

    def encode(self) -> bytes:
        """See ``Command``."""
        return bytes((UNWRAP if self.back else WRAP,)) + positive(self.amount)

    @classmethod
    def decode(cls, op: int, reader: Reader) -> Self:
        """See ``Command``."""
        return cls(reader.amount("amount"), op == UNWRAP)

    def sentence(self, following: Command | None) -> str:
        """See ``Command``."""
        return f"{'unwrap' if self.back else 'wrap'} {self.amount} wei"


def swap_erc4626(leg: Leg, to: Recipient) -> Wrapper:
    """A leg through an ERC-4626 vault; its tokens are asset and share."""
    deposits = leg.i == 0
    call = WrapperCall.DEPOSIT if deposits else WrapperCall.REDEEM
    return Wrapper(leg.pool, call, leg.amount_in, leg.token_in if deposits else None, to)


def swap_wsteth(leg: Leg) -> Wrapper:
    """A leg through wstETH; its tokens are stETH and wstETH."""
    wraps = leg.i == 0
    call = WrapperCall.WRAP_STETH if wraps else WrapperCall.UNWRAP_WSTETH
    return Wrapper(leg.pool, call, leg.amount_in, leg.token_in if wraps else None)


def swap_weth(leg: Leg) -> WrapEther:
    """A leg between ether and WETH; its tokens are ether and WETH."""
    return WrapEther(leg.amount_in, back=leg.i == 1)
