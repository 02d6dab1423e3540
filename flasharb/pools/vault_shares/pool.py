"""An ERC-4626 vault as a pool of two tokens: its asset, and its share. Depositing and redeeming are the two swaps.

::

    deposit   shares = assets * (supply + virtual) // (held + 1)      virtual > 0: OpenZeppelin since 4.9, Solady
              shares = assets * supply // held, 1 : 1 if supply = 0   virtual = 0: solmate, OpenZeppelin before
    redeem    the same the other way round, with the same virtual amounts

Only vaults whose assets are exactly what they hold are modelled: ``simulation.vault_probe`` says which those are.
``amount_out`` is linear, so concave and monotone up to rounding. A vault's ``mint`` and ``withdraw`` round so that they
take exactly ``amount_in``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from flasharb.pools.contract import Swapped
from flasharb.pools.errors import InsufficientLiquidity, Uninitialised
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address

PROTOCOL: Final = "erc4626"
ASSET, SHARE = 0, 1
_MAX: Final = (1 << 256) - 1


@dataclass(frozen=True, slots=True)
class VaultFacts:
    """What was found out about a vault; the tokens are (asset, vault).

    ``held_slot`` is the slot of ``asset`` with the vault's balance, ``supply_slot`` that of the vault with its total
    supply. ``virtual_shares`` is 10 ** decimals offset, or 0. ``refuses_nothing``: what would give nothing reverts
    instead. ``wide``: products may exceed 256 bits.
    """

    vault: Address
    asset: Address
    held_slot: int
    supply_slot: int
    virtual_shares: int
    refuses_nothing: bool
    wide: bool


def spec_of(facts: VaultFacts) -> PoolSpec:
    """The market's view."""
    return PoolSpec(facts.vault, PROTOCOL, (facts.asset, facts.vault), 0, facts=facts)


class VaultPool(msgspec.Struct, frozen=True):
    """What the vault holds of its asset, and how many of its shares there are."""

    spec: PoolSpec
    facts: VaultFacts
    held: int
    supply: int

    def amount_out(self, i: int, j: int, amount_in: int) -> int:
        """Shares for assets (``i`` = 0), or assets for shares. See ``Pool.amount_out``."""
        if amount_in <= 0:
            return self._nothing(amount_in)
        into, out = self._sides(i)
        if i == SHARE and amount_in > self.supply:
            raise InsufficientLiquidity(f"{amount_in} shares where there are {self.supply}")
        product = amount_in * out
        if not into and not out:
            given = amount_in
        elif not into:
            raise Uninitialised("the vault has shares and no assets: nothing can be deposited")
        else:
            given = product // into
        if (product > _MAX and not self.facts.wide) or given > _MAX:
            raise InsufficientLiquidity(f"{amount_in} overflows the vault's arithmetic")
        if not given and self.facts.refuses_nothing:
            raise InsufficientLiquidity(f"the vault gives nothing for {amount_in}, and refuses to")
        if i == ASSET and (self.supply + given > _MAX or self.held + amount_in > _MAX):
            raise InsufficientLiquidity(f"{amount_in} overflows what the vault can count")
        return given

    def amount_in(self, i: int, j: int, amount_out: int) -> int:
        """The least input for ``amount_out``; what ``mint`` and ``withdraw`` take for it."""
        if amount_out <= 0:
            return self._nothing(amount_out)
        into, out = self._sides(i)
        if not out and into:
            raise InsufficientLiquidity("the vault has nothing to give")
        needed = -(-amount_out * into // out) if out else amount_out
        self.amount_out(i, j, needed)
        return needed

    def marginal_rate(self, i: int, j: int) -> float:
        """Output per input; the same for every amount.

        Raises:
            Uninitialised: a vault with shares and no assets.
        """
        into, out = self._sides(i)
        if not into or not out:
            if into or out:
                raise Uninitialised("the vault has shares and no assets")
            return 1.0
        return out / into

    def reserve_in(self, i: int, j: int) -> int:
        """What the vault holds, or the shares there are."""
        return self.held if i == ASSET else self.supply

    def depth(self) -> tuple[int, int]:
        """All assets can be had for all shares; of shares there may be any number, as many as there are for a scale."""
        return self.held, self.supply

    def swapped(self, i: int, j: int, amount_in: int) -> Swapped[VaultPool]:
        """The deposit or redemption, and the vault after it.

        Raises:
            ValueError: an amount that is not positive.
        """
        if amount_in <= 0:
            raise ValueError(f"a swap needs a positive amount, not {amount_in}")
        given = self.amount_out(i, j, amount_in)
        if i == ASSET:
            return Swapped(amount_in, given, self._with(self.held + amount_in, self.supply + given))
        return Swapped(amount_in, given, self._with(self.held - given, self.supply - amount_in))

    # --- events: Transfer of the asset to or from the vault, Transfer of shares from or to nobody. Deposit and Withdraw
    # repeat these and are not needed.

    def after_assets_moved(self, change: int) -> VaultPool:
        """The vault after a Transfer of its asset to it (``change`` > 0) or from it; a donation is one too."""
        return self._with(self.held + change, self.supply)

    def after_shares_changed(self, change: int) -> VaultPool:
        """The vault after shares were minted (Transfer from the zero address; ``change`` > 0) or burnt."""
        return self._with(self.held, self.supply + change)

    def _with(self, held: int, supply: int) -> VaultPool:
        if held < 0 or supply < 0:
            raise ValueError(f"the vault cannot hold {held} for {supply} shares: events were missed")
        return VaultPool(self.spec, self.facts, held, supply)

    def _sides(self, i: int) -> tuple[int, int]:
        """(divisor, factor) of the direction: the total of what comes in, and of what goes out, virtual ones too."""
        virtual = self.facts.virtual_shares
        held, supply = self.held + (virtual > 0), self.supply + virtual
        if not self.supply and not virtual:
            # the first deposit, and what would be redeemed of nothing, are one to one
            return 0, 0
        return (held, supply) if i == ASSET else (supply, held)

    def _nothing(self, amount: int) -> int:
        if amount < 0:
            raise ValueError(f"an amount cannot be negative: {amount}")
        return 0
