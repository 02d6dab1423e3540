"""Seeded cases for the comparison of the StableSwap mathematics with the contracts' own code.

A case is a function of kind and number. ``run_case`` lets the contract do the hop on a state written into its storage
and compares what is paid, what storage holds afterwards, and the pool that the events lead to; it answers None, or
what differs. Kinds:

``3pool``       the early contract of three coins, without hundredths of A
``fraxbp``      the template of two coins
``rated``       the same code with another rate of coin 1 in place of 10^30, as a metapool's coin has
``ng``          stableswap-ng with two to four coins of any decimals and a dynamic fee
``3pool_lp``, ``fraxbp_lp``, ``rated_lp``, ``ng_lp``   one coin in or out (rated: in) against the LP token
``devnet``, ``devnet_lp``                              the devnet's own pool of two coins, whose code is here
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from functools import cache

from flasharb.evm import Account, Machine, TransactionResult
from flasharb.feed.events import PoolLog
from flasharb.pools.errors import QuoteUnavailable
from flasharb.pools.events import StateUnknown
from flasharb.pools.spec import PoolSpec
from flasharb.pools.stableswap import admission, events
from flasharb.pools.stableswap.admission import watched
from flasharb.pools.stableswap.pool import StableSwapPool
from flasharb.pools.stableswap.rules import EARLY, TEMPLATE_2, StableFacts, StableRules, facts_of
from flasharb.pools.stableswap.storage import identify, state, state_slots
from flasharb.pools.storage import Elsewhere
from flasharb.units import Address
from tests.support import curve_bytecode as chain
from tests.support.assembly import assemble
from tests.support.pool_bytecode import FIXTURES

EXCHANGE_KINDS = ("3pool", "fraxbp", "rated", "ng")
KINDS = EXCHANGE_KINDS + tuple(f"{kind}_lp" for kind in EXCHANGE_KINDS)
DEVNET_KINDS = ("devnet", "devnet_lp")

POOL = Address(b"\xaa" * 20)
COINS = tuple(Address(bytes([0xC0 + k]) * 20) for k in range(4))
LP = Address(b"\xbb" * 20)
FACTORY = Address(bytes.fromhex("6a8cbed756804b16e05e741edabd5cb544ae21bf"))
_FEE_RECEIVER = assemble("0xfe 0 MSTORE 32 0 RETURN")
_TEN_30 = (10**30).to_bytes(13, "big")


@dataclass(frozen=True, slots=True)
class StableCase:
    """A contract with its storage, and a hop. ``supply`` is the LP token's."""

    code: bytes = field(repr=False)
    spec: PoolSpec
    storage: dict[int, int]
    supply: int
    i: int
    j: int
    amount: int

    @property
    def lp(self) -> int:
        """The index of the LP token."""
        return facts_of(self.spec).lp_index

    @property
    def is_ng(self) -> bool:
        """Whether the pool is its own LP token."""
        return self.spec.tokens[-1] == POOL

    def load(self, local: Machine) -> StableSwapPool:
        """The pool as it stands in the machine now."""
        facts = facts_of(self.spec)
        at = facts.rules.slots
        wanted = state_slots(facts) | watched(facts).keys() | {at.initial_a, at.initial_a_time}
        wanted |= set() if at.total_supply is None else {at.total_supply}
        known = Elsewhere({(LP, chain.SUPPLY_SLOT): local.storage(LP, chain.SUPPLY_SLOT)}, timestamp=chain.TIMESTAMP)
        pool = state(self.spec, chain.slots_of(local, POOL, wanted), known)
        assert isinstance(pool, StableSwapPool), pool
        return pool

    def machine(self) -> Machine:
        """A world of the pool, its coins and its LP token."""
        world = {POOL: Account(nonce=1, code=self.code, storage=self.storage), LP: chain.token(POOL, self.supply)}
        for k, coin in enumerate(self.spec.tokens[: self.lp]):
            world[coin] = chain.token(POOL)
            if self.is_ng:
                # "ng" takes its whole balance of a coin for its own when it pays that coin
                world[coin].storage[chain.number_of(POOL)] = self.storage[facts_of(self.spec).rules.slots.balances + k]
        world[FACTORY] = Account(nonce=1, code=_FEE_RECEIVER)
        return chain.machine(world)


