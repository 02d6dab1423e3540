"""The program of a trade: its plan, its bytes and back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasharb.execution import program
from flasharb.execution.commands import Borrow, FlashV2, Pay, SwapV2, SwapV3
from flasharb.execution.commands.wire import Command, Recipient
from flasharb.execution.program import (
    KINDS,
    Execution,
    Sweep,
    decode,
    describe,
    encode,
    encode_call,
    encode_sweep,
    loan_for,
    pick_loan,
    plan,
)
from flasharb.pools import PoolSpec
from flasharb.pools.protocols import PROTOCOLS
from flasharb.settings import Mev, Settings
from flasharb.strategy.trade import Hop, Trade, TradeHop
from flasharb.units import Address

WETH = Address(b"\xee" * 20)
PLAIN = sorted(name for name, one in PROTOCOLS.items() if one.kind in ("v2", "v3"))
"""Protocols whose commands need no facts of the pool."""
TERMS = {"weth": WETH, "loan": "flash_swap", "min_profit": 5, "bid_wei": 0, "deadline_block": 9}


def trade(*protocols: str, base: Address = WETH) -> Trade:
    """A cycle through one pool of each protocol; amounts 100, 101, …"""
    # up and down in turns, so that the first hop is zero for one, the second one for zero, and so on
    tokens = [base, *(Address(bytes([0xF0 + n if n % 2 else n]) * 20) for n in range(1, len(protocols))), base]
    hops = []
    for n, protocol in enumerate(protocols):
        hop = Hop(Address(bytes([n + 1]) * 20), tokens[n], tokens[n + 1])
        spec = PoolSpec(hop.pool, protocol, (min(tokens[n : n + 2]), max(tokens[n : n + 2])), 3000)
        hops.append(TradeHop(hop, spec, 100 + n, 101 + n))
    return Trade(1, base, tuple(hops), len(protocols), 0, 0, 0, 7)


def pool(number: int) -> Address:
    return Address(bytes([number]) * 20)


def test_two_v2_pools_flash_the_last_and_pay_the_first() -> None:
    inner = SwapV2(pool(1), True, 101, Recipient.CALLER, 100)
    assert plan(trade("uniswap_v2", "sushiswap_v2"), "flash_swap", WETH) == (FlashV2(pool(2), False, 102, (inner,)),)


def test_v2_then_v3_delivers_what_the_v3_pool_is_owed() -> None:
    inner = SwapV2(pool(1), True, None, Recipient.CALLER, 100)
    expected = (SwapV3(pool(2), False, True, 101, Recipient.SELF, (inner,)),)
    assert plan(trade("uniswap_v2", "uniswap_v3"), "flash_swap", WETH) == expected


def test_v3_then_v2_needs_one_callback() -> None:
    inside = (SwapV2(pool(2), False, 102, Recipient.SELF), Pay(None))
    expected = (SwapV3(pool(1), True, True, 100, Recipient.INNER, inside),)
    assert plan(trade("uniswap_v3", "uniswap_v2"), "flash_swap", WETH) == expected


def test_two_v3_pools_nest() -> None:
    first = SwapV3(pool(1), True, True, 100, Recipient.CALLER, (Pay(None),))
    expected = (SwapV3(pool(2), False, True, 101, Recipient.SELF, (first,)),)
    assert plan(trade("uniswap_v3", "pancakeswap_v3"), "flash_swap", WETH) == expected


def test_another_base_token_is_named_where_it_is_paid() -> None:
    base = Address(b"\x77" * 20)
    flash = plan(trade("uniswap_v3", "uniswap_v2", base=base), "flash_swap", WETH)[0]
    assert isinstance(flash, SwapV3)
    assert flash.program[-1] == Pay(base)
    borrowed = plan(trade("uniswap_v2", "uniswap_v3", base=base), "balancer_v2", WETH)[0]
    assert isinstance(borrowed, Borrow)
    assert (borrowed.token, borrowed.amount, borrowed.program[-1]) == (base, 100, Pay(base, True))


PAIRS, WRAPS, VAULT = ["uniswap_v2"] * 2, ["wrapped_native"] * 2, ["wrapped_native", "balancer_weighted"]


@pytest.mark.parametrize(
    ("loan", "protocols", "expected"),
    [
        ("auto", PAIRS, "flash_swap"),
        ("balancer_v2", PAIRS, "balancer_v2"),
        ("flash_swap", PAIRS, "flash_swap"),
        ("uniswap_v4", PAIRS, "uniswap_v4"),
        ("auto", ["balancer_weighted", "uniswap_v4"], "flash_swap"),
        ("auto", WRAPS, "balancer_v2"),
        ("flash_swap", WRAPS, None),
        ("auto", VAULT, "uniswap_v4"),
        ("balancer_v2", VAULT, None),
    ],
)
def test_the_loan_is_one_that_the_route_can_be_run_with(loan: str, protocols: list[str], expected: str | None) -> None:
    """The route's own where that is possible; never one that the plan then refuses."""
    settings = replace(Settings(), chain=replace(Settings().chain, id=1), mev=replace(Mev(), loan_source=loan))
    assert pick_loan(trade(*protocols), settings) == expected


