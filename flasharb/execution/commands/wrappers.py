"""One token for another of the same value: ERC-4626 vaults, wstETH, Maker's PSM, WETH.

=============  =================================================================================================
op             fields
=============  =================================================================================================
0x34 WRAPPER   wrapper 20, how 1, amount 16, [token 20], [bought 16]: how: 0 ERC-4626 deposit, 1 redeem;
               2 wstETH wrap, 3 unwrap; 4 PSM sellGem, 6 buyGem
0x01 WRAP      amount 16: ether to WETH
0x02 UNWRAP    amount 16: WETH to ether
=============  =================================================================================================

Lowest two bits of WRAPPER: the recipient; a wrapper of stETH pays the contract only. ``token`` is what the wrapper is
approved for: given for the even ones. A PSM sells by exact output: ``bought`` is that, ``amount`` the most it may take,
and what it does not take stays in the contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final, Self

from flasharb.execution.commands.leg import Leg
from flasharb.execution.commands.wire import Command, Reader, Recipient, optional, outward, positive, receiver_of
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
    SELL_GEM = 4
    BUY_GEM = 6


PULLS: Final = (WrapperCall.DEPOSIT, WrapperCall.WRAP_STETH, WrapperCall.SELL_GEM, WrapperCall.BUY_GEM)
PAYS_CALLER_ONLY: Final = (WrapperCall.WRAP_STETH, WrapperCall.UNWRAP_WSTETH)
_WORDS: Final[Mapping[WrapperCall, str]] = {
    WrapperCall.DEPOSIT: "deposit",
    WrapperCall.REDEEM: "redeem",
    WrapperCall.WRAP_STETH: "wrap",
    WrapperCall.UNWRAP_WSTETH: "unwrap",
    WrapperCall.SELL_GEM: "sell",
    WrapperCall.BUY_GEM: "spend",
}


@dataclass(frozen=True, slots=True)
class Wrapper(Command):
    """A deposit into or withdrawal from a wrapper. ``token``: what it pulls; None: it burns its own.

    ``bought``: the exact output of ``BUY_GEM``, which ``amount`` pays for.
    """

    ops: ClassVar = frozenset(range(WRAPPER, WRAPPER + 3))

    wrapper: Address
    call: WrapperCall
    amount: int
    token: Address | None
    recipient: Recipient = Recipient.SELF
    bought: int | None = None

    def encode(self) -> bytes:
        """See ``Command``."""
        if (self.token is not None) != (self.call in PULLS):
            raise ValueError("a wrapper is approved for what it pulls, and for nothing else")
        if self.call in PAYS_CALLER_ONLY and self.recipient is not Recipient.SELF:
            raise ValueError("a wrapper of stETH pays its caller only")
        if (self.bought is not None) != (self.call is WrapperCall.BUY_GEM):
            raise ValueError("what is bought is said to a PSM that sells, and to nobody else")
        op = WRAPPER | outward(self.recipient)
        fields = self.wrapper + bytes((self.call,)) + positive(self.amount) + (self.token or b"")
        return bytes((op,)) + fields + optional(self.bought)

    @classmethod
    def decode(cls, op: int, reader: Reader) -> Self:
        """See ``Command``."""
        wrapper, call = reader.address("wrapper"), WrapperCall(reader.number(1, "call"))
        amount = reader.amount("amount")
        token = reader.address("token") if call in PULLS else None
        bought = reader.amount("bought") if call is WrapperCall.BUY_GEM else None
        return cls(wrapper, call, amount, token, Recipient(op & 3), bought)

    def sentence(self, following: Command | None) -> str:
        """See ``Command``."""
        to = receiver_of(self.recipient, following)
        bought = "" if self.bought is None else f" at most, on {self.bought}"
        return f"{_WORDS[self.call]} {self.amount}{bought} at {checksum(self.wrapper)}, output to {to}"


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


def swap_psm(leg: Leg, to: Recipient) -> Wrapper:
    """A leg through a PSM; its tokens are the stablecoin and DAI."""
    if leg.i == 0:
        return Wrapper(leg.pool, WrapperCall.SELL_GEM, leg.amount_in, leg.token_in, to)
    return Wrapper(leg.pool, WrapperCall.BUY_GEM, leg.amount_in, leg.token_in, to, bought=leg.amount_out)


def swap_weth(leg: Leg) -> WrapEther:
    """A leg between ether and WETH; its tokens are ether and WETH."""
    return WrapEther(leg.amount_in, back=leg.i == 1)
