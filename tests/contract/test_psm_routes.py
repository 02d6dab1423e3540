"""Whole routes through the real code of Maker's lite PSM: what the model says is what FlashArb is left with."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from flasharb.execution.planning import BALANCER_V2, FLASH_SWAP, UNISWAP_V4
from flasharb.execution.program import encode_call
from flasharb.pools import PoolSpec
from flasharb.pools.constant_rate.pool import ConstantRatePool
from flasharb.pools.constant_rate.storage import PsmFacts
from flasharb.strategy.trade import Hop, Trade, TradeHop
from flasharb.units import WAD, Address
from tests.support.contract_world import DEPLOYER, ETHER, OWNER
from tests.support.contract_world import Pool as WorldPool
from tests.support.mixed_routes import MixedWorld
from tests.support.psm_world import load_psm, open_psm

GEM_UNIT = 10**6
FEES = ((0, 0), (10**14, 3 * 10**14), (0, 10**15), (7 * 10**15, 1))


class Stablecoins(MixedWorld):
    """WETH, a stablecoin of 6 decimals and DAI; the coin is 4 % dearer in one pool than DAI in the other."""

    def __init__(self, fees: tuple[int, int], dear: str, dai_kind: str = "DevToken") -> None:
        super().__init__()
        self.gem, self.dai = self.token(6), self.token(18, dai_kind)
        self.dai_balances = {"DevToken": 0, "NoReturnToken": 3}[dai_kind]
        self.psm = open_psm(self, self.gem, self.dai, *fees)
        self.transact(self.gem, "mint(address,uint256)", DEPLOYER, 10**6 * GEM_UNIT)
        self.give(self.dai, self.psm, 10**6 * ETHER)
        gem_depth, dai_depth = (1000, 1040) if dear == "dai" else (1040, 1000)
        self.gem_pool = self.v3_pool({self.weth: 500 * ETHER, self.gem: gem_depth * 1000 * GEM_UNIT})
        self.dai_pool = self.v2_pool({self.weth: 500 * ETHER, self.dai: dai_depth * 1000 * ETHER})
        self.users_of_allowance.add(self.psm)
        self.give(self.weth, self.vault, 1_000 * ETHER)
        self.give(self.weth, self.manager, 1_000 * ETHER)
        self.give(self.weth, self.contract, 1)
        self.next_block()

    def model(self) -> ConstantRatePool:
        """The PSM as storage has it."""
        facts = PsmFacts(DEPLOYER, 10**12, 0, self.dai_balances)
        spec = PoolSpec(self.psm, "maker_lite_psm", (self.gem, self.dai), 0, facts=facts)
        return load_psm(spec, self.machine.storage)

    def around(self, route: Sequence[WorldPool | None], amount: int) -> Trade:
        """The trade through pools in this order, None standing for the PSM, each hop with all that came in."""
        whole = self.model()
        hops: list[TradeHop] = []
        token, start = self.weth, amount
        for pool in route:
            if pool is None:
                i = int(token == self.dai)
                out, spec = whole.amount_out(i, 1 - i, amount), whole.spec
                after: Address = self.gem if i else self.dai
            else:
                out, (part,) = self.quote(pool, token, amount), self.trade((pool,), amount, token).hops
                spec, after = part.spec, part.hop.token_out
            hops.append(TradeHop(Hop(spec.address, token, after), spec, amount, out))
            token, amount = after, out
        return Trade(1, self.weth, tuple(hops), amount - start, 0, 0, 0, self.number)


@pytest.mark.parametrize("fees", FEES)
@pytest.mark.parametrize("dear", ["dai", "gem"])
def test_a_route_through_the_psm_gains_what_the_model_says(fees: tuple[int, int], dear: str) -> None:
    """Dear DAI is bought with WETH's help by selling DAI to the module (``buyGem``), dear coins by selling those.

    What an input of DAI does not reach another unit of the coin for stays in the contract, to the unit; the module is
    left in the state that the model computes, and no allowance is left.
    """
    dice = Random(f"{fees} {dear}")
    for loan in (FLASH_SWAP, BALANCER_V2, UNISWAP_V4) * 4:
        world = Stablecoins(fees, dear, dice.choice(["DevToken", "NoReturnToken"]))
        ends = (world.dai_pool, world.gem_pool) if dear == "dai" else (world.gem_pool, world.dai_pool)
        trade = world.around((ends[0], None, ends[1]), dice.randrange(10**16, 3 * ETHER))
        middle = trade.hops[1]
        i = int(dear == "dai")
        swapped = world.model().swapped(i, 1 - i, middle.amount_in)
        rest = middle.amount_in - swapped.amount_in
        profit = trade.hops[-1].amount_out - trade.hops[0].amount_in
        assert profit > 0
        data = {
            least: encode_call(
                trade, weth=world.weth, loan=loan, min_profit=least, bid_wei=0, deadline_block=world.number
            )
            for least in (profit, profit + 1)
        }

        assert world.send(world.contract, data[profit + 1], sender=OWNER).status == 0
        result = world.send(world.contract, data[profit], sender=OWNER)

        assert result.status == 1, (result.error, result.output.hex())
        assert world.balance(world.weth, world.contract) == 1 + profit
        assert world.balance(world.dai, world.contract) == rest
        assert world.balance(world.gem, world.contract) == 0
        assert world.allowances([world.gem, world.dai, world.weth]) == 0
        assert world.model() == swapped.pool
        assert rest < 10**12 * 2 or not i


def test_a_module_whose_fee_rose_undoes_the_trade() -> None:
    """The approval is the planned input: the module cannot take more, and nothing is spent."""
    world = Stablecoins((0, 0), "dai")
    trade = world.around((world.dai_pool, None, world.gem_pool), ETHER)
    world.transact(world.psm, "file(bytes32,uint256)", b"tout".ljust(32, b"\0"), WAD // 100)
    world.next_block()
    data = encode_call(trade, weth=world.weth, loan=FLASH_SWAP, min_profit=1, bid_wei=0, deadline_block=world.number)

    assert world.send(world.contract, data, sender=OWNER).status == 0
    assert world.balance(world.weth, world.contract) == 1
    assert world.allowances([world.dai]) == 0
