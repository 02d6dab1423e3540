"""The fork table: the first block of each fork on mainnet, and what is refused."""

from __future__ import annotations

import pytest

from flasharb.evm import Fork, fork_at
from flasharb.evm.forks import BLOB_SCHEDULES, HOLESKY, HOODI, SEPOLIA


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
        (23_935_693, 1_764_798_539, Fork.PRAGUE),
        (23_935_694, 1_764_798_551, Fork.OSAKA),
        (23_975_795, 1_765_290_059, Fork.OSAKA),
        (23_975_796, 1_765_290_071, Fork.BPO1),
        (24_179_382, 1_767_747_659, Fork.BPO1),
        (24_179_383, 1_767_747_671, Fork.BPO2),
    ],
)
def test_mainnet(number: int, timestamp: int, fork: Fork) -> None:
    """Both sides of every border."""
    assert fork_at(1, number, timestamp) is fork


@pytest.mark.parametrize(
    ("chain_id", "starts"),
    [
        (SEPOLIA, (1_677_557_088, 1_706_655_072, 1_741_159_776, 1_760_427_360, 1_761_017_184, 1_761_607_008)),
        (HOLESKY, (1_696_000_704, 1_707_305_664, 1_740_434_112, 1_759_308_480, 1_759_800_000, 1_760_389_824)),
        (HOODI, (-1, 0, 1_742_999_832, 1_761_677_592, 1_762_365_720, 1_762_955_544)),
    ],
)
def test_test_networks(chain_id: int, starts: tuple[int, ...]) -> None:
    """Both sides of every border; Hoodi began with Cancun."""
    forks = (Fork.SHANGHAI, Fork.CANCUN, Fork.PRAGUE, Fork.OSAKA, Fork.BPO1, Fork.BPO2)
    for start, fork, before in zip(starts, forks, (None, *forks), strict=False):
        if start > 0:
            assert fork_at(chain_id, 9_000_000, start) is fork
            if before is not None:
                assert fork_at(chain_id, 9_000_000, start - 1) is before
    assert fork_at(HOODI, 0, 0) is Fork.CANCUN


def test_the_devnet_has_prague_rules_always() -> None:
    """From its first block."""
    assert fork_at(61_861, 0, 0) is Fork.PRAGUE


@pytest.mark.parametrize(
    ("chain_id", "number", "timestamp", "reason"),
    [
        (1, 12_243_999, 1_618_481_000, "older than Berlin"),
        (SEPOLIA, 11_000_000, 1_791_294_816, "amsterdam"),
        (SEPOLIA, 1, 1_677_557_087, "older than Shanghai"),
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


def test_every_fork_with_blobs_has_its_schedule() -> None:
    """And in each the most is above the target, so that EIP-7918's share is defined."""
    assert set(BLOB_SCHEDULES) == {fork for fork in Fork if fork.since(Fork.CANCUN)}
    assert all(0 < schedule.target < schedule.most for schedule in BLOB_SCHEDULES.values())
