"""What holds for every pool: the ladder is the loop, changes are rebuilds, quotes are monotone and inverse."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from itertools import accumulate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flasharb.pools import (
    InsufficientLiquidity,
    UnknownRange,
    V2Pool,
    V3Pool,
    ends,
    v3_pool,
)
from flasharb.pools.concentrated.tick_bitmap import full_range, word_of
from flasharb.pools.concentrated.tick_math import (
    MAX_SQRT_PRICE_X96,
    MAX_TICK,
    MIN_SQRT_PRICE_X96,
    MIN_TICK,
    sqrt_price_at_tick,
    tick_at_sqrt_price,
)
from flasharb.pools.inverse import least_input
from flasharb.pools.spec import PoolSpec
from tests.support.pool_bytecode import POOL, TOKEN0, TOKEN1, v3_spec
from tests.support.pool_cases import V3_KINDS, pool_of, ticks_of, v3_case

NUMBERS = st.integers(0, 10**9)
KINDS = st.sampled_from(V3_KINDS)


@given(tick=st.integers(MIN_TICK, MAX_TICK))
def test_price_and_tick_are_inverse(tick: int) -> None:
    """A tick's price belongs to the tick, one less to the tick below."""
    price = sqrt_price_at_tick(tick)

    if tick < MAX_TICK:
        assert tick_at_sqrt_price(price) == tick
    if tick > MIN_TICK:
        assert tick_at_sqrt_price(price - 1) == tick - 1


@given(price=st.integers(MIN_SQRT_PRICE_X96, MAX_SQRT_PRICE_X96 - 1))
def test_tick_is_the_greatest_below_the_price(price: int) -> None:
    """The definition of getTickAtSqrtRatio."""
    tick = tick_at_sqrt_price(price)

    assert sqrt_price_at_tick(tick) <= price < sqrt_price_at_tick(tick + 1)


@given(kind=KINDS, number=NUMBERS, amount=st.integers(1, 1 << 120), exact_in=st.booleans())
def test_the_ladder_is_the_loop(kind: str, number: int, amount: int, exact_in: bool) -> None:
    """Wherever the contract's loop fills the amount, the ladder gives the same; where it runs dry, it says so."""
    case = v3_case(kind, number)
    pool = case.pool()
    plain = pool.swapped(*ends(case.zero_for_one), amount, exact_in=exact_in)

    try:
        quote = (pool.amount_out if exact_in else pool.amount_in_exact_out)(*ends(case.zero_for_one), amount)
    except InsufficientLiquidity:
        assert amount != (plain.amount_in if exact_in else plain.amount_out)
    else:
        assert (quote, amount) == ((plain.amount_out, plain.amount_in)[:: 1 if exact_in else -1])


@given(number=NUMBERS, steps=st.integers(1, 12))
def test_changes_in_place_equal_a_rebuild(number: int, steps: int) -> None:
    """Mints and burns one by one lead to the pool that is built from the positions that are left."""
    dice = random.Random(number)
    case = v3_case("range", number)
    pool, positions = case.pool(), list(case.positions)
    for _ in range(steps):
        _touch_rungs(pool, dice)
        if positions and dice.random() < 0.4:
            lower, upper, liquidity = positions.pop(dice.randrange(len(positions)))
            pool = pool.with_liquidity_change(lower, upper, -liquidity)
        else:
            lower, upper, liquidity = dice.choice(v3_case("edge", dice.randint(0, 10**6)).positions)
            spacing = case.tier[3]
            lower, upper = lower // spacing * spacing, upper // spacing * spacing
            if MIN_TICK <= lower < upper <= MAX_TICK:
                positions.append((lower, upper, liquidity))
                pool = pool.with_liquidity_change(lower, upper, liquidity)
        rebuilt = pool_of(pool.spec, positions, pool.sqrt_price_x96, pool.tick)

        assert pool == rebuilt
        assert pool.ticks_agree()
        assert _rungs(pool) == _rungs(rebuilt)


def _touch_rungs(pool: V3Pool, dice: random.Random) -> None:
    """Make the ladder build rungs that a later change must drop."""
    word = word_of(pool.tick, pool.spec.tick_spacing)
    for near in range(word - dice.randint(0, 3), word + dice.randint(1, 3)):
        pool.ladder.down(near)
        pool.ladder.up(near)


