"""Pools that nobody has modelled, in recorded mainnet blocks: quoted by making the swap, found, and executed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flasharb.adapters.blockfile import read_block
from flasharb.pools import InsufficientLiquidity
from flasharb.pools.quoted.pool import UnknownState
from flasharb.simulation.backtest import Terms, backtest
from flasharb.simulation.quoted_pools import QuotedPools
from flasharb.simulation.recorded_pools import Offered, offered
from flasharb.simulation.replay import Replay
from flasharb.simulation.swaps import CURVE_EXCHANGES
from flasharb.units import ZERO_ADDRESS, Address, address

WETH = address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")

pytestmark = pytest.mark.mainnet


@pytest.mark.parametrize(
    ("number", "exchanges"),
    [(13217637, 1), (17666333, 2), (18884864, 2), (18885292, 1), (19932148, 1), (21066632, 1)],
)
def test_every_curve_exchange_is_quoted_to_the_unit(mainnet_blocks: Path, number: int, exchanges: int) -> None:
    """From the state before its transaction: plain pools, tricrypto, new factory pools and a proxy, no model at all."""
    replay = Replay(read_block(mainnet_blocks / f"{number}.json.gz"))
    quoted = QuotedPools(replay, WETH, ZERO_ADDRESS, {})
    seen = 0
    for receipt in replay.block.receipts:
        for log in receipt.logs:
            if log.topics and log.topics[0] in CURVE_EXCHANGES:
                i, sold, j, bought = (int.from_bytes(log.data[at : at + 32], "big") for at in range(0, 128, 32))
                pool = quoted.known().pools[Address(log.address)]
                assert pool.amount_out(i, j, sold) == bought
                seen += 1
        replay.advance()
    assert seen == exchanges


def test_a_quote_is_of_its_moment(mainnet_blocks: Path) -> None:
    """When the block has moved on it is refused, and a coin that the file does not name is never traded."""
    replay = Replay(read_block(mainnet_blocks / "17666333.json.gz"))
    pools = QuotedPools(replay, WETH, ZERO_ADDRESS, {}).known().pools
    three = pools[address("0xbEbc44782C7dB0a1A60Cb6fe97d0b483032FF1C7")]
    with pytest.raises(UnknownState, match="nobody can be given"):
        three.amount_out(0, 1, 10**18)
    with pytest.raises(UnknownState):
        three.amount_out(1, 0, 10**6)
    assert three.amount_out(1, 2, 10**6) > 0
    with pytest.raises(InsufficientLiquidity):
        three.amount_out(1, 2, 1 << 112)
    replay.advance()
    with pytest.raises(UnknownState, match="moved on"):
        three.amount_out(1, 2, 10**7)


def few_models(replay: Replay) -> Offered:
    """What a block offers of three protocols."""
    found = offered(replay)
    modelled = ("uniswap_v2", "sushiswap_v2", "uniswap_v3")
    return replace(found, specs={at: spec for at, spec in found.specs.items() if spec.protocol in modelled})


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("number", "index", "max_hops", "kinds"),
    [
        (13217637, 1, 3, ["uniswap_v3", "quoted_curve", "sushiswap_v2"]),
        (17666333, 37, 3, ["quoted_v2", "uniswap_v2"]),
        (18885292, 7, 4, ["sushiswap_v2", "quoted_curve", "quoted_curve", "uniswap_v3"]),
    ],
)
def test_arbitrages_through_them_are_found_and_made(
    mainnet_blocks: Path, number: int, index: int, max_hops: int, kinds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if only Uniswap and Sushi were modelled: with at least the searcher's profit, sized over real calls, and by
    FlashArb to the wei. Through tricrypto, through a pair of no known factory and a token with a fee, and through a
    share that is redeemed for a coin.
    """
    monkeypatch.setattr("flasharb.simulation.backtest.offered", few_models)
    terms = Terms((WETH,), WETH, ZERO_ADDRESS, max_hops=max_hops, evm_quotes=True)
    result = backtest(read_block(mainnet_blocks / f"{number}.json.gz"), terms)
    (one,) = (one for one in result.arbitrages if one.index == index)
    assert one.found, (one.missed, one.detail)
    assert one.ours is not None
    assert one.ours.simulated
    assert one.ours.trade.gross_profit >= one.gross_profit
    assert [hop.protocol for hop in one.ours.trade.hops] == kinds
