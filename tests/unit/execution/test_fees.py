"""Fees: the exact next base fee at its edges, and the cap that rejects by name."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasharb.execution.fees import GAS_PRICE_ABOVE_CAP, AboveCap, Fees, base_fee_bound, choose_fees, gwei_to_wei
from flasharb.execution.fees import next_base_fee as next_fee
from flasharb.units import WEI_PER_GWEI


def header(base_fee: int, gas_used: int, gas_limit: int = 30_000_000) -> SimpleNamespace:
    return SimpleNamespace(base_fee_per_gas=base_fee, gas_used=gas_used, gas_limit=gas_limit)


@pytest.mark.parametrize(
    ("base_fee", "gas_used", "expected"),
    [
        (1_000_000_000, 15_000_000, 1_000_000_000),
        (1_000_000_000, 30_000_000, 1_125_000_000),
        (1_000_000_000, 0, 875_000_000),
        (7, 15_000_001, 8),
        (1, 30_000_000, 2),
        (7, 0, 7),
        (8, 0, 7),
        (0, 30_000_000, 1),
        (0, 0, 0),
    ],
)
def test_next_base_fee(base_fee: int, gas_used: int, expected: int) -> None:
    """Upwards at least 1 wei, downwards possibly none."""
    assert next_fee(header(base_fee, gas_used)) == expected


@given(st.integers(0, 10**12), st.integers(1, 60_000_000), st.data())
def test_next_base_fee_stays_in_its_corridor(base_fee: int, gas_limit: int, data: st.DataObject) -> None:
    """Never more than the bound, never below seven eighths."""
    gas_limit = max(gas_limit, 5000)
    used = data.draw(st.integers(0, gas_limit // 2 * 2))

    fee = next_fee(header(base_fee, used, gas_limit))

    assert base_fee - base_fee // 8 <= fee <= base_fee_bound(base_fee, 1)


def test_fee_is_exactly_base_and_tip() -> None:
    """Up to and including the cap."""
    assert choose_fees(90, 10, 100) == Fees(100, 10)


def test_fee_above_the_cap_is_refused_with_its_figures() -> None:
    """One wei more, and the words say both prices exactly."""
    refused = choose_fees(100 * WEI_PER_GWEI, 1, 100 * WEI_PER_GWEI)

    assert isinstance(refused, AboveCap)
    assert refused.detail == "needs 100.000000001 gwei, mev.max_gas_price_gwei allows 100"
    assert GAS_PRICE_ABOVE_CAP == "gas_price_above_cap"


@pytest.mark.parametrize(
    ("gwei", "wei"),
    [(100, 100 * 10**9), (0.1, 10**8), (0.3, 3 * 10**8), (1e6, 10**15), (1e-9, 1), (2.675, 2_675_000_000)],
)
def test_gwei_as_written(gwei: float, wei: int) -> None:
    """The digits of the configuration, not the float's neighbours."""
    assert gwei_to_wei(gwei) == wei
