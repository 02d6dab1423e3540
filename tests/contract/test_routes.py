"""FlashArb on the real pool bytecode: every shape of route, both loan sources, exact profit."""

from __future__ import annotations

from itertools import product

import pytest

from flasharb.execution.program import decode, encode, encode_call, encode_sweep
from flasharb.strategy.trade import Trade
from flasharb.units import Address
from tests.support.contract_world import COINBASE, DEPLOYER, ETHER, OWNER, STRANGER, Pool, World, selector

KINDS = ("v2", "v3")
SHAPES = [shape for hops in (2, 3) for shape in product(KINDS, repeat=hops)]


def route(world: World, shape: tuple[str, ...], base: Address | None = None) -> list[Pool]:
    """Pools through which the base token's round gains about 10 %."""
    base = base or world.weth
    tokens = [base, *(world.token() for _ in shape[1:]), base]
    pools = []
    for position, kind in enumerate(shape):
        before, after = tokens[position], tokens[position + 1]
        # One unit in gives 1.05 out (the last pool: 1.1), all of the same depth.
        out = 2_200 if position == len(shape) - 1 else 2_100
        reserves = {before: 2_000 * ETHER + 1_234_567 * position, after: out * ETHER + 89}
        fee = (3000, 500, 10000)[position]
        pools.append(world.v2_pool(reserves) if kind == "v2" else world.v3_pool(reserves, fee))
    world.next_block()
    return pools


def call(world: World, trade: Trade, **terms: object) -> bytes:
    """Call data with terms that a test does not name."""
    fields: dict[str, object] = {"loan": "flash_swap", "min_profit": 0, "bid_wei": 0, "deadline_block": world.number}
    data = encode_call(trade, weth=world.weth, **(fields | terms))  # type: ignore[arg-type]  # terms of the test
    assert encode(decode(data)) == data
    return data


def error_of(output: bytes, signature: str) -> bool:
    """Whether revert data is this custom error."""
    return output[:4] == selector(signature)


@pytest.mark.parametrize("loan", ["flash_swap", "balancer_v2"])
@pytest.mark.parametrize("shape", SHAPES, ids=">".join)
def test_profit_is_exact_and_nothing_else_stays(shape: tuple[str, ...], loan: str) -> None:
    world = World()
    pools = route(world, shape)
    world.wrap(world.vault, 10_000 * ETHER)
    world.wrap(world.contract, 1)
    trade = world.trade(pools, 20 * ETHER + 987_654_321)
    assert trade.gross_profit > ETHER

    result = world.send(world.contract, call(world, trade, loan=loan, min_profit=trade.gross_profit), sender=OWNER)

    assert result.status == 1, (result.error, result.output.hex())
    assert world.balance(world.weth, world.contract) == 1 + trade.gross_profit
    assert world.balance(world.weth, world.vault) == 10_000 * ETHER
    for token in {hop.hop.token_out for hop in trade.hops[:-1]}:
        assert world.balance(token, world.contract) == 0
    assert world.machine.storage(world.contract, 0) == 0
    assert world.machine.balance(world.contract) == 0


@pytest.mark.parametrize("shape", [("v2", "v2"), ("v3", "v2"), ("v2", "v3"), ("v3", "v3")], ids=">".join)
def test_one_unit_more_than_the_profit_reverts(shape: tuple[str, ...]) -> None:
    world = World()
    trade = world.trade(route(world, shape), 20 * ETHER)

    result = world.send(world.contract, call(world, trade, min_profit=trade.gross_profit + 1), sender=OWNER)

    assert result.status == 0
    assert error_of(result.output, "ProfitTooLow(uint256,uint256)")
    assert world.balance(world.weth, world.contract) == 0


def test_older_money_does_not_count_as_profit() -> None:
    world = World()
    pools = route(world, ("v2", "v3"))
    world.wrap(world.contract, 50 * ETHER)
    trade = world.trade(list(reversed(pools)), 20 * ETHER)
    assert trade.gross_profit < 0

    result = world.send(world.contract, call(world, trade), sender=OWNER)

    assert error_of(result.output, "ProfitTooLow(uint256,uint256)")
    assert world.balance(world.weth, world.contract) == 50 * ETHER


