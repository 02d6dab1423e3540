"""Seeded cases for the comparison of the pool mathematics with the pools' own bytecode.

Every case is a function of its kind and number, so that a failure names all that is needed to repeat it:
``run_case(kind, number)`` answers None, or what differs. The kinds of concentrated pools:

``range``  a few positions around the price, a swap over some stops
``edge``   starts or ends (or both) exactly on a tick or a word's end, or one unit before or after it
``gap``    liquidity in two clusters with nothing between, the swap begins before or in the gap
``dry``    more (or exactly as much, or one less) than the pool can take or give
``v2_in``, ``v2_out``  constant product; the answer passes the pair's own check and the next better one does not
"""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from flasharb.pools import InsufficientLiquidity, TickLiquidity, V2Pool, V3Pool, ends, v3_pool
from flasharb.pools.concentrated.tick_math import (
    MAX_SQRT_PRICE_X96,
    MAX_TICK,
    MIN_SQRT_PRICE_X96,
    MIN_TICK,
    sqrt_price_at_tick,
    tick_at_sqrt_price,
)
from flasharb.pools.constant_product.pool import MAX_RESERVE
from tests.support import pool_bytecode as chain

V3_KINDS = ("range", "edge", "gap", "dry")
V2_KINDS = ("v2_in", "v2_out")

# (protocol, contract, fee, spacing): the tiers of the factories, and others that a factory's owner could enable
TIERS = (
    ("uniswap_v3", "UniswapV3Pool", 100, 1),
    ("uniswap_v3", "UniswapV3Pool", 500, 10),
    ("uniswap_v3", "UniswapV3Pool", 3000, 60),
    ("uniswap_v3", "UniswapV3Pool", 10000, 200),
    ("uniswap_v3", "UniswapV3Pool", 0, 7),
    ("uniswap_v3", "UniswapV3Pool", 350, 3),
    ("uniswap_v3", "UniswapV3Pool", 250_000, 2000),
    ("uniswap_v3", "UniswapV3Pool", 999_999, 16383),
    ("pancakeswap_v3", "PancakeV3Pool", 100, 1),
    ("pancakeswap_v3", "PancakeV3Pool", 500, 10),
    ("pancakeswap_v3", "PancakeV3Pool", 2500, 50),
    ("pancakeswap_v3", "PancakeV3Pool", 10000, 200),
)
HUGE = 1 << 250

