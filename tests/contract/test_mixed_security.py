"""Nobody but the owner gets anything out of FlashArb through the pools that it lets pull, unlock or pay ether."""

from __future__ import annotations

import pytest

from flasharb.execution.commands import (
    BY_OP,
    Borrow,
    Curve,
    FlashV2,
    Pay,
    PayV4,
    Send,
    SwapV3,
    SwapV4,
    SwapVault,
    SwapVaultBatch,
    TakeV4,
    UnlockV4,
    WrapEther,
    Wrapper,
)
from flasharb.execution.commands.curve import CurveCall
from flasharb.execution.commands.wire import Command, Recipient
from flasharb.execution.commands.wrappers import WrapperCall
from flasharb.execution.planning import FLASH_SWAP, plan_legs
from flasharb.execution.program import Execution, encode, encode_sweep
from flasharb.pools.managed.key import PoolKey
from flasharb.units import ZERO_ADDRESS, Address
from tests.contract.test_security import callbacks, commands_of
from tests.support.contract_world import ETHER, OWNER, STRANGER, call_data, selector
from tests.support.mixed_routes import KEY_TYPE, MAKERS, TAKES_ITS_OWN, MixedWorld, build, legs_of, program_of


def inner_programs(commands: tuple[Command, ...]) -> list[tuple[Command, ...]]:
    """The genuine programs that callbacks of an execution bring back."""
    found = []
    for command in commands:
        if command.inner:
            found += [command.inner, *inner_programs(command.inner)]
    return found


def thefts(world: MixedWorld, token: Address) -> list[tuple[Command, ...]]:
    """Programs that would pay a stranger, or open the purse to one."""
    return [
        (Send(token, ETHER),),
        (Curve(STRANGER, CurveCall.EXCHANGE, 0, 1, ETHER, token),),
        (Curve(STRANGER, CurveCall.EXCHANGE, 0, 1, ETHER, None),),
        (Wrapper(STRANGER, WrapperCall.DEPOSIT, ETHER, token),),
        (PayV4(token, ETHER),),
        (TakeV4(token, ETHER), Send(token, ETHER)),
        (UnlockV4((TakeV4(token, ETHER), Send(token, ETHER))),),
        (WrapEther(1, back=True),),
        (WrapEther(1),),
        (Borrow(token, 1, (Pay(token, True),)),),
    ]


def wealth(world: MixedWorld, *tokens: Address) -> tuple[int, ...]:
    """What the contract has of each token, and of ether."""
    held = tuple(world.balance(token, world.contract) for token in tokens)
    return (*held, world.machine.balance(world.contract))


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_a_stranger_before_during_and_after_each_kind_of_pool(kind: str) -> None:
    """The tokens on both sides hand control to a stranger in each of their transfers; so does the fee recipient."""
    world = MixedWorld()
    kinds = ("v2", kind, "v3") if kind in TAKES_ITS_OWN else ("v3", kind, "v2")
    steps = build(world, kinds, world.weth, "HookToken")
    token = steps[1].tokens[1] if kind in TAKES_ITS_OWN else steps[1].tokens[0]
    for held in (world.weth, token):
        world.give(held, world.contract, 5 * ETHER)
    world.force_ether(world.contract, 3 * ETHER)
    world.next_block()
    legs = legs_of(steps, 7 * ETHER)
    profit = legs[-1].amount_out - legs[0].amount_in
    genuine = plan_legs(legs, world.weth, FLASH_SWAP, world.weth)
    programs = [*inner_programs(genuine), genuine, *thefts(world, token)]
    execution = program_of(world, legs, world.weth, FLASH_SWAP, profit)
    hostile = [execution, encode_sweep(world.weth), encode_sweep(token, 1), encode_sweep(None), b""]
    for program in programs:
        hostile += callbacks(commands_of(*program), ETHER, world.contract, world.weth)
    outsiders = [STRANGER, world.manager, world.weth, legs[1].pool]
    stranger = world.deploy("Stranger")
    world.transact(stranger, "prepare(address,bytes[])", world.contract, hostile)
    world.coinbase = stranger
    world.next_block()
    before = wealth(world, world.weth, token)

    for moment in ("before", "after"):
        held_then = wealth(world, world.weth, token)
        for data in hostile:
            for caller in outsiders:
                if data or caller != world.weth:
                    assert not world.machine.call(world.contract, data, sender=caller).success, moment
        for caller in outsiders:
            if caller != world.weth:
                assert not world.machine.call(world.contract, b"", sender=caller, value=1).success, moment
        assert wealth(world, world.weth, token) == held_then
        if moment == "before":
            world.transact(token, "setHook(address)", stranger)
            world.next_block()
            result = world.send(world.contract, execution, sender=OWNER)
            assert result.status == 1, (result.error, result.output.hex())
            assert world.read(stranger, "tried()", "uint256") >= len(hostile)
            assert world.read(stranger, "succeeded()", "uint256") == 0
            assert wealth(world, world.weth, token) == (before[0] + profit, *before[1:])
            world.transact(token, "setHook(address)", ZERO_ADDRESS)