def test_a_floor_asks_for_the_balance_itself() -> None:
    world = World()
    pools = route(world, ("v3", "v2"))
    world.wrap(world.contract, 7)
    trade = world.trade(pools, 20 * ETHER)
    too_high = call(world, trade, min_profit=trade.gross_profit, balance_before=8)
    exact = call(world, trade, min_profit=trade.gross_profit, balance_before=7)

    assert world.send(world.contract, too_high, sender=OWNER).status == 0
    assert world.send(world.contract, exact, sender=OWNER).status == 1
    assert world.balance(world.weth, world.contract) == 7 + trade.gross_profit


def test_the_deadline_block_is_the_last_one() -> None:
    world = World()
    trade = world.trade(route(world, ("v2", "v2")), 20 * ETHER)
    late = world.send(world.contract, call(world, trade, deadline_block=world.number - 1), sender=OWNER)
    in_time = world.send(world.contract, call(world, trade, deadline_block=world.number), sender=OWNER)

    assert error_of(late.output, "DeadlinePassed(uint256)")
    assert in_time.status == 1


@pytest.mark.parametrize("loan", ["flash_swap", "balancer_v2"])
def test_the_bid_is_unwrapped_out_of_the_profit(loan: str) -> None:
    world = World()
    pools = route(world, ("v2", "v3"))
    world.wrap(world.vault, 10_000 * ETHER)
    world.wrap(world.contract, 1)
    trade = world.trade(pools, 20 * ETHER)
    bid = trade.gross_profit * 9 // 10
    before = world.machine.balance(COINBASE)
    data = call(world, trade, loan=loan, min_profit=trade.gross_profit, bid_wei=bid)

    result = world.send(world.contract, data, sender=OWNER)

    assert result.status == 1, result.error
    assert world.machine.balance(COINBASE) - before == bid == result.coinbase_payment
    assert world.balance(world.weth, world.contract) == 1 + trade.gross_profit - bid
    assert world.machine.balance(world.contract) == 0


def test_a_bid_is_never_paid_out_of_older_money() -> None:
    world = World()
    pools = route(world, ("v2", "v3"))
    world.wrap(world.contract, 50 * ETHER)
    trade = world.trade(pools, 20 * ETHER)
    with pytest.raises(ValueError, match="bid"):
        call(world, trade, min_profit=trade.gross_profit, bid_wei=trade.gross_profit + 1)
    data = call(world, trade, min_profit=trade.gross_profit + 1, bid_wei=trade.gross_profit + 1)

    result = world.send(world.contract, data, sender=OWNER)

    assert error_of(result.output, "ProfitTooLow(uint256,uint256)")


def test_a_refused_bid_undoes_the_trade() -> None:
    world = World()
    pools = route(world, ("v2", "v2"))
    world.coinbase = world.deploy("RefusingCoinbase")
    world.next_block()
    trade = world.trade(pools, 20 * ETHER)
    data = call(world, trade, min_profit=trade.gross_profit, bid_wei=trade.gross_profit)

    result = world.send(world.contract, data, sender=OWNER)

    assert error_of(result.output, "BidRefused(address)")
    assert world.balance(world.weth, world.contract) == 0


@pytest.mark.parametrize("kind", ["DevToken", "NoReturnToken"])
@pytest.mark.parametrize("loan", ["flash_swap", "balancer_v2"])
@pytest.mark.parametrize("shape", [("v2", "v2"), ("v3", "v2"), ("v2", "v3"), ("v3", "v3", "v2")], ids=">".join)
def test_another_base_token(shape: tuple[str, ...], loan: str, kind: str) -> None:
    world = World()
    base = world.token(decimals=18, kind=kind, symbol="USDT")
    pools = route(world, shape, base)
    world.transact(world.user, "send(address,address,uint256)", base, world.vault, 10_000 * ETHER)
    trade = world.trade(pools, 20 * ETHER, base)

    result = world.send(world.contract, call(world, trade, loan=loan, min_profit=trade.gross_profit), sender=OWNER)

    assert result.status == 1, (result.error, result.output.hex())
    assert world.balance(base, world.contract) == trade.gross_profit
    with pytest.raises(ValueError, match="WETH"):
        call(world, trade, min_profit=2, bid_wei=1)


