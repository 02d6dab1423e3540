"""wstETH against Lido's own contracts, in the state of a recorded mainnet block."""

from __future__ import annotations

import pytest
from eth_hash.auto import keccak

from flasharb.adapters.blockfile import read_block
from flasharb.evm import Machine
from flasharb.pools.errors import InsufficientLiquidity
from flasharb.pools.protocols import LOG_TOPICS, PROTOCOLS
from flasharb.pools.storage import Elsewhere, Needs, mapping_slot
from flasharb.pools.wrapped_steth.pool import STETH, WSTETH, WrappedFacts, WrappedPool, spec_of
from flasharb.pools.wrapped_steth.storage import SLOTS, load
from flasharb.simulation.overlay import Overlay
from flasharb.simulation.recorded_pools import offered
from flasharb.simulation.replay import Replay
from flasharb.simulation.token_check import Parties, TokenFault, Verdict, check_token
from flasharb.simulation.wrapped_probe import probe_wrapped
from flasharb.units import Address
from tests.support.contract_world import call_data
from tests.support.wsteth_cases import BLOCK, ETHER, FACTS, USER, case, run_case, stored, world

STAKING = int.from_bytes(keccak(b"lido.Lido.stakeLimit"), "big")
CASES = 400

pytestmark = [
    pytest.mark.mainnet,
    pytest.mark.skipif(not BLOCK.is_file(), reason=f"no recorded mainnet block at {BLOCK}"),
]


def test_wraps_and_unwraps_are_lidos() -> None:
    """What arrives, to the unit, for totals near and far from the real ones; and the least input for it.

    ``python -m tests.long.pools_wsteth`` runs 10,000 cases.
    """
    assert [problem for number in range(CASES) if (problem := run_case("wsteth", number))] == []


def test_what_arrives_is_often_less_than_what_is_sent() -> None:
    """The cases do reach the rounding of shares."""
    less = 0
    for number in range(CASES):
        pool, _, i, amount = case(number)
        less += i == WSTETH and pool.amount_out(i, STETH, amount) < amount * pool.pooled // pool.shares
    assert less > CASES // 20


def test_staking_changes_the_totals_as_its_event_says() -> None:
    """submit() of any amount: pooled ether and shares afterwards are those of after_submitted."""
    state, context, fork = world()
    for amount in (1, 12_345, ETHER, 10**4 * ETHER + 7):
        # the block does not know the limit of staking: here there is none
        machine = Machine(Overlay(state, {(FACTS.steth, STAKING): 1}), context, fork)
        before = load(spec_of(FACTS), Elsewhere(stored()))
        assert isinstance(before, WrappedPool)
        result = machine.call(FACTS.steth, call_data("submit(address)", bytes(20)), sender=USER, value=amount)
        assert result.success, result.output
        minted = int.from_bytes(result.output, "big")
        after = before.after_submitted(amount)
        assert (after.pooled - before.pooled, after.shares - before.shares) == (amount, minted)


def test_the_probe_accepts_lido_and_refuses_what_is_otherwise() -> None:
    """The real contracts in the real state; totals in other slots; no Lido at all."""
    state, context, fork = world()
    assert probe_wrapped(FACTS, USER, state, context, fork) is None
    swapped = WrappedFacts(FACTS.wsteth, FACTS.steth)
    moved = Overlay(state, dict.fromkeys([(bytes(FACTS.wsteth), slot) for slot in SLOTS], 5))
    answer = probe_wrapped(swapped, USER, moved, context, fork)
    assert isinstance(answer, str)
    assert "known slots" in answer


def test_loading_and_edges() -> None:
    """All slots are stETH's; amounts beyond all shares, negative and zero ones."""
    assert load(spec_of(FACTS), Elsewhere()) == Needs(elsewhere=frozenset((FACTS.steth, slot) for slot in SLOTS))
    pool = WrappedPool(spec_of(FACTS), 115, 100)
    assert (pool.amount_out(STETH, WSTETH, 0), pool.amount_in(WSTETH, STETH, 0)) == (0, 0)
    assert (pool.amount_out(STETH, WSTETH, 115), pool.amount_out(WSTETH, STETH, 3)) == (100, 2)
    with pytest.raises(InsufficientLiquidity):
        pool.amount_out(WSTETH, STETH, 101)
    with pytest.raises(ValueError, match="negative"):
        pool.amount_out(STETH, WSTETH, -1)
    assert pool.marginal_rate(STETH, WSTETH) == 100 / 115


def test_a_block_offers_the_wrapper_that_passed_its_trial() -> None:
    """Tried out where the block's file knows enough for it; elsewhere it stays out, by name."""
    found = offered(Replay(read_block(BLOCK)))
    assert found.specs[FACTS.wsteth] == spec_of(FACTS)
    assert PROTOCOLS["wsteth"].sources(spec_of(FACTS)) == (FACTS.steth,)
    transfer = keccak(b"Transfer(address,address,uint256)")
    assert transfer in PROTOCOLS["erc4626"].rules
    assert transfer not in LOG_TOPICS


def test_steth_is_refused_as_a_token_and_its_wrapper_passes() -> None:
    """Whole shares move, so that a unit is lost on the way; a wstETH is a share, and moves whole."""
    state, context, fork = world()
    verdict = check_token(FACTS.steth, Parties(FACTS.wsteth, USER, USER), state, context, fork)
    assert isinstance(verdict, Verdict)
    assert verdict.fault is TokenFault.RECEIVER_GETS_LESS
    holder = Address(b"\x5a" * 20)
    held = {
        (bytes(FACTS.wsteth), mapping_slot(int.from_bytes(account, "big"), 0)): amount
        for account, amount in ((holder, 10**20 + 7), (USER, 0))
    }
    passed = check_token(FACTS.wsteth, Parties(holder, USER, USER), Overlay(state, held), context, fork)
    assert passed == Verdict(None)