def test_who_is_not_known_lends_nothing() -> None:
    assert loan_for(trade(*WRAPS), None, None) is None
    assert loan_for(trade(*VAULT), WETH, None) is None
    assert loan_for(trade(*VAULT), WETH, Address(bytes(20))) is None
    assert loan_for(trade(*PAIRS), None, None) == "flash_swap"


def _broken(**changes: object) -> Trade:
    return replace(trade("uniswap_v2", "uniswap_v3"), **changes)  # type: ignore[arg-type]  # fields of the test


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (_broken(base_token=pool(9)), "base token"),
        (_broken(hops=trade("uniswap_v2", "uniswap_v2").hops[:1]), "at least two pools"),
        (trade("uniswap_v2", "curve"), "unknown protocol 'curve'"),
        (
            _broken(hops=tuple(replace(h, hop=replace(h.hop, pool=pool(1))) for h in _broken().hops)),
            "a pool appears twice",
        ),
        (_broken(hops=tuple(replace(h, amount_out=99) for h in _broken().hops)), "only 99 comes in"),
        (_broken(hops=tuple(replace(h, amount_in=0) for h in _broken().hops)), "positive"),
    ],
)
def test_a_trade_that_cannot_run_is_refused(bad: Trade, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_call(bad, **TERMS)  # type: ignore[arg-type]  # terms of the test


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"loan": "aave"}, "unknown loan source 'aave'"),
        ({"bid_wei": 6}, "a bid of 6 wei"),
        ({"bid_wei": -1}, "a bid of -1 wei"),
        ({"deadline_block": 2**32}, "deadline block"),
        ({"min_profit": 2**128}, "minimum"),
        ({"weth": pool(9), "bid_wei": 1}, "only a profit in WETH"),
    ],
)
def test_impossible_terms_are_refused(terms: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_call(trade("uniswap_v2", "uniswap_v3"), **(TERMS | terms))  # type: ignore[arg-type]  # as above


def test_minimum_and_bid_in_the_program() -> None:
    """The contract asks for minimum + bid, so that the minimum is left after the bid."""
    terms = TERMS | {"min_profit": 50, "bid_wei": 20, "balance_before": 1_000}
    program = decode(encode_call(trade("uniswap_v2", "uniswap_v3"), **terms))  # type: ignore[arg-type]  # as above
    assert isinstance(program, Execution)
    assert (program.minimum, program.bid, program.floor, program.deadline_block) == (1_030, 20, True, 9)


def test_the_call_data_byte_by_byte() -> None:
    data = encode_call(trade("uniswap_v2", "uniswap_v3"), **TERMS)  # type: ignore[arg-type]  # as above
    amount = "%032x"
    inner = "78" + "01" * 20 + amount % 100
    expected = "00" + "00000009" + amount % 5 + "88" + "02" * 20 + "0025" + amount % 101 + inner
    assert data.hex() == expected
    assert encode_sweep(None) == b"\x18"
    assert encode_sweep(WETH, 7) == b"\x28" + WETH + (7).to_bytes(32, "big")


addresses = st.binary(min_size=20, max_size=20).map(Address)
amounts = st.integers(1, 2**128 - 1)


def _commands(children: st.SearchStrategy[tuple[Command, ...]]) -> st.SearchStrategy[Command]:
    ways = st.booleans()
    owed = st.just((None, Recipient.CALLER))
    outs = st.one_of(st.tuples(amounts, st.sampled_from(Recipient)), owed)
    outward = st.sampled_from([Recipient.SELF, Recipient.CALLER, Recipient.NEXT])
    v2 = st.builds(
        lambda address, way, out, pay, token: SwapV2(address, way, *out, pay, token if pay else None),
        addresses, ways, st.one_of(st.tuples(amounts, outward), owed), st.one_of(st.just(0), amounts),
        st.none() | addresses,
    )  # fmt: skip
    v3 = st.builds(
        lambda address, way, exact, out, inner: SwapV3(address, way, exact and out[0] is not None, *out, inner),
        addresses, ways, ways, outs, children,
    )  # fmt: skip
    pay = st.builds(Pay, st.none() | addresses, ways)
    return st.one_of(
        pay,
        v2,
        v3,
        st.builds(FlashV2, addresses, ways, amounts, children),
        st.builds(Borrow, addresses, amounts, children),
    )


programs = st.recursive(
    st.just(()), lambda children: st.lists(_commands(children), min_size=1, max_size=3).map(tuple), max_leaves=6
)


@st.composite
def executions(draw: st.DrawFn) -> Execution:
    base = draw(st.none() | addresses)
    bid = 0 if base else draw(st.one_of(st.just(0), amounts))
    commands = draw(programs.filter(bool))
    deadline, minimum = draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 2**128 - 1))
    return Execution(deadline, minimum, bid, base, draw(st.booleans()), commands)


