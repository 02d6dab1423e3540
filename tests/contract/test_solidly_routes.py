"""FlashArb through Solidly pairs that keep their curve and take their fee out of the pair: the devnet's own."""

from __future__ import annotations

import pytest

from flasharb.units import Address
from tests.support.contract_world import DEPLOYER, World
from tests.support.solidly_routes import run_route


def devnet_factory(world: World) -> Address:
    """One basis point for stable pairs, twenty for volatile ones."""
    return world.deploy("DevSolidlyFactory", ["address", "uint256", "uint256"], [DEPLOYER, 1, 20])


@pytest.mark.parametrize("number", range(12))
def test_a_route_through_a_pair_gains_what_is_planned(number: int) -> None:
    assert run_route(devnet_factory, "velodrome_v1", number) is None
