"""Random cases for pools of the Vault, each run through the real Vault and pool: amounts and storage afterwards.

A case is known by its kind and number, and by the version of its pool where that is not left to the number.
``run_case`` writes a state into the storage of the real contracts, loads our pool from the same storage, swaps in both
given in and given out, and loads again: the two must agree in everything.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flasharb.evm import LogEntry, Machine
from flasharb.pools import PoolSpec, QuoteUnavailable
from flasharb.pools.balancer import STABLE_RULES, WEIGHTED_RULES
from flasharb.pools.balancer.facts import Specialisation, WeightedFacts, specialisation
from flasharb.pools.balancer.pool import VaultPool
from flasharb.pools.balancer.stable import StablePool
from flasharb.pools.balancer.stable_facts import StableFacts
from flasharb.pools.balancer.storage import load_stable, load_weighted
from flasharb.pools.balancer.vault import balance_slots, entry
from flasharb.pools.balancer.weighted import WeightedPool
from flasharb.pools.events import StateUnknown
from flasharb.pools.storage import Elsewhere, Needs, mapping_slot
from flasharb.units import Address
from tests.support.balancer_world import PAUSABLE, RATE_DURATION, World, stable_world, weighted_world
from tests.support.pool_bytecode import CONTEXT, SENDER, RevertedError

KINDS = ("weighted", "stable", "bpt")
NOW = CONTEXT.timestamp
PREMINTED = 1 << 111
PAUSABLE_UNTIL = NOW + sum(PAUSABLE)

STABLE_KINDS = ("stable_v1", "stable_v2", "stable_v3")
WEIGHTED_KINDS = ("weighted_v1", "weighted_2tokens_v1", "weighted_v2", "weighted_v3")
# decimals and weights (per mille) of some pools; the deployments are kept, so there are not too many
WEIGHTED_POOLS = (
    ((18, 18), (500, 500)),
    ((18, 6), (800, 200)),
    ((8, 18), (200, 800)),
    ((6, 8), (990, 10)),
    ((18, 18), (333, 667)),
    ((18, 6, 8), (400, 400, 200)),
    ((0, 18, 6, 8), (250, 250, 300, 200)),
    ((18, 6, 8, 18, 18, 6, 2, 18), (10, 90, 100, 100, 200, 200, 150, 150)),
)
# decimals, which tokens have a rate, whose yield is exempt, how many stand above the pool
STABLE_POOLS = (
    ((18, 18), (False, False), (False, False), 0),
    ((18, 18), (True, False), (False, False), 1),
    ((18, 6), (True, False), (True, False), 2),
    ((18, 6, 6), (False, False, False), (False, False, False), 1),
    ((18, 18, 18), (True, True, True), (True, True, True), 0),
    ((18, 6, 18), (True, False, True), (False, False, True), 1),
    ((18, 8, 6, 18), (True, True, False, True), (True, False, False, True), 2),
    ((18, 6, 18, 6, 8), (False, True, False, False, True), (False, False, False, False, True), 2),
)


@dataclass(frozen=True, slots=True)
class Case:
    """A state of a real pool, written over its storage, and a direction."""

    world: World
    facts: WeightedFacts | StableFacts
    storage: Mapping[bytes, Mapping[int, int]]
    i: int
    j: int

    def machine(self) -> Machine:
        """The real contracts in this state."""
        return self.world.machine(self.storage)

    def pool(self, machine: Machine) -> WeightedPool | StablePool:
        """Our pool, loaded from what stands in storage now."""
        spec = PoolSpec(self.world.pool, "balancer", self.world.tokens, 0, facts=self.facts)
        load = load_weighted if isinstance(self.facts, WeightedFacts) else load_stable
        own: dict[int, int] = {}
        others: dict[tuple[Address, int], int] = {}
        while True:
            loaded = load(spec, own, Elsewhere(others, timestamp=NOW))
            if not isinstance(loaded, Needs):
                assert isinstance(loaded, WeightedPool | StablePool)
                return loaded
            own |= {slot: machine.storage(self.world.pool, slot) for slot in loaded.slots}
            others |= {(at, slot): machine.storage(at, slot) for at, slot in loaded.elsewhere}


def case_of(kind: str, number: int, version: str | None = None) -> Case:
    """The case of this number, of a pool of one of the versions at hand or of this one."""
    dice = random.Random(f"{kind} {number}")
    drawn = dice.choice(WEIGHTED_KINDS if kind == "weighted" else STABLE_KINDS)
    if kind == "weighted":
        return _weighted(dice, version or drawn)
    return _stable(dice, version or drawn, with_bpt=kind == "bpt")


def _weighted(dice: random.Random, kind: str) -> Case:
    decimals, permille = dice.choice([p for p in WEIGHTED_POOLS if len(p[0]) == 2 or kind != "weighted_2tokens_v1"])
    weights = tuple(part * 10**15 for part in permille)
    world = weighted_world(kind, decimals, weights)
    scaling = tuple(10 ** (18 - digits) for digits in decimals)
    facts = WeightedFacts(world.vault, world.pool_id, kind, scaling, weights, PAUSABLE_UNTIL)  # type: ignore[arg-type]
    totals = [dice.randint(1, 10 ** dice.randint(0, min(33, digits + 14))) for digits in decimals]
    fee = _fee(dice)
    own = {"weighted_v1": {7: fee}, "weighted_2tokens_v1": {8: fee << 86}}.get(kind, {8: fee << 192})
    i, j = dice.sample(range(len(decimals)), 2)
    return Case(world, facts, {world.vault: _balances(dice, world, totals), world.pool: own}, i, j)


def _fee(dice: random.Random) -> int:
    return dice.choice((10**12, 10**14, 10**15, 3 * 10**15, 10**17, dice.randint(10**12, 10**17)))


def _balances(dice: random.Random, world: World, totals: list[int]) -> dict[int, int]:
    """The Vault's slots for these totals, part of which is sometimes out with an asset manager."""
    managed = [dice.randint(0, total) if dice.random() < 0.15 else 0 for total in totals]
    cash = [total - out for total, out in zip(totals, managed, strict=True)]
    kind = specialisation(world.pool_id)
    slots = balance_slots(world.pool_id, world.tokens)
    if kind is Specialisation.TWO_TOKEN:
        return {slots[0]: cash[0] | cash[1] << 112 | 7 << 224, slots[1]: managed[0] | managed[1] << 112}
    words = [c | m << 112 | 7 << 224 for c, m in zip(cash, managed, strict=True)]
    return dict(zip(slots[2::2] if kind is Specialisation.GENERAL else slots, words, strict=True))


