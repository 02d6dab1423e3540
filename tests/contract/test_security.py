"""Nobody but the owner gets anything out of FlashArb: before, during and after an execution."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from eth_abi.abi import encode as abi_encode
from hypothesis import given
from hypothesis import strategies as st

from flasharb.execution import artifact
from flasharb.execution.commands import Borrow, FlashV2, Pay, SwapV2, SwapV3
from flasharb.execution.commands.wire import Command, Recipient
from flasharb.execution.program import (
    Execution,
    encode,
    encode_call,
    encode_sweep,
    plan,
)
from flasharb.strategy.trade import Trade
from flasharb.units import Address
from tests.support.contract_world import COINBASE, ETHER, OWNER, STRANGER, World, call_data, selector

CALLBACKS_V2 = ("uniswapV2Call", "pancakeCall", "hook", "swapCall")
CALLBACKS_V3 = ("uniswapV3SwapCallback", "pancakeV3SwapCallback", "uniswapV3FlashCallback")


def commands_of(*commands: Command) -> bytes:
    """The bytes of commands without a header, as they travel through a callback."""
    return encode(Execution(0, 0, 0, None, False, commands))[21:]


def callbacks(program: bytes, amount: int, sender: Address, token: Address) -> list[bytes]:
    """Every callback that a protocol could make, with ``program`` as its data."""
    calls = [call_data(f"{name}(address,uint256,uint256,bytes)", sender, amount, 0, program) for name in CALLBACKS_V2]
    for name in CALLBACKS_V3:
        calls += [
            call_data(f"{name}(int256,int256,bytes)", amount, -amount, program),
            call_data(f"{name}(int256,int256,bytes)", -amount, amount, program),
        ]
    balancer = "receiveFlashLoan(address[],uint256[],uint256[],bytes)"
    calls.append(call_data(balancer, [token], [amount], [0], program))
    calls.append(selector("onMorphoFlashLoan(uint256,bytes)") + abi_encode(["uint256", "bytes"], [amount, program]))
    calls.append(selector("unlockCallback(bytes)") + abi_encode(["bytes"], [program]))
    calls.append(
        selector("executeOperation(address,uint256,uint256,address,bytes)")
        + abi_encode(["address", "uint256", "uint256", "address", "bytes"], [token, amount, 0, sender, program])
    )
    return calls


@dataclass(frozen=True)
class Scene:
    """A world in which the contract holds WETH, a token and ether, and an execution that would succeed."""

    world: World
    trade: Trade
    token: Address
    execution: bytes
    hostile: list[bytes]

    def wealth(self) -> tuple[int, int, int]:
        world = self.world
        return (
            world.balance(world.weth, world.contract),
            world.balance(self.token, world.contract),
            world.machine.balance(world.contract),
        )


def scene(shape: str = "v2>v3", loan: str = "flash_swap") -> Scene:
    """See ``Scene``. The token between the pools calls a stranger during each transfer, once it is told to."""
    world = World()
    token = world.token(kind="HookToken")
    pools = []
    for kind, tokens in zip(shape.split(">"), (2_400, 2_000), strict=True):
        reserves = {world.weth: 2_000 * ETHER, token: tokens * ETHER}
        fee = 500 if pools else 3000
        pools.append(world.v2_pool(reserves) if kind == "v2" else world.v3_pool(reserves, fee))
    world.wrap(world.vault, 10_000 * ETHER)
    world.wrap(world.contract, 5 * ETHER)
    world.transact(token, "mint(address,uint256)", world.contract, 7 * ETHER)
    world.force_ether(world.contract, 3 * ETHER)
    world.next_block()
    trade = world.trade(pools, 20 * ETHER)
    execution = encode_call(
        trade,
        weth=world.weth,
        loan=loan,
        min_profit=trade.gross_profit,
        bid_wei=trade.gross_profit // 2,
        deadline_block=world.number + 1_000,
    )
    theft = commands_of(SwapV2(STRANGER, True, 1, Recipient.SELF, 7 * ETHER, token), Pay(None))
    programs = [b"", commands_of(Pay(None)), commands_of(Pay(token)), commands_of(Pay(None, True)), theft]
    programs += [commands_of(command) for command in plan(trade, loan, world.weth)]
    programs += [commands_of(*inner) for inner in inner_programs(plan(trade, loan, world.weth))]
    hostile = [execution, encode_sweep(world.weth), encode_sweep(token, 1), encode_sweep(None)]
    for program in programs:
        hostile += callbacks(program, ETHER, world.contract, world.weth)
    return Scene(world, trade, token, execution, hostile)


def inner_programs(commands: tuple[Command, ...]) -> Iterator[tuple[Command, ...]]:
    """The genuine programs that callbacks of an execution bring back."""
    for command in commands:
        if isinstance(command, FlashV2 | SwapV3 | Borrow):
            yield command.program
            yield from inner_programs(command.program)


SHAPES = ["v2>v2", "v2>v3", "v3>v2", "v3>v3"]
LOANS = ["flash_swap", "balancer_v2"]


@pytest.mark.parametrize("loan", LOANS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_stranger_before_and_after_an_execution(shape: str, loan: str) -> None:
    s = scene(shape, loan)
    world = s.world
    others = [STRANGER, world.vault, world.weth, *world.pools, s.token, world.contract, COINBASE]

    for moment in ("before", "after"):
        held = s.wealth()
        for data in s.hostile:
            assert world.send(world.contract, data, sender=STRANGER).status == 0, moment
            for caller in others:
                # Whoever it is: without an execution under way no callback is awaited.
                assert not world.machine.call(world.contract, data, sender=caller).success, (moment, caller)
        assert s.wealth() == held
        if moment == "before":
            assert world.send(world.contract, s.execution, sender=OWNER).status == 1
            world.next_block()


@pytest.mark.parametrize("loan", LOANS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_stranger_during_an_execution(shape: str, loan: str) -> None:
    """The token hands control to a stranger in each of its transfers; the fee recipient is one too."""
    s = scene(shape, loan)
    world = s.world
    stranger = world.deploy("Stranger")
    attempts = [*s.hostile, b"", call_data("swap(uint256,uint256,address,bytes)", 1, 0, world.contract, b"\x08")]
    world.transact(stranger, "prepare(address,bytes[])", world.contract, attempts)
    world.transact(s.token, "setHook(address)", stranger)
    world.coinbase = stranger
    world.next_block()
    before = s.wealth()

    result = world.send(world.contract, s.execution, sender=OWNER)

    assert result.status == 1, (result.error, result.output.hex())
    bid = s.trade.gross_profit // 2
    assert s.wealth() == (before[0] + s.trade.gross_profit - bid, before[1], before[2])
    tried = world.read(stranger, "tried()", "uint256")
    assert tried >= 2 * len(attempts), "the stranger came to its turn in the token's transfer and at the payment"
    assert world.read(stranger, "succeeded()", "uint256") == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_a_stranger_makes_pools_and_vault_call_the_contract(shape: str) -> None:
    """V2 pairs and the vault call whom they are told to: at rest, and in the middle of an execution."""
    s = scene(shape)
    world = s.world
    lures = [
        (
            world.vault,
            call_data("flashLoan(address,address[],uint256[],bytes)", world.contract, [world.weth], [9], data),
        )
        for data in (b"", b"\x08", s.execution, commands_of(Pay(None, True)))
    ]
    lures += [
        (pool.address, call_data("swap(uint256,uint256,address,bytes)", 9, 0, world.contract, data))
        for pool in world.pools.values()
        if not pool.is_v3
        for data in (b"\x08", commands_of(Pay(None)), s.execution)
    ]
    held = s.wealth()
    for target, data in lures:
        assert world.send(target, data, sender=STRANGER).status == 0
        stranger = world.deploy("Stranger")
        world.transact(stranger, "prepare(address,bytes[])", target, [data])
        world.transact(s.token, "setHook(address)", stranger)
        world.next_block()
        snapshot = world.machine.snapshot()
        assert world.send(world.contract, s.execution, sender=OWNER).status == 1
        assert world.read(stranger, "tried()", "uint256") >= 1
        assert world.read(stranger, "succeeded()", "uint256") == 0
        world.machine.revert(snapshot)
    assert s.wealth() == held


def hostile_execution(world: World, pool: Address, program: tuple[Command, ...]) -> bytes:
    """An execution through a pool of the attacker's, which the owner was talked into."""
    swap = SwapV3(pool, True, True, ETHER, Recipient.SELF, program)
    return encode(Execution(world.number + 1_000, 1, 0, None, False, (swap,)))


