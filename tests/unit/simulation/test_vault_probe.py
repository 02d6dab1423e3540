"""Which vaults are modelled is found out by trying them; the others are refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flasharb.evm import DictState, Fork, MissingState
from flasharb.pools.vault_shares.pool import VaultFacts
from flasharb.simulation.vault_probe import probe_vault
from flasharb.units import Address
from tests.support.pool_bytecode import CONTEXT, SENDER
from tests.support.vault_cases import USER, facts_of, vault_world


@pytest.mark.parametrize(
    ("name", "virtual", "refuses", "wide"),
    [
        ("OpenZeppelin 0", 1, False, True),
        ("OpenZeppelin 3", 1000, False, True),
        ("OpenZeppelin 18", 10**18, False, True),
        ("Solady", 1, False, True),
        ("solmate", 0, True, False),
    ],
)
def test_the_known_kinds_are_told_apart(name: str, virtual: int, refuses: bool, wide: bool) -> None:
    """Offset, refusal of dust, width of the arithmetic; and where balance and supply stand."""
    facts = facts_of(name)
    world, asset, vault = vault_world(name)

    assert (facts.virtual_shares, facts.refuses_nothing, facts.wide) == (virtual, refuses, wide)
    assert (facts.vault, facts.asset) == (vault, asset)
    assert world.state.storage(asset, facts.held_slot) == world.read(vault, "totalAssets()")
    assert world.state.storage(vault, facts.supply_slot) == world.read(vault, "totalSupply()")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("ExitFeeVault", "its previews are none of the known formulas"),
        ("LyingVault", "a redemption gives"),
        ("StreamingVault", "its total assets"),
        ("CappedVault", "deposits are limited to"),
        ("GatedVault", "redemptions are limited"),
    ],
)
def test_other_vaults_are_refused_by_name(kind: str, reason: str) -> None:
    """A fee on the way out, a preview that lies, assets that grow by time, limits of both kinds."""
    world, _, vault = vault_world("", kind)
    answer = probe_vault(vault, USER, world.state, CONTEXT, Fork.PRAGUE)
    assert isinstance(answer, str)
    assert reason in answer


def test_what_is_no_vault_is_refused() -> None:
    """A token, nothing at all, and a vault that nobody has put anything into."""
    world, asset, _ = vault_world("solmate")
    empty = world.deploy("SolmateVault", ["address"], [asset])
    for address, reason in ((asset, "no vault"), (Address(b"\x77" * 20), "no vault"), (empty, "too little in it")):
        answer = probe_vault(address, USER, world.state, CONTEXT, Fork.PRAGUE)
        assert isinstance(answer, str)
        assert reason in answer


@pytest.mark.parametrize("kind", ["FeeOnTransferToken", "RebasingToken"])
def test_assets_that_do_not_move_whole_are_refused(kind: str) -> None:
    """The vault may be honest: its asset is not."""
    world, _, _ = vault_world("OpenZeppelin 0")
    asset = world.deploy(kind)
    vault = world.deploy("OpenZeppelinVault", ["address", "uint8"], [asset, 0])
    world.send(asset, "mint(address,uint256)", SENDER, 10**24)
    world.send(asset, "mint(address,uint256)", vault, 10**20 + 3)
    if kind == "FeeOnTransferToken":
        world.send(asset, "approve(address,uint256)", vault, 10**24)
        world.send(vault, "deposit(uint256,address)", 10**20, SENDER)
    answer = probe_vault(vault, USER, world.state, CONTEXT, Fork.PRAGUE)
    assert isinstance(answer, str)
    assert answer


def test_unknown_state_is_asked_for() -> None:
    """Fed step by step, it comes to the same facts."""
    world, _, vault = vault_world("Solady")
    known = DictState({}, complete=False)
    rounds = 0
    while isinstance(answer := probe_vault(vault, USER, known, CONTEXT, Fork.PRAGUE), MissingState):
        rounds += 1
        for account in answer.accounts:
            whole = world.state.accounts.get(account)
            known.set_account(account, None if whole is None else replace(whole, storage={}))
        for account, slot in answer.slots:
            known.accounts[account].storage[slot] = world.state.storage(account, slot)  # type: ignore[union-attr]  # asked for after its account
    assert rounds > 1
    assert isinstance(answer, VaultFacts)
    assert answer == facts_of("Solady")