def _stable(dice: random.Random, kind: str, with_bpt: bool) -> Case:
    decimals, rated, exempt, above = dice.choice(STABLE_POOLS)
    if kind == "stable_v5" and any(exempt):
        exempt = rated  # all or none
    world = stable_world(kind, decimals, rated, exempt, above)
    bpt = world.tokens.index(world.pool)
    digits, has_rate, free = _with(decimals, bpt, 18), _with(rated, bpt, False), _with(exempt, bpt, False)
    facts = StableFacts(
        world.vault,
        world.pool_id,
        kind,  # type: ignore[arg-type]
        bpt,
        tuple(10 ** (18 - d) for d in digits),
        has_rate,
        free,
        PAUSABLE_UNTIL,
    )
    size = 10 ** dice.randint(0, 9)
    reach = dice.choice((1.01, 2.0, 2.0, 20.0, 1000.0))
    totals = [max(1, int(size * dice.uniform(1, reach) * 10**d)) for d in digits]
    if dice.random() < 0.05:
        totals[dice.randrange(len(totals))] = dice.randint(1, 1000)
    worth = sum(total * 10 ** (18 - d) for k, (total, d) in enumerate(zip(totals, digits, strict=True)) if k != bpt)
    outside = max(1, int(worth * dice.uniform(0.5, 1.0)))
    totals[bpt] = max(0, PREMINTED - dice.randint(0, outside))
    amp, last_amp = _amp(dice), dice.random() < 0.7
    own = {
        2: totals[bpt] + outside,
        8: _fee(dice) << 192,
        9: amp,
        11: _share(dice) | _share(dice) << 64,
        entry(SENDER, 0): 1 << 120,
        entry(world.vault, 0): 1 << 120,
    }
    for k, flag in enumerate(has_rate):
        if flag:
            current = dice.randint(10**18, 13 * 10**17)
            old = current if dice.random() < 0.4 else dice.randint(10**18, current)
            if dice.random() < 0.15:
                current, old = old, current  # rates may fall
            own[mapping_slot(k, 10)] = (
                current | old << 96 | RATE_DURATION << 192 | (NOW + dice.randint(0, RATE_DURATION)) << 224
            )
    i, j = dice.sample([k for k in range(len(totals)) if k != bpt], 2)
    if with_bpt:
        i, j = dice.choice(((bpt, j), (i, bpt)))
    storage = {world.vault: _balances(dice, world, totals), world.pool: own}
    case = Case(world, facts, storage, i, j)
    own[12] = _last(dice, case, last_amp)
    return case


def _share(dice: random.Random) -> int:
    """What the protocol takes: nothing, as on mainnet, or an amount whose roundings tell one formula from another."""
    return dice.choice((0, 5 * 10**17, dice.randint(1, 5 * 10**17)))


def _with(values: tuple[Any, ...], at: int, own: Any) -> tuple[Any, ...]:
    """The values by token with that of the pool's own token among them."""
    return (*values[:at], own, *values[at:])


