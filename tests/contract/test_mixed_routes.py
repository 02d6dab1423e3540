"""FlashArb through every kind of pool: exact profit, no allowance and no intermediate token left."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from flasharb.execution.planning import BALANCER_V2, FLASH_SWAP, UNISWAP_V4
from flasharb.execution.program import encode_call
from flasharb.pools import PoolSpec
from flasharb.pools.curve import CurveFacts
from flasharb.pools.stableswap.rules import TEMPLATE_2, StableFacts
from flasharb.strategy.trade import Hop, Trade, TradeHop
from tests.support.contract_world import ETHER, OWNER
from tests.support.mixed_routes import (
    GIVES_ITS_OWN,
    LENDING,
    MAKERS,
    TAKES_ITS_OWN,
    MixedWorld,
    build,
    joins,
    legs_of,
    program_of,
)

AMOUNT = 7 * ETHER + 123_456_789
APPROVAL = keccak(b"Approval(address,address,uint256)")


def word(topic: int | bytes) -> bytes:
    """A topic as 32 bytes."""
    return topic if isinstance(topic, bytes) else topic.to_bytes(32, "big")


def run(
    kinds: Sequence[str],
    loan: str = FLASH_SWAP,
    base_kind: str = "WETH",
    token_kind: str = "DevToken",
    world: MixedWorld | None = None,
) -> int:
    """Run a cycle of these kinds; check everything that an execution must leave behind. The gas used."""
    world = world or MixedWorld()
    base = world.weth if base_kind == "WETH" else world.token(kind=base_kind)
    steps = build(world, kinds, base, token_kind)
    # A lender's money, and the contract's own from before, which no trade may touch.
    world.give(base, world.vault, 1_000 * ETHER)
    world.give(base, world.manager, 1_000 * ETHER)
    world.give(base, world.contract, 1)
    world.next_block()
    legs = legs_of(steps, AMOUNT)
    profit = legs[-1].amount_out - AMOUNT
    assert profit > 0

    too_much = world.send(world.contract, program_of(world, legs, base, loan, profit + 1), sender=OWNER)
    assert too_much.status == 0
    result = world.send(world.contract, program_of(world, legs, base, loan, profit), sender=OWNER)

    assert result.status == 1, (kinds, result.error, result.output.hex())
    assert world.balance(base, world.contract) == 1 + profit
    between = {leg.token_out for leg in legs[:-1]}
    for token in between:
        assert world.balance(token, world.contract) == 0, (kinds, "an intermediate token stays")
    assert world.machine.balance(world.contract) == 0, (kinds, "ether stays")
    assert world.allowances([base, *between]) == 0, (kinds, "somebody may still move the contract's tokens")
    return result.gas_used


@pytest.mark.parametrize("kind", sorted(MAKERS))
@pytest.mark.parametrize("partner", ["v2", "v3", "v4"])
def test_each_kind_before_and_after_each_kind_that_lends(kind: str, partner: str) -> None:
    if kind not in TAKES_ITS_OWN:
        run((kind, partner))
    if kind not in GIVES_ITS_OWN:
        run((partner, kind))


def test_balancer_pools_in_a_row_cost_less_in_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The token between them is neither paid out, approved nor pulled in again: tens of thousands of gas."""
    batch = run(("v2", "balancer", "balancer"))
    monkeypatch.setattr("flasharb.execution.planning._runs", lambda legs: [[leg] for leg in legs])
    apart = run(("v2", "balancer", "balancer"))

    assert apart - batch > 30_000


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(sorted(MAKERS)), min_size=2, max_size=4).filter(joins),
    st.sampled_from(["WETH", "DevToken", "NoReturnToken"]),
    st.sampled_from(["DevToken", "NoReturnToken"]),
    st.data(),
)
def test_any_mix_of_two_to_four_pools(kinds: list[str], base_kind: str, token_kind: str, data: st.DataObject) -> None:
    loans = [UNISWAP_V4]
    loans += [FLASH_SWAP] * 2 * (not LENDING.isdisjoint(kinds))
    loans += [BALANCER_V2] * ("balancer" not in kinds)
    run(kinds, data.draw(st.sampled_from(loans)), base_kind, token_kind)


@pytest.mark.parametrize("loan", [FLASH_SWAP, BALANCER_V2, UNISWAP_V4])
@pytest.mark.parametrize("kinds", [("curve ether", "v2"), ("v3", "curve remove"), ("v2", "v3", "curve remove")])
def test_ether_that_a_curve_pool_holds_is_executed_by_the_facts_of_its_protocol(
    kinds: tuple[str, ...], loan: str
) -> None:
    """A market lists the coin as WETH; the facts of a stable pool say that it is ether, in a trade as detection gives.

    WETH is unwrapped before the exchange that takes it, and what comes out is wrapped.
    """
    world = MixedWorld()
    steps = build(world, kinds, world.weth)
    legs = legs_of(steps, AMOUNT)
    for lender in (world.vault, world.manager):
        world.give(world.weth, lender, 100 * ETHER)
    world.give(world.weth, world.contract, 1)
    world.next_block()
    hops = []
    for leg in legs:
        tokens = [leg.token_in, leg.token_out] if leg.i < leg.j else [leg.token_out, leg.token_in]
        spec = PoolSpec(leg.pool, f"uniswap_{leg.kind}", tuple(tokens), 3000)
        if isinstance(leg.facts, CurveFacts):
            coins = [world.token() for _ in range(leg.facts.coins + 1)]
            coins[leg.i], coins[leg.j] = leg.token_in, leg.token_out
            facts = StableFacts(TEMPLATE_2, (10**18,) * leg.facts.coins, 9, native=leg.facts.ether)
            assert facts.native is not None
            spec = PoolSpec(leg.pool, "curve_stableswap", tuple(coins), 0, facts=facts)
        hops.append(TradeHop(Hop(leg.pool, leg.token_in, leg.token_out), spec, leg.amount_in, leg.amount_out))
    profit = legs[-1].amount_out - AMOUNT
    trade = Trade(1, world.weth, tuple(hops), profit, 0, 0, 0, world.number)
    data = encode_call(trade, weth=world.weth, loan=loan, min_profit=profit, bid_wei=0, deadline_block=world.number)

    result = world.send(world.contract, data, sender=OWNER)

    assert result.status == 1, (result.error, result.output.hex())
    assert world.balance(world.weth, world.contract) == 1 + profit
    assert world.machine.balance(world.contract) == 0
    assert world.allowances([world.weth, *(leg.token_in for leg in legs)]) == 0


@pytest.mark.parametrize("kind", ["curve", "balancer", "deposit", "wrap", "curve add any"])
def test_a_pool_that_takes_what_it_may_is_approved_once(kind: str) -> None:
    """Asking what is left of an allowance is cheaper than taking back what is not there."""
    world = MixedWorld()
    steps = build(world, ("v3", kind, "v2"), world.weth)
    legs = legs_of(steps, AMOUNT)

    result = world.send(world.contract, program_of(world, legs, world.weth, FLASH_SWAP, 1), sender=OWNER)

    approvals = [log for log in result.logs if word(log.topics[0]) == APPROVAL]
    ours = [log for log in approvals if word(log.topics[1]) == bytes(12) + world.contract]
    assert result.status == 1
    assert [int.from_bytes(log.data, "big") for log in ours] == [legs[1].amount_in]
