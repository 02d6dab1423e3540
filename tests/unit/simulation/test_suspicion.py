"""Tokens that let simulations fail are found by what the pools say."""

from __future__ import annotations

import pytest

from flasharb.simulation.revert_reason import revert_reason
from flasharb.simulation.suspicion import LIMIT, Suspicion, is_tokens_fault
from flasharb.units import Address
from tests.support.contract_world import call_data

WETH, A, B, C = (Address(bytes([number]) * 20) for number in (1, 2, 3, 4))


def told(signature: str, *arguments: object) -> str:
    """The reason that this revert data gives."""
    reason = revert_reason(call_data(signature, *arguments), "execution reverted")
    assert reason is not None
    return reason


@pytest.mark.parametrize(
    "reason",
    [
        told("Error(string)", "UniswapV2: K"),
        told("Error(string)", "UniswapV2: TRANSFER_FAILED"),
        told("Error(string)", "Pancake: K"),
        told("Error(string)", "IIA"),
        told("Error(string)", "TF"),
        told("CurrencyNotSettled()"),
        told("TransferFailed(address)", A),
    ],
)
def test_what_points_to_a_token(reason: str) -> None:
    """V2, its forks, V3, V4 and FlashArb."""
    assert is_tokens_fault(reason)


@pytest.mark.parametrize(
    "reason",
    [
        told("ProfitTooLow(uint256,uint256)", 1, 2),
        told("Error(string)", "UniswapV2: LOCKED"),
        told("Error(string)", "SPL"),
        "OutOfGas: out of gas",
        "execution reverted",
    ],
)
def test_what_does_not(reason: str) -> None:
    """Prices that moved, locks, gas."""
    suspicion = Suspicion({WETH})
    assert not is_tokens_fault(reason)
    assert not any(suspicion.failed(reason, [A, B]) for _ in range(2 * LIMIT))


def test_a_token_that_only_fails_is_named() -> None:
    """The other token of the route is cleared by a success elsewhere; the base token is never suspected."""
    suspicion = Suspicion({WETH})
    for _ in range(LIMIT - 1):
        assert suspicion.failed("UniswapV2: K", [WETH, A, B]) == frozenset()
    suspicion.passed([WETH, B, C])

    assert suspicion.failed("IIA", [WETH, A, B]) == {A}


def test_a_token_that_our_contract_names_is_named_at_once() -> None:
    """No counting: the error says which one; a base token is left alone even then."""
    suspicion = Suspicion({WETH})
    assert suspicion.failed(told("TransferFailed(address)", C), [WETH, A, B]) == {C}
    assert suspicion.failed(told("TransferFailed(address)", WETH), [WETH, A]) == frozenset()
