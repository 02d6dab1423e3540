"""Chains for the devnet's tests."""

from __future__ import annotations

import pytest

from flasharb.devnet.chain import Built, Chain
from flasharb.devnet.traders import Traders
from flasharb.devnet.world import World
from tests.support import devnet

TRADED_BLOCKS = 12


@pytest.fixture(scope="session")
def world() -> World:
    return devnet.world()


@pytest.fixture
def chain(world: World) -> Chain:
    return Chain(world)


@pytest.fixture(scope="session")
def traded(world: World) -> tuple[Chain, list[Built]]:
    """A chain after a few blocks of trading, and those blocks. Only to be read."""
    chain = Chain(world)
    return chain, devnet.mine(chain, Traders(chain, world, seed=5, trades_per_slot=3.0), TRADED_BLOCKS)