def hostile_puller(takes: int, gives: int, token_kind: str = "DevToken") -> tuple[MixedWorld, Address, Address]:
    """A world in which the contract owns WETH and a token, and the pool that pulls the token: Balancer's vault too."""
    world = MixedWorld()
    token = world.token(kind=token_kind)
    pool = world.deploy("HostilePuller")
    world.use_vault(pool)
    world.give(token, world.contract, 5 * ETHER)
    world.give(world.weth, world.contract, 5 * ETHER)
    world.give(world.weth, pool, 5 * ETHER)
    world.force_ether(pool, 10)
    forged = [
        data
        for program in thefts(world, token)
        for data in callbacks(commands_of(*program), ETHER, world.contract, token)
    ]
    world.transact(pool, "prepare(address,address,uint256,uint256,bytes[])", token, world.weth, takes, gives, forged)
    world.next_block()
    return world, token, pool


def pulling(pool: Address, token: Address, weth: Address) -> dict[str, Command]:
    """Every command that lets a pool pull one ether of the token."""
    return {
        "curve": Curve(pool, CurveCall.EXCHANGE, 0, 1, ETHER, token),
        "curve add": Curve(pool, CurveCall.ADD_ANY, 0, 2, ETHER, token),
        "vault": SwapVault(bytes(32), token, weth, ETHER, Recipient.SELF),
        "batch": SwapVaultBatch(token, ETHER, ((bytes(32), weth), (bytes(32), weth)), Recipient.SELF),
        "deposit": Wrapper(pool, WrapperCall.DEPOSIT, ETHER, token),
        "wrap": Wrapper(pool, WrapperCall.WRAP_STETH, ETHER, token),
        "psm sell": Wrapper(pool, WrapperCall.SELL_GEM, ETHER, token),
        "psm buy": Wrapper(pool, WrapperCall.BUY_GEM, ETHER, token, bought=1),
    }


def through(world: MixedWorld, command: Command, profit: int = 1) -> bytes:
    """An execution that the owner was talked into."""
    return encode(Execution(world.number + 1_000, profit, 0, None, False, (command,)))


