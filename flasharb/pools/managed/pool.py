"""A pool inside Uniswap V4's PoolManager: V3's ladder under the manager's fees and its bookkeeping in int128.

The mathematics of a step is V3's: V4's SwapMath names input and fee of the last step otherwise, but their sum, the
output and the price reached are the same. What differs is the fee, which holds the protocol's share of each direction
(``fees``), and that amounts which do not fit an int128 revert.

``amount_out`` is concave and monotone up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

import msgspec

from flasharb.pools.concentrated import shape
from flasharb.pools.concentrated.ladder import Ladder
from flasharb.pools.concentrated.liquidity import TickLiquidity
from flasharb.pools.concentrated.quote import amount_in_for_exact_out, amount_out_for_exact_in, whole_inputs
from flasharb.pools.concentrated.rate import marginal_rate
from flasharb.pools.concentrated.swap import swap
from flasharb.pools.contract import Swapped
from flasharb.pools.errors import InsufficientLiquidity, Uninitialised
from flasharb.pools.inverse import least_input
from flasharb.pools.managed.fees import swap_fees
from flasharb.pools.pieces import Piece
from flasharb.pools.spec import PoolSpec

MAX_AMOUNT: Final = (1 << 127) - 1
"""The manager keeps what is owed in int128 and reverts beyond."""


# A Struct rather than a dataclass: one is made for every Swap event, at an eighth of the price.
class V4Pool(msgspec.Struct, frozen=True):
    """Price, tick, active liquidity and protocol fees as the manager has them, and the ladder of the known ticks.

    ``protocol_fees`` is packed as in Slot0 (see ``fees.swap_fees``); ``sqrt_price_x96`` is zero until initialised.
    """

    spec: PoolSpec
    sqrt_price_x96: int
    tick: int
    liquidity: int
    protocol_fees: int
    ladder: Ladder

    # --- quotes ---

    def amount_out(self, i: int, j: int, amount_in: int) -> int:
        """What the manager pays for exactly ``amount_in``. See ``Pool.amount_out``."""
        if not 0 < amount_in <= MAX_AMOUNT or not self.sqrt_price_x96:
            return self._nothing(amount_in)
        out = amount_out_for_exact_in(self.ladder, self.sqrt_price_x96, self.tick, self.liquidity, not i, amount_in)
        return out if out <= MAX_AMOUNT else self._nothing(out)

    def amount_in_exact_out(self, i: int, j: int, amount_out: int) -> int:
        """What a swap of exact output takes; its rounding may ask for more than ``amount_in`` does."""
        if not 0 < amount_out <= MAX_AMOUNT or not self.sqrt_price_x96:
            return self._nothing(amount_out)
        taken = amount_in_for_exact_out(self.ladder, self.sqrt_price_x96, self.tick, self.liquidity, not i, amount_out)
        return taken if taken <= MAX_AMOUNT else self._nothing(taken)

    def amount_in(self, i: int, j: int, amount_out: int) -> int:
        """The least input of a swap of exact input that pays ``amount_out``."""
        guess = self.amount_in_exact_out(i, j, amount_out)
        return least_input(partial(self.amount_out, i, j), amount_out, guess) if guess else 0

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
        """What the pool pays of each currency until its price has moved by ``share``."""
        self._price()
        return shape.liquidity_within(self, share)

    def whole_inputs(self, i: int, j: int, amount_in: int) -> tuple[int, ...]:
        """The inputs next to ``amount_in`` of which the fee of the last step leaves a whole number."""
        return whole_inputs(self.ladder, self.sqrt_price_x96, self.tick, self.liquidity, not i, amount_in)

    def pieces(self, i: int, j: int) -> Iterator[Piece]:
        """The ranges of constant liquidity from the current price to the end of what is known."""
        return shape.pieces(self, not i)

    def swapped(
        self, i: int, j: int, amount: int, *, exact_in: bool = True, sqrt_price_limit_x96: int | None = None
    ) -> Swapped[V4Pool]:
        """The whole swap: what it takes and gives, also where the pool runs dry or meets the limit, and the pool after.

        Raises:
            ValueError: an amount that is not positive, or a limit behind the current price.
            InsufficientLiquidity: an amount that does not fit the manager's int128.
        """
        if amount <= 0:
            raise ValueError(f"a swap needs a positive amount, not {amount}")
        state = (self._price(), self.tick, self.liquidity)
        result = swap(self.ladder, state, not i, amount, exact_in=exact_in, sqrt_price_limit_x96=sqrt_price_limit_x96)
        if max(result.amount_in, result.amount_out) > MAX_AMOUNT:
            self._nothing(max(result.amount_in, result.amount_out))
        after = self.with_price(result.sqrt_price_x96, result.tick, result.liquidity)
        return Swapped(result.amount_in, result.amount_out, after)

    # --- events ---

    def with_price(self, sqrt_price_x96: int, tick: int, liquidity: int) -> V4Pool:
        """The pool after an Initialize event or a swap, in constant time."""
        return V4Pool(self.spec, sqrt_price_x96, tick, liquidity, self.protocol_fees, self.ladder)

    def after_swap(
        self, amounts: tuple[int, int], sqrt_price_x96: int, liquidity: int, tick: int, fee_pips: int
    ) -> V4Pool:
        """The pool after a Swap event; ``amounts`` as in the event, negative: paid by the swapper.

        Raises:
            ValueError: another fee was charged than this pool has, so a ProtocolFeeUpdated was missed: load it anew.
        """
        expected = self.ladder.fees[0 if amounts[0] < 0 else 1] if min(amounts) < 0 else fee_pips
        if fee_pips != expected:
            raise ValueError(f"a swap paid {fee_pips} pips where {expected} are known: a fee update was missed")
        return self.with_price(sqrt_price_x96, tick, liquidity)

    def with_liquidity_change(self, tick_lower: int, tick_upper: int, delta: int) -> V4Pool:
        """The pool after a ModifyLiquidity event over ``[tick_lower, tick_upper)``; zero changes nothing.

        Raises:
            ValueError: the change contradicts the known ticks (events were missed): load the pool anew.
        """
        if not delta:
            return self
        active = self.liquidity + delta if tick_lower <= self.tick < tick_upper else self.liquidity
        ladder = self.ladder.with_position(tick_lower, tick_upper, delta)
        return V4Pool(self.spec, self.sqrt_price_x96, self.tick, active, self.protocol_fees, ladder)

    def with_protocol_fees(self, protocol_fees: int) -> V4Pool:
        """The pool after a ProtocolFeeUpdated event."""
        ladder = self.ladder.with_fees(swap_fees(protocol_fees, self.spec.fee_pips))
        return V4Pool(self.spec, self.sqrt_price_x96, self.tick, self.liquidity, protocol_fees, ladder)

    def ticks_agree(self) -> bool:
        """Whether the known ticks add up to the active liquidity; if not, a ModifyLiquidity was missed."""
        return self.liquidity == self.ladder.liquidity_at(self.tick)

    def _nothing(self, amount: int) -> int:
        """Zero for zero, otherwise why there is no answer."""
        if amount < 0:
            raise ValueError(f"an amount cannot be negative: {amount}")
        self._price()
        if amount > MAX_AMOUNT:
            raise InsufficientLiquidity(f"{amount} is more than the manager can book in an int128")
        return 0

    def _price(self) -> int:
        if not self.sqrt_price_x96:
            raise Uninitialised("the pool has no price yet")
        return self.sqrt_price_x96


def v4_pool(
    spec: PoolSpec,
    state: tuple[int, int, int],
    ticks: Mapping[int, TickLiquidity],
    protocol_fees: int = 0,
    words: tuple[int, int] | None = None,
) -> V4Pool:
    """A pool from ``state`` (sqrt price, tick, liquidity); ``ticks`` are all of the words ``words`` (None: of all).

    Raises:
        ValueError: ticks, liquidity and words contradict each other.
    """
    price, tick, liquidity = state
    info = {at: TickLiquidity(*known) for at, known in ticks.items()}
    fees = swap_fees(protocol_fees, spec.fee_pips)
    ladder = Ladder.around(fees, spec.tick_spacing, info, tick=tick, liquidity=liquidity, words=words)
    return V4Pool(spec, price, tick, liquidity, protocol_fees, ladder)
