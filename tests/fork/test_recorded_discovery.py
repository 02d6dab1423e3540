"""What the recorded blocks hold, by the table in ``docs/pools/README.md``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from flasharb.adapters.blockfile import read_block
from flasharb.simulation.recorded_pools import UNVOUCHED, offered
from flasharb.simulation.replay import Replay

AT_LEAST = {
    "uniswap_v2": 143,
    "uniswap_v3": 63,
    "sushiswap_v2": 10,
    "curve_cryptoswap": 6,
    "uniswap_v4": 4,
    "curve_stableswap": 3,
    "v2_fork": 2,
    "shibaswap_v2": 1,
    "pancakeswap_v3": 1,
    "balancer_weighted": 1,
    "erc4626": 1,
    "wsteth": 1,
}


@pytest.mark.mainnet
def test_every_recorded_block_offers_its_pools_and_no_impostor_passes(mainnet_blocks: Path) -> None:
    """At least as many as are told, each address once; nothing that answers like a pool is left without a reason."""
    found: Counter[str] = Counter()
    for path in sorted(mainnet_blocks.glob("*.json.gz")):
        there = offered(Replay(read_block(path)))
        assert not there.specs.keys() & there.refused.keys()
        assert all(there.refused.values())
        assert UNVOUCHED not in there.refused.values(), "an impostor that was not there before: look at it"
        assert all(spec.address == at for at, spec in there.specs.items())
        found.update(spec.protocol for spec in there.specs.values())
    assert {name: found[name] for name, count in AT_LEAST.items() if found[name] < count} == {}
