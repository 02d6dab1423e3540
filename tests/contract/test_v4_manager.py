"""FlashArb in the real PoolManager: the same routes as with the stand-in, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from flasharb.execution.commands import PayV4, SwapV4, TakeV4, UnlockV4
from flasharb.execution.commands.wire import Recipient
from flasharb.execution.planning import FLASH_SWAP, UNISWAP_V4
from flasharb.execution.program import Execution, encode
from flasharb.pools.managed.key import PoolKey
from tests.contract.test_mixed_routes import run
from tests.support.contract_world import ETHER, OWNER, selector
from tests.support.v4_manager import ARTIFACT, ManagedWorld, recorded_code

ROUTES = [
    ("v4", "v4"),
    ("v4 ether", "v4"),
    ("v2", "v4"),
    ("v4 ether", "v2"),
    ("v3", "v4 ether"),
    ("v4", "v3"),
    ("v3", "v4", "v2"),
    ("v2", "v4", "v3", "v4 ether"),
    ("v4", "curve", "v4 ether"),
    ("v4 ether", "curve ether", "v3"),
    ("balancer", "v4"),
    ("v4", "deposit", "v4"),
]


@pytest.fixture(params=["npm", "mainnet"])
def world(request: pytest.FixtureRequest) -> ManagedWorld:
    """A world with the manager of either origin, skipped with the reason where that is not at hand."""
    if request.param == "npm":
        if not ARTIFACT.is_file():
            pytest.skip("@uniswap/v4-core is not installed (./just node-tools)")
        return ManagedWorld()
    folder: Path = request.getfixturevalue("mainnet_blocks")
    return ManagedWorld(recorded_code(folder))


@pytest.mark.parametrize("loan", [FLASH_SWAP, UNISWAP_V4])
@pytest.mark.parametrize("kinds", ROUTES, ids=">".join)
def test_routes_through_the_real_manager(world: ManagedWorld, kinds: tuple[str, ...], loan: str) -> None:
    run(kinds, loan, world=world)


def test_a_debt_or_a_credit_that_is_left_undoes_the_trade(world: ManagedWorld) -> None:
    world.give(world.weth, world.manager, 10 * ETHER)
    world.give(world.weth, world.contract, 10 * ETHER)
    before = world.balance(world.weth, world.contract)
    for program in [
        (TakeV4(world.weth, ETHER),),
        (TakeV4(world.weth, ETHER), PayV4(world.weth, ETHER - 1)),
        (PayV4(world.weth, 1),),
    ]:
        data = encode(Execution(world.number, 0, 0, None, False, (UnlockV4(program),)))
        result = world.send(world.contract, data, sender=OWNER)
        assert result.output[:4] == selector("CurrencyNotSettled()")
    assert world.balance(world.weth, world.contract) == before


def test_the_manager_gives_nothing_while_it_is_locked(world: ManagedWorld) -> None:
    token = world.token()
    currencies = sorted((world.weth, token))
    key = PoolKey(currencies[0], currencies[1], 500, 10)
    world.open_v4(key, True, 10_000)
    data = encode(Execution(world.number, 0, 0, None, False, (SwapV4(key, True, ETHER, Recipient.SELF),)))

    result = world.send(world.contract, data, sender=OWNER)

    assert result.output[:4] == selector("ManagerLocked()")
