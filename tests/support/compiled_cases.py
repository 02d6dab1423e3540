"""Seeded cases for the StableSwap contracts of ``compiled_curve``, and what those answered.

A case is a function of kind and number, and needs no code: it is a spec, the slots of pool and base pool, and a hop.
``run_case`` lets the compiled contract do the hop; ``fixtures/curve/cases.json.gz`` has what it paid and the slots
after it. Kinds:

``meta``            metapools that copy the price of their base pool
``meta_factory``    metapools behind forwarders, which look at that price each time
``plain``, ``even`` the factory's pools of two to four coins
``ether``           coin 0 is ether
``hashed``          late 2020
``ema``             two coins and an average of their price, coin 0 perhaps ether
``ng_7``            the last version of stableswap-ng, two to four coins
``ng_meta``         its metapools
``3crv``            the base pool's own LP hops, its LP token with its own code

Of all but ``3crv`` a third of the hops are those of the LP token.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from flasharb.evm import Account, Fork, Machine, TransactionResult
from flasharb.pools.contract import Pool
from flasharb.pools.errors import QuoteUnavailable
from flasharb.pools.spec import PoolSpec
from flasharb.pools.stableswap import NG_7, StableFacts, StableSwapPool, identify, state
from flasharb.pools.stableswap.admission import ETHER, NG_CODES, NG_MATH_CODE, NG_META_CODE, NgCode, watched
from flasharb.pools.stableswap.codes import IMPLEMENTATIONS, OWN, PROTOCOL, THREE_POOL, Code
from flasharb.pools.stableswap.rules import EARLY, EMA, HASHED, NG_META, StableRules, facts_of
from flasharb.pools.stableswap.storage import state_slots
from flasharb.pools.storage import Elsewhere
from flasharb.simulation.made_swaps import find_gift, made_pool
from flasharb.simulation.trial import Place
from flasharb.strategy.route import Leg, Route
from flasharb.units import ZERO_ADDRESS, Address, address
from tests.support import compiled_curve as compiled
from tests.support import curve_bytecode as chain
from tests.support.pool_bytecode import deployed_code
from tests.support.stable_cases import (
    COINS,
    FACTORY,
    LP,
    POOL,
    drawn_amount,
    drawn_amplification,
    drawn_balances,
    events_differ,
)

KINDS: Final = ("meta", "meta_factory", "plain", "even", "ether", "hashed", "ema", "ng_7", "ng_meta", "3crv")
RECORDED: Final = Path(__file__).resolve().parents[2] / "fixtures" / "curve" / "cases.json.gz"
IMPLEMENTATION: Final = Address(b"\xdd" * 20)
WETH: Final = address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")
_FORWARDERS: Final = (
    ("363d3d373d3d3d363d73", "5af43d82803e903d91602b57fd5bf3"),
    ("366000600037611000600036600073", "5af4602c57600080fd5b6110006000f3"),
)
MATHEMATICS: Final = Address(b"\xd1" * 20)
_ETHER_EMA: Final = "227bee"
_ETHER_POOLS: Final = ("ba0284", "1256d8", "427296", "43aa79", "257e8a", "b215e9")


@dataclass(frozen=True, slots=True)
class CompiledCase:
    """A contract by the hash of its code, its state, and a hop; ``forwarder``: which form of proxy stands before it."""

    code: str
    forwarder: int | None
    spec: PoolSpec
    storage: dict[int, int]
    supply: int
    base: dict[int, int]
    base_supply: int
    i: int
    j: int
    amount: int

    @property
    def facts(self) -> StableFacts:
        """The pool's facts."""
        return facts_of(self.spec)

    def wanted(self) -> list[int]:
        """The slots of the pool that may change, in their order."""
        at = self.facts.rules.slots
        slots = state_slots(self.facts) | watched(self.facts).keys() | {at.initial_a, at.initial_a_time}
        return sorted(slots | (set() if at.total_supply is None else {at.total_supply}))

    def pool(self, slots: dict[int, int], lp_supply: int) -> StableSwapPool:
        """Ours, of these slots."""
        others = {(THREE_POOL.address, slot): value for slot, value in self.base.items()}
        base_facts = facts_of(THREE_POOL)
        zeros = watched(base_facts).keys() | state_slots(base_facts)
        others = {(THREE_POOL.address, slot): 0 for slot in zeros} | others
        others[THREE_POOL.tokens[3], 5] = self.base_supply
        if self.facts.supply_slot is not None:
            others[self.spec.tokens[self.facts.lp_index], self.facts.supply_slot] = lp_supply
        own = dict.fromkeys(self.wanted(), 0) | slots
        pool = state(self.spec, own, Elsewhere(others, timestamp=chain.TIMESTAMP))
        assert isinstance(pool, StableSwapPool), pool
        return pool

    def copied_price_is_old(self) -> bool:
        """Whether the hop makes a metapool look at its base pool's price anew."""
        pool = self.before()
        return pool.copied is not None and not pool.copied.lasts(chain.TIMESTAMP)

    def before(self) -> StableSwapPool:
        """Ours, as the case begins."""
        return self.pool(self.storage, self.supply)


