"""A pool whose mathematics nobody has modelled: it is quoted by whoever can run its code.

The quote function comes from above (``simulation.quoter`` runs the bytecode in the local EVM) and stands for one state
of the pool; every answer is remembered, so that sizing and detection do not run the code twice for one amount. Nothing
is known of the function but what it says: the inverse asks for a quote that does not fall, and checks what it returns
against the quote itself; the sizing trusts no concavity.

After any event the pool's state is another one, and so is the function: such a pool is made anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from flasharb.pools.contract import Swapped
from flasharb.pools.errors import InsufficientLiquidity, QuoteUnavailable
from flasharb.pools.inverse import least_input
from flasharb.pools.spec import PoolSpec

Quote: TypeAlias = Callable[[int, int, int], int | None]
"""Token index in, token index out, amount in -> what is paid; None where the contract reverts.

What cannot be told because state is missing it raises as ``UnknownState``.
"""

_PROBE = 10_000
"""The marginal rate is measured by this part of the balance: little enough to move nothing, enough to hide rounding."""


_MOST = 1 << 112
"""More than anybody has of any token: a search for an input begins below."""


class UnknownState(QuoteUnavailable):
    """The quote would need state that is not known."""


class QuotedPool(msgspec.Struct, frozen=True):
    """``balances`` are what the pool holds of each token; ``after`` gives the quotes after a swap (None: not told)."""

    spec: PoolSpec
    balances: tuple[int, ...]
    quote: Quote
    after: Callable[[int, int, int], QuotedPool] | None = None
    known: dict[tuple[int, int, int], int | None] = msgspec.field(default_factory=dict)

    def amount_out(self, i: int, j: int, amount_in: int) -> int:
        """What the code pays; a revert is refused as ``InsufficientLiquidity``."""
        if amount_in < 0:
            raise ValueError(f"an amount cannot be negative: {amount_in}")
        if not amount_in:
            return 0
        if amount_in >> 256:
            raise InsufficientLiquidity(f"an input of {amount_in} is no uint256")
        asked = i, j, amount_in
        if asked in self.known:
            paid = self.known[asked]
        else:
            paid = self.known[asked] = self.quote(i, j, amount_in)
        if paid is None:
            raise InsufficientLiquidity(f"the contract reverts for an input of {amount_in}")
        return paid

    def amount_in(self, i: int, j: int, amount_out: int) -> int:
        """The least input, as far as the quote does not fall: see ``inverse.least_input``."""
        if amount_out < 0:
            raise ValueError(f"an amount cannot be negative: {amount_out}")
        if not amount_out:
            return 0
        least = least_input(lambda amount: self.amount_out(i, j, amount), amount_out, self._guess(i, j, amount_out))
        if self.amount_out(i, j, least) < amount_out:
            raise InsufficientLiquidity("the quote falls as its input grows: it has no inverse")
        return least

    def marginal_rate(self, i: int, j: int) -> float:
        """Measured by a small input, so rounded down; a rate that is too low only overlooks the thinnest gains."""
        probe = max(self.balances[i] // _PROBE, 1)
        paid = self.amount_out(i, j, probe)
        if not paid:
            raise InsufficientLiquidity(f"nothing is paid for {probe}")
        return paid / probe

    def reserve_in(self, i: int, j: int) -> int:
        """The pool's balance."""
        return self.balances[i]

    def depth(self) -> tuple[int, ...]:
        """The pool's balances."""
        return self.balances

    def swapped(self, i: int, j: int, amount_in: int) -> Swapped[QuotedPool]:
        """The swap and the quotes after it.

        Raises:
            UnknownState: whoever made the pool cannot tell.
        """
        if self.after is None:
            raise UnknownState("the state after a swap is not told")
        return Swapped(amount_in, self.amount_out(i, j, amount_in), self.after(i, j, amount_in))

    def _guess(self, i: int, j: int, amount_out: int) -> int:
        """By the marginal rate, with the price impact of a constant product."""
        held = self.balances[j]
        impact = held / (held - amount_out) if amount_out < held else 1.0
        return min(max(int(amount_out / self.marginal_rate(i, j) * impact), 1), _MOST)
