"""Every final outcome has its code on the bus and its effect on profit."""

from __future__ import annotations

from typing import get_args

from flasharb.execution.outcome import RESULT_CODES, FinalOutcome, Reverted


def test_every_final_outcome_has_a_code_of_its_own() -> None:
    """The `outcome` byte of FlashLoanResult: 0 to 4, each once."""
    assert set(RESULT_CODES) == set(get_args(FinalOutcome))
    assert sorted(RESULT_CODES.values()) == [0, 1, 2, 3, 4]


def test_a_revert_costs_gas_only_on_chain() -> None:
    """In the simulation nothing was signed."""
    assert Reverted(1, 10, "K", 100, effective_gas_price=7).net_profit_wei == 0
    assert Reverted(1, 10, "K", 100, on_chain=True, effective_gas_price=7).net_profit_wei == -700