def stable_case(kind: str, number: int) -> StableCase:
    """Case ``number`` of a kind."""
    dice = random.Random(f"{kind} {number}")
    base, _, hop = kind.partition("_")
    code, spec = _contract(dice, base)
    facts = facts_of(spec)
    coins = facts.lp_index
    balances = drawn_balances(dice, facts.rates)
    storage, supply = _storage(dice, facts, balances)
    if hop:
        coin, lp = dice.randrange(coins), facts.lp_index
        # the template's withdrawal goes by another constant than the rate
        i, j = (coin, lp) if dice.random() < 0.5 or base == "rated" else (lp, coin)
    else:
        i, j = dice.sample(range(coins), 2)
    held = supply if i == facts.lp_index else balances[i]
    return StableCase(code, spec, storage, supply, i, j, drawn_amount(dice, held, beyond=i != facts.lp_index))


def _contract(dice: random.Random, base: str) -> tuple[bytes, PoolSpec]:
    if base == "ng":
        return _ng(dice)
    name, rules, coins = ("3pool", EARLY, 3) if base == "3pool" else ("fraxbp", TEMPLATE_2, 2)
    code = devnet_code() if base == "devnet" else chain.recorded_code(name)
    rates: tuple[int, ...] = (10**18,) + (10**30,) * (coins - 1)
    if base == "rated":
        rate = dice.choice((10**29, 1)) * dice.randint(8, 12) + dice.randint(10**29, 10**31)
        rates = (10**18, rate)
        code = code.replace(_TEN_30, rate.to_bytes(13, "big"))
    facts = StableFacts(rules, rates, chain.SUPPLY_SLOT)
    return code, PoolSpec(POOL, admission.PROTOCOL, (*COINS[:coins], LP), 0, facts=facts)


@cache
def devnet_code() -> bytes:
    """The code of the devnet's own pool."""
    return bytes.fromhex(json.loads((FIXTURES / "DevStableSwap.json").read_text())["deployed_bytecode"][2:])


def _ng(dice: random.Random) -> tuple[bytes, PoolSpec]:
    n = dice.choice((2, 2, 3, 4))
    rates = [10 ** (36 - dice.choice((2, 6, 8, 18, 18))) for _ in range(n)]
    if dice.random() < 0.3:
        rates[1] = rates[1] * dice.randint(10**9, 2 * 10**9) // 10**9
    words = [n, n, chain.number_of(FACTORY)]
    words += [n, *(chain.number_of(coin) for coin in COINS[:n]), *[0] * (8 - n), n, *[0] * 8, n, *rates, *[0] * (8 - n)]
    code = chain.recorded_code("stable-ng")
    start, end = admission.NG_CODE_LENGTH, admission.NG_CODE_LENGTH + 32 * len(words)
    patched = code[:start] + b"".join(word.to_bytes(32, "big") for word in words) + code[end:]
    spec = identify(POOL, {}, Elsewhere(codes={POOL: patched}))
    assert isinstance(spec, PoolSpec)
    return patched, spec


