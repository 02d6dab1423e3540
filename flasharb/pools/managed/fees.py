"""ProtocolFeeLibrary.sol: the protocol's share, taken from the input before the fee of the liquidity providers."""

from __future__ import annotations

from typing import Final

from flasharb.units import PIPS

MAX_PROTOCOL_FEE: Final = 1000


def swap_fee(protocol_fee: int, lp_fee: int) -> int:
    """Both fees as one, in pips, rounded up (calculateSwapFee); ``protocol_fee`` is that of one direction."""
    return protocol_fee + lp_fee - protocol_fee * lp_fee // PIPS


def swap_fees(protocol_fees: int, lp_fee: int) -> tuple[int, int]:
    """The fees of a swap of currency0 in and of currency1 in.

    ``protocol_fees`` packs both shares as the manager does, 12 bits each, currency0 in the lower ones.
    """
    return swap_fee(protocol_fees & 0xFFF, lp_fee), swap_fee(protocol_fees >> 12, lp_fee)
