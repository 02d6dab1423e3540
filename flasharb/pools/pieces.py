"""A pool as a chain of Möbius maps, in floating point, for sizing.

Within one range of constant liquidity (V2: everywhere) a swap is

    out(x) = offset_out + virtual_out * gamma * u / (virtual_in + gamma * u),   u = x - offset_in

for inputs from ``offset_in`` to ``end_in``. The pieces of a pool follow each other in the swap's direction; the next
one begins at ``end_in`` with its own virtual reserves. Stretches without liquidity are left out (the rate jumps there).
The chain ends where the pool runs dry or where its ticks are no longer known: an optimum must not lie beyond the last
``end_in``, and the exact quote ``amount_out`` of the pool has the last word in any case.
"""

from __future__ import annotations

from typing import NamedTuple


class Piece(NamedTuple):
    """One range; amounts in the tokens' smallest units as floats, ``gamma`` is one less the fee.

    ``room`` is ``end_in - offset_in`` without the cancellation that a small range after large ones would suffer.
    """

    gamma: float
    virtual_in: float
    virtual_out: float
    offset_in: float
    offset_out: float
    end_in: float
    room: float
