"""Seeded cases for the pools inside the PoolManager: those of ``pool_cases`` with V4's fees on top.

``run_case(kind, number)`` answers None, or what differs. The kinds are those of concentrated pools, and ``vast``:
amounts about the most that the manager can book.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from flasharb.pools.concentrated.swap import swap
from flasharb.pools.errors import InsufficientLiquidity
from flasharb.pools.managed.key import PoolKey
from flasharb.pools.managed.pool import MAX_AMOUNT, V4Pool, v4_pool
from tests.support import managed_chain as chain
from tests.support import pool_cases as v3
from tests.support.pool_bytecode import RevertedError

KINDS = (*v3.V3_KINDS, "vast")


@dataclass(frozen=True, slots=True)
class ManagedCase:
    """A pool and a swap of it; ``limit`` None is the outermost price limit."""

    key: PoolKey
    pool: V4Pool
    zero_for_one: bool
    exact_in: bool
    amount: int
    limit: int | None


def managed_case(kind: str, number: int) -> ManagedCase:
    """Case ``number`` of a kind: positions, price and direction of a V3 case; fees and amount of its own."""
    dice = random.Random(f"managed {kind} {number}")
    base = v3.v3_case("range" if kind == "vast" else kind, number)
    spacing = base.tier[3]
    fee = base.tier[2] if dice.random() < 0.5 else dice.randint(0, dice.choice((100, 10_000, 998_000)))
    fee = min(fee, 998_000)
    fees = 0 if dice.random() < 0.3 else dice.choice((0, 1, 1000, dice.randint(1, 1000)))
    fees |= 0 if dice.random() < 0.3 else dice.choice((1, 1000, dice.randint(1, 1000))) << 12
    key = chain.key_of(fee, spacing, native=dice.random() < 0.4)
    active = sum(liquidity for lower, upper, liquidity in base.positions if lower <= base.tick < upper)
    spec = chain.spec(key)
    pool = v4_pool(spec, (base.price, base.tick, active), v3.ticks_of(base.positions), fees)
    amount, limit = _amount(dice, kind, base, pool)
    return ManagedCase(key, pool, base.zero_for_one, base.exact_in, amount, limit)


def _amount(dice: random.Random, kind: str, base: v3.V3Case, pool: V4Pool) -> tuple[int, int | None]:
    end = v3._outermost(base.zero_for_one) if kind == "dry" else v3._target(dice, kind, base)
    state = (pool.sqrt_price_x96, pool.tick, pool.liquidity)
    there = swap(pool.ladder, state, base.zero_for_one, v3.HUGE, exact_in=base.exact_in, sqrt_price_limit_x96=end)
    most = there.amount_in if base.exact_in else there.amount_out
    if kind == "vast":
        return MAX_AMOUNT + dice.choice((-1, 0, 1, 2)), end
    if kind == "dry":
        return max(1, most + dice.choice((-1, 0, 1, dice.randint(1, max(2, most))))), None
    limit = end if kind == "range" and dice.random() < 0.1 else v3._further(end, base)
    if kind == "edge":
        return max(1, most + dice.choice((-1, 0, 0, 1))), limit
    return (dice.randint(1, max(1, most)) if dice.random() < 0.8 else most + dice.randint(1, 1000)), limit


def run_case(kind: str, number: int) -> str | None:
    """Swap in the manager and compare amounts, state afterwards, and the quotes."""
    case = managed_case(kind, number)
    problem = _run(case)
    return problem and f"{kind} {number}: {problem} of {case}"


def _run(case: ManagedCase) -> str | None:
    pool, i = case.pool, 0 if case.zero_for_one else 1
    before = (pool.sqrt_price_x96, pool.tick, pool.liquidity)
    machine = chain.manager_machine(chain.pool_storage(case.key, before, pool.ladder.info, pool.protocol_fees))
    limit = case.limit or v3._outermost(case.zero_for_one)
    try:
        signed = -case.amount if case.exact_in else case.amount
        amounts = chain.swap(machine, case.key, case.zero_for_one, signed, limit)
    except RevertedError:
        return _refused(case, i)
    try:
        ours = pool.swapped(i, 1 - i, case.amount, exact_in=case.exact_in, sqrt_price_limit_x96=case.limit)
    except InsufficientLiquidity as error:
        return f"the manager gives {amounts}, ours refuses: {error}"
    after = (ours.pool.sqrt_price_x96, ours.pool.tick, ours.pool.liquidity)
    if (amounts, chain.state(machine, case.key)) != ((ours.amount_in, ours.amount_out), after):
        return f"manager {amounts} {chain.state(machine, case.key)}, ours {ours}"
    if not ours.pool.ticks_agree():
        return "active liquidity is not what the ticks add up to"
    filled = case.amount == (ours.amount_in if case.exact_in else ours.amount_out)
    if case.limit is not None and not (filled and ours.pool.sqrt_price_x96 != case.limit):
        return None
    return _quotes(case, i, amounts if filled else None)


def _quotes(case: ManagedCase, i: int, amounts: tuple[int, int] | None) -> str | None:
    """The ladder's quotes against the manager's amounts; None: the pool ran dry."""
    pool, j = case.pool, 1 - i
    quote: tuple[int, int] | None
    try:
        if case.exact_in:
            quote = (case.amount, pool.amount_out(i, j, case.amount))
        else:
            quote = (pool.amount_in_exact_out(i, j, case.amount), case.amount)
    except InsufficientLiquidity:
        quote = None
    if quote != amounts:
        return f"quote {quote}, manager {amounts}"
    return None if quote is None or case.exact_in else _least(pool, i, case.amount)


def _least(pool: V4Pool, i: int, amount_out: int) -> str | None:
    """The least input of an exact-in swap is enough, and one less is not (or is refused)."""
    try:
        least = pool.amount_in(i, 1 - i, amount_out)
    except InsufficientLiquidity:
        # the output of a whole unit of input may be more than the manager can book
        taken = pool.amount_in_exact_out(i, 1 - i, amount_out)
        return None if _given(pool, i, taken) is None else f"no least input for {amount_out}, yet {taken} is enough"
    less = _given(pool, i, least - 1)
    enough = (_given(pool, i, least) or 0) >= amount_out
    return None if enough and less is not None and less < amount_out else f"{least} is not the least for {amount_out}"


def _given(pool: V4Pool, i: int, amount_in: int) -> int | None:
    try:
        return pool.amount_out(i, 1 - i, amount_in)
    except InsufficientLiquidity:
        return None


def _refused(case: ManagedCase, i: int) -> str | None:
    """The manager reverted: amounts that do not fit, which ours must refuse too."""
    try:
        ours = case.pool.swapped(i, 1 - i, case.amount, exact_in=case.exact_in, sqrt_price_limit_x96=case.limit)
    except InsufficientLiquidity:
        return None
    return f"the manager refused what ours gives as {ours}"


__all__ = ["KINDS", "managed_case", "run_case"]