def drawn_balances(dice: random.Random, rates: tuple[int, ...]) -> list[int]:
    """Mostly a busy pool near balance; sometimes dust, sometimes far out of balance."""
    whole = 10 ** dice.choice((0, 2, 4, 6, 7, 8, 9)) * dice.randint(10**6, 10**7)
    spread = dice.choice((1.0, 1.1, 3, 30, 1000, 10**5))
    if dice.random() < 0.05:
        whole = dice.randint(1, 10**6)
    return [max(1, int(whole * 10**12 * spread ** dice.uniform(-1, 1)) * 10**18 // rate) for rate in rates]


def _storage(dice: random.Random, facts: StableFacts, balances: list[int]) -> tuple[dict[int, int], int]:
    at, rules, n = facts.rules.slots, facts.rules, len(balances)
    total = sum(balance * rate // 10**18 for balance, rate in zip(balances, facts.rates, strict=True))
    supply = max(1, int(total * dice.choice((1, dice.uniform(0.5, 1.0), dice.uniform(1, 2)))))
    fee = dice.choice((0, 10**6, 4 * 10**6, dice.randint(0, 5 * 10**9)))
    storage = {at.fee: fee, **drawn_amplification(dice, rules)}
    storage |= {at.balances + k: balance for k, balance in enumerate(balances)}
    if at.admin_fee is not None:
        storage[at.admin_fee] = dice.choice((0, 5 * 10**9, dice.randint(0, 10**10)))
    if at.coins is not None and at.lp_token is not None:
        storage |= {at.coins + k: chain.number_of(coin) for k, coin in enumerate(COINS[: facts.lp_index])}
        storage[at.lp_token] = chain.number_of(LP)
    if at.admin_balances is not None:
        kept = [dice.randint(0, balance) for balance in balances]
        storage |= {at.balances + k: balance + kept[k] for k, balance in enumerate(balances)}
        storage |= {at.admin_balances + k: share for k, share in enumerate(kept)}
        storage |= {0: 3, at.balances - 1: n, at.admin_balances - 1: n}
        most = 5 * 10**19 // fee if fee else 10**12
        assert at.offpeg_fee_multiplier is not None
        storage[at.offpeg_fee_multiplier] = min(most, dice.choice((0, 10**10, 2 * 10**10, 10**11, 10**12)))
        # price and D oracles, of which no quote depends
        storage |= {34: n - 1, 44: 866, 45: 62324, 46: (chain.TIMESTAMP - 12) << 128 | (chain.TIMESTAMP - 12)}
        storage |= {35 + k: 10**18 << 128 | 10**18 for k in range(n - 1)} | {43: total << 128 | total}
        storage[49], storage[_mapping(chain.TRADER, 47)] = supply, supply
    return {slot: value for slot, value in storage.items() if value}, supply


def _mapping(key: bytes, slot: int) -> int:
    return int.from_bytes(chain.keccak(slot.to_bytes(32, "big") + key.rjust(32, b"\0")), "big")


def drawn_amplification(dice: random.Random, rules: StableRules) -> dict[int, int]:
    """The slots of A: mostly still, else ramping, or just done with it."""
    a = int(10 ** dice.uniform(0, 5.99)) * rules.a_precision + dice.randrange(rules.a_precision)
    at, now = rules.slots, chain.TIMESTAMP
    if dice.random() < 0.6:
        return {at.initial_a: a, at.future_a: a}
    to = max(rules.a_precision, int(a * 10 ** dice.uniform(-1, 1)))
    start = now - dice.randint(0, 10**6)
    end = dice.choice((now, now + 1, now + dice.randint(1, 10**6), now - dice.randint(0, 100)))
    return {at.initial_a: a, at.future_a: to, at.initial_a_time: min(start, end), at.future_a_time: end}


def drawn_amount(dice: random.Random, held: int, *, beyond: bool) -> int:
    """Dust, a share of up to 90 %, or (coins only) more than the pool has."""
    roll = dice.random()
    if roll < 0.15:
        return dice.randint(1, 1000)
    if roll < 0.2 and beyond:
        return held * dice.choice((1, 2, 10, 1000, 10**12, 10**30)) + dice.randint(0, 9)
    return max(1, int(held * 10 ** dice.uniform(-9, -0.05)))


def run_movement(base: str, number: int) -> str | None:
    """A deposit or withdrawal of several coins in the contract: the events must lead to what storage holds then."""
    dice = random.Random(f"movement {base} {number}")
    case = stable_case(base, number)
    local = case.machine()
    pool = case.load(local)
    n, ng = len(pool.balances), case.is_ng
    amounts = [balance * dice.randint(0, 5) // 10 for balance in pool.balances]
    array = f"uint256[{'' if ng else n}]"
    words = [n, *amounts] if ng else amounts
    action = dice.choice(("add_liquidity", "remove_liquidity", "remove_liquidity_imbalance"))
    if action == "add_liquidity":
        arguments = [64, 0, *words] if ng else [*words, 0]
        result = chain.execute(local, POOL, f"add_liquidity({array},uint256)", *arguments)
    elif action == "remove_liquidity":
        share = case.supply * dice.randint(1, 9) // 10
        arguments = [share, 64, n, *[0] * n] if ng else [share, *[0] * n]
        result = chain.execute(local, POOL, f"remove_liquidity(uint256,{array})", *arguments)
    else:
        arguments = [64, case.supply, *words] if ng else [*words, case.supply]
        result = chain.execute(local, POOL, f"remove_liquidity_imbalance({array},uint256)", *arguments)
    if not result.status:
        return None
    problem = events_differ(pool, result, case.load(local))
    return problem and f"{action} {base} {number}: {problem}"


def run_views(base: str, number: int) -> str | None:
    """The contract's own views: ``get_dy`` (early: within a unit), one coin's withdrawal, ``get_virtual_price``."""
    case = stable_case(base, number)
    local = case.machine()
    pool, share = case.load(local), case.supply // 7
    lp = case.lp
    views = (
        ("get_virtual_price()", (), pool.virtual_price, 0),
        ("calc_withdraw_one_coin(uint256,int128)", (share, case.j), lambda: pool.amount_out(lp, case.j, share), 0),
        (
            "get_dy(int128,int128,uint256)",
            (case.i, case.j, case.amount),
            lambda: pool.amount_out(case.i, case.j, case.amount),
            int(base == "3pool"),
        ),
    )
    for signature, arguments, ours, tolerance in views[: 2 if base == "ng" else 3]:
        result = chain.execute(local, POOL, signature, *arguments)
        try:
            expected = ours()
        except QuoteUnavailable:
            continue
        if not result.status or abs(chain.words_of(result.output)[0] - expected) > tolerance:
            return f"{signature} of {base} {number}: {result.output.hex()}, ours {expected}"
    return None


def run_case(kind: str, number: int) -> str | None:
    """None where mathematics and contract agree, else what differs."""
    problem = run_stable(stable_case(kind, number))
    return problem and f"{kind} {number}: {problem}"


def run_stable(case: StableCase) -> str | None:
    """Do the hop in the contract and compare it with ours."""
    local = case.machine()
    pool = case.load(local)
    paid_in = case.spec.tokens[case.j]
    before = _balance(local, paid_in)
    result = call(local, case)
    try:
        ours = pool.swapped(case.i, case.j, case.amount)
    except QuoteUnavailable as error:
        paid = _balance(local, paid_in) - before
        return f"{error}, but the contract pays {paid}: {case}" if result.status else None
    if not result.status:
        return f"the contract reverts ({result.error}), ours pays {ours.amount_out}: {case}"
    paid = _balance(local, paid_in) - before
    if paid != ours.amount_out or pool.amount_out(case.i, case.j, case.amount) != paid:
        return f"the contract pays {paid}, ours {ours.amount_out}: {case}"
    after = case.load(local)
    if after != ours.pool:
        return f"storage gives {after}, ours {ours.pool}"
    return events_differ(pool, result, after)


def events_differ(pool: StableSwapPool, result: TransactionResult, after: StableSwapPool) -> str | None:
    """None where the events lead to the same pool as storage."""
    try:
        followed = follow(pool, result)
    except StateUnknown as error:
        # two coins that would be paid alike cannot be told apart from the early event
        return None if "fits" in str(error) and "fits 0" not in str(error) else f"event: {error}"
    return None if followed == after else f"events give {followed}, storage {after}"


def follow(pool: StableSwapPool, result: TransactionResult) -> StableSwapPool:
    """The pool after the events that its contract logged."""
    for log in result.logs:
        rule = events.RULES.get(log.topics[0]) if log.address == POOL else None
        if rule is not None:
            event = PoolLog(POOL, tuple(log.topics), log.data, 0, 0)
            assert rule.fits(event)
            after = rule.apply(pool, event)
            assert isinstance(after, StableSwapPool)
            return after
    raise AssertionError("the pool logged nothing")


def call(local: Machine, case: StableCase) -> TransactionResult:
    """Let the contract do the hop."""
    n = lp = case.lp
    if case.j == lp and case.is_ng:
        amounts = [case.amount if k == case.i else 0 for k in range(n)]
        return chain.execute(local, POOL, "add_liquidity(uint256[],uint256)", 64, 0, n, *amounts)
    if case.j == lp:
        amounts = [case.amount if k == case.i else 0 for k in range(n)]
        return chain.execute(local, POOL, f"add_liquidity(uint256[{n}],uint256)", *amounts, 0)
    if case.i == lp:
        return chain.execute(local, POOL, "remove_liquidity_one_coin(uint256,int128,uint256)", case.amount, case.j, 0)
    return chain.execute(local, POOL, "exchange(int128,int128,uint256,uint256)", case.i, case.j, case.amount, 0)


def _balance(local: Machine, token: Address) -> int:
    if token == POOL:
        return local.storage(POOL, _trader_in_ng())
    return local.storage(token, chain.number_of(chain.TRADER))


@cache
def _trader_in_ng() -> int:
    return _mapping(chain.TRADER, 47)
