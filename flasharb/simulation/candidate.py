"""A candidate's surroundings: the block it is meant for, and what its simulation measured."""

from __future__ import annotations

from collections.abc import Callable

from flasharb.evm import BlockContext, Fork, UnsignedTransaction
from flasharb.evm.blobs import excess_after
from flasharb.execution.fees import next_base_fee
from flasharb.execution.transaction import Transaction
from flasharb.feed.events import BlockHeader
from flasharb.simulation.result import Executed
from flasharb.strategy.terms import Measured
from flasharb.units import Address


def next_block(
    head: BlockHeader, chain_id: int, slot_s: float, rules: Callable[[int, int], Fork]
) -> tuple[BlockContext, Fork]:
    """The block after ``head``, one slot later, and the fork that ``rules`` says of its number and timestamp. Base fee,
    blob base fee and parent are exact; its fee recipient is taken to be the head's and its randomness is not known to
    anybody yet.

    Raises:
        ValueError: ``rules`` does not know the block's.
    """
    number, timestamp = head.number + 1, head.timestamp + max(1, round(slot_s))
    fork = rules(number, timestamp)
    context = BlockContext(
        chain_id=chain_id,
        number=number,
        timestamp=timestamp,
        coinbase=head.coinbase,
        gas_limit=head.gas_limit,
        base_fee_per_gas=next_base_fee(head),
        prev_randao=head.hash,
        excess_blob_gas=excess_after(fork, head),
        parent_hash=head.hash,
    )
    return context, fork


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