def _rungs(pool: V3Pool) -> list[object]:
    word = word_of(pool.tick, pool.spec.tick_spacing)
    return [(pool.ladder.down(near), pool.ladder.up(near)) for near in range(word - 3, word + 4)]


@given(kind=KINDS, number=NUMBERS, words=st.integers(0, 3), amount=st.integers(1, 1 << 110))
def test_partial_knowledge_never_gives_another_answer(kind: str, number: int, words: int, amount: int) -> None:
    """A pool that knows some words answers as the whole one does, or says that it does not know."""
    case = v3_case(kind, number)
    whole = case.pool()
    low, high = full_range(case.tier[3])
    middle = min(high, max(low, word_of(whole.tick, case.tier[3])))
    known = (max(low, middle - words), min(high, middle + words))
    ticks = {t: i for t, i in whole.ladder.info.items() if known[0] <= word_of(t, case.tier[3]) <= known[1]}
    part = v3_pool(whole.spec, whole.sqrt_price_x96, whole.tick, whole.liquidity, ticks, known)

    for quote in (V3Pool.amount_out, V3Pool.amount_in_exact_out, V3Pool.amount_in):
        answer = _answer(quote, part, case.zero_for_one, amount)

        assert answer in ("unknown", _answer(quote, whole, case.zero_for_one, amount))


def _answer(quote: Callable[[V3Pool, int, int, int], int], pool: V3Pool, zero_for_one: bool, amount: int) -> int | str:
    try:
        return quote(pool, *ends(zero_for_one), amount)
    except InsufficientLiquidity:
        return "dry"
    except UnknownRange:
        return "unknown"


@given(kind=KINDS, number=NUMBERS)
@example(kind="gap", number=1558)  # a range that less than one unit of input crosses, for 2e24 of output
def test_pieces_follow_the_exact_quote(kind: str, number: int) -> None:
    """Each piece ends where the exact quote is, within floating point and rounding of whole units."""
    case = v3_case(kind, number)
    pool = case.pool()
    offset_in = offset_out = 0.0
    for gamma, virtual_in, virtual_out, room in list(pool.pieces(*ends(case.zero_for_one)))[:6]:
        end_in, paid = offset_in + room, gamma * room
        probe = int(end_in * (1 - 1e-9))
        inside = probe - offset_in
        # not too coarse in whole units for a comparison
        if probe >= 10**12 and inside >= end_in * 1e-6 and virtual_out <= 1e9 * virtual_in:
            curve = virtual_out * gamma * inside / (virtual_in + gamma * inside)
            exact = pool.amount_out(*ends(case.zero_for_one), probe)
            assert abs(exact - offset_out - curve) <= 1e-6 * exact + 1000 * (1 + virtual_out / virtual_in)
        offset_in, offset_out = end_in, offset_out + virtual_out * paid / (virtual_in + paid)


@given(kind=KINDS, number=NUMBERS, share=st.floats(0.001, 1.0))
def test_pieces_that_were_kept_are_those_made_anew(kind: str, number: int, share: float) -> None:
    """Wherever a swap left the price, the pieces kept from before are those of a pool built from the same state."""
    case = v3_case(kind, number)
    pool, (i, j) = case.pool(), ends(case.zero_for_one)
    before = list(pool.pieces(i, j))
    if not before or not 0 < (amount := int(before[0].room * (1 + share))) < 1 << 200:
        return
    try:
        moved = pool.swapped(i, j, amount).pool
    except UnknownRange:
        return
    words = moved.ladder.low_word, moved.ladder.high_word
    state = moved.sqrt_price_x96, moved.tick, moved.liquidity
    if moved.ticks_agree():
        anew = v3_pool(moved.spec, *state, moved.ladder.info, words)
        assert list(moved.pieces(i, j)) == list(anew.pieces(i, j))
        assert list(moved.pieces(j, i)) == list(anew.pieces(j, i))


@given(kind=KINDS, number=NUMBERS)
def test_marginal_rate_is_the_first_piece(kind: str, number: int) -> None:
    """Where there is liquidity at the price, the rate is that of the virtual reserves."""
    case = v3_case(kind, number)
    pool = case.pool()
    if pool.liquidity < 10**9:
        return
    first = next(pool.pieces(*ends(case.zero_for_one)), None)
    if first is not None and first.virtual_in > 0:
        rate = first.gamma * first.virtual_out / first.virtual_in
        assert abs(pool.marginal_rate(*ends(case.zero_for_one)) - rate) <= 1e-6 * rate


