"""A built block as a recorded block: what ``flasharb simulate`` and ``flasharb verify`` read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from flasharb.adapters.blockfile import write_block
from flasharb.devnet.block import Receipt
from flasharb.devnet.chain import Built
from flasharb.devnet.ledger import StateAt
from flasharb.evm import Fork
from flasharb.evm.source import EMPTY_CODE_HASH
from flasharb.simulation.recorded import RecordedAccount, RecordedBlock, RecordedReceipt
from flasharb.units import Address

SOURCE: Final = {"repo": "flasharb devnet", "license": "MIT"}
VERIFICATION: Final = {"notes": "recorded by the chain that built it"}


def recorded(built: Built, parent_state: StateAt, chain_id: int) -> RecordedBlock:
    """The block with all that it read; ``parent_state`` is the state that it was built on."""
    header = built.block.header
    pre_state = {
        address: _account_before(built, parent_state, address)
        for address in map(Address, built.touched.keys() | built.changes.keys())
    }
    hashes = {account.code_hash for account in pre_state.values() if account is not None} - {EMPTY_CODE_HASH}
    return RecordedBlock(
        chain_id=chain_id,
        number=header.number,
        hash=header.hash,
        fork=Fork.PRAGUE,
        header=header.to_json(),
        parent_header=built.parent.to_json(),
        transactions=tuple(transaction.raw for transaction in built.block.transactions),
        withdrawals=(),
        pre_state=pre_state,
        codes={code_hash: parent_state.code(code_hash) for code_hash in hashes} | dict(built.codes),
        block_hashes={built.parent.number: built.parent.hash},
        receipts=tuple(map(_receipt, built.block.receipts)),
        post_diff={
            address: None
            if change is None
            else RecordedAccount(change.nonce, change.balance, change.code_hash, change.slots)
            for address, change in built.changes.items()
        },
        source=SOURCE,
        verification=VERIFICATION,
    )


def _account_before(built: Built, parent_state: StateAt, address: Address) -> RecordedAccount | None:
    account = parent_state.account(address)
    if account is None:
        return None
    change = built.changes.get(address)
    slots = built.touched.get(address, frozenset()) | (change.slots.keys() if change is not None else set())
    storage = {slot: parent_state.storage(address, slot) for slot in slots}
    return RecordedAccount(account.nonce, account.balance, account.code_hash, storage)


def _receipt(receipt: Receipt) -> RecordedReceipt:
    return RecordedReceipt(
        index=receipt.index,
        hash=receipt.transaction_hash,
        sender=receipt.sender,
        to=receipt.to,
        type=receipt.type,
        status=receipt.status,
        gas_used=receipt.gas_used,
        cumulative_gas_used=receipt.cumulative_gas_used,
        effective_gas_price=receipt.effective_gas_price,
        contract=receipt.contract_address,
        coinbase_delta=receipt.coinbase_delta,
        logs=receipt.logs,
    )


def record(folder: Path, built: Built, parent_state: StateAt, chain_id: int) -> Path:
    """Write the block's file into ``folder``; a reader never sees half of it."""
    path = folder / f"{built.block.number}.json.gz"
    write_block(path, recorded(built, parent_state, chain_id))
    return path
