"""Cycles through pools of every kind: real bytecode where it may be committed, faithful stand-ins elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from eth_abi.abi import encode as abi_encode
from eth_hash.auto import keccak

from flasharb.execution import artifact
from flasharb.execution.commands.leg import Leg
from flasharb.execution.planning import plan_legs
from flasharb.execution.program import Execution, decode, encode
from flasharb.pools import PoolSpec
from flasharb.pools.curve import CurveFacts
from flasharb.pools.managed.key import PoolKey
from flasharb.units import ZERO_ADDRESS, Address
from tests.support.contract_world import DEPLOYER, ETHER, OWNER, World
from tests.support.psm_world import open_psm

ETHER_COIN: Final = Address(b"\xee" * 20)
KEY_TYPE: Final = "(address,address,uint24,int24,address)"
DEPTH: Final = 5_000
"""Whole tokens in each pool; trades put in a few."""


def fields_of(key: PoolKey) -> tuple[object, ...]:
    """The key as the ABI has it."""
    return key.currency0, key.currency1, key.fee, key.tick_spacing, key.hooks


class MixedWorld(World):
    """A world with a V4 manager, in which FlashArb knows it."""

    def __init__(self, engine: str = "py-evm") -> None:
        super().__init__(engine)
        self.manager = self.make_manager()
        self.contract = self._create(artifact.creation_code(OWNER, self.weth, self.vault, self.manager))
        self.keys = 0
        self.users_of_allowance: set[Address] = {self.vault, self.manager}
        self.next_block()

    def make_manager(self) -> Address:
        """The V4 manager: a stand-in."""
        return self.deploy("ManagerLike")

    def open_v4(self, key: PoolKey, zero_for_one: bool, gain: int) -> Callable[[int], int]:
        """Open a pool that gives ``gain`` / 10,000 of what it takes in this direction; what it gives for an input."""
        rate = gain * 10**14 if zero_for_one else 10**22 // gain
        types = [KEY_TYPE, "uint256"]
        self.transact_tuple(self.manager, f"initialize({KEY_TYPE},uint256)", types, fields_of(key), rate)
        self.give(key.currency1 if zero_for_one else key.currency0, self.manager, DEPTH * ETHER)
        return lambda amount: amount * rate // ETHER if zero_for_one else amount * ETHER // rate

    def give(self, token: Address, to: Address, amount: int) -> None:
        """Tokens or ether out of nowhere."""
        if token == ZERO_ADDRESS:
            self.force_ether(to, amount)
        elif token == self.weth:
            self.wrap(to, amount)
        else:
            self.transact(token, "mint(address,uint256)", to, amount)

    def stock(self, tokens: Sequence[Address]) -> None:
        """Gives the pool user what it puts into pools."""
        for token in tokens:
            self.give(token, self.user, 10 * DEPTH * ETHER)

    def allowances(self, tokens: Sequence[Address]) -> int:
        """What anybody may still move of the contract's ``tokens``: the sum over all pools."""
        return sum(
            int(self.read(token, "allowance(address,address)", "uint256", self.contract, spender))
            for token in tokens
            for spender in self.users_of_allowance
        )


@dataclass(frozen=True)
class Step:
    """A leg without amounts yet, and what its pool gives for an input."""

    kind: str
    pool: Address
    tokens: tuple[Address, Address]
    i: int
    j: int
    quote: Callable[[int], int]
    facts: object = None

    def leg(self, amount: int) -> Leg:
        """The leg for an input of ``amount``."""
        return Leg(self.kind, self.pool, *self.tokens, self.i, self.j, amount, self.quote(amount), self.facts)


def quoted_spec(world: MixedWorld, step: Step) -> PoolSpec:
    """The step's pool as one that nobody has modelled."""
    tokens = list(step.tokens if step.i < step.j else step.tokens[::-1])
    if isinstance(step.facts, CurveFacts):
        asked = [("coins(uint256)", (n,)) for n in range(step.facts.coins)] + [("lp()", ())]
        tokens = [Address(bytes.fromhex(world.read(step.pool, name, "address", *at)[2:])) for name, at in asked]
        tokens[step.i], tokens[step.j] = step.tokens
    return PoolSpec(step.pool, f"quoted_{step.kind}", tuple(tokens), 0, facts=step.facts)


