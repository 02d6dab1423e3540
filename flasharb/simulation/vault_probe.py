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

from eth_hash.auto import keccak

from flasharb.evm import BlockContext, Fork, Machine, MissingState, StateSource
from flasharb.pools.errors import QuoteUnavailable
from flasharb.pools.vault_shares.pool import ASSET, SHARE, VaultFacts, VaultPool, spec_of
from flasharb.simulation.overlay import Overlay
from flasharb.units import Address

_YEAR_S: Final = 365 * 86_400
_UNLIMITED: Final = 1 << 127
_OFFSETS: Final = range(19)
_GAS: Final = 5_000_000


class NotModelled(Exception):
    """The vault is none that we can compute; the message says why."""


def probe_vault(
    vault: Address, executor: Address, source: StateSource, context: BlockContext, fork: Fork
) -> VaultFacts | str | MissingState:
    """The facts of a vault, or why it is not modelled; state that ``source`` lacks is the answer then.

    ``executor`` deposits and redeems in the trial; it needs to own nothing.
    """
    probe = _Probe(vault, executor, source, context, fork)
    try:
        return probe.facts()
    except MissingState as missing:
        return missing
    except NotModelled as refused:
        return str(refused)


class _Probe:
    def __init__(
        self, vault: Address, executor: Address, source: StateSource, context: BlockContext, fork: Fork
    ) -> None:
        self._vault = vault
        self._executor = executor
        self._source = source
        self._context = context
        self._fork = fork

    def facts(self) -> VaultFacts:
        answer = self._ask(self._machine(), "asset()")
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
        machine = self._machine()
        value = self._ask(machine, signature, *arguments, to=contract)
        if value is None:
            raise NotModelled(f"{signature} of 0x{contract.hex()} gives no number")
        for slot in sorted(machine.touched.get(contract, ())):
            if machine.storage(contract, slot) == value:
                other = value + 0x10001
                changed = self._machine({(contract, slot): other})
                if self._ask(changed, signature, *arguments, to=contract) == other:
                    return slot, value
        raise NotModelled(f"{signature} of 0x{contract.hex()} is not one storage slot")

    def _check_world(self, facts: VaultFacts, held: int, supply: int) -> None:
        slots = _slots(facts, held, supply)
        now = self._ask(self._machine(slots), "totalAssets()")
        if now != held:
            raise NotModelled(f"its total assets are {now} where it holds {held}")
        later = replace(self._context, number=self._context.number + 1, timestamp=self._context.timestamp + _YEAR_S)
        then = self._ask(Machine(Overlay(self._source, slots), later, self._fork), "totalAssets()")
        if then != held:
            raise NotModelled(f"its total assets change with time: {held} now, {then} a year later")
        most = self._ask(self._machine(slots), "maxDeposit(address)", self._executor)
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
        return self._ask(self._machine(_slots(facts, *world)), signature, amount)

    def _is_wide(self, facts: VaultFacts) -> bool:
        """Whether a product of more than 256 bits is divided as a whole."""
        return self._preview(facts, (1 << 200, 1 << 200), ASSET, 1 << 100) is not None

    def _refuses_nothing(self, facts: VaultFacts, supply: int) -> bool:
        """Whether a deposit that gives no share reverts, in a world where a share costs many units."""
        held = (supply + facts.virtual_shares) * 10
        machine = self._machine(_slots(facts, held, supply))
        self._fund(machine, facts, 5)
        return not self._act(machine, "deposit(uint256,address)", 1, self._executor)[0]

    # --- what it does

    def _try_out(self, facts: VaultFacts, held: int, supply: int) -> None:
        """Deposit and redeem, and hold amounts, limits and storage against ours."""
        machine = self._machine(_slots(facts, held, supply))
        amount = held // 10
        self._fund(machine, facts, amount)
        pool = VaultPool(spec_of(facts), facts, held - amount, supply)
        try:
            deposited = pool.swapped(ASSET, SHARE, amount)
        except QuoteUnavailable as error:
            raise NotModelled(f"a deposit of {amount} cannot be computed: {error}") from None
        done, shares = self._act(machine, "deposit(uint256,address)", amount, self._executor)
        self._same(machine, facts, "deposit", (done, shares), deposited.amount_out, deposited.pool)
        owned = self._ask(machine, "balanceOf(address)", self._executor)
        if owned != shares:
            raise NotModelled(f"a deposit said {shares} shares and gave {owned}")
        most = self._ask(machine, "maxRedeem(address)", self._executor)
        if most is None or most < shares:
            raise NotModelled(f"redemptions are limited: {most} of {shares} shares")
        for part in (shares // 3, shares - shares // 3):
            redeemed = deposited.pool.swapped(SHARE, ASSET, part)
            before = self._ask(machine, "balanceOf(address)", self._executor, to=facts.asset)
            done, assets = self._act(machine, "redeem(uint256,address,address)", part, self._executor, self._executor)
            self._same(machine, facts, "redemption", (done, assets), redeemed.amount_out, redeemed.pool)
            after = self._ask(machine, "balanceOf(address)", self._executor, to=facts.asset)
            if before is None or after != before + assets:
                raise NotModelled(f"a redemption said {assets} and gave otherwise")
            deposited = redeemed

    def _same(
        self, machine: Machine, facts: VaultFacts, what: str, real: tuple[bool, int], ours: int, pool: VaultPool
    ) -> None:
        if not real[0]:
            raise NotModelled(f"a {what} reverts")
        stored = (machine.storage(facts.asset, facts.held_slot), machine.storage(facts.vault, facts.supply_slot))
        if real[1] != ours or stored != (pool.held, pool.supply):
            raise NotModelled(
                f"a {what} gives {real[1]} and leaves {stored}, computed {ours} and {pool.held, pool.supply}"
            )

    def _fund(self, machine: Machine, facts: VaultFacts, amount: int) -> None:
        """Assets for the executor, out of what the vault holds, and leave to deposit them."""
        transfer = _call("transfer(address,uint256)", self._executor, amount)
        approve = _call("approve(address,uint256)", self._vault, amount)
        for sender, data in ((self._vault, transfer), (self._executor, approve)):
            if not machine.act(sender, facts.asset, data, origin=self._executor, gas=_GAS).success:
                raise NotModelled("its asset cannot be moved for a trial")

    # --- calls

    def _machine(self, slots: dict[tuple[bytes, int], int] | None = None) -> Machine:
        return Machine(Overlay(self._source, slots or {}), self._context, self._fork)

    def _ask(
        self, machine: Machine, signature: str, *arguments: Address | int, to: Address | None = None
    ) -> int | None:
        answer = machine.call(to or self._vault, _call(signature, *arguments), sender=self._executor, gas=_GAS)
        return int.from_bytes(answer.output, "big") if answer.success and len(answer.output) == 32 else None

    def _act(self, machine: Machine, signature: str, *arguments: Address | int) -> tuple[bool, int]:
        data = _call(signature, *arguments)
        result = machine.act(self._executor, self._vault, data, origin=self._executor, gas=_GAS)
        return result.success and len(result.output) == 32, int.from_bytes(result.output[:32], "big")


def _slots(facts: VaultFacts, held: int, supply: int) -> dict[tuple[bytes, int], int]:
    return {(facts.asset, facts.held_slot): held, (facts.vault, facts.supply_slot): supply}


def _amounts(held: int, supply: int) -> Iterator[tuple[int, int]]:
    """(token index, amount): dust, odd parts, all."""
    for i, total in ((ASSET, held), (SHARE, supply)):
        for amount in (1, 999, total // 7 + 1, total - 1, total):
            yield i, amount


def _call(signature: str, *arguments: Address | int) -> bytes:
    words = [one.to_bytes(32, "big") if isinstance(one, int) else bytes(12) + one for one in arguments]
    return keccak(signature.encode())[:4] + b"".join(words)
