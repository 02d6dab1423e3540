"""wstETH as a pool of two tokens: stETH and wstETH, wrapped and unwrapped at Lido's rate.

stETH balances are shares of all pooled ether, rounded down; a wstETH is one share. So an amount of stETH that is sent
arrives as whole shares, worth up to a unit less, and up to a unit more together with what the receiver held::

    wrap     wstETH given    = stETH * total shares // pooled ether      exactly, whoever wraps
    unwrap   stETH sent      = wstETH * pooled ether // total shares
             shares moved    = sent * total shares // pooled ether
             stETH received  = shares moved * pooled ether // total shares

``amount_out`` of an unwrap is the last line: what a receiver without stETH then has and can spend, to the unit. One
that held some may find one unit more, never less. What other pools receive when stETH is sent to them is
``received``: their mathematics must be told that amount, or must take the amount sent at its word.

Neither changes the rate. Staking does (``after_submitted``); so do Lido's daily report, burns and its governance, for
which the pool must be loaded anew. ``amount_out`` is linear up to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from flasharb.pools.contract import Swapped
from flasharb.pools.errors import InsufficientLiquidity, Uninitialised
from flasharb.pools.inverse import least_input
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address

PROTOCOL: Final = "wsteth"
STETH, WSTETH = 0, 1
_UINT256_END: Final = 1 << 256


@dataclass(frozen=True, slots=True)
class WrappedFacts:
    """The two contracts; the tokens are (steth, wsteth)."""

    steth: Address
    wsteth: Address


def spec_of(facts: WrappedFacts) -> PoolSpec:
    """The market's view."""
    return PoolSpec(facts.wsteth, PROTOCOL, (facts.steth, facts.wsteth), 0, facts=facts)


class WrappedPool(msgspec.Struct, frozen=True):
    """All pooled ether in wei, and all shares of it."""

    spec: PoolSpec
    pooled: int
    shares: int

    def amount_out(self, i: int, j: int, amount_in: int) -> int:
        """wstETH for stETH (``i`` = 0), or the stETH that a receiver without any then has. See ``Pool.amount_out``."""
        if amount_in <= 0:
            return self._nothing(amount_in)
        if i == STETH:
            return self.shares_of(amount_in)
        if amount_in > self.shares:
            raise InsufficientLiquidity(f"{amount_in} wstETH where there are {self.shares} shares in all")
        return self.received(self.pooled_of(amount_in))

    def amount_in(self, i: int, j: int, amount_out: int) -> int:
        """The least input for ``amount_out``."""
        if amount_out <= 0:
            return self._nothing(amount_out)
        into, out = (self.pooled, self.shares) if i == STETH else (self.shares, self.pooled)
        if not into or not out:
            raise Uninitialised("Lido holds nothing")
        return least_input(lambda amount: self.amount_out(i, j, amount), amount_out, -(-amount_out * into // out))

    def received(self, sent: int) -> int:
        """The balance of a receiver without stETH to whom this much is sent."""
        return self.pooled_of(self.shares_of(sent))

    def marginal_rate(self, i: int, j: int) -> float:
        """Output per input; the same for every amount, up to rounding."""
        if not self.pooled or not self.shares:
            raise Uninitialised("Lido holds nothing")
        return self.shares / self.pooled if i == STETH else self.pooled / self.shares

    def reserve_in(self, i: int, j: int) -> int:
        """All pooled ether, or all shares."""
        return self.pooled if i == STETH else self.shares

    def depth(self) -> tuple[int, int]:
        """All of both: wrapping takes from nobody."""
        return self.pooled, self.shares

    def swapped(self, i: int, j: int, amount_in: int) -> Swapped[WrappedPool]:
        """The wrap or unwrap; the pool is the same afterwards.

        Raises:
            ValueError: an amount that is not positive.
        """
        if amount_in <= 0:
            raise ValueError(f"a swap needs a positive amount, not {amount_in}")
        return Swapped(amount_in, self.amount_out(i, j, amount_in), self)

    def after_submitted(self, amount: int) -> WrappedPool:
        """The pool after Lido's Submitted event: ``amount`` wei were staked at the rate before."""
        return WrappedPool(self.spec, self.pooled + amount, self.shares + self.shares_of(amount))

    def shares_of(self, amount: int) -> int:
        """Lido.getSharesByPooledEth."""
        if not self.pooled or not self.shares:
            raise Uninitialised("Lido holds nothing")
        return self._fits(amount * self.shares) // self.pooled

    def pooled_of(self, shares: int) -> int:
        """Lido.getPooledEthByShares."""
        return self._fits(shares * self.pooled) // self.shares

    def _fits(self, product: int) -> int:
        if product >= _UINT256_END:
            raise InsufficientLiquidity("the amount overflows Lido's arithmetic")
        return product

    def _nothing(self, amount: int) -> int:
        if amount < 0:
            raise ValueError(f"an amount cannot be negative: {amount}")
        return 0