def _amp(dice: random.Random) -> int:
    """The packed amplification: steady, or on its way up or down."""
    value = dice.choice((1, 10, 100, 1000, 5000, dice.randint(1, 5000))) * 1000
    if dice.random() < 0.7:
        return value | value << 64 | NOW - 10**6 << 128 | NOW - 10**6 << 192
    other = max(1000, min(5_000_000, value * dice.choice((1, 2)) // dice.choice((1, 2))))
    return value | other << 64 | NOW - dice.randint(0, 10**5) << 128 | NOW + dice.randint(1, 10**5) << 192


def _last(dice: random.Random, case: Case, same_amp: bool) -> int:
    """The memory of a last join: an invariant not far below today's."""
    case.storage[case.world.pool][12] = 1  # type: ignore[index]
    pool = case.pool(case.machine())
    assert isinstance(pool, StablePool)
    try:
        d = pool.d
    except QuoteUnavailable:
        d = 10**18
    amp = pool.amp if same_amp else dice.randint(1, 5000) * 1000
    return amp << 233 | max(1, int(d * dice.choice((1.0, 0.99999, 0.999, 0.9, 1.001))) + dice.randint(-1, 1))


# --- running ---


def run_case(kind: str, number: int, version: str | None = None) -> str | None:
    """None where Vault and mathematics agree, else what differs."""
    case = case_of(kind, number, version)
    dice = random.Random(f"amount {kind} {number}")
    pool = case.pool(case.machine())
    i, j = case.i, case.j
    problems = [
        _compare(case, pool, 0, amount_of(dice, pool, i)),
        _compare(case, pool, 1, amount_of(dice, pool, j)),
    ]
    found = [problem for problem in problems if problem]
    return f"{kind} {number}: " + "; ".join(found) if found else None


def amount_of(dice: random.Random, pool: VaultPool, k: int) -> int:
    """An amount of token k, from next to nothing to more than there is."""
    total = pool.cash[k] + pool.managed[k]
    if isinstance(pool, StablePool) and k == pool.facts.bpt:
        total = max(1, pool.supply - total)
    most = total * dice.choice((1, 3, 10, 30, 31, 100)) // dice.choice((100, 100, 100, 10**4, 10**8, 10**12))
    return dice.randint(1, max(1, most))


def _compare(case: Case, pool: WeightedPool | StablePool, kind: int, amount: int) -> str | None:
    """The same swap in both; ``kind`` as the Vault has it: 0 given in, 1 given out."""
    i, j = case.i, case.j
    machine = case.machine()
    quote: Callable[[int, int, int], int] = pool.amount_in_exact_out if kind else pool.amount_out
    try:
        ours: int | None = quote(i, j, amount)
    except QuoteUnavailable:
        ours = None
    try:
        real: int | None
        real, logs = case.world.swap(machine, kind, i, j, amount)
    except RevertedError:
        real, logs = None, ()
    if ours != real:
        return f"kind {kind} of {amount}: ours {ours}, the Vault {real}, in {pool} from {i} to {j}"
    if real is None or ours is None:
        return None
    with_bpt = isinstance(pool, StablePool) and pool.facts.bpt in (i, j)
    try:
        after = pool.after_swap(i, j, ours, amount) if kind else pool.swapped(i, j, amount).pool
    except StateUnknown:
        return "the swap is not followed" if not with_bpt or kind == 0 else None
    stored = case.pool(machine)
    if not with_bpt and _followed(case, pool, logs) != stored:
        return f"kind {kind} of {amount}: the Vault's logs lead to {_followed(case, pool, logs)}, in storage {stored}"
    if after != stored:
        return f"kind {kind} of {amount}: ours afterwards {after}, in storage {stored}"
    return None


@dataclass(frozen=True, slots=True)
class PoolLog:
    """A log as the feed hands it over."""

    pool: bytes
    topics: tuple[bytes, ...]
    data: bytes


def _followed(case: Case, pool: WeightedPool | StablePool, logs: tuple[LogEntry, ...]) -> object:
    """The pool after all logs that its rules are for."""
    rules = WEIGHTED_RULES if isinstance(pool, WeightedPool) else STABLE_RULES
    after: Any = pool
    for log in logs:
        rule = rules.get(log.topics[0])
        if rule and log.address in (case.world.vault, case.world.pool):
            entry_ = PoolLog(case.world.pool, tuple(log.topics), log.data)
            assert rule.fits(entry_)
            after = rule.apply(after, entry_)
    return after


def outcome(kind: str, number: int) -> str:
    """Whether the exact-in swap of a case pays, pays nothing, or is refused: what the generator reaches."""
    case = case_of(kind, number)
    pool = case.pool(case.machine())
    try:
        return "pays" if pool.amount_out(case.i, case.j, amount_of(random.Random(number), pool, case.i)) else "nothing"
    except QuoteUnavailable:
        return "refused"
