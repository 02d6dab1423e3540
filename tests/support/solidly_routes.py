"""Whole routes through a Solidly pair, executed by FlashArb on the pair's own code: V2 or V3, the pair, and back.

The pair's hop is quoted by our mathematics from its storage, the others by their own code; the contract then has to end
with exactly the planned profit, and the pair with the reserves that we compute.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from flasharb.execution.planning import BALANCER_V2, FLASH_SWAP, UNISWAP_V4
from flasharb.execution.program import encode_call
from flasharb.pools import PoolSpec
from flasharb.pools.loading import Elsewhere, Needs, load_pool
from flasharb.pools.solidly.facts import SolidlyFacts, SolidlyKind
from flasharb.pools.solidly.pool import SolidlyPool
from flasharb.strategy.trade import Hop, Trade, TradeHop
from flasharb.units import Address
from tests.support.contract_world import ETHER, OWNER, Pool, World
from tests.support.mixed_routes import MixedWorld

MakeFactory = Callable[[World], Address]
LOANS: Final = (FLASH_SWAP, BALANCER_V2, UNISWAP_V4)
DEPTH: Final = 1_000_000
"""Whole tokens on each side of the pair."""


class SolidlyRoutes(MixedWorld):
    """WETH and two dollars, of which the pair between them makes one the better way to the other."""

    def __init__(self, make_factory: MakeFactory, kind: SolidlyKind, stable: bool, dice: Random) -> None:
        super().__init__()
        self.kind, self.stable = kind, stable
        self.decimals = {self.token(digits): digits for digits in dice.choice([(6, 18), (18, 18), (18, 6), (6, 6)])}
        self.dollars = list(self.decimals)
        self.factory = make_factory(self)
        first, second = sorted(self.dollars)
        self.transact(self.factory, "createPair(address,address,bool)", first, second, stable)
        found = self.read(self.factory, "getPair(address,address,bool)", "address", first, second, stable)
        self.pair = Address(bytes.fromhex(found[2:]))
        for token in self.dollars:
            # Not even in balance: the curve is to be curved.
            self._send(token, self.pair, DEPTH * dice.randrange(60, 141) // 100)
        self.transact(self.pair, "mint(address)", self.user)
        self.next_block()
        self.ends = self._open_ends(dice)
        self.give(self.weth, self.vault, 10_000 * ETHER)
        self.give(self.weth, self.manager, 10_000 * ETHER)
        self.give(self.weth, self.contract, 1)
        self.next_block()

    def _open_ends(self, dice: Random) -> list[Pool]:
        """A pool of each dollar with WETH; the second dollar buys a tenth more WETH than the first one is worth."""
        before, after = self.dollars
        pool = self.model()
        i = pool.spec.tokens.index(before)
        rate = pool.marginal_rate(i, 1 - i) * 10 ** (self.decimals[before] - self.decimals[after])
        prices = {before: 15_000_000.0, after: 15_000_000 * rate / 1.1}
        makers = [dice.choice([self.v2_pool, self.v3_pool]) for _ in prices]
        return [
            make({self.weth: 5_000 * ETHER, token: int(whole) * 10 ** self.decimals[token]})
            for make, (token, whole) in zip(makers, prices.items(), strict=True)
        ]

    def _send(self, token: Address, to: Address, whole: int) -> None:
        self.transact(self.user, "send(address,address,uint256)", token, to, whole * 10 ** self.decimals[token])

    def model(self) -> SolidlyPool:
        """The pair as storage has it, by the loader's own rounds."""
        tokens = tuple(sorted(self.dollars))
        units = (10 ** self.decimals[tokens[0]], 10 ** self.decimals[tokens[1]])
        facts = SolidlyFacts(self.kind, self.stable, units, self.factory)
        spec = PoolSpec(self.pair, self.kind, tokens, 0, facts=facts)
        slots: dict[int, int] = {}
        elsewhere: dict[tuple[Address, int], int] = {}
        while isinstance(answer := load_pool(spec, slots, None, Elsewhere(elsewhere)), Needs):
            slots |= {slot: self.machine.storage(self.pair, slot) for slot in answer.slots}
            elsewhere |= {key: self.machine.storage(*key) for key in answer.elsewhere}
        assert isinstance(answer, SolidlyPool), answer
        return answer

    def around(self, amount: int) -> Trade:
        """WETH to the first dollar, through the pair to the second, and back."""
        pool = self.model()
        before, after = self.dollars
        i = pool.spec.tokens.index(before)
        (first,) = self.trade((self.ends[0],), amount, self.weth).hops
        paid = pool.amount_out(i, 1 - i, first.amount_out)
        middle = TradeHop(Hop(self.pair, before, after), pool.spec, first.amount_out, paid)
        (last,) = self.trade((self.ends[1],), paid, after).hops
        return Trade(1, self.weth, (first, middle, last), last.amount_out - amount, 0, 0, 0, self.number)


def run_route(make_factory: MakeFactory, kind: SolidlyKind, number: int) -> str | None:
    """Route ``number``, two of three through a stable pair: None, or what differs from the plan."""
    dice = Random(f"{kind} route {number}")
    world = SolidlyRoutes(make_factory, kind, bool(dice.randrange(3)), dice)
    trade = world.around(int(10 ** dice.uniform(15, 18.5)))
    loan, profit, middle = dice.choice(LOANS), trade.gross_profit, trade.hops[1]
    assert profit > 0
    i, j = middle.ends
    expected = world.model().swapped(i, j, middle.amount_in).pool

    def call(least: int) -> bytes:
        return encode_call(trade, weth=world.weth, loan=loan, min_profit=least, bid_wei=0, deadline_block=world.number)

    if world.send(world.contract, call(profit + 1), sender=OWNER).status:
        return "one unit more than the profit was paid"
    result = world.send(world.contract, call(profit), sender=OWNER)
    if result.status != 1:
        return f"reverted: {result.error} {result.output.hex()}"
    gained = world.balance(world.weth, world.contract) - 1
    if gained != profit:
        return f"gained {gained}, planned {profit}"
    if any(world.balance(token, world.contract) for token in world.dollars):
        return "a dollar stays in the contract"
    after = world.model()
    return None if after == expected else f"the pair is {after.reserves}, computed {expected.reserves}"
