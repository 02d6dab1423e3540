"""Percentiles by nearest rank."""

from __future__ import annotations

import pytest

from flasharb.service.figures import KEPT_SAMPLES, Latencies


@pytest.mark.parametrize(
    ("seconds", "share", "expected"),
    [
        ([], 0.5, None),
        ([0.007], 0.5, 7.0),
        ([0.007], 0.99, 7.0),
        ([0.001, 0.002, 0.003, 0.004], 0.5, 2.0),
        ([0.004, 0.001, 0.003, 0.002], 0.99, 4.0),
        ([n / 1000 for n in range(1, 101)], 0.99, 99.0),
    ],
)
def test_percentile(seconds: list[float], share: float, expected: float | None) -> None:
    latencies = Latencies()
    for sample in seconds:
        latencies.add(sample)
    assert latencies.percentile(share) == (None if expected is None else pytest.approx(expected))


def test_only_the_newest_samples_are_kept() -> None:
    latencies = Latencies()
    for _ in range(KEPT_SAMPLES):
        latencies.add(1.0)
    for _ in range(KEPT_SAMPLES):
        latencies.add(0.001)
    assert latencies.percentile(1.0) == pytest.approx(1.0)
