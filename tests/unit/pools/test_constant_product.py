"""Constant-product pools."""

from __future__ import annotations

import pytest

from flasharb.pools import (
    InsufficientLiquidity,
    Uninitialised,
    V2Pool,
)
from flasharb.pools.constant_product.pool import MAX_RESERVE
from flasharb.pools.spec import PoolSpec
from tests.support.pool_bytecode import POOL, TOKEN0, TOKEN1


def pool(reserve0: int, reserve1: int, fee_pips: int = 3000) -> V2Pool:
    """A pair with these reserves."""
    return V2Pool(PoolSpec(POOL, "uniswap_v2", (TOKEN0, TOKEN1), fee_pips), reserve0, reserve1)


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
    assert pool(reserve0, reserve1).amount_out(0, 1, amount) == expected
    assert pool(reserve1, reserve0).amount_out(1, 0, amount) == expected


def test_input_is_the_least_that_passes() -> None:
    """Without a remainder the library's getAmountIn asks one more than the pair does."""
    free = pool(1000, 1000, fee_pips=0)

    assert free.amount_in(0, 1, 500) == 1000
    assert free.amount_out(0, 1, 1000) == 500
    assert free.amount_out(0, 1, 999) == 499


def test_fees_differ_by_pool() -> None:
    """2500 pips are PancakeSwap's 0.25 %."""
    assert pool(10**9, 10**9, 2500).amount_out(0, 1, 10**6) == 10**6 * 9975 * 10**9 // (10**9 * 10000 + 10**6 * 9975)


def test_nothing_for_nothing() -> None:
    """Zero is not an error; negative amounts are."""
    assert pool(5, 5).amount_out(0, 1, 0) == pool(5, 5).amount_in(0, 1, 0) == 0
    for ask in (pool(5, 5).amount_out, pool(5, 5).amount_in):
        with pytest.raises(ValueError, match="cannot be negative"):
            ask(0, 1, -1)
    with pytest.raises(ValueError, match="positive amount"):
        pool(5, 5).swapped(0, 1, 0)


@pytest.mark.parametrize("reserves", [(0, 0), (0, 7), (7, 0)])
def test_an_empty_pair_gives_no_quote(reserves: tuple[int, int]) -> None:
    """No reserves, no price."""
    empty = pool(*reserves)

    for ask in (empty.amount_out, empty.amount_in):
        with pytest.raises(Uninitialised):
            ask(0, 1, 1)
    with pytest.raises(Uninitialised):
        empty.marginal_rate(0, 1)
    with pytest.raises(Uninitialised):
        empty.reserve_in(0, 1)
    assert list(empty.pieces(0, 1)) == []


def test_the_whole_reserve_cannot_be_bought() -> None:
    """The pair asks for strictly less."""
    with pytest.raises(InsufficientLiquidity, match="not less than the reserve"):
        pool(10**6, 10**6).amount_in(0, 1, 10**6)


def test_reserves_stay_within_uint112() -> None:
    """The pair reverts where a balance would not fit its reserve."""
    full = pool(MAX_RESERVE - 10, 10**20)

    assert full.amount_out(0, 1, 10) == 0
    with pytest.raises(InsufficientLiquidity, match="overflow"):
        full.amount_out(0, 1, 11)
    with pytest.raises(InsufficientLiquidity, match="overflow"):
        full.amount_in(0, 1, 10**19)


def test_swapped_moves_the_reserves() -> None:
    """Input and output are booked on their sides."""
    swapped = pool(10**9, 2 * 10**9).swapped(1, 0, 10**6)
    bought = pool(10**9, 2 * 10**9).swapped(1, 0, swapped.amount_out, exact_in=False)

    assert (swapped.pool.reserve0, swapped.pool.reserve1) == (10**9 - swapped.amount_out, 2 * 10**9 + 10**6)
    assert bought.amount_out == swapped.amount_out
    assert bought.amount_in <= 10**6


def test_the_price_around() -> None:
    """Rate with fee, reserves as depth, one piece without end."""
    known = pool(10**9, 4 * 10**9)

    assert known.marginal_rate(0, 1) == pytest.approx(4 * 0.997)
    assert known.marginal_rate(1, 0) == pytest.approx(0.997 / 4)
    assert known.depth() == (10**9, 4 * 10**9)
    (piece,) = known.pieces(1, 0)
    assert (piece.virtual_in, piece.virtual_out, piece.room) == (4e9, 1e9, float("inf"))