@pytest.mark.parametrize("shape", [("v2", "v2"), ("v3", "v2"), ("v2", "v3"), ("v3", "v3")], ids=">".join)
def test_a_usdt_like_token_in_the_middle(shape: tuple[str, ...]) -> None:
    world = World()
    usdt = world.token(decimals=6, kind="NoReturnToken")
    pools = []
    for kind, dollars in zip(shape, (4_000_000, 3_600_000), strict=True):
        reserves = {world.weth: 2_000 * ETHER, usdt: dollars * 10**6}
        fee = 500 if pools else 3000
        pools.append(world.v2_pool(reserves) if kind == "v2" else world.v3_pool(reserves, fee))
    trade = world.trade(pools, 20 * ETHER)

    result = world.send(world.contract, call(world, trade, min_profit=trade.gross_profit), sender=OWNER)

    assert result.status == 1, (result.error, result.output.hex())
    assert world.balance(world.weth, world.contract) == trade.gross_profit > 0


@pytest.mark.parametrize("first", ["sushiswap_v2", "pancakeswap_v2", "pancakeswap_v3"])
@pytest.mark.parametrize("last", ["uniswap_v2", "uniswap_v3", "pancakeswap_v2", "pancakeswap_v3"])
def test_forks_with_other_callbacks_need_nothing_new(first: str, last: str) -> None:
    world = World()
    token = world.token()
    factories = {"sushiswap_v2": "SushiV2Factory", "pancakeswap_v2": "PancakeV2Factory"}
    pools = []
    for protocol, tokens in ((first, 2_400), (last, 2_000)):
        reserves = {world.weth: 2_000 * ETHER, token: tokens * ETHER}
        if protocol.endswith("v2"):
            pools.append(world.v2_pool(reserves, factories.get(protocol, "UniswapV2Factory"), protocol))
        else:
            fees = (2500, 500) if protocol == "pancakeswap_v3" else (3000, 500)
            pools.append(world.v3_pool(reserves, fees[len(pools)], protocol))
    trade = world.trade(pools, 20 * ETHER)

    result = world.send(world.contract, call(world, trade, min_profit=trade.gross_profit), sender=OWNER)

    assert result.status == 1, (result.error, result.output.hex())
    assert world.balance(world.weth, world.contract) == trade.gross_profit > 0


def test_a_lender_fee_is_paid_and_lowers_the_profit() -> None:
    """The vault's collector may set a flash-loan fee at any time; the contract pays what the callback says."""
    world = World()
    pools = route(world, ("v2", "v3"))
    vault = world.deploy("FeeVault")
    world.wrap(vault, 10_000 * ETHER)
    world.use_vault(vault)
    trade = world.trade(pools, 20 * ETHER)
    fee = trade.amount_in // 1_000

    data = call(world, trade, loan="balancer_v2", min_profit=trade.gross_profit - fee)
    result = world.send(world.contract, data, sender=OWNER)

    assert result.status == 1, (result.error, result.output.hex())
    assert world.balance(world.weth, world.contract) == trade.gross_profit - fee
    assert world.balance(world.weth, vault) == 10_000 * ETHER + fee


def test_a_lender_without_the_money_reverts() -> None:
    world = World()
    trade = world.trade(route(world, ("v2", "v3")), 20 * ETHER)

    result = world.send(world.contract, call(world, trade, loan="balancer_v2"), sender=OWNER)

    assert result.status == 0
    assert b"BAL#528" in result.output


def test_a_fee_on_transfer_token_changes_nothing() -> None:
    """The second pair receives less than it was promised, whatever events and return values say."""
    world = World()
    token = world.token(kind="FeeOnTransferToken")
    pools = [world.v2_pool({world.weth: 2_000 * ETHER, token: tokens * ETHER}) for tokens in (2_400, 2_000)]
    trade = world.trade(pools, 20 * ETHER)

    result = world.send(world.contract, call(world, trade), sender=OWNER)

    assert result.status == 0
    assert b"UniswapV2: K" in result.output
    assert world.balance(world.weth, world.contract) == world.balance(token, world.contract) == 0


@pytest.mark.parametrize("shape", [("v2", "v2"), ("v2", "v3"), ("v3", "v2"), ("v3", "v3")], ids=">".join)
def test_a_base_token_that_says_no_reverts(shape: tuple[str, ...]) -> None:
    world = World()
    base = world.token(kind="ReturnsFalseToken")
    trade = world.trade(route(world, shape, base), 20 * ETHER, base)
    data = call(world, trade)
    assert world.machine.call(world.contract, data, sender=OWNER).success
    world.transact(base, "refuse(address)", world.contract)

    result = world.send(world.contract, data, sender=OWNER)

    assert error_of(result.output, "TransferFailed(address)")


