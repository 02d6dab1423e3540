"""The seeded scenario of the devnet in which a trade over parallel pools is better than any single cycle."""

from __future__ import annotations

import pytest

from flasharb.devnet.split_example import lines, run
from flasharb.devnet.world import load_world


@pytest.mark.parametrize("seed", [1, 3])
def test_a_split_trade_is_found_simulated_and_landed_in_one_transaction(seed: int) -> None:
    """The chain gives exactly what was sized and simulated, and more than the best single cycle after all gas."""
    world = load_world()
    landed = run(world, seed)
    trade, alone = landed.trade, landed.alone

    assert landed.gained == landed.simulated == trade.gross_profit <= trade.gain_bound
    assert len(trade.paths) > len(alone.paths) == 1
    ways = [(one.hop.token_in, one.hop.token_out) for one in trade.hops]
    pools = {one.hop.pool: way for one, way in zip(trade.hops, ways, strict=True)}
    assert len(set(pools.values())) < len(pools), "two pools between the same tokens, in the same direction"
    gas_price = world.genesis.base_fee_per_gas
    more_gas = landed.gas_used - alone.gas_estimate
    assert trade.gross_profit - alone.gross_profit > more_gas * gas_price
    assert f"{landed.gas_used:,} gas" in list(lines(landed))[-1]
