"""A trade as a transaction: first one that only measures, then the one that is meant."""

from __future__ import annotations

from dataclasses import dataclass

from flasharb.execution.program import encode_call
from flasharb.execution.transaction import Transaction
from flasharb.strategy.terms import Terms
from flasharb.strategy.trade import Trade
from flasharb.units import Address


@dataclass(frozen=True, slots=True)
class Place:
    """Where and when a transaction is to stand. ``base_fee_per_gas`` is the target block's, in wei."""

    chain_id: int
    nonce: int
    contract: Address
    wrapped_native: Address
    deadline_block: int
    base_fee_per_gas: int


def probe(trade: Trade, place: Place, loan: str, gas_limit: int) -> Transaction:
    """Without bid and minimum: its simulation shows the full gross profit and the gas."""
    data = encode_call(
        trade,
        weth=place.wrapped_native,
        loan=loan,
        min_profit=0,
        bid_wei=0,
        deadline_block=place.deadline_block,
    )
    return _transaction(place, data, gas_limit, place.base_fee_per_gas, 0)


def draft(trade: Trade, place: Place, loan: str, terms: Terms, max_fee_per_gas: int) -> Transaction:
    """The transaction on its final terms."""
    data = encode_call(
        trade,
        weth=place.wrapped_native,
        loan=loan,
        min_profit=terms.min_profit,
        bid_wei=terms.coinbase_wei,
        deadline_block=place.deadline_block,
    )
    return _transaction(place, data, terms.gas_limit, max_fee_per_gas, terms.max_priority_fee_per_gas)


def _transaction(place: Place, data: bytes, gas_limit: int, max_fee: int, tip: int) -> Transaction:
    return Transaction(
        chain_id=place.chain_id,
        nonce=place.nonce,
        max_priority_fee_per_gas=tip,
        max_fee_per_gas=max_fee,
        gas_limit=gas_limit,
        to=place.contract,
        value=0,
        data=data,
    )