CASES = [
    *(("curve", takes, kind) for takes in (0, 1, ETHER) for kind in ("DevToken", "NoReturnToken", "HookToken")),
    *((name, ETHER // 2, "NoReturnToken") for name in ("curve", "curve add", "vault", "batch", "deposit", "wrap")),
    *((name, ETHER // 2, "NoReturnToken") for name in ("psm sell", "psm buy")),
]


@pytest.mark.parametrize(("name", "takes", "token_kind"), CASES)
def test_a_pool_that_pulls_gets_what_the_command_says_and_nothing_later(name: str, takes: int, token_kind: str) -> None:
    """Twice, because a token like USDT refuses to change an allowance that was left."""
    world, token, pool = hostile_puller(takes, gives=ETHER, token_kind=token_kind)
    before = wealth(world, token, world.weth)
    command = pulling(pool, token, world.weth)[name]

    for times in (1, 2):
        result = world.send(world.contract, through(world, command), sender=OWNER)
        assert result.status == 1, (result.error, result.output.hex())
        expected = (before[0] - times * takes, before[1] + times * ETHER, before[2])
        assert wealth(world, token, world.weth) == expected
        assert world.read(token, "allowance(address,address)", "uint256", world.contract, pool) == 0
        world.transact(pool, "drain(address)", world.contract)
        world.next_block()

    assert world.read(pool, "tried()", "uint256") > 2 * 100
    assert world.read(pool, "succeeded()", "uint256") == 0
    assert world.read(pool, "ownEtherTaken()", "bool") is False, "a pool that is to pay no ether can leave none here"


def test_the_refusal_is_passed_on_of_a_pool_that_pulls() -> None:
    """It asks for more than it may have: the token says no, the pool reverts, and so does everything before it."""
    for name in ("curve", "vault", "batch", "deposit", "psm buy"):
        world, token, pool = hostile_puller(ETHER + 1, gives=ETHER)
        before = wealth(world, token, world.weth)
        # Without a profit to ask for only the refusal can undo it.
        command = pulling(pool, token, world.weth)[name]

        result = world.send(world.contract, through(world, command, profit=0), sender=OWNER)

        assert result.status == 0
        assert b"nothing approved" in result.output
        assert wealth(world, token, world.weth) == before


def test_ether_is_taken_from_the_pool_that_a_command_swaps_for_it_and_from_nobody_else() -> None:
    """Neither while that command runs, nor in the same transaction afterwards."""
    world, token, pool = hostile_puller(ETHER, gives=ETHER)
    swap = Curve(pool, CurveCall.EXCHANGE, 0, 1, ETHER, token, ether_out=True)

    result = world.send(world.contract, through(world, swap), sender=OWNER)

    assert result.status == 1, (result.error, result.output.hex())
    assert world.read(pool, "ownEtherTaken()", "bool") is True
    assert world.read(pool, "succeeded()", "uint256") == 0
    assert world.machine.balance(world.contract) == 1
    after = Curve(pool, CurveCall.EXCHANGE, 0, 1, ETHER, token)
    both = encode(Execution(world.number, 1, 0, None, False, (swap, after)))
    assert world.send(world.contract, both, sender=OWNER).status == 1
    assert world.read(pool, "ownEtherTaken()", "bool") is False
    assert world.machine.balance(world.contract) == 2
    for caller in (pool, STRANGER, OWNER, world.manager):
        assert not world.machine.call(world.contract, b"", sender=caller, value=1).success


def test_the_manager_pays_ether_during_a_take_only() -> None:
    """Hooks have the manager pay the contract some ether of their own, after it took what the program says."""
    world = MixedWorld()
    hooks = world.deploy("Stranger")
    token = world.token()
    key = PoolKey(ZERO_ADDRESS, token, 500, 10)
    hooked = PoolKey(ZERO_ADDRESS, token, 500, 10, hooks)
    for opened in (key, hooked):
        world.open_v4(opened, False, 10_000)
    world.give(token, world.contract, 2 * ETHER)
    gift = call_data("take(address,address,uint256)", ZERO_ADDRESS, world.contract, 1)
    world.transact(hooks, "prepare(address,bytes[])", world.manager, [gift])
    world.next_block()
    swaps = (SwapV4(key, False, ETHER, Recipient.SELF), SwapV4(hooked, False, ETHER, Recipient.SELF))
    program = (UnlockV4((*swaps, PayV4(token, 2 * ETHER))), WrapEther(2 * ETHER))

    result = world.send(world.contract, encode(Execution(world.number, 1, 0, None, False, program)), sender=OWNER)

    assert result.status == 1, (result.error, result.output.hex())
    assert world.read(hooks, "tried()", "uint256") == 1
    assert world.read(hooks, "succeeded()", "uint256") == 0


def test_a_pool_that_takes_and_gives_nothing_meets_the_profit_check() -> None:
    world, token, pool = hostile_puller(ETHER, gives=0)
    before = wealth(world, token, world.weth)

    result = world.send(world.contract, through(world, pulling(pool, token, world.weth)["curve"]), sender=OWNER)

    assert result.output[:4] == selector("ProfitTooLow(uint256,uint256)")
    assert wealth(world, token, world.weth) == before


def hooked_swap(attempts_at: str, data: list[bytes]) -> tuple[MixedWorld, Address, bytes]:
    """An execution through a V4 pool whose hooks are a stranger's, who calls manager or contract in the middle."""
    world = MixedWorld()
    token = world.token()
    stranger = world.deploy("Stranger")
    currencies = sorted((world.weth, token))
    key = PoolKey(currencies[0], currencies[1], 500, 10, stranger)
    fields = (*currencies, 500, 10, stranger)
    world.transact_tuple(world.manager, f"initialize({KEY_TYPE},uint256)", [KEY_TYPE, "uint256"], fields, ETHER)
    for held in currencies:
        world.give(held, world.manager, 100 * ETHER)
        world.give(held, world.contract, 5 * ETHER)
    target = world.manager if attempts_at == "manager" else world.contract
    world.transact(stranger, "prepare(address,bytes[])", target, data or [b""])
    world.next_block()
    sells_token = token == currencies[0]
    program = (SwapV4(key, sells_token, ETHER, Recipient.SELF), PayV4(token, ETHER))
    execution = encode(Execution(world.number, ETHER, 0, None, False, (UnlockV4(program),)))
    return world, stranger, execution


def test_hooks_in_the_middle_of_a_swap_cannot_use_the_contract() -> None:
    world, _, execution = hooked_swap("contract", [])
    token_programs = [commands_of(*program) for program in thefts(world, world.weth)]
    hostile = [data for program in token_programs for data in callbacks(program, ETHER, world.contract, world.weth)]
    hostile += [execution, encode_sweep(world.weth), encode_sweep(None)]
    world, stranger, execution = hooked_swap("contract", hostile)

    result = world.send(world.contract, execution, sender=OWNER)

    assert result.status == 1, (result.error, result.output.hex())
    assert world.read(stranger, "tried()", "uint256") == len(hostile)
    assert world.read(stranger, "succeeded()", "uint256") == 0
    assert world.balance(world.weth, world.contract) == 6 * ETHER


def test_hooks_that_run_into_debt_undo_the_trade_only() -> None:
    """While the manager is unlocked anybody may take from it, into a debt of his own that nobody pays."""
    world, _, _ = hooked_swap("manager", [])
    take = call_data("take(address,address,uint256)", world.weth, STRANGER, ETHER)
    world, _, execution = hooked_swap("manager", [take])
    before = wealth(world, world.weth)

    result = world.send(world.contract, execution, sender=OWNER)

    assert result.status == 0
    assert b"CurrencyNotSettled" in result.output
    assert wealth(world, world.weth) == before
    assert world.balance(world.weth, STRANGER) == 0


def test_a_debt_that_the_program_forgets_undoes_the_trade() -> None:
    world = MixedWorld()
    world.give(world.weth, world.manager, 5 * ETHER)
    forgetful = UnlockV4((TakeV4(world.weth, ETHER),))
    data = encode(Execution(world.number, ETHER, 0, None, False, (forgetful,)))

    result = world.send(world.contract, data, sender=OWNER)

    assert result.status == 0
    assert b"CurrencyNotSettled" in result.output


def test_a_contract_without_a_manager_refuses_to_unlock() -> None:
    world = MixedWorld()
    world.use_vault(world.vault)
    data = encode(Execution(world.number, 0, 0, None, False, (UnlockV4((WrapEther(1),)),)))

    result = world.send(world.contract, data, sender=OWNER)

    assert result.output[:4] == selector("CallbackMissing()")


@pytest.mark.parametrize("op", [op for op in range(0x80) if op not in BY_OP and not op & 0x08 and op != 0x37])
def test_a_free_op_byte_is_no_command(op: int) -> None:
    world = MixedWorld()
    world.give(world.weth, world.contract, ETHER)
    data = encode(Execution(world.number, 0, 0, None, False, (Pay(None),)))[:-1]

    result = world.send(world.contract, data + bytes((op,)) + bytes(120), sender=OWNER)

    assert result.output[:4] == selector("UnknownCommand(uint256)")


@pytest.mark.parametrize("how", [5, 7, 8, 255])
def test_a_wrapper_has_no_other_functions(how: int) -> None:
    world = MixedWorld()
    token = world.token()
    world.give(token, world.contract, ETHER)
    command = Wrapper(STRANGER, WrapperCall.DEPOSIT, ETHER, token)
    data = bytearray(encode(Execution(world.number, 0, 0, None, False, (command,))) + bytes(16))
    place = data.index(STRANGER) + 20
    assert data[place] == WrapperCall.DEPOSIT
    data[place] = how

    result = world.send(world.contract, bytes(data), sender=OWNER)

    assert result.output[:4] == selector("UnknownCommand(uint256)")


def test_every_command_with_a_program_awaits_its_callback() -> None:
    """Where nobody answers, nothing happens: a pool that keeps a callback for later would hold a key."""
    world = MixedWorld()
    nobody = Address(b"\x77" * 20)
    for command in (
        FlashV2(nobody, True, 1, (Pay(None),)),
        SwapV3(nobody, True, True, 1, Recipient.SELF, (Pay(None),)),
    ):
        data = encode(Execution(world.number, 0, 0, None, False, (command,)))
        assert world.send(world.contract, data, sender=OWNER).output[:4] == selector("CallbackMissing()")
