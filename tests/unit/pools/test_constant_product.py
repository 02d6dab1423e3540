"""Constant-product pools."""

from __future__ import annotations

import pytest

from flasharb.pools import (
    InsufficientLiquidity,
    Uninitialised,
    V2Pool,
    amount_in,
    amount_out,
    liquidity_within,
    marginal_rate,
    pieces,
    virtual_reserves,
)
from flasharb.pools.constant_product.pool import MAX_RESERVE
from flasharb.pools.spec import PoolSpec
from tests.support.pool_bytecode import POOL, TOKEN0, TOKEN1


def pool(reserve0: int, reserve1: int, fee_pips: int = 3000) -> V2Pool:
    """A pair with these reserves."""
    return V2Pool(PoolSpec(POOL, "uniswap_v2", TOKEN0, TOKEN1, fee_pips), reserve0, reserve1)


@pytest.mark.parametrize(
    ("amount", "reserve0", "reserve1", "expected"),
    [
        # UniswapV2Pair.spec.ts of v2-core: the greatest output that each input passes with
        (10**18, 5 * 10**18, 10 * 10**18, 1662497915624478906),
        (10**18, 10 * 10**18, 5 * 10**18, 453305446940074565),
        (2 * 10**18, 5 * 10**18, 10 * 10**18, 2851015155847869602),
        (2 * 10**18, 10 * 10**18, 5 * 10**18, 831248957812239453),
        (10**18, 10 * 10**18, 10 * 10**18, 906610893880149131),
        (10**18, 100 * 10**18, 100 * 10**18, 987158034397061298),
        (10**18, 1000 * 10**18, 1000 * 10**18, 996006981039903216),
    ],
)
def test_known_outputs(amount: int, reserve0: int, reserve1: int, expected: int) -> None:
    """Figures of Uniswap's own tests, both ways round."""
    assert amount_out(pool(reserve0, reserve1), True, amount) == expected
    assert amount_out(pool(reserve1, reserve0), False, amount) == expected


def test_input_is_the_least_that_passes() -> None:
    """Without a remainder the library's getAmountIn asks one more than the pair does."""
    free = pool(1000, 1000, fee_pips=0)

    assert amount_in(free, True, 500) == 1000
    assert amount_out(free, True, 1000) == 500
    assert amount_out(free, True, 999) == 499


def test_fees_differ_by_pool() -> None:
    """2500 pips are PancakeSwap's 0.25 %."""
    assert amount_out(pool(10**9, 10**9, 2500), True, 10**6) == 10**6 * 9975 * 10**9 // (10**9 * 10000 + 10**6 * 9975)


def test_nothing_for_nothing() -> None:
    """Zero is not an error; negative amounts are."""
    assert amount_out(pool(5, 5), True, 0) == amount_in(pool(5, 5), True, 0) == 0
    for ask in (amount_out, amount_in):
        with pytest.raises(ValueError, match="cannot be negative"):
            ask(pool(5, 5), True, -1)
    with pytest.raises(ValueError, match="positive amount"):
        pool(5, 5).swapped(True, 0)


@pytest.mark.parametrize("reserves", [(0, 0), (0, 7), (7, 0)])
def test_an_empty_pair_gives_no_quote(reserves: tuple[int, int]) -> None:
    """No reserves, no price."""
    empty = pool(*reserves)

    for ask in (amount_out, amount_in):
        with pytest.raises(Uninitialised):
            ask(empty, True, 1)
    with pytest.raises(Uninitialised):
        marginal_rate(empty, True)
    with pytest.raises(Uninitialised):
        virtual_reserves(empty)
    assert list(pieces(empty, True)) == []


def test_the_whole_reserve_cannot_be_bought() -> None:
    """The pair asks for strictly less."""
    with pytest.raises(InsufficientLiquidity, match="not less than the reserve"):
        amount_in(pool(10**6, 10**6), True, 10**6)


def test_reserves_stay_within_uint112() -> None:
    """The pair reverts where a balance would not fit its reserve."""
    full = pool(MAX_RESERVE - 10, 10**20)

    assert amount_out(full, True, 10) == 0
    with pytest.raises(InsufficientLiquidity, match="overflow"):
        amount_out(full, True, 11)
    with pytest.raises(InsufficientLiquidity, match="overflow"):
        amount_in(full, True, 10**19)


def test_swapped_moves_the_reserves() -> None:
    """Input and output are booked on their sides."""
    swapped = pool(10**9, 2 * 10**9).swapped(False, 10**6)
    bought = pool(10**9, 2 * 10**9).swapped(False, swapped.amount_out, exact_in=False)

    assert (swapped.pool.reserve0, swapped.pool.reserve1) == (10**9 - swapped.amount_out, 2 * 10**9 + 10**6)
    assert bought.amount_out == swapped.amount_out
    assert bought.amount_in <= 10**6


def test_the_price_around() -> None:
    """Rate with fee, reserves as depth, one piece without end."""
    known = pool(10**9, 4 * 10**9)

    assert marginal_rate(known, True) == pytest.approx(4 * 0.997)
    assert marginal_rate(known, False) == pytest.approx(0.997 / 4)
    assert liquidity_within(known) == (10**9, 4 * 10**9)
    (piece,) = pieces(known, False)
    assert (piece.virtual_in, piece.virtual_out, piece.end_in) == (4e9, 1e9, float("inf"))
    with pytest.raises(ValueError, match="between 0 and 1"):
        liquidity_within(known, 1.5)
