"""A contract that exchanges two tokens at a fixed rate: WETH's deposit and withdraw, Maker's peg stability module.

Token 0 is worth ``scale`` units of token 1 (a stablecoin of 6 decimals against DAI of 18: 1e12). Selling token 0 pays
``scale`` less the fee ``tin``; buying it costs ``scale`` plus the fee ``tout``; both fees are rounded down by the
contract. Buying is by exact output in the contract: what an input does not reach a whole unit for is not taken. The
rate holds until the side that is paid out is empty.
"""

from __future__ import annotations

import msgspec

from flasharb.pools.contract import Swapped
from flasharb.pools.errors import InsufficientLiquidity
from flasharb.pools.spec import PoolSpec
from flasharb.units import WAD

UNBOUNDED = 1 << 128
"""The reserve of a side that never runs dry."""


class ConstantRatePool(msgspec.Struct, frozen=True):
    """Fees in parts of 1e18; ``reserves`` are what the contract can pay of each token."""

    spec: PoolSpec
    scale: int
    tin: int
    tout: int
    reserves: tuple[int, int]

    def amount_out(self, i: int, j: int, amount_in: int) -> int:
        """See ``Pool.amount_out``."""
        if amount_in < 0:
            raise ValueError(f"an amount cannot be negative: {amount_in}")
        if i:
            # the most token 0 whose cost, rounded down, the input covers
            paid = ((amount_in + 1) * WAD - 1) // (self.scale * (WAD + self.tout))
        else:
            whole = amount_in * self.scale
            paid = whole - whole * self.tin // WAD
        self._require(j, paid)
        return paid

    def amount_in(self, i: int, j: int, amount_out: int) -> int:
        """See ``Pool.amount_in``."""
        if amount_out < 0:
            raise ValueError(f"an amount cannot be negative: {amount_out}")
        if not amount_out:
            return 0
        if i:
            self._require(j, amount_out)
            return amount_out * self.scale * (WAD + self.tout) // WAD
        if self.tin >= WAD:
            raise InsufficientLiquidity("the fee takes all")
        least = (amount_out - 1) * WAD // (self.scale * (WAD - self.tin)) + 1
        self.amount_out(i, j, least)
        return least

    def marginal_rate(self, i: int, j: int) -> float:
        """The rate, for as long as it holds."""
        if not self.reserves[j]:
            raise InsufficientLiquidity("nothing left to pay out")
        return WAD / (self.scale * (WAD + self.tout)) if i else self.scale * (WAD - self.tin) / WAD

    def reserve_in(self, i: int, j: int) -> int:
        """The input that empties the other side, fees left aside: the only reserve that bounds a trade."""
        return self.reserves[j] * self.scale if i else self.reserves[j] // self.scale

    def depth(self) -> tuple[int, int]:
        """What it can pay."""
        return self.reserves

    def swapped(self, i: int, j: int, amount_in: int) -> Swapped[ConstantRatePool]:
        """What the contract takes for the input, which may leave a rest, and the pool after it."""
        paid = self.amount_out(i, j, amount_in)
        taken = self.amount_in(i, j, paid) if i else amount_in
        return Swapped(taken, paid, self._moved(taken, -paid) if not i else self._moved(-paid, taken))

    def after_sell(self, amount: int, fee: int) -> ConstantRatePool:
        """After somebody sold ``amount`` of token 0 and paid ``fee`` in token 1."""
        return self._moved(amount, fee - amount * self.scale)

    def after_buy(self, amount: int, fee: int) -> ConstantRatePool:
        """After somebody bought ``amount`` of token 0 and paid ``fee`` in token 1."""
        return self._moved(-amount, amount * self.scale + fee)

    def after_refill(self, change: int) -> ConstantRatePool:
        """After the contract's keeper minted (burned: negative) token 1."""
        return self._moved(0, change)

    def with_fees(self, tin: int, tout: int) -> ConstantRatePool:
        """After governance set the fees."""
        return ConstantRatePool(self.spec, self.scale, tin, tout, self.reserves)

    def _moved(self, change0: int, change1: int) -> ConstantRatePool:
        """The reserves after a change; an endless side stays so.

        Raises:
            ValueError: more went out than was there: events were missed.
        """
        changes = zip(self.reserves, (change0, change1), strict=True)
        first, second = (held if held == UNBOUNDED else held + change for held, change in changes)
        if first < 0 or second < 0:
            raise ValueError(f"reserves of {first} and {second}: events were missed")
        return ConstantRatePool(self.spec, self.scale, self.tin, self.tout, (first, second))

    def _require(self, j: int, amount_out: int) -> None:
        if amount_out > self.reserves[j]:
            raise InsufficientLiquidity(f"output {amount_out} is more than the {self.reserves[j]} there are")
