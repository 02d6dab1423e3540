"""The fork table: the first block of each fork on mainnet, and what is refused."""

from __future__ import annotations

import pytest

from flasharb.evm import Fork, fork_at


@pytest.mark.parametrize(
    ("number", "timestamp", "fork"),
    [
        (12_244_000, 1_618_481_223, Fork.BERLIN),
        (12_964_999, 1_628_166_812, Fork.BERLIN),
        (12_965_000, 1_628_166_822, Fork.LONDON),
        (15_537_393, 1_663_224_162, Fork.LONDON),
        (15_537_394, 1_663_224_179, Fork.PARIS),
        (17_034_869, 1_681_338_443, Fork.PARIS),
        (17_034_870, 1_681_338_455, Fork.SHANGHAI),
        (19_426_586, 1_710_338_123, Fork.SHANGHAI),
        (19_426_587, 1_710_338_135, Fork.CANCUN),
        (22_431_083, 1_746_612_299, Fork.CANCUN),
        (22_431_084, 1_746_612_311, Fork.PRAGUE),
    ],
)
def test_mainnet(number: int, timestamp: int, fork: Fork) -> None:
    """Both sides of every border."""
    assert fork_at(1, number, timestamp) is fork


def test_the_devnet_has_prague_rules_always() -> None:
    """From its first block."""
    assert fork_at(61_861, 0, 0) is Fork.PRAGUE


@pytest.mark.parametrize(
    ("chain_id", "number", "timestamp", "reason"),
    [
        (1, 12_243_999, 1_618_481_000, "older than Berlin"),
        (1, 23_935_694, 1_764_798_551, "osaka"),
        (5, 1, 1, "chain id 5"),
    ],
)
def test_rules_that_are_not_known_are_refused(chain_id: int, number: int, timestamp: int, reason: str) -> None:
    """Never executed by the wrong ones."""
    with pytest.raises(ValueError, match=reason):
        fork_at(chain_id, number, timestamp)


def test_order() -> None:
    """A fork has its own rules and those before."""
    assert Fork.CANCUN.since(Fork.CANCUN)
    assert Fork.CANCUN.since(Fork.BERLIN)
    assert not Fork.CANCUN.since(Fork.PRAGUE)
