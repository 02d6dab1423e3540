"""The commands of FlashArb's programs, one module a protocol family, and the registry of them.

A new protocol is one module with its command and the function that makes it of a leg, and one entry in each of the two
tables here: ``COMMANDS`` for bytes and words, ``ENCODERS`` for the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from flasharb.execution.commands import balancer_v2, curve, uniswap_v4, wrappers
from flasharb.execution.commands.balancer_v2 import Borrow, SwapVault, SwapVaultBatch
from flasharb.execution.commands.concentrated import SwapV3
from flasharb.execution.commands.curve import Curve
from flasharb.execution.commands.leg import Leg
from flasharb.execution.commands.pair import FlashV2, SwapV2
from flasharb.execution.commands.payments import Pay, Send
from flasharb.execution.commands.uniswap_v4 import PayV4, SettleV4, SwapV4, SyncV4, TakeV4, UnlockV4
from flasharb.execution.commands.wire import Command, Recipient
from flasharb.execution.commands.wrappers import WrapEther, Wrapper
from flasharb.pools.managed.key import PoolKey
from flasharb.units import ZERO_ADDRESS

COMMANDS: Final[tuple[type[Command], ...]] = (
    Pay, Send, SwapV2, FlashV2, SwapV3,
    UnlockV4, SwapV4, TakeV4, PayV4, SyncV4, SettleV4,
    Curve, Borrow, SwapVault, SwapVaultBatch, Wrapper, WrapEther,
)  # fmt: skip


def _by_op() -> Mapping[int, type[Command]]:
    found: dict[int, type[Command]] = {}
    for command in COMMANDS:
        for op in command.ops:
            if op in found:
                raise RuntimeError(f"op 0x{op:02x} is both {found[op].__name__} and {command.__name__}")
            found[op] = command
    return MappingProxyType(found)


BY_OP: Final = _by_op()
"""Op byte → command."""


class Style(Enum):
    """How a pool is paid, which is all that the plan has to know of it."""

    PAIR = auto()
    """Paid by a transfer, then called; or gives first and is paid in its callback, to the contract only."""
    CALLBACK = auto()
    """Gives first, to anybody, and is paid in its callback."""
    ACCOUNT = auto()
    """Gives first, to anybody, and is paid at any time before the unlocking ends."""
    HELD = auto()
    """Takes what the contract holds."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """What the plan needs of one family.

    ``swap``: the command of a HELD leg (or of legs in a row, where ``batches``), its output to the recipient; to the
    contract only, unless ``forwards``. ``ether``: whether a leg's input and output are ether, under whatever name.
    """

    style: Style
    swap: Callable[[Sequence[Leg], Recipient], Command] | None = None
    forwards: bool = True
    batches: bool = False
    ether: Callable[[Leg], tuple[bool, bool]] | None = None


def _key_of(leg: Leg) -> PoolKey:
    if not isinstance(leg.facts, PoolKey):
        raise ValueError(f"0x{leg.pool.hex()}: a V4 pool needs its key, not {leg.facts!r}")
    return leg.facts


def _ether_v4(leg: Leg) -> tuple[bool, bool]:
    currencies = (_key_of(leg).currency0, _key_of(leg).currency1)
    return currencies[leg.i] == ZERO_ADDRESS, currencies[leg.j] == ZERO_ADDRESS


def _ether_curve(leg: Leg) -> tuple[bool, bool]:
    ether = curve.facts_of(leg).ether
    return leg.i == ether, leg.j == ether


ENCODERS: Final[Mapping[str, Encoder]] = MappingProxyType(
    {
        "v2": Encoder(Style.PAIR),
        # Fees leave the pair with the swap, so that it is only called like V2: amounts are the trade's.
        "solidly": Encoder(Style.PAIR),
        "v3": Encoder(Style.CALLBACK),
        "v4": Encoder(Style.ACCOUNT, ether=_ether_v4),
        "curve": Encoder(Style.HELD, lambda legs, to: curve.swap(legs[0]), forwards=False, ether=_ether_curve),
        "balancer_v2": Encoder(Style.HELD, balancer_v2.swap, batches=True),
        "erc4626": Encoder(Style.HELD, lambda legs, to: wrappers.swap_erc4626(legs[0], to)),
        "wsteth": Encoder(Style.HELD, lambda legs, to: wrappers.swap_wsteth(legs[0]), forwards=False),
        "psm": Encoder(Style.HELD, lambda legs, to: wrappers.swap_psm(legs[0], to)),
        "weth": Encoder(Style.HELD, lambda legs, to: wrappers.swap_weth(legs[0]), forwards=False),
    }
)
"""A protocol's kind → how its pools are put into a program."""


def swap_v4(leg: Leg, to: Recipient | None) -> SwapV4:
    """The swap of a V4 leg; ``to`` None: the output stays with the manager."""
    return uniswap_v4.SwapV4(_key_of(leg), leg.i == 0, leg.amount_in, to)