def test_the_awaited_pool_can_only_return_what_the_owner_wrote() -> None:
    s = scene()
    world = s.world
    pool = world.deploy("HostilePool")
    world.wrap(pool, 10 * ETHER)
    genuine = (Pay(None),)
    programs = [b"", commands_of(Pay(s.token)), commands_of(Pay(None), Pay(None)), commands_of(Pay(None, True))]
    programs += [commands_of(SwapV2(pool, True, 1, Recipient.SELF, 7 * ETHER, s.token))]
    forged = [data for program in programs for data in callbacks(program, ETHER, world.contract, world.weth)]
    # The right program at another protocol's place.
    forged += [
        data
        for data in callbacks(commands_of(*genuine), ETHER, world.contract, world.weth)
        if data[:4] not in {selector(f"{name}(int256,int256,bytes)") for name in CALLBACKS_V3}
    ]
    forged += [s.execution, encode_sweep(world.weth), encode_sweep(None), b""]
    prepare = "prepare(address,uint256,int256,bytes[],bool)"
    world.transact(pool, prepare, world.weth, 2 * ETHER, ETHER, forged, False)
    before = s.wealth()

    result = world.send(world.contract, hostile_execution(world, pool, genuine), sender=OWNER)

    assert result.status == 1, (result.error, result.output.hex())
    assert s.wealth() == (before[0] + ETHER, before[1], before[2])
    assert world.read(pool, "succeeded()", "uint256") == 0
    assert world.read(pool, "genuineTwice()", "uint256") == 0, "a callback is good for one time"