sweeps = st.builds(Sweep, st.none() | addresses, st.none() | st.integers(0, 2**256 - 1))


@given(st.one_of(executions(), sweeps))
def test_decoding_undoes_encoding(program: Execution | Sweep) -> None:
    assert decode(encode(program)) == program
    assert all(describe(program))


@given(executions(), st.data())
def test_a_program_cut_short_is_refused(program: Execution, data: st.DataObject) -> None:
    """Unless the cut falls between two commands, where a shorter program begins its own life."""
    whole = encode(program)
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        found = decode(part)
    except ValueError:
        return
    assert encode(found) == part


@given(st.binary(max_size=200))
def test_any_bytes_decode_to_themselves_or_are_refused(data: bytes) -> None:
    try:
        program = decode(data)
    except ValueError:
        return
    assert encode(program) == data


@given(
    st.lists(st.sampled_from(PLAIN), min_size=2, max_size=6),
    st.sampled_from(["flash_swap", "balancer_v2"]),
)
def test_every_mix_has_a_plan_that_calls_each_pool_once(protocols: list[str], loan: str) -> None:
    chosen = trade(*protocols)
    data = encode_call(chosen, **(TERMS | {"loan": loan}))  # type: ignore[arg-type]  # as above
    assert decode(data) is not None
    assert sorted(_pools(plan(chosen, loan, WETH))) == sorted(hop.hop.pool for hop in chosen.hops)


def _pools(commands: tuple[Command, ...]) -> list[Address]:
    found = []
    for command in commands:
        if isinstance(command, SwapV2 | FlashV2 | SwapV3):
            found.append(command.pool)
        if isinstance(command, FlashV2 | SwapV3 | Borrow):
            found += _pools(command.program)
    return found


def test_a_program_in_words() -> None:
    program = decode(encode_call(trade("uniswap_v3", "uniswap_v2"), **(TERMS | {"bid_wei": 2})))  # type: ignore[arg-type]  # as above
    lines = describe(program)
    assert lines[0] == "until block 9"
    assert lines[1].startswith("V3 0x0101010101010101010101010101010101010101 0 to 1: 100 in, output to 0x02020202")
    assert lines[2].startswith("  V2 0x0202")
    assert lines[3] == "  pay the caller what it is owed in WETH"
    assert lines[4:] == ("require that the WETH balance grew by at least 5", "pay 2 wei to the fee recipient")
    assert describe(Sweep(None, None)) == ("sweep everything of ether to the owner",)


def test_a_pool_that_no_command_swaps_in_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "KINDS", KINDS - {"psm"})
    with pytest.raises(ValueError, match="no command swaps in a pool of maker_lite_psm"):
        plan(trade("uniswap_v2", "maker_lite_psm"), "balancer_v2", WETH)