def compiled_case(kind: str, number: int) -> CompiledCase:
    """Case ``number`` of a kind."""
    dice = random.Random(f"compiled {kind} {number}")
    base_balances = _base_balances(dice)
    base_total = base_balances[0] + (base_balances[1] + base_balances[2]) * 10**12
    base_supply = max(1, int(base_total * dice.uniform(0.9, 1.0)))
    base = compiled.three_pool(tuple(base_balances), dice.randint(10, 5000), dice.choice((10**6, 4 * 10**6)))
    if kind == "3crv":
        return _base_case(dice, base, base_supply)
    at, code = _code(dice, kind)
    spec = _spec(dice, kind, code, at)
    facts, supply_slot = facts_of(spec), facts_of(spec).supply_slot
    balances = drawn_balances(dice, facts.rates)
    total = sum(balance * rate // 10**18 for balance, rate in zip(balances, facts.rates, strict=True))
    supply = max(1, int(total * dice.choice((1, dice.uniform(0.5, 1.0), dice.uniform(1, 2)))))
    storage = _storage(dice, spec, balances, at, supply)
    lp = facts.lp_index
    i, j = dice.sample(range(lp), 2)
    if supply_slot is not None and dice.random() < 1 / 3:
        i, j = (i, lp) if dice.random() < 0.5 else (lp, j)
    held = supply if i == lp else balances[i]
    amount = drawn_amount(dice, held, beyond=i != lp)
    forwarder = dice.randrange(2) if at in IMPLEMENTATIONS else None
    return CompiledCase(at, forwarder, spec, storage, supply, base, base_supply, i, j, amount)


def _base_balances(dice: random.Random) -> list[int]:
    """A busy pool: what is out of all proportion has no price, so that its metapools are refused."""
    whole = 10 ** dice.uniform(3, 9)
    return [int(whole * dice.uniform(0.05, 1) * 10**digits) for digits in (18, 6, 6)]


def _base_case(dice: random.Random, base: dict[int, int], supply: int) -> CompiledCase:
    coin = dice.randrange(3)
    i, j = (coin, 3) if dice.random() < 0.5 else (3, coin)
    spec = replace(THREE_POOL, address=POOL)
    amount = drawn_amount(dice, supply if i == 3 else base[facts_of(spec).rules.slots.balances + i], beyond=i != 3)
    storage = {slot: value for slot, value in base.items() if value} | {3: dice.choice((0, 5 * 10**9))}
    code = next(at for at, code in OWN.items() if code.rules is EARLY)
    return CompiledCase(code, None, spec, storage, supply, base, supply, i, j, amount)


def _code(dice: random.Random, kind: str) -> tuple[str, Code]:
    if kind == "ng_7":
        return NG_CODES[1].code, Code(NG_7)
    if kind == "ng_meta":
        return NG_META_CODE.code, Code(NG_META, None, THREE_POOL)
    if kind == "meta":
        found = [(at, code) for at, code in OWN.items() if code.base is not None]
    elif kind == "hashed":
        found = [(at, code) for at, code in OWN.items() if code.rules is HASHED and not at.startswith("61794a")]
    elif kind == "ema":
        found = [(at, code) for at, code in IMPLEMENTATIONS.items() if code.rules is EMA]
    elif kind == "meta_factory":
        found = [(at, code) for at, code in IMPLEMENTATIONS.items() if code.base is not None]
    else:
        plain = [(at, code) for at, code in IMPLEMENTATIONS.items() if code.base is None and code.rules is not EMA]
        if kind == "ether":
            seth = [(at, code) for at, code in OWN.items() if at.startswith("61794a")]
            found = [one for one in plain if one[0].startswith(_ETHER_POOLS)] + seth
        else:
            found = [
                (at, code)
                for at, code in plain
                if not at.startswith(_ETHER_POOLS) and (code.rates is not None) == (kind == "even")
            ]
    return dice.choice(found)


def _spec(dice: random.Random, kind: str, code: Code, code_hash: str) -> PoolSpec:
    rules, at = code.rules, code.rules.slots
    n = dice.choice((2, 2, 3, 4)) if kind == "ng_7" else rules.coins or len(code.rates or ())
    rates = code.rates or tuple(10 ** (36 - dice.choice((2, 6, 8, 18, 18))) for _ in range(n))
    coins: tuple[Address, ...] = COINS[:n]
    if code.base is not None:
        coins, rates = (COINS[0], code.base.tokens[3]), (*rates[:-1], 10**18)
    native = 0 if kind == "ether" or code_hash.startswith(_ETHER_EMA) else None
    if native is not None:
        coins, rates = (WETH, *coins[1:]), (10**18, *rates[1:])
    lp, slot = (POOL, at.total_supply) if at.total_supply is not None else (LP, chain.SUPPLY_SLOT)
    return PoolSpec(POOL, PROTOCOL, (*coins, lp), 0, facts=StableFacts(rules, rates, slot, native, code.base))


def _storage(dice: random.Random, spec: PoolSpec, balances: list[int], code: str, supply: int) -> dict[int, int]:
    facts = facts_of(spec)
    at, rules, now, n = facts.rules.slots, facts.rules, chain.TIMESTAMP, len(balances)
    fee = dice.choice((0, 10**6, 4 * 10**6, dice.randint(0, 5 * 10**9)))
    slots = {at.fee: fee, **drawn_amplification(dice, rules)}
    slots |= {at.balances + k: balance for k, balance in enumerate(balances)}
    if at.coins is not None:
        slots |= {at.coins + k: chain.number_of(coin) for k, coin in enumerate(spec.tokens[:n])}
        if facts.native is not None:
            slots[at.coins + facts.native] = chain.number_of(ETHER)
    if at.admin_fee is not None:
        slots[at.admin_fee] = dice.choice((0, 5 * 10**9, dice.randint(0, 10**10)))
    if at.lp_token is not None:
        slots[at.lp_token] = chain.number_of(LP)
    if at.rates is not None:
        slots |= {at.rates + k: rate for k, rate in enumerate(facts.rates[: 1 if facts.base is not None else n])}
    if at.base_pool is not None and at.base_price is not None:
        price = dice.randint(10**18, 12 * 10**17)
        age = dice.choice((0, 599, 600, 601, dice.randint(0, 10**6)))
        slots |= {at.base_pool: chain.number_of(THREE_POOL.address), at.base_price: price, at.base_price + 1: now - age}
    if at.total_supply is not None:
        slots[at.total_supply] = supply
        held = at.total_supply - 2
        slots[compiled.vyper_mapping(held, chain.TRADER)] = supply
    if at.admin_balances is not None:
        assert at.offpeg_fee_multiplier is not None
        kept = [dice.randint(0, balance) for balance in balances]
        slots |= {at.balances + k: balance + kept[k] for k, balance in enumerate(balances)}
        slots |= {at.admin_balances + k: share for k, share in enumerate(kept)}
        most = 5 * 10**19 // fee if fee else 10**12
        slots[at.offpeg_fee_multiplier] = min(most, dice.choice((0, 10**10, 2 * 10**10, 10**11, 10**12)))
        slots |= {at.admin_balances - 1: n} | ({at.balances - 1: n} if rules is NG_7 else {})
    return {slot: value for slot, value in (slots | _averages(rules, balances)).items() if value}


def _averages(rules: StableRules, balances: list[int]) -> dict[int, int]:
    """Averages of price and D, of which no quote depends."""
    one, now = 10**18 << 128 | 10**18, chain.TIMESTAMP - 12
    if rules is EMA:
        return {25: one, 26: 866, 27: now}
    if rules is NG_META:
        return {18: one, 19: sum(balances) << 128 | sum(balances), 20: 866, 21: 62324, 22: now << 128 | now}
    if rules is NG_7:
        n, total = len(balances), sum(balances)
        slots = {25: n - 1, 34: total << 128 | total, 35: 866, 36: 62324, 37: now << 128 | now}
        return slots | {26 + k: one for k in range(n - 1)}
    return {}


# --- running ---


def machine(case: CompiledCase) -> Machine:
    """The case's world in a block."""
    return chain.machine(world_of(case))


def world_of(case: CompiledCase) -> dict[bytes, Account]:
    """The pool, its coins, its LP token and its base pool."""
    code = _runtime(case)
    world: dict[bytes, Account] = {POOL: Account(nonce=1, balance=1 << 200, code=code, storage=case.storage)}
    world[Address(chain.TRADER)] = Account(balance=1 << 250)
    world[LP] = chain.token(POOL, case.supply)
    world[FACTORY] = Account(nonce=1)
    for k, coin in enumerate(case.spec.tokens[: case.facts.lp_index]):
        world[coin] = chain.token(POOL)
        if case.facts.rules is NG_7:
            world[coin].storage[chain.number_of(POOL)] = case.storage[case.facts.rules.slots.balances + k]
    if case.forwarder is not None:
        world[IMPLEMENTATION] = Account(nonce=1, code=compiled.codes()[case.code])
    if case.facts.rules is NG_META:
        world[MATHEMATICS] = Account(nonce=1, code=compiled.codes()[NG_MATH_CODE])
    if case.facts.base is not None:
        world[THREE_POOL.address] = compiled.three_pool_account(case.base)
        world |= {coin: chain.token(THREE_POOL.address) for coin in THREE_POOL.tokens[:3]}
        token = compiled.three_crv({POOL: 1 << 200, chain.TRADER: 1 << 200}, case.base_supply, POOL)
        token.storage[6] = chain.number_of(THREE_POOL.address)  # the minter
        world[THREE_POOL.tokens[3]] = token
    if case.spec.tokens[-1] == THREE_POOL.tokens[3]:
        token = compiled.three_crv({chain.TRADER: case.supply}, case.supply, POOL)
        token.storage[6] = chain.number_of(POOL)  # the minter
        world[THREE_POOL.tokens[3]] = token
    return world


def _runtime(case: CompiledCase) -> bytes:
    if case.forwarder is not None:
        head, tail = _FORWARDERS[case.forwarder]
        return bytes.fromhex(head) + IMPLEMENTATION + bytes.fromhex(tail)
    code = compiled.codes()[case.code]
    if case.facts.rules is NG_META:
        base, coins = map(chain.number_of, THREE_POOL.tokens[:3]), map(chain.number_of, case.spec.tokens[:2])
        words = [chain.number_of(THREE_POOL.address), 0, 3, 3, *base, *[0] * 5, chain.number_of(MATHEMATICS)]
        words += [chain.number_of(FACTORY), 2, *coins, *[0] * 6, 0, 0, case.facts.rates[0]]
        return code + _immutables(NG_META_CODE, words)
    if case.facts.rules is not NG_7:
        return code
    kind, n, facts = NG_CODES[1], case.facts.lp_index, case.facts
    rest = [0] * (8 - n)
    words = [n, n, chain.number_of(FACTORY), n, *map(chain.number_of, case.spec.tokens[:n]), *rest, n, *[0] * 8, 0]
    words += [n, *facts.rates, *rest, n, *[0] * 8]
    return code + _immutables(kind, words)


def _immutables(kind: NgCode, words: list[int]) -> bytes:
    return b"".join(word.to_bytes(32, "big") for word in words).ljust(kind.length - kind.common, b"\0")


def recognised(case: CompiledCase) -> bool:
    """Whether admission takes the contract for what it is."""
    codes = {POOL: _runtime(case)}
    if case.forwarder is not None:
        codes[IMPLEMENTATION] = compiled.codes()[case.code]
    if case.facts.rules is NG_META:
        codes[MATHEMATICS] = compiled.codes()[NG_MATH_CODE]
    return identify(POOL, case.storage, Elsewhere(codes=codes), case.spec) == case.spec


def run_case(kind: str, number: int) -> str | None:
    """None where mathematics and contract agree, else what differs."""
    case = compiled_case(kind, number)
    if kind != "3crv" and not recognised(case):
        return f"{kind} {number}: not recognised"
    local = machine(case)
    answer, result = _answer(case, local)
    problem = compare(case, answer)
    if problem is None and answer is not None:
        slots, supply = dict(zip(case.wanted(), answer[1], strict=True)), answer[2]
        problem = events_differ(case.before(), result, case.pool(slots, supply))
    return problem and f"{kind} {number}: {problem}: {case}"


def run_route(number: int) -> str | None:
    """A coin into the base pool, its LP tokens into a metapool that looks at the price live: as the route quotes it."""
    case = compiled_case(("meta_factory", "ng_meta")[number % 2], number)
    pool = case.before()
    dice = random.Random(f"route {number}")
    coin = dice.randrange(3)
    assert pool.base is not None
    amount = max(1, int(pool.base.balances[coin] * 10 ** dice.uniform(-6, 0)))
    quoted = Route((Leg(pool.base, coin, 3), Leg(pool, 1, 0))).amounts(amount)
    local = machine(case)
    before = _held(local, case, THREE_POOL.tokens[3])
    amounts = [amount if k == coin else 0 for k in range(3)]
    result = chain.execute(local, THREE_POOL.address, "add_liquidity(uint256[3],uint256)", *amounts, 0)
    minted = _held(local, case, THREE_POOL.tokens[3]) - before
    paid = _held(local, case, case.spec.tokens[0])
    if result.status:
        result = chain.execute(local, POOL, "exchange(int128,int128,uint256,uint256)", 1, 0, minted, 0)
    paid = _held(local, case, case.spec.tokens[0]) - paid
    made = (amount, minted, paid) if result.status else None
    return None if made == quoted else f"route {number}: {made} in the contracts, ours {quoted}: {case}"


def made_by_flasharb(kind: str, number: int) -> tuple[int | None, int | None]:
    """What FlashArb gets for a case's hop by the commands of a trade, and what is quoted; None: nothing.

    Both are None as well where the input is more than a token may be given of.
    """
    case = compiled_case(kind, number)
    world = world_of(case)
    if case.facts.native is not None:
        world[WETH] = Account(nonce=1, balance=1 << 200, code=deployed_code("WETH9"))
    place = Place(chain.state_of(world), chain.context(), Fork.PRAGUE, WETH, ZERO_ADDRESS, ZERO_ADDRESS)
    token = case.spec.tokens[case.i]
    gift = find_gift(token, place)
    assert gift is not None, token.hex()
    if case.amount > gift.amount:
        return None, None
    made = made_pool(case.spec, place, {token: gift})
    return tuple(_quoted(pool, case) for pool in (made, case.before()))  # type: ignore[return-value]


def _quoted(pool: Pool, case: CompiledCase) -> int | None:
    try:
        return pool.amount_out(case.i, case.j, case.amount)
    except QuoteUnavailable:
        return None


Answer = tuple[int, list[int], int]
"""What is paid, the slots afterwards, the supply of the LP token afterwards."""


def compare(case: CompiledCase, answer: Answer | None) -> str | None:
    """None where ours answers what the contract did (None: it reverted)."""
    pool = case.before()
    try:
        ours = pool.swapped(case.i, case.j, case.amount)
    except QuoteUnavailable as error:
        return None if answer is None else f"{error}, but the contract pays {answer[0]}"
    if answer is None:
        return f"the contract reverts, ours pays {ours.amount_out}"
    paid, slots, supply = answer
    if paid != ours.amount_out or pool.amount_out(case.i, case.j, case.amount) != paid:
        return f"the contract pays {paid}, ours {ours.amount_out}"
    after = case.pool(dict(zip(case.wanted(), slots, strict=True)), supply)
    return None if after == ours.pool else f"storage gives {after}, ours {ours.pool}"


def _answer(case: CompiledCase, local: Machine) -> tuple[Answer | None, TransactionResult]:
    token = case.spec.tokens[case.j]
    before = _held(local, case, token)
    result = _call(case, local)
    if not result.status:
        return None, result
    paid = _held(local, case, token) - before
    slots = [local.storage(POOL, slot) for slot in case.wanted()]
    slot = case.facts.supply_slot
    assert slot is not None
    return (paid, slots, local.storage(case.spec.tokens[case.facts.lp_index], slot)), result


def _held(local: Machine, case: CompiledCase, token: Address) -> int:
    if token == WETH:
        return local.balance(chain.TRADER)
    if token == POOL:
        supply_slot = case.facts.supply_slot
        assert supply_slot is not None
        return local.storage(POOL, compiled.vyper_mapping(supply_slot - 2, chain.TRADER))
    if token == THREE_POOL.tokens[3]:
        return local.storage(token, compiled.vyper_mapping(3, chain.TRADER))
    return local.storage(token, chain.number_of(chain.TRADER))


def _call(case: CompiledCase, local: Machine) -> TransactionResult:
    lp, i, j, amount = case.facts.lp_index, case.i, case.j, case.amount
    value = amount if i == case.facts.native else 0
    if i == lp:
        return chain.execute(local, POOL, "remove_liquidity_one_coin(uint256,int128,uint256)", amount, j, 0)
    if j < lp:
        return chain.execute(local, POOL, "exchange(int128,int128,uint256,uint256)", i, j, amount, 0, value=value)
    amounts = [amount if k == i else 0 for k in range(lp)]
    if case.facts.called.dynamic_amounts:
        return chain.execute(local, POOL, "add_liquidity(uint256[],uint256)", 64, 0, lp, *amounts)
    return chain.execute(local, POOL, f"add_liquidity(uint256[{lp}],uint256)", *amounts, 0, value=value)


# --- recorded ---


def record(count: int) -> None:
    """Write what the compiled contracts answer to this many cases of each kind."""
    rows: dict[str, list[Any]] = {}
    for kind in KINDS:
        cases = [compiled_case(kind, number) for number in range(count)]
        rows[kind] = [[case.i, case.j, case.amount, _answer(case, machine(case))[0]] for case in cases]
    text = json.dumps(rows, separators=(",", ":")) + "\n"
    RECORDED.parent.mkdir(exist_ok=True)
    with RECORDED.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as file:
        file.write(text.encode())


def recorded(kind: str) -> Iterator[tuple[CompiledCase, Answer | None]]:
    """Each recorded case with its answer."""
    for number, (i, j, amount, answer) in enumerate(json.loads(gzip.decompress(RECORDED.read_bytes()))[kind]):
        case = compiled_case(kind, number)
        assert (case.i, case.j, case.amount) == (i, j, amount), "the cases were changed: record them anew"
        yield case, None if answer is None else (answer[0], answer[1], answer[2])


def rules_of(kind: str, count: int) -> set[StableRules]:
    """The rules that this many cases of a kind cover."""
    return {compiled_case(kind, number).facts.rules for number in range(count)}
