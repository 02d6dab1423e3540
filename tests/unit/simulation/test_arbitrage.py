"""What counts as an arbitrage: a closed cycle over two pools, a gain, no loss beyond dust."""

from __future__ import annotations

from flasharb.simulation.arbitrage import classify
from flasharb.simulation.result import Executed
from flasharb.simulation.swaps import Swap
from flasharb.units import Address

SENDER, BOT, WETH, TOKEN, OTHER = (Address(bytes([n]) * 20) for n in range(1, 6))
POOL_A, POOL_B = Address(b"\xaa" * 20), Address(b"\xbb" * 20)
GAS, PRICE, BASE_FEE = 100_000, 20, 15
THERE = Swap(POOL_A, "uniswap_v2", POOL_A, WETH, TOKEN, 10**9, 5 * 10**9)
BACK = Swap(POOL_B, "uniswap_v3", POOL_B, TOKEN, WETH, 5 * 10**9, 10**9 + 10**8)


Changes = dict[Address, dict[Address | None, int]]


def executed(changes: Changes, *, status: int = 1, coinbase: int | None = None) -> Executed:
    """With the gas that the sender pays."""
    paid: Changes = {SENDER: {None: -GAS * PRICE}, **changes}
    tip = GAS * (PRICE - BASE_FEE)
    return Executed(None, status, GAS, PRICE, b"", None, (), paid, tip if coinbase is None else coinbase)


def classified(swaps: tuple[Swap, ...], changes: Changes, **rest: int):
    return classify(executed(changes, **rest), swaps, SENDER, BOT, BASE_FEE, WETH)


GAIN: Changes = {BOT: {WETH: 10**8}, SENDER: {None: -GAS * PRICE}}


def test_a_closed_cycle_with_a_gain() -> None:
    """Gross before gas, net after it, the pools in order, whatever the order of the logs."""
    for swaps in ((THERE, BACK), (BACK, THERE)):
        found = classified(swaps, GAIN)
        assert found is not None
        assert (found.token, found.gross_profit, found.net_profit_wei) == (WETH, 10**8, 10**8 - GAS * PRICE)
        assert found.path == (POOL_A, POOL_B)


def test_what_is_none() -> None:
    """One pool, an open path, a revert, nothing gained, a loss elsewhere."""
    open_end = Swap(POOL_B, "uniswap_v2", POOL_B, TOKEN, OTHER, 5, 6)
    assert classified((THERE,), GAIN) is None
    assert classified((THERE, open_end), GAIN) is None
    assert classified((THERE, BACK), GAIN, status=0) is None
    assert classified((THERE, BACK), {BOT: {WETH: -1}}) is None
    assert classified((THERE, BACK), {BOT: {WETH: 10**8, TOKEN: -(10**9)}}) is None
    assert classified((THERE, BACK), {BOT: {WETH: 10**8, OTHER: -1}}) is None


def test_dust_does_not_count() -> None:
    """A loss below a thousandth of the gain, at the rate of the swaps."""
    found = classified((THERE, BACK), {BOT: {WETH: 10**8, TOKEN: -1000}})
    assert found is not None
    assert found.gross_profit == 10**8


def test_a_bid_is_put_back_into_the_gross_profit() -> None:
    """The contract unwrapped part of the gain for the fee recipient."""
    tip, bid = GAS * (PRICE - BASE_FEE), 6 * 10**7
    changes: Changes = {BOT: {WETH: 10**8 - bid}, SENDER: {None: -GAS * PRICE}}
    found = classified((THERE, BACK), changes, coinbase=tip + bid)
    assert found is not None
    assert found.gross_profit == 10**8
    assert found.net_profit_wei == 10**8 - bid - GAS * PRICE


def test_a_gain_in_a_token_without_a_price() -> None:
    """The profit is named, its worth is not made up."""
    swaps = (
        Swap(POOL_A, "uniswap_v2", POOL_A, OTHER, TOKEN, 100, 200),
        Swap(POOL_B, "uniswap_v2", POOL_B, TOKEN, OTHER, 200, 110),
    )
    found = classified(swaps, {BOT: {OTHER: 10}, SENDER: {None: -GAS * PRICE}})
    assert found is not None
    assert (found.token, found.gross_profit, found.net_profit_wei) == (OTHER, 10, None)
