"""Seeded cases for the comparison of the CryptoSwap mathematics with the contracts' own code.

As in ``stable_cases``: the contract exchanges on a state written into its storage; what is paid and the whole state
afterwards (price scale, oracle, D, profit counters) are compared. Kinds: ``tricrypto2``, ``tricrypto-ng``,
``twocrypto`` (behind its proxy), ``twocrypto-ng``.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from flasharb.evm import Account, Machine
from flasharb.pools.cryptoswap.newton import newton_d
from flasharb.pools.cryptoswap.pool import CryptoSwapPool
from flasharb.pools.cryptoswap.roots import geometric_mean, geometric_mean_of_three, geometric_mean_of_two
from flasharb.pools.cryptoswap.rules import (
    TRICRYPTO2,
    TRICRYPTO_NG,
    TWOCRYPTO,
    TWOCRYPTO_NG,
    CryptoFacts,
    CryptoRules,
    facts_of,
)
from flasharb.pools.cryptoswap.storage import identify, state, state_slots
from flasharb.pools.errors import InsufficientLiquidity, QuoteUnavailable
from flasharb.pools.events import StateUnknown
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import Elsewhere
from flasharb.units import Address
from tests.support import curve_bytecode as chain
from tests.support.assembly import assemble

KINDS = ("tricrypto2", "tricrypto-ng", "twocrypto", "twocrypto-ng")
RULES = {"tricrypto2": TRICRYPTO2, "tricrypto-ng": TRICRYPTO_NG, "twocrypto": TWOCRYPTO, "twocrypto-ng": TWOCRYPTO_NG}

POOL = Address(b"\xaa" * 20)
LP = Address(b"\xbb" * 20)
COINS = (Address(b"\xc0" * 20), Address(b"\xc1" * 20))
FACTORY = Address(b"\xfa" * 20)
_ZERO_ANSWER = assemble("0 0 MSTORE 32 0 RETURN")
_WAD = 10**18


@dataclass(frozen=True, slots=True)
class CryptoCase:
    """A contract with its storage, and an exchange."""

    kind: str
    code: bytes = field(repr=False)
    spec: PoolSpec
    storage: dict[int, int]
    supply: int
    i: int
    j: int
    amount: int

    def load(self, local: Machine) -> CryptoSwapPool:
        """The pool as it stands in the machine now."""
        facts = facts_of(self.spec)
        slots = chain.slots_of(local, POOL, state_slots(facts.rules, {facts.rules.slots.future_time: 1 << 64}, 0))
        elsewhere = {}
        if facts.supply is not None:
            elsewhere[facts.supply] = local.storage(facts.supply[0], chain.SUPPLY_SLOT)
        pool = state(self.spec, slots, Elsewhere(elsewhere, timestamp=chain.TIMESTAMP))
        assert isinstance(pool, CryptoSwapPool)
        return pool

    def machine(self) -> Machine:
        """A world of the pool, the contracts that it calls, its coins and its LP token."""
        world = {POOL: Account(nonce=1, balance=1 << 200, code=self.code, storage=self.storage)}
        world[FACTORY] = Account(nonce=1, code=_ZERO_ANSWER)
        for name in (f"{self.kind}-math", self.kind):
            if name in chain.CONTRACTS:
                world[chain.recorded_address(name)] = Account(nonce=1, code=chain.recorded_code(name))
        facts = facts_of(self.spec)
        if facts.supply is not None:
            world[facts.supply[0]] = chain.token(POOL, self.supply)
        for k, coin in enumerate(self.spec.tokens):
            # a pool that collects its fees takes all that it holds into its balances
            world[coin] = chain.token(POOL)
            world[coin].storage[chain.number_of(POOL)] = self.storage[facts.rules.slots.balances + k]
        return chain.machine(world)


def crypto_case(kind: str, number: int) -> CryptoCase:
    """Case ``number`` of a kind."""
    dice = random.Random(f"{kind} {number}")
    rules = RULES[kind]
    while True:
        try:
            storage, supply = _storage(dice, rules)
        except InsufficientLiquidity:
            continue
        break
    code, spec = _contract(dice, kind, storage)
    i, j = dice.sample(range(rules.coins), 2)
    balances = _unscaled(facts_of(spec), storage)
    storage |= {rules.slots.balances + k: balance for k, balance in enumerate(balances)}
    amount = dice.randint(1, 10**6) if dice.random() < 0.1 else max(1, int(balances[i] * 10 ** dice.uniform(-7, -0.05)))
    known = {slot: value for slot, value in storage.items() if value and slot >= 0}
    return CryptoCase(kind, code, spec, known, supply, i, j, amount)


def _storage(dice: random.Random, rules: CryptoRules) -> tuple[dict[int, int], int]:
    """A legal state with its D and virtual price; balances ``xp`` stand at negative keys until coins are known."""
    at, n, now = rules.slots, rules.coins, chain.TIMESTAMP
    most_a, most_gamma = min(rules.most_a, 10**8), min(rules.most_gamma, 10**16)
    a, gamma = int(rules.least_a * (most_a / rules.least_a) ** dice.random()), int(10 ** dice.uniform(10, 17))
    ramp = (a << 128) | max(10**10, min(gamma, most_gamma))
    storage = {at.initial_a_gamma: ramp, at.future_a_gamma: ramp}
    if dice.random() < 0.25:
        storage[at.initial_a_gamma] = max(rules.least_a, int(a * dice.uniform(0.5, 1))) << 128 | ramp & (1 << 128) - 1
        storage[at.initial_time] = now - dice.randint(0, 10**5)
        storage[at.future_time] = now + dice.choice((1, 10**5, 0, -1))
    whole = 10 ** dice.uniform(18, 27)
    xp = [int(whole * 10 ** (dice.choice((0.01, 0.1, 0.5)) * dice.uniform(-1, 1))) for _ in range(n)]
    storage |= {-1 - k: x for k, x in enumerate(xp)}
    d = newton_d(*(ramp >> 128, ramp & (1 << 128) - 1), xp, rules)
    scale = [int(10 ** dice.uniform(13, 23)) for _ in range(n - 1)]
    drift = dice.choice((0.0, 1e-4, 1e-2, 0.3))
    oracle = [int(price * (1 + drift * dice.uniform(-1, 1))) for price in scale]
    last = [int(price * (1 + drift * dice.uniform(-1, 1.5))) for price in oracle]
    for slot, prices in ((at.price_scale, scale), (at.price_oracle, oracle), (at.last_prices, last)):
        storage[slot] = prices[0] | (prices[1] << 128 if n == 3 else 0)
    last_time = now - dice.choice((0, 12, 600, 10**5, dice.randint(0, 4000)))
    storage[at.last_timestamp] = last_time | (last_time << 128 if rules is TWOCRYPTO_NG else 0)
    x = (d // n, *(d * _WAD // (n * price) for price in scale))
    mean = geometric_mean(x) if not rules.packed else geometric_mean_of_two(x) if n == 2 else geometric_mean_of_three(x)
    supply = int(mean * _WAD // int(_WAD * dice.uniform(1.0, 1.2))) + 1
    virtual_price = _WAD * mean // supply
    grown = dice.choice((0.5, 1, 1.9, 2, 2.1, 3))
    storage |= {at.d: d, at.virtual_price: virtual_price, at.xcp_profit: _WAD + int((virtual_price - _WAD) * grown)}
    return storage | _parameters(dice, rules) | _shell(rules, supply), supply


def _parameters(dice: random.Random, rules: CryptoRules) -> dict[int, int]:
    at = rules.slots
    mid = int(10 ** dice.uniform(5.7, 8))
    fees = (mid, min(10**10, int(mid * dice.uniform(1, 30))), int(10 ** dice.uniform(10, 18)))
    ma_time = dice.choice((600, 866, 3600, dice.randint(60, 10**5)))
    rebalancing = (dice.choice((0, 2 * 10**12, 10**15)), int(10 ** dice.uniform(10, 16)), ma_time)
    if rules.packed:
        pack = [one << 128 | two << 64 | three for one, two, three in (fees, rebalancing)]
        return {at.fees[0]: pack[0], at.rebalancing[0]: pack[1]}
    assert at.not_adjusted is not None
    found = dict(zip((*at.fees, *at.rebalancing), (*fees, *rebalancing), strict=True))
    return found | {at.not_adjusted: int(dice.random() < 0.5)}


def _shell(rules: CryptoRules, supply: int) -> dict[int, int]:
    """What else the contract needs to run."""
    at = rules.slots
    if rules.packed:
        assert at.total_supply is not None
        found = {0: 3, at.total_supply: supply}
        return found | ({3: _WAD, 6: _WAD, 7: 62324} if rules is TWOCRYPTO_NG else {2: chain.number_of(FACTORY)})
    if rules is TWOCRYPTO:
        return {1: chain.number_of(LP), 22: 5 * 10**9, 29: chain.number_of(FACTORY)}
    return {}


def _contract(dice: random.Random, kind: str, storage: dict[int, int]) -> tuple[bytes, PoolSpec]:
    code = chain.recorded_code(kind)
    decimals = [dice.choice((0, 0, 10, 12, 16)) for _ in range(3)]
    if kind == "twocrypto":
        implementation = chain.recorded_address(kind)
        code = bytes.fromhex("363d3d373d3d3d363d73") + implementation + bytes.fromhex("5af43d82803e903d91602b57fd5bf3")
        storage |= {2: chain.number_of(COINS[0]), 3: chain.number_of(COINS[1]), 35: decimals[1] << 8 | decimals[0]}
    elif kind == "tricrypto-ng":
        storage[1] = 10 ** decimals[0] << 128 | 10 ** decimals[1] << 64 | 10 ** decimals[2]
    elif kind == "twocrypto-ng":
        words = [(10**decimal).to_bytes(32, "big") for decimal in decimals[:2]]
        code = code[:19738] + b"".join(words) + code[19738 + 64 :]
    spec = identify(POOL, {**dict.fromkeys(range(40), 0), **storage}, Elsewhere(codes={POOL: code, **codes()}))
    assert isinstance(spec, PoolSpec)
    return code, spec


def codes() -> dict[Address, bytes]:
    """The recorded codes by address."""
    return {chain.recorded_address(name): chain.recorded_code(name) for name in chain.CONTRACTS}


def _unscaled(facts: CryptoFacts, storage: dict[int, int]) -> list[int]:
    """Balances in smallest units that give the drawn ``xp`` (nearly)."""
    word = storage[facts.rules.slots.price_scale]
    scale = (word,) if facts.rules.coins == 2 else (word & (1 << 128) - 1, word >> 128)
    found = []
    for k, precision in enumerate(facts.precisions):
        x = storage.pop(-1 - k)
        found.append(max(1, x * _WAD // scale[k - 1] // precision if k else x // precision))
    return found


def run_case(kind: str, number: int) -> str | None:
    """None where mathematics and contract agree, else what differs."""
    problem = run_crypto(crypto_case(kind, number))
    return problem and f"{kind} {number}: {problem}"


def outcome(case: CryptoCase) -> str:
    """What becomes of a case: ``reverts``, ``collects`` (fees), ``steps`` (the scale moves) or ``stays``."""
    pool = case.load(case.machine())
    try:
        after = pool.swapped(case.i, case.j, case.amount).pool
    except QuoteUnavailable:
        return "reverts"
    except StateUnknown:
        return "collects"
    return "stays" if after.prices.scale == pool.prices.scale else "steps"


def run_crypto(case: CryptoCase) -> str | None:
    """Exchange in the contract and compare it with ours."""
    local = case.machine()
    pool = case.load(local)
    coin, trader = case.spec.tokens[case.j], chain.number_of(chain.TRADER)
    before = local.storage(coin, trader)
    result = chain.execute(local, POOL, "exchange(uint256,uint256,uint256,uint256)", case.i, case.j, case.amount, 0)
    try:
        ours = pool.swapped(case.i, case.j, case.amount)
    except QuoteUnavailable as error:
        return (
            f"{error}, but the contract pays {local.storage(coin, trader) - before}: {case}" if result.status else None
        )
    except StateUnknown as error:
        if "collects its fees" not in str(error) or not result.status:
            return f"{error}, contract: {result.error}: {case}"
        paid = local.storage(coin, trader) - before
        quote = pool.amount_out(case.i, case.j, case.amount)
        return None if quote == paid else f"the contract pays {paid}, ours {quote}: {case}"
    if not result.status:
        return f"the contract reverts ({result.error}), ours pays {ours.amount_out}: {case}"
    paid = local.storage(coin, trader) - before
    if paid != ours.amount_out:
        return f"the contract pays {paid}, ours {ours.amount_out}: {case}"
    after = case.load(local)
    return None if after == ours.pool else _difference(after, ours.pool, case)


def _difference(after: CryptoSwapPool, ours: CryptoSwapPool, case: CryptoCase) -> str:
    names = [name for name in ("parameters", "balances", "d", "prices") if getattr(after, name) != getattr(ours, name)]
    values = "; ".join(f"{name}: storage {getattr(after, name)}, ours {getattr(ours, name)}" for name in names)
    return f"{values} of {case}"