@given(kind=KINDS, number=NUMBERS, share=st.sampled_from((0.001, 0.1, 0.5)))
def test_liquidity_within_is_what_a_swap_takes_out(kind: str, number: int, share: float) -> None:
    """The amounts within a share of the price are what a swap to that price pays, within rounding."""
    case = v3_case(kind, number)
    pool = case.pool()
    token0, token1 = pool.depth(share)
    price = pool.sqrt_price_x96
    for zero_for_one, amount, factor in ((False, token0, (1 + share) ** 0.5), (True, token1, (1 - share) ** 0.5)):
        limit = min(MAX_SQRT_PRICE_X96 - 1, max(MIN_SQRT_PRICE_X96 + 1, int(price * factor)))
        if (limit < price) != zero_for_one or limit == price:
            continue
        given_out = pool.swapped(*ends(zero_for_one), 1 << 250, sqrt_price_limit_x96=limit).amount_out
        assert abs(amount - given_out) <= 2000 + max(amount, given_out) * 1e-9


@given(kind=KINDS, number=NUMBERS)
def test_pools_survive_pickling(kind: str, number: int) -> None:
    """Pools travel between processes."""
    pool = v3_case(kind, number).pool()

    copy = pickle.loads(pickle.dumps(pool))

    assert copy == pool
    assert hash(copy.ladder) == hash(pool.ladder)


@given(
    reserves=st.tuples(st.integers(1, 1 << 111), st.integers(1, 1 << 111)),
    fee_pips=st.sampled_from((0, 2000, 2500, 3000, 10_000)),
    amount=st.integers(1, 1 << 100),
    zero_for_one=st.booleans(),
)
def test_v2_input_is_the_least_for_its_output(
    reserves: tuple[int, int], fee_pips: int, amount: int, zero_for_one: bool
) -> None:
    """The exact inverse: amount_in(amount_out(x)) is the least input with that output."""
    pool = V2Pool(PoolSpec(POOL, "uniswap_v2", (TOKEN0, TOKEN1), fee_pips), *reserves)
    given_out = pool.amount_out(*ends(zero_for_one), amount)
    if not given_out:
        return
    least = pool.amount_in(*ends(zero_for_one), given_out)

    assert least <= amount
    assert pool.amount_out(*ends(zero_for_one), least) == given_out
    assert pool.amount_out(*ends(zero_for_one), least - 1) < given_out
    assert (pool.reserve_in(0, 1), pool.reserve_in(1, 0)) == reserves


def test_words_partition_the_positions() -> None:
    """The known words of a whole pool hold every tick that a position can have."""
    for spacing in (1, 3, 7, 10, 50, 60, 200, 2000, 16383):
        low, high = full_range(spacing)
        top = MAX_TICK // spacing * spacing
        pool = v3_pool(v3_spec("uniswap_v3", 500, spacing), 1 << 96, 0, 5, ticks_of([(-top, top, 5)]))

        assert (word_of(-top, spacing), word_of(top, spacing)) == (low, high)
        assert pool.ticks_agree()


@given(kind=KINDS, number=NUMBERS, amount=st.integers(1, 1 << 100))
def test_v3_inverse_is_the_least_input(kind: str, number: int, amount: int) -> None:
    """amount_in of what an input gives is the least input that gives it, whatever the exact-output swap asks."""
    case = v3_case(kind, number)
    pool, (i, j) = case.pool(), ends(case.zero_for_one)
    try:
        given_out = pool.amount_out(i, j, amount)
    except InsufficientLiquidity:
        return
    least = pool.amount_in(i, j, given_out)

    assert least <= amount
    assert pool.amount_out(i, j, least) == given_out
    if given_out:
        assert pool.amount_out(i, j, least - 1) < given_out


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(0, 60), st.integers(0, 60))
def test_the_inverse_of_any_rising_quote_is_found_from_any_guess(steps: list[int], guess: int, wanted: int) -> None:
    """Against a search through all inputs; the quote refuses what lies beyond its steps."""
    outputs = list(accumulate(steps, initial=0))

    def quote(amount: int) -> int:
        if amount >= len(outputs):
            raise InsufficientLiquidity(f"{amount} is too much")
        return outputs[amount]

    expected = next((amount for amount, output in enumerate(outputs) if output >= wanted), None)
    if expected is None:
        with pytest.raises(InsufficientLiquidity):
            least_input(quote, wanted, guess)
    else:
        assert least_input(quote, wanted, guess) == expected
