"""Is a vault one whose deposits and redemptions we can compute? Found out by trying it, not by reading its code.

An ERC-4626 vault may do anything behind its interface. It is modelled if all of this holds, in the world as it is and
in worlds where its holdings and its supply are others:

- one slot of the asset's contract is what it holds, one slot of its own is its total supply;
- its total assets are what it holds, also a year later;
- its previews are one of the known formulas, and its limits do not limit;
- a deposit and a redemption move exactly the amounts of the previews, and leave exactly the two slots changed as we
  compute.

Everything else is refused by name: such a vault can still be quoted by running it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from flasharb.evm import BlockContext, Fork, Machine, MissingState, StateSource
from flasharb.pools.contract import Swapped
from flasharb.pools.errors import QuoteUnavailable
from flasharb.pools.vault_shares.pool import ASSET, SHARE, VaultFacts, VaultPool, spec_of
from flasharb.simulation.probe import YEAR_S, NotModelled, Trial
from flasharb.units import Address

_UNLIMITED: Final = 1 << 127
_OFFSETS: Final = range(19)


def probe_vault(
    vault: Address, executor: Address, source: StateSource, context: BlockContext, fork: Fork
) -> VaultFacts | str | MissingState:
    """The facts of a vault, or why it is not modelled; state that ``source`` lacks is the answer then.

    ``executor`` deposits and redeems in the trial; it needs to own nothing, and may own some.
    """
    probe = _Probe(vault, Trial(executor, source, context, fork))
    try:
        return probe.facts()
    except MissingState as missing:
        return missing
    except NotModelled as refused:
        return str(refused)


class _Probe:
    def __init__(self, vault: Address, trial: Trial) -> None:
        self._vault = vault
        self._trial = trial

    def facts(self) -> VaultFacts:
        answer = self._trial.ask(self._trial.machine(), self._vault, "asset()")
        if answer is None or not 0 < answer < 1 << 160:
            raise NotModelled("no vault: asset() gives no address")
        asset = Address(answer.to_bytes(20, "big"))
        held_slot, held = self._slot_of(asset, "balanceOf(address)", self._vault)
        supply_slot, supply = self._slot_of(self._vault, "totalSupply()")
        if held < 1000 or supply < 1000:
            raise NotModelled(f"too little in it to try it out: {held} held, {supply} shares")
        bare = VaultFacts(self._vault, asset, held_slot, supply_slot, 0, refuses_nothing=False, wide=True)
        worlds = [(held, supply), (held * 7 // 5 + 777, supply), (held, supply * 3 // 2 + 12_345), (supply * 3, supply)]
        for world in worlds:
            self._check_world(bare, *world)
        facts = self._formula(bare, worlds)
        facts = replace(facts, wide=self._is_wide(facts), refuses_nothing=self._refuses_nothing(facts, supply))
        for world in worlds:
            self._try_out(facts, *world)
        return facts

    # --- what stands where

    def _slot_of(self, contract: Address, signature: str, *arguments: Address) -> tuple[int, int]:
        """The one slot of the contract that its answer is the value of, and the value."""
        machine = self._trial.machine()
        value = self._trial.ask(machine, contract, signature, *arguments)
        if value is None:
            raise NotModelled(f"{signature} of 0x{contract.hex()} gives no number")
        for slot in sorted(machine.touched.get(contract, ())):
            if machine.storage(contract, slot) == value:
                other = value + 0x10001
                changed = self._trial.machine({(contract, slot): other})
                if self._trial.ask(changed, contract, signature, *arguments) == other:
                    return slot, value
        raise NotModelled(f"{signature} of 0x{contract.hex()} is not one storage slot")

    def _check_world(self, facts: VaultFacts, held: int, supply: int) -> None:
        trial, slots = self._trial, _slots(facts, held, supply)
        now = trial.ask(trial.machine(slots), self._vault, "totalAssets()")
        if now != held:
            raise NotModelled(f"its total assets are {now} where it holds {held}")
        then = trial.ask(trial.machine(slots, later_s=YEAR_S), self._vault, "totalAssets()")
        if then != held:
            raise NotModelled(f"its total assets change with time: {held} now, {then} a year later")
        most = trial.ask(trial.machine(slots), self._vault, "maxDeposit(address)", trial.actor)
        if most is None or most < _UNLIMITED:
            raise NotModelled(f"deposits are limited to {most}")

    # --- what it computes

    def _formula(self, facts: VaultFacts, worlds: list[tuple[int, int]]) -> VaultFacts:
        """The facts with the virtual shares under which all previews are ours."""
        previews = [
            (world, i, amount, self._preview(facts, world, i, amount))
            for world in worlds
            for i, amount in _amounts(*world)
        ]
        for virtual in (0, *(10**offset for offset in _OFFSETS)):
            candidate = replace(facts, virtual_shares=virtual)
            spec = spec_of(candidate)
            if all(
                VaultPool(spec, candidate, *world).amount_out(i, 1 - i, amount) == preview
                for world, i, amount, preview in previews
            ):
                return candidate
        raise NotModelled("its previews are none of the known formulas (a fee, or another price)")

    def _preview(self, facts: VaultFacts, world: tuple[int, int], i: int, amount: int) -> int | None:
        signature = "previewDeposit(uint256)" if i == ASSET else "previewRedeem(uint256)"
        return self._trial.ask(self._trial.machine(_slots(facts, *world)), self._vault, signature, amount)

    def _is_wide(self, facts: VaultFacts) -> bool:
        """Whether a product of more than 256 bits is divided as a whole."""
        return self._preview(facts, (1 << 200, 1 << 200), ASSET, 1 << 100) is not None

    def _refuses_nothing(self, facts: VaultFacts, supply: int) -> bool:
        """Whether a deposit that gives no share reverts, in a world where a share costs many units."""
        held = (supply + facts.virtual_shares) * 10
        machine = self._trial.machine(_slots(facts, held, supply))
        self._fund(machine, facts, 5)
        return not self._trial.act(machine, self._vault, "deposit(uint256,address)", 1, self._trial.actor)[0]

    # --- what it does

    def _try_out(self, facts: VaultFacts, held: int, supply: int) -> None:
        """Deposit and redeem, and hold amounts, limits and storage against ours."""
        trial, actor = self._trial, self._trial.actor
        machine = trial.machine(_slots(facts, held, supply))
        amount = held // 10
        before = [trial.ask(machine, token, "balanceOf(address)", actor) for token in (facts.asset, self._vault)]
        if None in before:
            raise NotModelled("its tokens tell no balances")
        assets_before, shares_before = (balance or 0 for balance in before)
        self._fund(machine, facts, amount)
        pool = VaultPool(spec_of(facts), facts, held - amount, supply)
        try:
            after = pool.swapped(ASSET, SHARE, amount)
        except QuoteUnavailable as error:
            raise NotModelled(f"a deposit of {amount} cannot be computed: {error}") from None
        done, shares = trial.act(machine, self._vault, "deposit(uint256,address)", amount, actor)
        self._same(machine, facts, "deposit", (done, shares), after)
        owned = trial.ask(machine, self._vault, "balanceOf(address)", actor)
        if owned != shares_before + shares:
            raise NotModelled(f"a deposit said {shares} shares, the owner of {shares_before} has {owned} then")
        most = trial.ask(machine, self._vault, "maxRedeem(address)", actor)
        if most is None or most < shares:
            raise NotModelled(f"redemptions are limited: {most} of {shares} shares")
        paid = 0
        for part in (shares // 3, shares - shares // 3):
            after = after.pool.swapped(SHARE, ASSET, part)
            redeemed = trial.act(machine, self._vault, "redeem(uint256,address,address)", part, actor, actor)
            self._same(machine, facts, "redemption", redeemed, after)
            paid += redeemed[1]
        if trial.ask(machine, facts.asset, "balanceOf(address)", actor) != assets_before + paid:
            raise NotModelled(f"redemptions said {paid} and gave otherwise")

    def _same(
        self, machine: Machine, facts: VaultFacts, what: str, real: tuple[bool, int], ours: Swapped[VaultPool]
    ) -> None:
        if not real[0]:
            raise NotModelled(f"a {what} reverts")
        stored = (machine.storage(facts.asset, facts.held_slot), machine.storage(facts.vault, facts.supply_slot))
        computed = (ours.pool.held, ours.pool.supply)
        if real[1] != ours.amount_out or stored != computed:
            raise NotModelled(
                f"a {what} gives {real[1]} and leaves {stored}, computed {ours.amount_out} and {computed}"
            )

    def _fund(self, machine: Machine, facts: VaultFacts, amount: int) -> None:
        """Assets for the actor out of what the vault holds, and leave to deposit them."""
        trial = self._trial
        paid = trial.act(machine, facts.asset, "transfer(address,uint256)", trial.actor, amount, sender=self._vault)
        allowed = trial.act(machine, facts.asset, "approve(address,uint256)", self._vault, amount)
        if not (paid[0] and allowed[0]):
            raise NotModelled("its asset cannot be moved for a trial")


def _slots(facts: VaultFacts, held: int, supply: int) -> dict[tuple[bytes, int], int]:
    return {(facts.asset, facts.held_slot): held, (facts.vault, facts.supply_slot): supply}


def _amounts(held: int, supply: int) -> Iterator[tuple[int, int]]:
    """(token index, amount): dust, odd parts, all."""
    for i, total in ((ASSET, held), (SHARE, supply)):
        for amount in (1, 999, total // 7 + 1, total - 1, total):
            yield i, amount
