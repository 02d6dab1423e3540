"""A pool as a chain of Möbius maps, in floating point, for sizing.

Within one range of constant liquidity (V2: everywhere) a swap is

    out(u) = virtual_out * gamma * u / (virtual_in + gamma * u)

for further inputs u up to ``room``, counted from where the range begins. The pieces of a pool follow each other in the
swap's direction, each with its own virtual reserves; where the ones before it are used up, the next one begins.
Stretches without liquidity are left out (the rate jumps there). The chain ends where the pool runs dry or where its
ticks are no longer known: an optimum must not lie beyond the last ``room``, and the exact quote ``amount_out`` of the
pool has the last word in any case.

A piece does not say how much came before it: so the range between two ticks is the same piece wherever a swap began.
"""

from __future__ import annotations

from typing import NamedTuple


class Piece(NamedTuple):
    """One range; amounts in the tokens' smallest units as floats, ``gamma`` is one less the fee."""

    gamma: float
    virtual_in: float
    virtual_out: float
    room: float
