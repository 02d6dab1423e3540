"""What all pools of the Vault have in common: balances, fee, and what events do to them.

The Vault's events are exact: ``Swap`` and ``PoolBalanceChanged`` change the cash by the amounts they name,
``PoolBalanceManaged`` moves between cash and managed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from flasharb.pools.balancer.vault import MAX_BALANCE
from flasharb.pools.contract import Swapped
from flasharb.pools.errors import InsufficientLiquidity
from flasharb.pools.inverse import least_input
from flasharb.pools.spec import PoolSpec

Self = TypeVar("Self", bound="VaultPool")


class VaultPool(msgspec.Struct, frozen=True):
    """Balances by token in smallest units, and the swap fee with 18 decimals."""

    spec: PoolSpec
    cash: tuple[int, ...]
    managed: tuple[int, ...]
    fee: int

    def amount_out(self, i: int, j: int, amount_in: int) -> int:
        """What the Vault pays of token j for exactly ``amount_in`` of token i (``GIVEN_IN``); 0 for 0.

        Raises:
            InsufficientLiquidity: more than the pool takes or the Vault can pay: it would revert.
            Uninitialised: the pool has no balances.
            ValueError: a negative amount, or i = j.
        """
        raise NotImplementedError

    def amount_in_exact_out(self, i: int, j: int, amount_out: int) -> int:
        """What the Vault asks of token i for exactly ``amount_out`` of token j (``GIVEN_OUT``), rounded its way.

        Raises as ``amount_out`` does.
        """
        raise NotImplementedError

    def amount_in(self, i: int, j: int, amount_out: int) -> int:
        """The least input for which ``amount_out`` gives at least that much; 0 for 0. Raises as it does."""
        check(i, j, amount_out)
        if not amount_out:
            return 0
        if amount_out > self.cash[j]:
            raise InsufficientLiquidity(f"output {amount_out} is more than the Vault's cash of {self.cash[j]}")
        try:
            guess = self.amount_in_exact_out(i, j, amount_out)
        except InsufficientLiquidity:
            guess = self.cash[i] + self.managed[i]
        return least_input(lambda amount: self.amount_out(i, j, amount), amount_out, guess)

    def swapped(self: Self, i: int, j: int, amount_in: int) -> Swapped[Self]:
        """The swap given in, and the pool as the Vault's storage has it afterwards.

        Raises:
            ValueError: an amount that is not positive.
        """
        if amount_in <= 0:
            raise ValueError(f"a swap needs a positive amount, not {amount_in}")
        amount_out = self.amount_out(i, j, amount_in)
        return Swapped(amount_in, amount_out, self.after_swap(i, j, amount_in, amount_out))

    def reserve_in(self, i: int, j: int) -> int:
        """The balance of the token that goes in."""
        return self.cash[i] + self.managed[i]

    def depth(self) -> tuple[int, ...]:
        """What the Vault can pay of each token."""
        return self.cash

    def after_swap(self: Self, i: int, j: int, amount_in: int, amount_out: int) -> Self:
        """The pool after the Vault's ``Swap`` event."""
        return self.with_moved(i, j, amount_in, amount_out)

    def with_moved(self: Self, i: int, j: int, amount_in: int, amount_out: int) -> Self:
        """The pool with this much more cash of token i and less of token j."""
        cash = list(self.cash)
        cash[i] += amount_in
        cash[j] -= amount_out
        return self._with(tuple(cash), self.managed)

    def after_pool_balance_changed(self: Self, deltas: Sequence[int], protocol_fees: Sequence[int]) -> Self:
        """The pool after the Vault's ``PoolBalanceChanged`` event (a join, an exit): deltas and fees by token."""
        changed = zip(self.cash, deltas, protocol_fees, strict=True)
        return self._with(tuple(cash + delta - fee for cash, delta, fee in changed), self.managed)

    def after_pool_balance_managed(self: Self, i: int, cash_delta: int, managed_delta: int) -> Self:
        """The pool after the Vault's ``PoolBalanceManaged`` event of token i."""
        cash, managed = list(self.cash), list(self.managed)
        cash[i] += cash_delta
        managed[i] += managed_delta
        return self._with(tuple(cash), tuple(managed))

    def after_swap_fee_changed(self: Self, fee: int) -> Self:
        """The pool after its own ``SwapFeePercentageChanged`` event."""
        return msgspec.structs.replace(self, fee=fee)

    def _with(self: Self, cash: tuple[int, ...], managed: tuple[int, ...]) -> Self:
        """The pool with these balances.

        Raises:
            ValueError: one is negative: an event was missed.
        """
        if min(cash) < 0 or min(managed) < 0:
            raise ValueError(f"balances cannot be negative: cash {cash}, managed {managed}")
        return msgspec.structs.replace(self, cash=cash, managed=managed)

    def checked_amounts(self, i: int, j: int, amount_in: int, amount_out: int) -> None:
        """What the Vault checks when it books a swap.

        Raises:
            InsufficientLiquidity: it would revert.
        """
        if amount_out > self.cash[j]:
            raise InsufficientLiquidity(f"output {amount_out} is more than the Vault's cash of {self.cash[j]}")
        if self.cash[i] + self.managed[i] + amount_in > MAX_BALANCE:
            raise InsufficientLiquidity(f"input {amount_in} would overflow the balance in the Vault")


def check(i: int, j: int, amount: int) -> None:
    """Refuse what no swap can be.

    Raises:
        ValueError: a negative amount, or i = j.
    """
    if amount < 0:
        raise ValueError(f"an amount cannot be negative: {amount}")
    if i == j:
        raise ValueError(f"token {i} cannot be swapped for itself")