Positions = list[tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class V3Case:
    """A pool and a swap of it. ``limit`` is the price limit, None for the outermost one."""

    tier: tuple[str, str, int, int]
    positions: Positions
    price: int
    tick: int
    zero_for_one: bool
    exact_in: bool
    amount: int
    limit: int | None
    fee_protocol: int

    def pool(self) -> V3Pool:
        """The pool as our value."""
        spec = chain.v3_spec(self.tier[0], self.tier[2], self.tier[3])
        return pool_of(spec, self.positions, self.price, self.tick)


def ticks_of(positions: Positions) -> dict[int, TickLiquidity]:
    """The ticks that these positions initialise."""
    ticks: dict[int, TickLiquidity] = {}
    for lower, upper, liquidity in positions:
        for tick, net in ((lower, liquidity), (upper, -liquidity)):
            known = ticks.get(tick, TickLiquidity(0, 0))
            ticks[tick] = TickLiquidity(known.gross + liquidity, known.net + net)
    return ticks


def pool_of(spec: chain.PoolSpec, positions: Positions, price: int, tick: int) -> V3Pool:
    """A fully known pool with these positions at this price."""
    active = sum(liquidity for lower, upper, liquidity in positions if lower <= tick < upper)
    return v3_pool(spec, price, tick, active, ticks_of(positions))


# --- generating concentrated pools ---


def v3_case(kind: str, number: int) -> V3Case:
    """Case ``number`` of a kind."""
    dice = random.Random(f"{kind} {number}")
    tier = dice.choice(TIERS)
    spacing = tier[3]
    zero_for_one = dice.random() < 0.5
    centre = _centre(dice, kind, spacing, zero_for_one)
    positions = _clusters(dice, centre, spacing) if kind == "gap" else _around(dice, centre, spacing)
    tick, price = _start(dice, kind, centre, positions, spacing)
    exact_in = dice.random() < 0.5
    case = V3Case(tier, positions, price, tick, zero_for_one, exact_in, 1, None, _fee_protocol(dice, tier[0]))
    return _with_amount(dice, kind, case)


def _with_amount(dice: random.Random, kind: str, case: V3Case) -> V3Case:
    """The case with an amount, and a price limit: a dry swap goes to the end of the world, others not much too far."""
    pool, limit = case.pool(), None
    end = _outermost(case.zero_for_one) if kind == "dry" else _target(dice, kind, case)
    reached = pool.swapped(*ends(case.zero_for_one), HUGE, exact_in=case.exact_in, sqrt_price_limit_x96=end)
    there = reached.amount_in if case.exact_in else reached.amount_out
    if kind == "dry":
        amount = there + dice.choice((-1, 0, 1, dice.randint(1, max(2, there)), 1 << dice.randint(1, 200)))
    elif kind == "edge":
        amount = there + dice.choice((-1, 0, 0, 1))
    else:
        amount = dice.randint(1, max(1, there)) if dice.random() < 0.8 else there + dice.randint(0, 1000)
    if kind != "dry":
        limit = end if kind == "range" and dice.random() < 0.1 else _further(end, case)
    fields = (case.tier, case.positions, case.price, case.tick, case.zero_for_one, case.exact_in)
    return V3Case(*fields, max(1, amount), limit, case.fee_protocol)


def _further(price: int, case: V3Case) -> int:
    """A price limit a stop or two beyond: an amount that ends nowhere would walk every word of the bitmap."""
    ticks = 64 * case.tier[3]
    tick = tick_at_sqrt_price(price) + (-ticks if case.zero_for_one else ticks)
    outermost = _outermost(case.zero_for_one)
    price = sqrt_price_at_tick(max(MIN_TICK, min(MAX_TICK, tick)))
    return max(price, outermost) if case.zero_for_one else min(price, outermost)


def _centre(dice: random.Random, kind: str, spacing: int, zero_for_one: bool) -> int:
    """A tick, a multiple of the spacing; for dry pools near the end of the world, with few words left to walk."""
    low, high = -(MAX_TICK // spacing), MAX_TICK // spacing
    if kind == "dry":
        away = min(high, dice.randint(1, 300))
        return (low + away if zero_for_one else high - away) * spacing
    if dice.random() < 0.15:
        return dice.randint(low, high) * spacing
    reach = min(high, 250_000 // spacing)
    return dice.randint(-reach, reach) * spacing


def _clamped(tick: int, spacing: int) -> int:
    top = MAX_TICK // spacing * spacing
    return max(-top, min(top, tick))


def _liquidity(dice: random.Random) -> int:
    return dice.randint(1, 1 << dice.choice((4, 20, 40, 60, 70, 80, 100)))


def _position(dice: random.Random, low: int, high: int, spacing: int) -> tuple[int, int, int]:
    """A position with both bounds in [low, high], multiples of the spacing."""
    bounds = [_clamped(dice.randint(low // spacing, high // spacing) * spacing, spacing) for _ in range(2)]
    lower, upper = min(bounds), max(bounds)
    if lower == upper:
        lower, upper = (lower - spacing, upper) if lower - spacing >= MIN_TICK else (lower, upper + spacing)
    return lower, upper, _liquidity(dice)


def _around(dice: random.Random, centre: int, spacing: int) -> Positions:
    reach = dice.choice((2, 10, 40, 150)) * spacing
    positions = [_position(dice, centre - reach, centre + reach, spacing) for _ in range(dice.randint(1, 7))]
    if dice.random() < 0.6:
        wide = dice.choice((reach * 2, 400 * spacing, 2 * MAX_TICK))
        positions.append((_clamped(centre - wide, spacing), _clamped(centre + wide, spacing), _liquidity(dice)))
    if dice.random() < 0.3:
        # an initialised tick whose net is zero: one position ends where another of the same size begins
        _, upper, liquidity = positions[0]
        if upper + spacing <= MAX_TICK:
            positions.append((upper, upper + spacing, liquidity))
    return positions


def _clusters(dice: random.Random, centre: int, spacing: int) -> Positions:
    """Two clusters, below and above a gap around the centre."""
    reach, gap = dice.choice((3, 20)) * spacing, dice.choice((1, 5, 100, 300)) * spacing
    below = [_position(dice, centre - gap - reach, centre - gap, spacing) for _ in range(dice.randint(1, 3))]
    above = [_position(dice, centre + gap, centre + gap + reach, spacing) for _ in range(dice.randint(1, 3))]
    return below + above


def _start(dice: random.Random, kind: str, centre: int, positions: Positions, spacing: int) -> tuple[int, int]:
    """(tick, price): somewhere near, or in the edge kind often exactly on a tick, seen from above or from below."""
    bounds = sorted({bound for lower, upper, _ in positions for bound in (lower, upper)})
    if kind == "edge" and dice.random() < 0.7:
        tick = dice.choice([*bounds, _word_end(centre, spacing, dice.random() < 0.5)])
        tick = max(MIN_TICK + 1, min(MAX_TICK - 1, tick))
        # going down, a swap that ends on a tick leaves the pool one tick below its price
        return tick - dice.randint(0, 1), sqrt_price_at_tick(tick)
    if kind == "gap" and dice.random() < 0.5:
        lower, upper, _ = dice.choice(positions)
        tick = dice.randint(lower, upper - 1)
    else:
        tick = centre + dice.randint(-3 * spacing, 3 * spacing)
    tick = max(MIN_TICK + 1, min(MAX_TICK - 2, tick))
    return tick, dice.randint(sqrt_price_at_tick(tick), sqrt_price_at_tick(tick + 1) - 1)


def _word_end(tick: int, spacing: int, low: bool) -> int:
    word = (tick // spacing) >> 8
    return (word << 8) * spacing if low else ((word << 8) | 255) * spacing


def _target(dice: random.Random, kind: str, case: V3Case) -> int:
    """A price in the swap's direction, not too many words away."""
    spacing = case.tier[3]
    bounds = {bound for lower, upper, _ in case.positions for bound in (lower, upper)}
    bounds |= {_word_end(case.tick, spacing, True), _word_end(case.tick, spacing, False)}
    reach = 300 * spacing
    beyond = [
        b
        for b in sorted(bounds)
        if (case.tick - reach < b <= case.tick if case.zero_for_one else case.tick < b < case.tick + reach)
    ]
    prices = [sqrt_price_at_tick(max(MIN_TICK, min(MAX_TICK, b))) for b in beyond]
    prices = [p for p in prices if (p < case.price if case.zero_for_one else p > case.price)]
    end = _outermost(case.zero_for_one)
    if kind != "edge" or not prices:
        away = dice.randint(1, 8 * spacing)
        # one more on the way up: the price may already stand on the next tick
        somewhere = case.tick - away if case.zero_for_one else case.tick + 1 + away
        prices.append(sqrt_price_at_tick(max(MIN_TICK, min(MAX_TICK, somewhere))))
    price = dice.choice(prices)
    return max(price, end) if case.zero_for_one else min(price, end)


def _outermost(zero_for_one: bool) -> int:
    return MIN_SQRT_PRICE_X96 + 1 if zero_for_one else MAX_SQRT_PRICE_X96 - 1


def _fee_protocol(dice: random.Random, protocol: str) -> int:
    """The protocol's share of the fee as slot0 holds it: it must not matter to the amounts."""
    if dice.random() < 0.5:
        return 0
    if protocol == "pancakeswap_v3":
        return dice.randint(1000, 4000) | dice.randint(1000, 4000) << 16
    return dice.randint(4, 10) | dice.randint(4, 10) << 4


# --- running ---


def run_case(kind: str, number: int) -> str | None:
    """None where mathematics and bytecode agree, else what differs."""
    problem = run_v2(kind, number) if kind in V2_KINDS else run_v3(v3_case(kind, number))
    return problem and f"{kind} {number}: {problem}"


def run_v3(case: V3Case) -> str | None:
    """Swap in the bytecode and compare amounts, state afterwards, and the ladder's quote."""
    protocol, contract, fee_pips, spacing = case.tier
    limit = case.limit or _outermost(case.zero_for_one)
    pool = case.pool()
    storage = chain.v3_storage(protocol, chain.v3_facts(pool), pool.ladder.info, spacing, case.fee_protocol)
    machine = chain.v3_machine(chain.deployed_code(contract, fee_pips, spacing), storage)
    signed = case.amount if case.exact_in else -case.amount
    real = (
        chain.v3_swap(machine, case.zero_for_one, signed, limit),
        chain.v3_state(machine, protocol),
    )
    ours = pool.swapped(*ends(case.zero_for_one), case.amount, exact_in=case.exact_in, sqrt_price_limit_x96=case.limit)
    if real != ((ours.amount_in, ours.amount_out), chain.v3_facts(ours.pool)):
        return f"bytecode {real}, swap {ours} of {case}"
    if not ours.pool.ticks_agree():
        return f"active liquidity {ours.pool.liquidity} is not what the ticks add up to, after {case}"
    filled = case.amount == (ours.amount_in if case.exact_in else ours.amount_out)
    # a swap that its price limit stopped may have used up its amount and given less than the price allows
    if case.limit is None or (filled and ours.pool.sqrt_price_x96 != case.limit):
        expected = (ours.amount_out if case.exact_in else ours.amount_in) if filled else None
        quote = _quote(pool.amount_out if case.exact_in else pool.amount_in_exact_out, case.zero_for_one, case.amount)
        if quote != expected:
            return f"quote {quote}, bytecode {expected} of {case}"
    return None


def _quote(quote: Callable[[int, int, int], int], zero_for_one: bool, amount: int) -> int | None:
    """The quote, or None where it says that the pool runs dry."""
    try:
        return quote(*ends(zero_for_one), amount)
    except InsufficientLiquidity:
        return None


def run_v2(kind: str, number: int) -> str | None:
    """Ask the pair for our answer and for one unit better: it must take the first and refuse the second."""
    dice = random.Random(f"{kind} {number}")
    code, spec = chain.v2_pair(dice.choice(("UniswapV2Pair", "SushiV2Pair", "PancakeV2Pair", "PancakeV2Pair25")))
    reserves = [dice.randint(1, 1 << dice.randint(1, 111)) for _ in range(2)]
    if dice.random() < 0.05:
        reserves[dice.randint(0, 1)] = MAX_RESERVE - dice.randint(0, 10**6)
    pool = V2Pool(spec, *reserves)
    zero_for_one = dice.random() < 0.5
    reserve_in, reserve_out = reserves if zero_for_one else reserves[::-1]
    if kind == "v2_in":
        amount = dice.randint(1, max(1, reserve_in * dice.choice((1, 10, 10_000)) // dice.choice((1, 100, 10**6))))
        given = _quote(pool.amount_out, zero_for_one, amount)
        if given is None:
            return "taken" if _pair_takes(code, pool, zero_for_one, amount, 0, 1) else None
        better = (amount, given + 1)
    else:
        amount = dice.randint(1, max(1, reserve_out // dice.choice((1, 1, 2, 100, 10**6)))) + dice.choice((0, 0, 0, 1))
        taken = _quote(pool.amount_in, zero_for_one, amount)
        if taken is None:
            most = MAX_RESERVE - reserve_in
            return "given" if amount < reserve_out and _pair_takes(code, pool, zero_for_one, most, amount, 0) else None
        amount, given, better = taken, amount, (taken - 1, amount)
    case = f"{pool}, zero_for_one={zero_for_one}, in {amount}, out {given}"
    if given and not _pair_takes(code, pool, zero_for_one, amount, given, 0):
        return f"refused: {case}"
    if better[1] < reserve_out and _pair_takes(code, pool, zero_for_one, *better, 0):
        return f"a better {better} is taken: {case}"
    return None


def _pair_takes(code: bytes, pool: V2Pool, zero_for_one: bool, amount_in: int, amount_out: int, least_out: int) -> bool:
    """Whether the pair swaps these amounts; then its reserves must be the ones we expect, too."""
    amount_out = max(amount_out, least_out)
    paid = (amount_in, 0) if zero_for_one else (0, amount_in)
    wanted = (0, amount_out) if zero_for_one else (amount_out, 0)
    machine = chain.v2_machine(code, pool, *paid)
    try:
        chain.send(machine, chain.POOL, chain.v2_swap_data(*wanted))
    except chain.RevertedError:
        return False
    expected = (pool.reserve0 + paid[0] - wanted[0], pool.reserve1 + paid[1] - wanted[1])
    assert chain.v2_reserves(machine) == expected, (chain.v2_reserves(machine), expected)
    return True


def run_chunk(kind: str, numbers: range) -> list[str]:
    """What differs in these cases; a failure of the run itself is one of them."""
    problems = []
    for number in numbers:
        try:
            problem = run_case(kind, number)
        except Exception as error:  # noqa: BLE001  # the other cases still say something
            problem = f"{kind} {number}: {error!r}"
        if problem:
            problems.append(problem)
    return problems


def run_cases(kind: str, count: int, workers: int = 2) -> list[str]:
    """Run the cases 0 to ``count`` in processes of their own."""
    chunks = [range(start, count, 4 * workers) for start in range(min(count, 4 * workers))]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return [problem for found in pool.map(run_chunk, [kind] * len(chunks), chunks) for problem in found]


__all__ = ["TIERS", "V2_KINDS", "V3_KINDS", "run_case", "run_cases", "v3_case"]
