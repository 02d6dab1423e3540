"""Weird tokens are recognised by trying them out with the executor as sender."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flasharb.evm import DictState, Fork, MissingState
from flasharb.simulation.token_check import Parties, TokenFault, Verdict, check_token
from flasharb.units import Address
from tests.support.pool_bytecode import CONTEXT, SENDER, TOKEN0, TOKEN_CODE
from tests.support.small_world import SmallWorld

POOL = Address(b"\x11" * 20)
EXECUTOR = Address(b"\x22" * 20)
PARTIES = Parties(POOL, EXECUTOR, Address(b"\x33" * 20))
HELD = 10**21 + 7


def verdict(world: SmallWorld, token: Address) -> Verdict:
    answer = check_token(token, PARTIES, world.state, world.context, Fork.PRAGUE)
    assert isinstance(answer, Verdict)
    return answer


def held(kind: str, amount: int = HELD, setup: tuple[object, ...] = ()) -> tuple[SmallWorld, Address]:
    """A world where the pool holds the token, after the call ``setup`` (signature, arguments)."""
    world = SmallWorld()
    if kind in ("DevToken", "NoReturnToken"):
        token = world.deploy(kind, ["string", "string", "uint8", "address"], ["T", "T", 6, SENDER])
    else:
        token = world.deploy(kind)
    world.send(token, "mint(address,uint256)", POOL, amount)
    if setup:
        world.send(token, *setup)  # type: ignore[arg-type]  # the signature comes first
    return world, token


@pytest.mark.parametrize("kind", ["DevToken", "NoReturnToken", "NoZeroToken", "HookToken", "PausableToken"])
def test_tokens_that_move_whole_amounts_pass(kind: str) -> None:
    """Also without return values (USDT), refusing zero (we send none), or with a pause that is off."""
    assert verdict(*held(kind)) == Verdict(None)


@pytest.mark.parametrize(
    ("kind", "setup", "fault", "evidence"),
    [
        ("FeeOnTransferToken", (), TokenFault.RECEIVER_GETS_LESS, "receiver gets 99"),
        ("SalmonellaToken", (), TokenFault.RECEIVER_GETS_LESS, "answered 0x"),
        ("SalmonellaToken", ("favour(address)", POOL), TokenFault.RECEIVER_GETS_LESS, "from 0x2222"),
        ("HoneypotToken", ("only(address)", POOL), TokenFault.TRANSFER_REVERTS, "from 0x2222"),
        ("HoneypotToken", (), TokenFault.TRANSFER_REVERTS, "from 0x1111"),
        ("RebasingToken", ("rebase(uint256)", 1_234_567_890_123_456_789), TokenFault.RECEIVER_GETS_LESS, "gets"),
        ("AccruingToken", (), TokenFault.BALANCE_MOVES_BY_TIME, "a day later"),
        ("PausableToken", ("pause(bool)", True), TokenFault.TRANSFER_REVERTS, "custom error"),
        ("RevertingToken", ("blockAccount(address)", EXECUTOR), TokenFault.TRANSFER_REVERTS, "from 0x2222"),
        ("RevertingToken", ("blockAccount(address)", POOL), TokenFault.TRANSFER_REVERTS, "from 0x1111"),
        ("ReturnsFalseToken", ("refuse(address)", EXECUTOR), TokenFault.RETURNS_FALSE, "from 0x2222"),
        ("VerboseToken", (), TokenFault.STRANGE_ANSWER, "65536 bytes"),
        ("GreedyToken", (), TokenFault.GREEDY, "gas"),
    ],
)
def test_faults_are_named(kind: str, setup: tuple[object, ...], fault: TokenFault, evidence: str) -> None:
    """Each mock by its own fault, with evidence that says who moved what."""
    found = verdict(*held(kind, setup=setup))

    assert found.fault is fault
    assert evidence in found.evidence


def test_an_owner_favoured_by_the_token_does_not_hide_the_trap() -> None:
    """A trap that spares the transactions of its owner still shows itself in those of ours."""
    assert verdict(*held("SalmonellaToken", setup=("favour(address)", SENDER))).fault is TokenFault.RECEIVER_GETS_LESS
    assert verdict(*held("SalmonellaToken", setup=("favour(address)", PARTIES.owner))).fault is None


def test_too_little_to_try_is_said() -> None:
    """No verdict is made up from a pool that holds nothing."""
    assert verdict(*held("DevToken", amount=99)).fault is TokenFault.NOT_HELD


def test_what_is_no_token_is_said() -> None:
    """An account without code, and a contract without balances."""
    world = SmallWorld()
    assert verdict(world, Address(b"\x44" * 20)).fault is TokenFault.NO_CONTRACT
    assert verdict(world, world.deploy("V4User")).fault is TokenFault.NO_BALANCE


def test_unknown_state_is_asked_for_not_guessed() -> None:
    """Fed step by step, it asks for what it lacks and ends with the same verdict as on the whole world."""
    world, token = held("FeeOnTransferToken")
    known = DictState({}, complete=False)
    rounds = 0
    while isinstance(answer := check_token(token, PARTIES, known, CONTEXT, Fork.PRAGUE), MissingState):
        rounds += 1
        for account in answer.accounts:
            whole = world.state.accounts.get(account)
            known.set_account(account, None if whole is None else replace(whole, storage={}))
        for account, slot in answer.slots:
            known.accounts[account].storage[slot] = world.state.storage(account, slot)  # type: ignore[union-attr]  # asked for after its account
    assert rounds > 1
    assert answer == verdict(world, token)


def test_the_trial_changes_nothing() -> None:
    """The source is as it was: the same verdict twice."""
    world, token = held("DevToken")
    before = dict(world.state.accounts[token].storage)  # type: ignore[union-attr]  # just deployed
    assert verdict(world, token) == verdict(world, token) == Verdict(None)
    assert world.state.accounts[token].storage == before  # type: ignore[union-attr]  # just deployed


def test_the_plain_token_of_the_pool_tests_passes() -> None:
    """A token of a few opcodes whose balances stand in the slots that are the holders' addresses."""
    world = SmallWorld()
    world.put_code(TOKEN0, TOKEN_CODE)
    world.state.accounts[TOKEN0].storage[int.from_bytes(POOL, "big")] = HELD  # type: ignore[union-attr]  # just put there
    assert verdict(world, TOKEN0) == Verdict(None)
