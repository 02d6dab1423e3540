"""Known by construction: fresh accounts and the mapping slots keyed by them, and nothing else."""

from __future__ import annotations

import pytest
from eth_hash.auto import keccak

from flasharb.evm import AccountInfo, DictState, Fork, Machine, MissingState
from flasharb.evm.source import Account
from flasharb.simulation.fork_state import ForkState
from tests.support.assembly import assemble
from tests.support.worlds import BOB, CONTRACT, OTHER, context

FRESH = b"\xf5" * 20


def word(value: bytes | int) -> bytes:
    return value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\0")


def mapping_slot(key: bytes | int, position: bytes | int) -> tuple[int, bytes]:
    preimage = word(key) + word(position)
    return int.from_bytes(keccak(preimage), "big"), preimage


def state_with(*preimages: bytes) -> ForkState:
    state = ForkState()
    state.create_account(FRESH, balance=10)
    for preimage in preimages:
        state.preimages[int.from_bytes(keccak(preimage), "big")] = preimage
    return state


def test_all_of_a_fresh_account_is_known() -> None:
    """Balance, code, every slot."""
    state = state_with()
    assert state.account(FRESH) == AccountInfo(0, 10)
    assert state.storage(FRESH, 12345) == 0


def test_its_balance_in_a_token_is_zero() -> None:
    """``balances[fresh]`` of another contract, by the preimage that the machine noted."""
    slot, preimage = mapping_slot(FRESH, 3)
    assert state_with(preimage).storage(CONTRACT, slot) == 0
    with pytest.raises(MissingState):
        state_with().storage(CONTRACT, slot)


def test_vyper_puts_the_key_behind() -> None:
    """Either word may be the address."""
    slot, preimage = mapping_slot(3, FRESH)
    assert state_with(preimage).storage(CONTRACT, slot) == 0


@pytest.mark.parametrize(("owner", "spender"), [(FRESH, BOB), (BOB, FRESH)])
def test_allowances_from_and_to_it_are_zero(owner: bytes, spender: bytes) -> None:
    """A mapping in a mapping."""
    inner, inner_preimage = mapping_slot(owner, 4)
    outer, outer_preimage = mapping_slot(spender, inner)
    assert state_with(inner_preimage, outer_preimage).storage(CONTRACT, outer) == 0


def test_other_slots_stay_unknown() -> None:
    """Another's balance, a slot near a fresh one, the contract's own slots, and an address that is not padded."""
    other, other_preimage = mapping_slot(BOB, 3)
    mine, my_preimage = mapping_slot(FRESH, 3)
    packed = b"\x01" * 12 + FRESH + word(3)
    state = state_with(other_preimage, my_preimage, packed)
    for slot in (other, mine + 1, 0, int.from_bytes(keccak(packed), "big")):
        with pytest.raises(MissingState) as missing:
            state.storage(CONTRACT, slot)
        assert missing.value.slots == {(CONTRACT, slot)}


def test_what_the_file_says_comes_first() -> None:
    """A token may have minted to an address before it was used."""
    slot, preimage = mapping_slot(FRESH, 3)
    state = ForkState(DictState({CONTRACT: Account(nonce=1, storage={slot: 77})}, complete=False))
    state.create_account(FRESH)
    state.preimages[slot] = preimage
    assert state.storage(CONTRACT, slot) == 77


def test_an_address_in_use_cannot_be_fresh() -> None:
    """Its history is not ours to declare empty."""
    state = ForkState(DictState({BOB: Account(nonce=3)}, complete=False))
    with pytest.raises(ValueError, match="in use"):
        state.create_account(BOB)
    state.create_account(OTHER)


def test_supplied_values_and_nothing_else() -> None:
    """Fed step by step; what was not supplied is missing, of every kind."""
    state = ForkState()
    for ask in (
        lambda: state.account(BOB),
        lambda: state.storage(BOB, 1),
        lambda: state.code(b"\x01" * 32),
        lambda: state.block_hash(5),
    ):
        with pytest.raises(MissingState):
            ask()
    code_hash = state.supply_code(b"\x60")
    state.supply_account(BOB, AccountInfo(1, 2, code_hash))
    state.supply_slot(BOB, 1, 0)
    state.supply_block_hash(5, b"\x05" * 32)
    assert state.account(BOB) == (1, 2, code_hash)
    assert (state.storage(BOB, 1), state.code(code_hash), state.block_hash(5)) == (0, b"\x60", b"\x05" * 32)


def test_the_machine_brings_the_preimages() -> None:
    """A contract that reads ``balances[caller]`` runs for a fresh caller and is missing state for any other."""
    code = assemble("CALLER 0 MSTORE 9 32 MSTORE 64 0") + b"\x20" + assemble("SLOAD 0 MSTORE 32 0 RETURN")
    state = ForkState()
    state.supply_account(CONTRACT, AccountInfo(1, 0, state.supply_code(code)))
    state.supply_account(BOB, AccountInfo(1, 0))
    state.supply_account(context().coinbase, None)
    state.create_account(FRESH)
    machine = Machine(state, context(), Fork.PRAGUE)
    assert machine.call(CONTRACT, b"", sender=FRESH).output == bytes(32)
    with pytest.raises(MissingState):
        machine.call(CONTRACT, b"", sender=BOB)
