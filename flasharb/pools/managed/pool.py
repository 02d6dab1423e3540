"""A pool inside Uniswap V4's PoolManager: V3's ladder under the manager's fees and its bookkeeping in int128.

The mathematics of a step is V3's: V4's SwapMath names input and fee of the last step otherwise, but their sum, the
output and the price reached are the same. What differs is the fee, which holds the protocol's share of each direction
(``fees``), and that amounts which do not fit an int128 revert.

``amount_out`` is concave and monotone up to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from flasharb.pools.concentrated.ladder import Ladder
from flasharb.pools.concentrated.liquidity import TickLiquidity
from flasharb.pools.concentrated.on_ladder import OnLadder
from flasharb.pools.concentrated.quote import amount_in_for_exact_out, amount_out_for_exact_in
from flasharb.pools.concentrated.swap import swap
from flasharb.pools.contract import Swapped
from flasharb.pools.errors import InsufficientLiquidity
from flasharb.pools.inverse import least_input
from flasharb.pools.managed.fees import swap_fees
from flasharb.pools.spec import PoolSpec

MAX_AMOUNT: Final = (1 << 127) - 1
"""The manager keeps what is owed in int128 and reverts beyond."""


class V4Pool(OnLadder, frozen=True):
    """A pool as the manager has it; ``protocol_fees`` is packed as in Slot0 (see ``fees.swap_fees``)."""

    protocol_fees: int

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
        """The least input of a swap of exact input that pays ``amount_out``.

        The pool's own quote for an exact output comes close, but rounds otherwise: its neighbours decide.
        """
        guess = self.amount_in_exact_out(i, j, amount_out)
        return least_input(partial(self.amount_out, i, j), amount_out, guess) if guess else 0

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
        return V4Pool(self.spec, sqrt_price_x96, tick, liquidity, self.ladder, self.protocol_fees)

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
        return V4Pool(self.spec, self.sqrt_price_x96, self.tick, active, ladder, self.protocol_fees)

    def with_protocol_fees(self, protocol_fees: int) -> V4Pool:
        """The pool after a ProtocolFeeUpdated event."""
        ladder = self.ladder.with_fees(swap_fees(protocol_fees, self.spec.fee_pips))
        return V4Pool(self.spec, self.sqrt_price_x96, self.tick, self.liquidity, ladder, protocol_fees)

    def _nothing(self, amount: int) -> int:
        """Zero for zero, otherwise why there is no answer."""
        if amount < 0:
            raise ValueError(f"an amount cannot be negative: {amount}")
        self._price()
        if amount > MAX_AMOUNT:
            raise InsufficientLiquidity(f"{amount} is more than the manager can book in an int128")
        return 0


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
    return V4Pool(spec, price, tick, liquidity, ladder, protocol_fees)
