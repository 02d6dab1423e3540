"""The fuzzer's short version; ``python -m tests.fuzz.bus --frames 1000000`` is the long one."""

from __future__ import annotations

from tests.fuzz.bus import run


def test_fuzzed_frames_raise_nothing_and_keep_memory_flat() -> None:
    found = run(60_000, seed=20)
    assert found["frames_read"] > 30_000
    assert found["malformed"] > 100
    assert found["dropped_bytes"] > 1_000_000
    assert found["largest_pending_bytes"] <= 65_568
    assert found["resident_bytes_end"] - found["resident_bytes_early"] < 8_000_000