def test_a_pool_that_asks_for_more_meets_the_profit_check() -> None:
    s = scene()
    world = s.world
    pool = world.deploy("HostilePool")
    world.wrap(pool, 10 * ETHER)
    world.transact(pool, "prepare(address,uint256,int256,bytes[],bool)", world.weth, ETHER, 4 * ETHER, [], False)
    before = s.wealth()

    result = world.send(world.contract, hostile_execution(world, pool, (Pay(None),)), sender=OWNER)

    assert result.output[:4] == selector("ProfitTooLow(uint256,uint256)")
    assert s.wealth() == before


def test_a_pool_that_keeps_its_callback_for_later_is_refused() -> None:
    s = scene()
    world = s.world
    pool = world.deploy("HostilePool")
    world.wrap(pool, 10 * ETHER)
    world.transact(pool, "prepare(address,uint256,int256,bytes[],bool)", world.weth, 2 * ETHER, ETHER, [], True)
    before = s.wealth()

    result = world.send(world.contract, hostile_execution(world, pool, (Pay(None),)), sender=OWNER)

    assert result.output[:4] == selector("CallbackMissing()")
    assert s.wealth() == before


def test_the_same_program_from_another_caller_is_refused() -> None:
    """While pool A is awaited, pool B cannot call back in its place."""
    s = scene("v3>v3")
    world = s.world
    outsider = world.deploy("Stranger")
    # The token's transfer comes while the first pool is awaited, with the innermost program.
    exact = [
        call_data("uniswapV3SwapCallback(int256,int256,bytes)", ETHER, -ETHER, commands_of(*inner))
        for inner in inner_programs(plan(s.trade, "flash_swap", world.weth))
    ]
    world.transact(outsider, "prepare(address,bytes[])", world.contract, exact)
    world.transact(s.token, "setHook(address)", outsider)

    assert world.send(world.contract, s.execution, sender=OWNER).status == 1
    assert world.read(outsider, "tried()", "uint256") >= 1
    assert world.read(outsider, "succeeded()", "uint256") == 0


# --- the code itself


def test_the_code_has_no_dangerous_instruction() -> None:
    """No delegatecall, callcode, create, create2 or selfdestruct, and nobody else's tokens are moved."""
    code = artifact.load().deployed_bytecode
    place, seen = 0, set()
    while place < len(code):
        seen.add(code[place])
        place += 1 + (code[place] - 0x5F if 0x60 <= code[place] <= 0x7F else 0)
    assert not seen & {0xF0, 0xF2, 0xF4, 0xF5, 0xFF}
    assert selector("transferFrom(address,address,uint256)") not in code


# --- anything at all


_HOSTILE: list[Scene] = []


def fuzzed() -> Scene:
    """One scene for all examples: calls that are undone leave it as it was."""
    if not _HOSTILE:
        _HOSTILE.append(scene("v3>v2"))
    return _HOSTILE[0]


@st.composite
def hostile_data(draw: st.DrawFn) -> bytes:
    """Random bytes, or something known with bytes changed, cut off or added."""
    if draw(st.booleans()):
        return draw(st.binary(min_size=1, max_size=400))
    data = bytearray(draw(st.sampled_from(fuzzed().hostile)))
    for _ in range(draw(st.integers(0, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    data = data[: draw(st.integers(1, len(data)))] if draw(st.booleans()) else data
    return bytes(data) + draw(st.binary(max_size=40))


@given(data=hostile_data(), who=st.integers(0, 7), value=st.sampled_from([0, 0, 1]))
def test_nobody_but_the_owner_gets_through(data: bytes, who: int, value: int) -> None:
    s = fuzzed()
    world = s.world
    callers = [STRANGER, world.vault, world.weth, *world.pools, s.token, world.contract, COINBASE]
    held = s.wealth()

    result = world.machine.call(world.contract, data, sender=callers[who], value=value)

    assert not result.success
    assert s.wealth() == held


@given(data=hostile_data())
def test_a_mined_transaction_of_a_stranger_changes_nothing(data: bytes) -> None:
    s = fuzzed()
    snapshot = s.world.machine.snapshot()
    held = s.wealth()

    assert s.world.send(s.world.contract, data, sender=STRANGER).status == 0
    assert s.wealth() == held
    s.world.machine.revert(snapshot)