@pytest.mark.parametrize("shape", [("v2", "v2"), ("v2", "v3"), ("v3", "v2"), ("v3", "v3")], ids=">".join)
def test_a_token_that_blocks_the_contract_passes_its_reason_on(shape: tuple[str, ...]) -> None:
    world = World()
    base = world.token(kind="RevertingToken")
    trade = world.trade(route(world, shape, base), 20 * ETHER, base)
    data = call(world, trade)
    assert world.machine.call(world.contract, data, sender=OWNER).success
    world.transact(base, "blockAccount(address)", world.contract)

    result = world.send(world.contract, data, sender=OWNER)

    assert error_of(result.output, "Blocked(address)")


# --- sweeping


def test_a_sweep_leaves_one_unit_and_pays_only_the_owner() -> None:
    world = World()
    world.wrap(world.contract, 5 * ETHER)

    assert world.send(world.contract, encode_sweep(world.weth), sender=OWNER).status == 1
    assert world.balance(world.weth, world.contract) == 1
    assert world.balance(world.weth, OWNER) == 5 * ETHER - 1

    assert world.send(world.contract, encode_sweep(world.weth, 1), sender=OWNER).status == 1
    assert world.balance(world.weth, world.contract) == 0
    assert world.send(world.contract, encode_sweep(world.weth), sender=OWNER).status == 1
    assert world.send(world.contract, encode_sweep(world.weth, 1), sender=OWNER).status == 0


def test_a_sweep_of_a_token_that_says_no_or_is_none_reverts() -> None:
    world = World()
    token = world.token(kind="ReturnsFalseToken")
    world.transact(token, "mint(address,uint256)", world.contract, 100)
    world.transact(token, "refuse(address)", world.contract)

    refused = world.send(world.contract, encode_sweep(token, 50), sender=OWNER)
    nothing = world.send(world.contract, encode_sweep(STRANGER, 50), sender=OWNER)
    unknown = world.send(world.contract, encode_sweep(STRANGER), sender=OWNER)

    assert error_of(refused.output, "TransferFailed(address)")
    assert error_of(nothing.output, "TransferFailed(address)")
    assert error_of(unknown.output, "NoBalance(address)")


def test_a_sweep_of_a_token_without_return_values() -> None:
    world = World()
    token = world.token(decimals=6, kind="NoReturnToken")
    world.transact(token, "mint(address,uint256)", world.contract, 100)

    assert world.send(world.contract, encode_sweep(token), sender=OWNER).status == 1
    assert world.balance(token, OWNER) == 99


def test_ether_forced_upon_the_contract_can_be_swept() -> None:
    world = World()
    forced = 3 * ETHER
    world.force_ether(world.contract, forced)
    before = world.machine.balance(OWNER)

    part = world.send(world.contract, encode_sweep(None, ETHER), sender=OWNER)
    rest = world.send(world.contract, encode_sweep(None), sender=OWNER)

    assert part.status == rest.status == 1
    fees = (part.gas_used + rest.gas_used) * world.base_fee
    assert world.machine.balance(OWNER) == before + forced - fees
    assert world.machine.balance(world.contract) == 0


# --- the owner's mistakes


@pytest.mark.parametrize("sender", [OWNER, DEPLOYER, STRANGER])
def test_plain_ether_is_refused(sender: Address) -> None:
    world = World()

    assert world.send(world.contract, b"", sender=sender, value=1).status == 0
    assert world.send(world.contract, b"\x00", sender=sender, value=1).status == 0


def test_ether_with_a_program_is_refused() -> None:
    world = World()
    trade = world.trade(route(world, ("v2", "v2")), 20 * ETHER)

    result = world.send(world.contract, call(world, trade), sender=OWNER, value=1)

    assert error_of(result.output, "DeadlinePassed(uint256)")


@pytest.mark.parametrize(
    "data", [b"", b"\x06", b"\x40", b"\x80", b"\xff", b"\x48", b"\x00\xff\xff\xff\xff" + bytes(16)]
)
def test_an_unknown_program_of_the_owner_reverts(data: bytes) -> None:
    world = World()
    world.wrap(world.contract, 5)

    assert world.send(world.contract, data, sender=OWNER).status == 0
    assert world.balance(world.weth, world.contract) == 5


def test_a_pool_without_code_is_no_pool() -> None:
    world = World()
    trade = world.trade(route(world, ("v3", "v3")), 20 * ETHER)
    data = call(world, trade).replace(trade.hops[-1].hop.pool, bytes(19) + b"\xee")

    result = world.send(world.contract, data, sender=OWNER)

    assert error_of(result.output, "CallbackMissing()")
