"""Seeded deposits and redemptions of real vaults (OpenZeppelin, Solady, solmate) in the local EVM, against ours.

``run_case(kind, number)`` answers None, or what differs. Kinds: ``deposit``, ``redeem``, and ``extreme`` of both:
vaults that are empty, drained, or hold next to 2 ** 256.
"""

from __future__ import annotations

import random
from functools import cache

from flasharb.evm import Fork, Machine
from flasharb.pools.errors import QuoteUnavailable
from flasharb.pools.vault_shares.pool import ASSET, VaultFacts, VaultPool, spec_of
from flasharb.simulation.overlay import Overlay
from flasharb.simulation.vault_probe import probe_vault
from flasharb.units import Address
from tests.support.contract_world import call_data
from tests.support.pool_bytecode import CONTEXT, SENDER
from tests.support.small_world import SmallWorld

KINDS = ("deposit", "redeem", "extreme")
VAULTS = ("OpenZeppelin 0", "OpenZeppelin 3", "OpenZeppelin 18", "Solady", "solmate")
USER = Address(b"\x22" * 20)
_TOP = (1 << 256) - 1


@cache
def vault_world(name: str, kind: str | None = None) -> tuple[SmallWorld, Address, Address]:
    """A vault that somebody has put 10 ** 24 into and given more: (world, asset, vault)."""
    world = SmallWorld()
    asset = world.deploy("DevToken", ["string", "string", "uint8", "address"], ["T", "T", 18, SENDER])
    if kind is not None:
        arguments = [asset, 10**25] if kind == "CappedVault" else [asset]
        vault = world.deploy(kind, ["address", "uint256"][: len(arguments)], arguments)
    elif name.startswith("OpenZeppelin"):
        vault = world.deploy("OpenZeppelinVault", ["address", "uint8"], [asset, int(name.split()[1])])
    else:
        vault = world.deploy("SoladyVault" if name == "Solady" else "SolmateVault", ["address"], [asset])
    world.send(asset, "mint(address,uint256)", SENDER, 10**26)
    world.send(asset, "approve(address,uint256)", vault, 10**26)
    world.send(vault, "deposit(uint256,address)", 10**24 + 7, SENDER)
    world.send(asset, "transfer(address,uint256)", vault, 123_456_789_012_345_678_901)
    return world, asset, vault


@cache
def facts_of(name: str) -> VaultFacts:
    """What the probe finds out about it."""
    world, _, vault = vault_world(name)
    facts = probe_vault(vault, USER, world.state, CONTEXT, Fork.PRAGUE)
    assert isinstance(facts, VaultFacts), facts
    return facts


@cache
def _user_slots(name: str) -> tuple[tuple[bytes, int], tuple[bytes, int]]:
    """Where the user's assets and shares stand."""
    world, asset, vault = vault_world(name)
    found = []
    for token in (asset, vault):
        machine = world.machine()
        machine.call(token, call_data("balanceOf(address)", USER))
        # the user has none: the slot that makes him rich is his
        (slot,) = (
            slot
            for slot in machine.touched[token]
            if _number(Machine(Overlay(world.state, {(token, slot): 77}), CONTEXT, Fork.PRAGUE), token) == 77
        )
        found.append((bytes(token), slot))
    return found[0], found[1]


def _number(machine: Machine, token: Address) -> int:
    return int.from_bytes(machine.call(token, call_data("balanceOf(address)", USER)).output, "big")


def vault_case(kind: str, number: int) -> tuple[str, VaultPool, int, int]:
    """Case ``number`` of a kind: (vault, state, token index, amount)."""
    dice = random.Random(f"vault {kind} {number}")
    name = dice.choice(VAULTS)
    facts = facts_of(name)
    if kind == "extreme":
        totals = [dice.choice((0, 0, 1, dice.randint(1, 1 << dice.randint(1, 255)), _TOP // 2)) for _ in range(2)]
        i = dice.randint(0, 1)
    else:
        totals = [dice.randint(1, 1 << dice.randint(1, 112)) for _ in range(2)]
        i = KINDS.index(kind)
    held, supply = totals
    most = max(1, supply if i else (_TOP - held if kind == "extreme" else held * dice.choice((1, 10**6))))
    amount = dice.choice((1, most, dice.randint(1, most), dice.randint(1, min(most, 10**6))))
    return name, VaultPool(spec_of(facts), facts, held, supply), i, amount


def run_case(kind: str, number: int) -> str | None:
    """Deposit or redeem in the real vault, and compare amounts and storage."""
    name, pool, i, amount = vault_case(kind, number)
    world, asset, vault = vault_world(name)
    facts, (assets_at, shares_at) = pool.facts, _user_slots(name)
    slots = {(asset, facts.held_slot): pool.held, (vault, facts.supply_slot): pool.supply}
    slots |= {assets_at: amount if i == ASSET else 0, shares_at: pool.supply if i else 0}
    machine = Machine(Overlay(world.state, slots), CONTEXT, Fork.PRAGUE)
    if i == ASSET:
        assert machine.act(USER, asset, call_data("approve(address,uint256)", vault, amount), origin=USER).success
        data = call_data("deposit(uint256,address)", amount, USER)
    else:
        data = call_data("redeem(uint256,address,address)", amount, USER, USER)
    result = machine.act(USER, vault, data, origin=USER)
    where = f"{kind} {number}: {name} {pool.held} held, {pool.supply} shares, token {i}, {amount}"
    try:
        ours = pool.swapped(i, 1 - i, amount)
    except QuoteUnavailable as error:
        return f"{where}: the vault gives, ours refuses ({error})" if result.success else None
    if not result.success:
        return f"{where}: the vault refuses ({result.error} {result.output.hex()}), ours gives {ours}"
    gives = int.from_bytes(result.output, "big")
    stored = (machine.storage(asset, facts.held_slot), machine.storage(vault, facts.supply_slot))
    if (gives, stored) != (ours.amount_out, (ours.pool.held, ours.pool.supply)):
        return f"{where}: the vault gives {gives} and leaves {stored}, ours {ours}"
    return _least(pool, i, gives, where)


def _least(pool: VaultPool, i: int, gives: int, where: str) -> str | None:
    """The input that ours says is the least for this output, is."""
    if not gives:
        return None
    least = pool.amount_in(i, 1 - i, gives)
    if pool.amount_out(i, 1 - i, least) < gives:
        return f"{where}: {least} does not give {gives}"
    try:
        enough = least > 1 and pool.amount_out(i, 1 - i, least - 1) >= gives
    except QuoteUnavailable:
        enough = False
    return f"{where}: {least} is not the least input for {gives}" if enough else None
