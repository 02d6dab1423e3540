"""revm as a second opinion on real mainnet transactions, real arbitrages among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from flasharb.adapters.blockfile import read_block
from flasharb.simulation import revm
from flasharb.simulation.opinion import UNABLE
from tests.support.opinions import opinions_on

pytestmark = [
    pytest.mark.mainnet,
    pytest.mark.skipif(revm.unavailable() is not None, reason="pyrevm has wheels for Python up to 3.12 only"),
]

BLOCKS = [
    (13217637, 3, {2}),
    (17666333, 38, {37}),
    (18884864, 3, {2}),
    (18885292, 8, {7}),
    (19923400, None, set(range(24)) - {12, 20}),
    (20852412, None, set(range(38))),
    (22615247, None, set(range(26)) - {15}),
]
"""Block, how many of its transactions, and which of them must be confirmed (the arbitrages of ``arbs.json``)."""


@pytest.mark.parametrize(("number", "count", "confirmed"), BLOCKS, ids=[str(number) for number, *_ in BLOCKS])
def test_revm_says_the_same(number: int, count: int | None, confirmed: set[int], mainnet_blocks: Path) -> None:
    """Success, output, logs, ETH and every measured balance are the same, or revm's binding names what it lacks."""
    found = opinions_on(read_block(mainnet_blocks / f"{number}.json.gz"), count)
    assert {index for index, objection in found.items() if objection is None} >= confirmed
    assert {objection.reason for objection in found.values() if objection is not None} <= {UNABLE}