Maker = Callable[[MixedWorld, Address, Address, int], Step]


def _v2(world: MixedWorld, before: Address, after: Address, gain: int) -> Step:
    world.stock((before, after))
    pool = world.v2_pool({before: DEPTH * ETHER, after: DEPTH * ETHER * gain // 10_000})
    i = 0 if before == pool.token0 else 1
    return Step("v2", pool.address, (before, after), i, 1 - i, lambda amount: world.quote(pool, before, amount))


def _v3(world: MixedWorld, before: Address, after: Address, gain: int) -> Step:
    world.stock((before, after))
    fee = (500, 3000, 10000)[len(world.pools) % 3]
    pool = world.v3_pool({before: DEPTH * ETHER, after: DEPTH * ETHER * gain // 10_000}, fee)
    i = 0 if before == pool.token0 else 1
    return Step("v3", pool.address, (before, after), i, 1 - i, lambda amount: world.quote(pool, before, amount))


def _solidly(world: MixedWorld, before: Address, after: Address, gain: int) -> Step:
    tokens = sorted((before, after))
    pool = world.deploy("SolidlyLike", ["address", "address"], tokens)
    world.give(before, pool, DEPTH * ETHER)
    world.give(after, pool, DEPTH * ETHER * gain // 10_000)
    world.transact(pool, "sync()")
    i = tokens.index(before)

    def quote(amount: int) -> int:
        return int(world.read(pool, "getAmountOut(uint256,address)", "uint256", amount, before))

    return Step("solidly", pool, (before, after), i, 1 - i, quote)


def _v4(world: MixedWorld, before: Address, after: Address, gain: int, *, ether: bool = False) -> Step:
    """With ``ether`` the pool holds ether where the route says WETH."""
    real = [ZERO_ADDRESS if ether and token == world.weth else token for token in (before, after)]
    currencies = sorted(real)
    world.keys += 1
    key = PoolKey(currencies[0], currencies[1], 500 + world.keys, 10)
    i = currencies.index(real[0])
    quote = world.open_v4(key, i == 0, gain)
    pool = Address(keccak(abi_encode([KEY_TYPE], [fields_of(key)]))[:20])
    return Step("v4", pool, (before, after), i, 1 - i, quote, key)


def _v4_ether(world: MixedWorld, before: Address, after: Address, gain: int) -> Step:
    return _v4(world, before, after, gain, ether=True)


@dataclass(frozen=True)
class CurvePlan:
    """A Curve-like pool to be: how it is called, and the coins besides the two that are traded."""

    coins: int = 2
    uint_indices: bool = False
    silent: bool = False
    dynamic: bool = False
    ether: bool = False


def _curve_pool(
    world: MixedWorld, plan: CurvePlan, coins: Sequence[Address], rates: Sequence[int]
) -> tuple[Address, Address, CurveFacts]:
    """Pool, LP token and facts; every coin is there in plenty."""
    ether = next((n for n, coin in enumerate(coins) if plan.ether and coin == world.weth), None)
    real = [ETHER_COIN if n == ether else coin for n, coin in enumerate(coins)]
    types = ["address[]", "uint256[]", "bool", "bool", "bool"]
    pool = world.deploy("CurveLike", types, [real, rates, plan.uint_indices, plan.silent, plan.dynamic])
    for coin in real:
        world.give(ZERO_ADDRESS if coin == ETHER_COIN else coin, pool, DEPTH * ETHER)
    world.users_of_allowance.add(pool)
    lp = Address(bytes.fromhex(world.read(pool, "lp()", "address")[2:]))
    return pool, lp, CurveFacts(plan.coins, plan.uint_indices, plan.dynamic, ether)


def _curve(plan: CurvePlan) -> Maker:
    def make(world: MixedWorld, before: Address, after: Address, gain: int) -> Step:
        others = [world.token() for _ in range(plan.coins - 2)]
        coins = [after, *others, before]
        rates = [10**18, *(10**18 for _ in others), gain * 10**14]
        pool, _, facts = _curve_pool(world, plan, coins, rates)
        i, j = plan.coins - 1, 0
        return Step("curve", pool, (before, after), i, j, lambda amount: amount * rates[i] // rates[j], facts)

    return make


def _curve_add(plan: CurvePlan) -> Maker:
    """Into the LP token, which is what comes out whatever ``after`` is."""

    def make(world: MixedWorld, before: Address, after: Address, gain: int) -> Step:
        coins = [*(world.token() for _ in range(plan.coins - 1)), before]
        rates = [10**18] * (plan.coins - 1) + [gain * 10**14]
        pool, lp, facts = _curve_pool(world, plan, coins, rates)
        i = plan.coins - 1
        return Step("curve", pool, (before, lp), i, plan.coins, lambda amount: amount * rates[i] // 10**18, facts)

    return make


def _curve_remove(plan: CurvePlan) -> Maker:
    """Out of the LP token, which is what goes in whatever ``before`` is."""

    def make(world: MixedWorld, before: Address, after: Address, gain: int) -> Step:
        coins = [after, *(world.token() for _ in range(plan.coins - 1))]
        rates = [10**22 // gain] + [10**18] * (plan.coins - 1)
        pool, lp, facts = _curve_pool(world, plan, coins, rates)
        return Step("curve", pool, (lp, after), plan.coins, 0, lambda amount: amount * 10**18 // rates[0], facts)

    return make


def _balancer(world: MixedWorld, before: Address, after: Address, gain: int) -> Step:
    """The real vault; its pool is ours, and only says the price."""
    tokens = sorted((before, after))
    rates = {before: gain * 10**14, after: 10**18}
    pool = world.deploy(
        "VaultPool", ["address", "address[]", "uint256[]"], [world.vault, tokens, [rates[token] for token in tokens]]
    )
    for token in tokens:
        world.give(token, pool, DEPTH * ETHER)
    world.transact(pool, "join(address[])", tokens)
    pool_id = world.read(pool, "poolId()", "bytes32")
    i = tokens.index(before)
    return Step(
        "balancer_v2", pool, (before, after), i, 1 - i, lambda amount: amount * rates[before] // 10**18, pool_id
    )


def _deposit(world: MixedWorld, before: Address, after: Address, gain: int) -> Step:
    vault = world.deploy("Erc4626Like", ["address", "uint256"], [before, gain * 10**14])
    world.users_of_allowance.add(vault)
    return Step("erc4626", vault, (before, vault), 0, 1, lambda amount: amount * gain // 10_000)


def _redeem(world: MixedWorld, before: Address, after: Address, gain: int) -> Step:
    rate = 10**22 // gain
    vault = world.deploy("Erc4626Like", ["address", "uint256"], [after, rate])
    world.give(after, vault, DEPTH * ETHER)
    return Step("erc4626", vault, (vault, after), 1, 0, lambda amount: amount * 10**18 // rate)


def _wrap_steth(world: MixedWorld, before: Address, after: Address, gain: int) -> Step:
    wrapper = world.deploy("WstEthLike", ["address", "uint256"], [before, gain * 10**14])
    world.users_of_allowance.add(wrapper)
    return Step("wsteth", wrapper, (before, wrapper), 0, 1, lambda amount: amount * gain // 10_000)


def _unwrap_wsteth(world: MixedWorld, before: Address, after: Address, gain: int) -> Step:
    rate = 10**22 // gain
    wrapper = world.deploy("WstEthLike", ["address", "uint256"], [after, rate])
    world.give(after, wrapper, DEPTH * ETHER)
    return Step("wsteth", wrapper, (wrapper, after), 1, 0, lambda amount: amount * 10**18 // rate)


def _psm(world: MixedWorld, before: Address, after: Address, *, buys: bool) -> Step:
    """Maker's module at par, the one kind that gives no more than it takes; selling costs a thousandth."""
    gem, dai = (after, before) if buys else (before, after)
    psm = open_psm(world, gem, dai, tin=10**15)
    world.give(gem, DEPLOYER, DEPTH * ETHER)
    world.give(dai, psm, DEPTH * ETHER)
    world.users_of_allowance.add(psm)
    i = int(buys)
    return Step("psm", psm, (before, after), i, 1 - i, lambda amount: amount if buys else amount - amount // 1000)


MAKERS: Final[dict[str, Maker]] = {
    "v2": _v2,
    "v3": _v3,
    "solidly": _solidly,
    "v4": _v4,
    "v4 ether": _v4_ether,
    "curve": _curve(CurvePlan()),
    "curve 3 silent": _curve(CurvePlan(coins=3, silent=True)),
    "curve 4 uint": _curve(CurvePlan(coins=4, uint_indices=True)),
    "curve ether": _curve(CurvePlan(ether=True)),
    "balancer": _balancer,
    "curve add 2": _curve_add(CurvePlan(ether=True)),
    "curve add 3": _curve_add(CurvePlan(coins=3, silent=True)),
    "curve add 4": _curve_add(CurvePlan(coins=4)),
    "curve add any": _curve_add(CurvePlan(coins=3, dynamic=True)),
    "deposit": _deposit,
    "wrap": _wrap_steth,
    "psm sell": lambda world, before, after, gain: _psm(world, before, after, buys=False),
    "psm buy": lambda world, before, after, gain: _psm(world, before, after, buys=True),
    "curve remove": _curve_remove(CurvePlan(coins=3, ether=True)),
    "curve remove uint": _curve_remove(CurvePlan(uint_indices=True)),
    "redeem": _redeem,
    "unwrap": _unwrap_wsteth,
}
GIVES_ITS_OWN: Final = frozenset({"curve add 2", "curve add 3", "curve add 4", "curve add any", "deposit", "wrap"})
"""Kinds whose output is a token that only the pool makes, …"""
TAKES_ITS_OWN: Final = frozenset({"curve remove", "curve remove uint", "redeem", "unwrap"})
"""… and those whose input is."""
LENDING: Final = frozenset({"v2", "v3", "solidly", "v4", "v4 ether"})


def joins(kinds: Sequence[str]) -> bool:
    """Whether pools of these kinds can follow each other in a cycle."""
    if all(kind.startswith("psm") for kind in kinds):
        # at par there is nothing to gain
        return False
    meets = any(a in GIVES_ITS_OWN and b in TAKES_ITS_OWN for a, b in pairwise(kinds))
    return kinds[0] not in TAKES_ITS_OWN and kinds[-1] not in GIVES_ITS_OWN and not meets


def build(world: MixedWorld, kinds: Sequence[str], base: Address, token_kind: str = "DevToken") -> list[Step]:
    """Pools of these kinds in a cycle around ``base``, each of which gives 3 % more than it takes."""
    tokens: list[Address | None] = [base, *([None] * (len(kinds) - 1)), base]
    steps: list[Step | None] = [None] * len(kinds)
    # Pools that take a token of their own come first, the last of them first of all: what gives it must know it.
    order = sorted(range(len(kinds)), key=lambda n: -n if kinds[n] in TAKES_ITS_OWN else n + 1)
    for n in order:
        if kinds[n] in GIVES_ITS_OWN and tokens[n + 1] is not None:
            raise ValueError(f"{kinds[n]} cannot be followed by {kinds[n + 1]}")
        before, after = (tokens[m] or world.token(kind=token_kind) for m in (n, n + 1))
        steps[n] = step = MAKERS[kinds[n]](world, before, after, 10_300)
        tokens[n], tokens[n + 1] = step.tokens
    world.next_block()
    return [step for step in steps if step is not None]


def legs_of(steps: Sequence[Step], amount: int) -> list[Leg]:
    """The route's legs for an input of ``amount``."""
    legs = []
    for step in steps:
        legs.append(step.leg(amount))
        amount = legs[-1].amount_out
    return legs


def program_of(world: World, legs: Sequence[Leg], base: Address, loan: str, profit: int) -> bytes:
    """The call data that runs ``legs`` and asks for exactly ``profit``; its bytes decode to the same program."""
    commands = plan_legs(legs, base, loan, world.weth)
    named = None if base == world.weth else base
    execution = Execution(2**32 - 1, profit, 0, named, False, commands)
    data = encode(execution)
    assert decode(data) == execution
    return data
