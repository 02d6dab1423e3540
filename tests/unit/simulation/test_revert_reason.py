"""Revert data in words, and junk without a crash."""

from __future__ import annotations

import pytest
from eth_abi import encode
from hypothesis import given
from hypothesis import strategies as st

from flasharb.simulation.revert_reason import ERROR_SELECTOR, PANIC_SELECTOR, revert_reason


@pytest.mark.parametrize(
    ("output", "error", "expected"),
    [
        (b"anything", None, None),
        (b"", "execution reverted", "execution reverted"),
        (b"", "OutOfGas: too much", "OutOfGas: too much"),
        (ERROR_SELECTOR + encode(["string"], ["UniswapV2: K"]), "execution reverted", "UniswapV2: K"),
        (
            PANIC_SELECTOR + encode(["uint256"], [0x11]),
            "execution reverted",
            "panic 0x11: arithmetic overflow or underflow",
        ),
        (bytes.fromhex("deadbeef"), "execution reverted", "custom error 0xdeadbeef"),
        (bytes.fromhex("deadbeef01"), "execution reverted", "custom error 0xdeadbeef with 0x01"),
        (b"\x01", "execution reverted", "reverted with 0x01"),
    ],
)
def test_reasons(output: bytes, error: str | None, expected: str | None) -> None:
    """Each form that contracts use."""
    assert revert_reason(output, error) == expected


@given(st.sampled_from([b"", ERROR_SELECTOR, PANIC_SELECTOR]), st.binary(max_size=100))
def test_junk_is_told_as_it_is(selector: bytes, junk: bytes) -> None:
    """Contracts may revert with anything."""
    reason = revert_reason(selector + junk, "execution reverted")
    assert isinstance(reason, str)
    assert reason or selector == ERROR_SELECTOR
