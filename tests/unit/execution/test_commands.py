"""Every command's bytes and back, fields that contradict each other, and what the plan makes of legs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasharb.execution.commands import (
    BY_OP,
    COMMANDS,
    ENCODERS,
    Borrow,
    Curve,
    FlashV2,
    Pay,
    PayV4,
    Send,
    SettleV4,
    SwapV2,
    SwapV3,
    SwapV4,
    SwapVault,
    SwapVaultBatch,
    SyncV4,
    TakeV4,
    UnlockV4,
    WrapEther,
    Wrapper,
)
from flasharb.execution.commands.curve import CurveCall
from flasharb.execution.commands.leg import Leg
from flasharb.execution.commands.wire import Command, Reader, Recipient, encode_commands
from flasharb.execution.commands.wrappers import WrapperCall
from flasharb.execution.planning import BALANCER_V2, FLASH_SWAP, UNISWAP_V4, plan_legs
from flasharb.execution.program import Execution, decode, describe, encode
from flasharb.pools.curve import CurveFacts
from flasharb.pools.managed.key import PoolKey
from flasharb.units import ZERO_ADDRESS, Address

WETH = Address(b"\xee" * 20)
SELF, CALLER, NEXT = Recipient.SELF, Recipient.CALLER, Recipient.NEXT

addresses = st.binary(min_size=20, max_size=20).map(Address)
amounts = st.integers(1, 2**128 - 1)
outward = st.sampled_from([SELF, CALLER, NEXT])
ids = st.binary(min_size=32, max_size=32)
keys = st.builds(
    PoolKey,
    addresses,
    addresses,
    st.integers(0, 2**24 - 1),
    st.integers(0, 2**24 - 1),
    st.just(ZERO_ADDRESS) | addresses,
)
coins = st.integers(0, 7)
SIMPLE: dict[type[Command], st.SearchStrategy[Command]] = {
    Pay: st.builds(Pay, st.none() | addresses, st.booleans()),
    Send: st.builds(Send, addresses, amounts),
    SwapV2: st.builds(SwapV2, addresses, st.booleans(), amounts, outward),
    SwapV4: st.builds(SwapV4, keys, st.booleans(), amounts, st.none() | outward),
    TakeV4: st.builds(TakeV4, addresses, amounts),
    PayV4: st.builds(PayV4, addresses, amounts),
    SyncV4: st.builds(SyncV4, addresses.filter(any)),
    SettleV4: st.just(SettleV4()),
    Curve: st.one_of(
        st.builds(
            Curve,
            addresses,
            st.sampled_from([CurveCall.EXCHANGE, CurveCall.EXCHANGE_UINT, CurveCall.ADD_ANY]),
            coins,
            coins,
            amounts,
            st.none() | addresses,
            st.booleans(),
        ),
        st.builds(Curve, addresses, st.just(CurveCall.ADD), coins, st.integers(2, 4), amounts, st.none() | addresses),
        st.builds(
            Curve,
            addresses,
            st.sampled_from([CurveCall.REMOVE, CurveCall.REMOVE_UINT]),
            st.just(0),
            coins,
            amounts,
            st.none(),
            st.booleans(),
        ),
    ),
    SwapVault: st.builds(SwapVault, ids, addresses, addresses, amounts, outward),
    SwapVaultBatch: st.builds(
        SwapVaultBatch,
        addresses,
        amounts,
        st.lists(st.tuples(ids, addresses), min_size=1, max_size=4).map(tuple),
        outward,
    ),
    Wrapper: st.one_of(
        st.builds(Wrapper, addresses, st.just(WrapperCall.DEPOSIT), amounts, addresses, outward),
        st.builds(Wrapper, addresses, st.just(WrapperCall.REDEEM), amounts, st.none(), outward),
        st.builds(Wrapper, addresses, st.just(WrapperCall.WRAP_STETH), amounts, addresses),
        st.builds(Wrapper, addresses, st.just(WrapperCall.UNWRAP_WSTETH), amounts, st.none()),
        st.builds(Wrapper, addresses, st.just(WrapperCall.SELL_GEM), amounts, addresses, outward),
        st.builds(Wrapper, addresses, st.just(WrapperCall.BUY_GEM), amounts, addresses, outward, amounts),
    ),
    WrapEther: st.builds(WrapEther, amounts, st.booleans()),
}
simple = st.one_of(*SIMPLE.values())


def nested(children: st.SearchStrategy[Command]) -> st.SearchStrategy[Command]:
    """Commands with a program of ``children``."""
    programs = st.lists(children, max_size=3).map(tuple)
    return st.one_of(
        st.builds(UnlockV4, programs),
        st.builds(FlashV2, addresses, st.booleans(), amounts, programs),
        st.builds(SwapV3, addresses, st.booleans(), st.booleans(), amounts, st.sampled_from(Recipient), programs),
        st.builds(Borrow, addresses, amounts, programs),
    )


@given(st.lists(st.recursive(simple, nested, max_leaves=6), min_size=1, max_size=4))
def test_decoding_undoes_encoding_for_every_command(commands: list[Command]) -> None:
    program = Execution(1, 2, 0, None, False, tuple(commands))
    assert decode(encode(program)) == program
    assert all(line.strip() for line in describe(program))


def test_every_command_is_drawn_and_has_an_op_byte_of_its_own() -> None:
    assert set(COMMANDS) == {*SIMPLE, UnlockV4, FlashV2, SwapV3, Borrow}
    assert set(BY_OP.values()) == set(COMMANDS)
    assert sum(len(command.ops) for command in COMMANDS) == len(BY_OP)


@given(st.integers(0, 255).filter(lambda op: op not in BY_OP))
def test_a_free_op_byte_is_refused(op: int) -> None:
    with pytest.raises(ValueError, match="unknown command"):
        Reader(bytes((op,)) + bytes(100), BY_OP).commands(101)


A, B = Address(b"\xaa" * 20), Address(b"\xbb" * 20)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (Curve(A, CurveCall.EXCHANGE, 8, 0, 1, B), "not within 0 and 7"),
        (Curve(A, CurveCall.REMOVE, 0, 1, 1, B), "burned"),
        (Curve(A, CurveCall.REMOVE, 1, 1, 1, None), "burned"),
        (Curve(A, CurveCall.ADD, 0, 5, 1, B), "add_liquidity of an array of 5"),
        (Curve(A, CurveCall.EXCHANGE, 0, 1, 0, B), "positive"),
        (SwapVault(b"\1", A, B, 1, SELF), "32 bytes"),
        (SwapVault(bytes(32), A, B, 1, Recipient.INNER), "no command inside"),
        (SwapVaultBatch(A, 1, (), SELF), "1 to 63 steps"),
        (Wrapper(A, WrapperCall.REDEEM, 1, B), "nothing else"),
        (Wrapper(A, WrapperCall.DEPOSIT, 1, None), "nothing else"),
        (Wrapper(A, WrapperCall.WRAP_STETH, 1, B, CALLER), "caller only"),
        (Wrapper(A, WrapperCall.BUY_GEM, 1, B), "what is bought"),
        (Wrapper(A, WrapperCall.SELL_GEM, 1, B, SELF, 1), "what is bought"),
        (SyncV4(ZERO_ADDRESS), "ether cannot be sent"),
        (SwapV4(PoolKey(A, B, 2**24, 1), True, 1, SELF), "fee"),
        (SwapV4(PoolKey(A, B, 1, 1), True, 1, Recipient.INNER), "no command inside"),
        (SwapV2(A, True, 1, Recipient.INNER), "no command inside"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(command: Command, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_commands([command])


# --- plans


def token(number: int) -> Address:
    return Address(bytes([0x40 + number]) * 20)


def pool(number: int) -> Address:
    return Address(bytes([number + 1]) * 20)


KEY = PoolKey(A, B, 500, 10)
FACTS: dict[str, object] = {"v4": KEY, "curve": CurveFacts(2), "balancer_v2": bytes(32)}


def legs(*kinds: str, facts: dict[str, object] | None = None) -> list[Leg]:
    """A cycle around WETH through pools of these kinds; amounts 100, 101, …"""
    known = FACTS | (facts or {})
    tokens = [WETH, *(token(n) for n in range(1, len(kinds))), WETH]
    return [
        Leg(kind, pool(n), tokens[n], tokens[n + 1], 0, 1, 100 + n, 101 + n, known.get(kind))
        for n, kind in enumerate(kinds)
    ]


def plan(route: Sequence[Leg], loan: str = FLASH_SWAP) -> tuple[Command, ...]:
    return plan_legs(route, WETH, loan, WETH)


def curve(n: int, given: Address) -> Curve:
    return Curve(pool(n), CurveCall.EXCHANGE, 0, 1, 100 + n, given)


def test_v3_curve_v2_runs_the_curve_pool_on_what_v3_gave() -> None:
    inside = (curve(1, token(1)), SwapV2(pool(2), True, 103, SELF, 102, token(2)), Pay(None))
    assert plan(legs("v3", "curve", "v2")) == (SwapV3(pool(0), True, True, 100, SELF, inside),)


def test_a_pair_before_a_curve_pool_lends_by_a_flash_swap() -> None:
    inside = (curve(1, token(1)), Send(WETH, 100))
    assert plan(legs("v2", "curve")) == (FlashV2(pool(0), True, 101, inside),)


def test_a_curve_pool_before_a_pair_is_paid_out_of_the_flash_swap() -> None:
    inside = (curve(0, WETH), Send(token(1), 101))
    assert plan(legs("curve", "v2")) == (FlashV2(pool(1), True, 102, inside),)


def test_a_pair_sends_straight_to_the_v4_manager() -> None:
    inside = (
        SwapV4(KEY, True, 101, SELF),
        SyncV4(token(1)),
        SwapV2(pool(0), True, 101, CALLER, 100),
        SettleV4(),
    )
    assert plan(legs("v2", "v4")) == (UnlockV4(inside),)


def test_v4_pools_in_a_row_leave_the_token_between_them_with_the_manager() -> None:
    inside = (SwapV4(KEY, True, 101, SELF), SwapV4(KEY, True, 100, None), PayV4(WETH, 100))
    assert plan(legs("v4", "v4")) == (UnlockV4(inside),)


def test_a_v4_pool_inside_the_callback_of_another_pool_is_paid_by_hand() -> None:
    inside = (SwapV4(KEY, True, 100, CALLER), PayV4(WETH, 100))
    assert plan(legs("v4", "v3")) == (UnlockV4((SwapV3(pool(1), True, True, 101, SELF, inside),)),)


def test_ether_under_the_name_of_weth_is_wrapped_and_unwrapped_around_the_pool() -> None:
    key = PoolKey(ZERO_ADDRESS, token(1), 500, 10)
    inside = (
        SwapV4(key, True, 100, NEXT),
        SwapV2(pool(1), True, 102, SELF),
        WrapEther(100, back=True),
        PayV4(ZERO_ADDRESS, 100),
    )
    assert plan(legs("v4", "v2", facts={"v4": key})) == (UnlockV4(inside),)


def test_ether_between_two_pools_stays_ether() -> None:
    route = legs(
        "v3", "curve", "v4", "v2", facts={"curve": CurveFacts(2, ether=1), "v4": PoolKey(ZERO_ADDRESS, B, 1, 1)}
    )
    base, first, second = token(8), token(1), token(3)
    tokens = [(base, first), (first, WETH), (WETH, second), (second, base)]
    joined = [
        Leg(leg.kind, leg.pool, *pair, leg.i, leg.j, leg.amount_in, leg.amount_out, leg.facts)
        for leg, pair in zip(route, tokens, strict=True)
    ]
    assert "wrap" not in " ".join(describe(Execution(1, 1, 0, base, False, plan_legs(joined, base, FLASH_SWAP, WETH))))


def test_balancer_pools_in_a_row_are_one_batch_when_the_amounts_join() -> None:
    route = legs("v3", "balancer_v2", "balancer_v2")
    (swap,) = plan(route)
    assert isinstance(swap, SwapV3)
    assert swap.program[0] == SwapVaultBatch(token(1), 101, ((bytes(32), token(2)), (bytes(32), WETH)), SELF)
    apart = [*route[:2], Leg("balancer_v2", pool(2), token(2), WETH, 0, 1, 101, 103, FACTS["balancer_v2"])]
    (swap,) = plan(apart)
    assert isinstance(swap, SwapV3)
    assert [type(command) for command in swap.program] == [SwapVault, SwapVault, Pay]


def test_loans_stand_around_routes_that_lend_nothing() -> None:
    route = legs("curve", "erc4626")
    deposit = Wrapper(pool(1), WrapperCall.DEPOSIT, 101, token(1))
    assert plan(route, BALANCER_V2) == (Borrow(WETH, 100, (curve(0, WETH), deposit, Pay(None, lender=True))),)
    lent = (TakeV4(WETH, 100), curve(0, WETH), deposit, PayV4(WETH, 100))
    assert plan(route, UNISWAP_V4) == (UnlockV4(lent),)


@pytest.mark.parametrize(
    ("route", "loan", "message"),
    [
        (legs("curve", "curve"), FLASH_SWAP, "needs a loan"),
        (legs("v2", "balancer_v2"), BALANCER_V2, "locked during its own flash loan"),
        (legs("v2", "maker"), FLASH_SWAP, "no encoder for pools of kind 'maker'"),
        (legs("v2", "curve", facts={"curve": None}), FLASH_SWAP, "needs its facts"),
        (legs("v2", "v4", facts={"v4": None}), FLASH_SWAP, "needs its key"),
        (legs("v2", "balancer_v2", facts={"balancer_v2": None}), FLASH_SWAP, "needs its pool id"),
        (legs("v2", "curve", facts={"curve": CurveFacts(0)}), FLASH_SWAP, "has no coins 0 and 1"),
    ],
)
def test_a_route_that_cannot_run_is_refused(route: list[Leg], loan: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan(route, loan)


def test_every_kind_of_pool_has_an_encoder_of_a_style_that_the_plan_knows() -> None:
    for kind, encoder in ENCODERS.items():
        assert (encoder.swap is None) == (encoder.style.name != "HELD"), kind
