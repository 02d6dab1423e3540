"""What pools of concentrated liquidity share, whoever keeps them: a price on a ladder of ticks, and what follows.

Uniswap V3's pools and V4's manager differ in fees, in the numbers that they can book and in their events; those stand
with each. This is no general base class of pools: it is the state that ``quote`` and ``shape`` work on, with names.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from flasharb.pools.concentrated import shape
from flasharb.pools.concentrated.ladder import Ladder
from flasharb.pools.concentrated.quote import whole_inputs
from flasharb.pools.concentrated.rate import marginal_rate
from flasharb.pools.errors import Uninitialised
from flasharb.pools.pieces import Piece
from flasharb.pools.spec import PoolSpec
from flasharb.units import PIPS


# A Struct rather than a dataclass: one is made for every Swap event, at an eighth of the price.
class OnLadder(msgspec.Struct, frozen=True):
    """Price, tick and active liquidity as the chain has them, and the ladder of the ticks that are known.

    ``sqrt_price_x96`` is zero until the pool is initialised.
    """

    spec: PoolSpec
    sqrt_price_x96: int
    tick: int
    liquidity: int
    ladder: Ladder

    def marginal_rate(self, i: int, j: int) -> float:
        """Output per input for an infinitesimal amount; in a stretch without liquidity that where it begins.

        Raises:
            QuoteUnavailable: no price, or no liquidity in this direction within the known ticks.
        """
        return marginal_rate(self.ladder, (self.sqrt_price_x96, self.tick, self.liquidity), not i)

    def reserve_in(self, i: int, j: int) -> int:
        """The virtual reserve at the current price: ``L / sqrt(P)`` or ``L * sqrt(P)``, rounded down."""
        price = self._price()
        return self.liquidity * price >> 96 if i else (self.liquidity << 96) // price

    def depth(self, share: float = 0.10) -> tuple[int, int]:
        """What the pool pays of each token until its price has moved by ``share``. See ``shape.liquidity_within``."""
        self._price()
        return shape.liquidity_within(self, share)

    def whole_inputs(self, i: int, j: int, amount_in: int) -> tuple[int, ...]:
        """The inputs next to ``amount_in`` of which the fee of the last step leaves a whole number."""
        return whole_inputs(self.ladder, self.sqrt_price_x96, self.tick, self.liquidity, not i, amount_in)

    def rounding(self, i: int, j: int) -> tuple[int, int]:
        """Up to a unit of what the fee leaves, and of the price in its last place, both as inputs; the output's own.

        For swaps that cross few ticks: each crossing rounds anew.
        """
        price = self._price()
        of_fee = -(-PIPS // max(PIPS - self.ladder.fees[i], 1))
        of_price = self.liquidity >> 96 if i else (self.liquidity << 96) // price // price
        return 1 + of_fee * (1 + of_price), 3

    def pieces(self, i: int, j: int) -> Iterator[Piece]:
        """The ranges of constant liquidity from the current price to the end of what is known."""
        return shape.pieces(self, not i)

    def ticks_agree(self) -> bool:
        """Whether the known ticks add up to the active liquidity; if not, a change of liquidity was missed."""
        return self.liquidity == self.ladder.liquidity_at(self.tick)

    def _price(self) -> int:
        if not self.sqrt_price_x96:
            raise Uninitialised("the pool has no price yet")
        return self.sqrt_price_x96
