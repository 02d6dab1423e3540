"""A candidate's surroundings: the block it is meant for, and what its simulation measured."""

from __future__ import annotations

from flasharb.evm import BlockContext, UnsignedTransaction
from flasharb.execution.fees import next_base_fee
from flasharb.execution.transaction import Transaction
from flasharb.feed.events import BlockHeader
from flasharb.simulation.result import Executed
from flasharb.strategy.terms import Measured
from flasharb.units import Address


def next_block(head: BlockHeader, chain_id: int, slot_s: float) -> BlockContext:
    """The block after ``head``, one slot later. Base fee and parent are exact; its fee recipient is taken to be the
    head's and its randomness is not known to anybody yet.
    """
    return BlockContext(
        chain_id=chain_id,
        number=head.number + 1,
        timestamp=head.timestamp + max(1, round(slot_s)),
        coinbase=head.coinbase,
        gas_limit=head.gas_limit,
        base_fee_per_gas=next_base_fee(head),
        prev_randao=head.hash,
        excess_blob_gas=0,
        parent_hash=head.hash,
    )


def unsigned(transaction: Transaction, sender: Address) -> UnsignedTransaction:
    """The transaction as the local EVM takes it before it is signed; it costs and does exactly the same."""
    assert transaction.to is not None
    return UnsignedTransaction(
        sender=sender,
        to=transaction.to,
        data=transaction.data,
        value=transaction.value,
        nonce=transaction.nonce,
        gas_limit=transaction.gas_limit,
        max_fee_per_gas=transaction.max_fee_per_gas,
        max_priority_fee_per_gas=transaction.max_priority_fee_per_gas,
        access_list=transaction.access_list,
        chain_id=transaction.chain_id,
    )


def measured(executed: Executed, contract: Address, base_token: Address, coinbase_wei: int) -> Measured:
    """Gross profit and gas: the growth of the contract's base token, with what it paid the fee recipient added back."""
    growth = executed.balance_changes.get(contract, {}).get(base_token, 0)
    return Measured(growth + coinbase_wei, executed.gas_used)
