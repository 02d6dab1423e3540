"""Making a recorded block: execute it, and keep what it read and what it changed.

The result is complete by construction: executing it again on nothing but its own ``pre_state`` reads the same values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from eth_hash.auto import keccak

from flasharb.evm import AccountInfo, Diff, Fork, Machine, MissingState, StateSource, TransactionResult
from flasharb.evm.source import EMPTY_CODE_HASH
from flasharb.evm.transactions import decode
from flasharb.simulation.recorded import (
    RecordedAccount,
    RecordedBlock,
    RecordedReceipt,
    Withdrawal,
    context_of,
    header_hash,
)
from flasharb.units import Address, Hash32, hex0x


class Recorder:
    """Executes a block on a source; ``step`` again once the source knows more, until it gives the recorded block."""

    def __init__(
        self,
        header: Mapping[str, str],
        parent_header: Mapping[str, str] | None,
        transactions: Sequence[bytes],
        withdrawals: Sequence[Withdrawal] | None,
        chain_id: int,
        fork: Fork,
        source: StateSource,
    ) -> None:
        self._header = header
        self._parent_header = parent_header
        self._transactions = transactions
        self._withdrawals = withdrawals
        self._source = source
        self._machine = Machine(source, context_of(header, chain_id), fork)
        self._results: list[TransactionResult] = []
        self._begun = False
        self._left_out: set[bytes] = set()
        self.executed = False
        """Whether all transactions are done; what may be missing then concerns only the end of the block."""

    def step(self) -> RecordedBlock | MissingState:
        """Go on to the end, or to where state is missing.

        Raises:
            InvalidTransaction: the block holds a transaction that it could not hold by the rules of its fork.
        """
        machine = self._machine
        try:
            if not self._begun:
                machine.begin_block()
                self._begun = True
            while len(self._results) < len(self._transactions):
                self._results.append(machine.apply(self._transactions[len(self._results)]))
            self.executed = True
            paid = [w for w in self._withdrawals or () if w.address not in self._left_out]
            collect = self._left_out <= {w.address for w in self._withdrawals or ()}
            machine.end_block([(w.address, w.amount) for w in paid], collect_requests=collect)
        except MissingState as missing:
            return missing
        block = recorded_block(
            machine,
            self._source,
            self._header,
            self._parent_header,
            self._transactions,
            self._results,
            self._withdrawals,
        )
        notes = [f"left out of the end of the block, not known: {hex0x(address)}" for address in sorted(self._left_out)]
        return replace(block, verification={**block.verification, "notes": notes})

    def leave_out(self, missing: MissingState) -> None:
        """Give up on accounts that only the end of the block touches (withdrawals, request contracts)."""
        self._left_out |= missing.accounts


def recorded_block(
    machine: Machine,
    source: StateSource,
    header: Mapping[str, str],
    parent_header: Mapping[str, str] | None,
    transactions: Sequence[bytes],
    results: Sequence[TransactionResult],
    withdrawals: Sequence[Withdrawal] | None,
) -> RecordedBlock:
    """The record of a block that ``machine`` has executed on ``source``."""
    diff = machine.diff()
    pre_state: dict[Address, RecordedAccount | None] = {}
    codes: dict[bytes, bytes] = {}
    for address, slots in machine.touched.items():
        try:
            info = source.account(address)
        except MissingState:
            # A system contract whose slots were written without a look at its account.
            continue
        pre_state[Address(address)] = None if info is None else _account(source, address, info, slots)
        if info is not None and info.code_hash != EMPTY_CODE_HASH:
            codes[info.code_hash] = source.code(info.code_hash)
    codes.update({keccak(change.code): change.code for change in diff.values() if change is not None and change.code})
    return RecordedBlock(
        chain_id=machine.context.chain_id,
        number=machine.context.number,
        hash=header_hash(header),
        fork=machine.fork,
        header=header,
        parent_header=parent_header,
        transactions=tuple(transactions),
        withdrawals=None if withdrawals is None else tuple(withdrawals),
        pre_state=pre_state,
        codes=codes,
        block_hashes={
            **{number: Hash32(value) for number, value in machine.block_hashes.items()},
            machine.context.number - 1: Hash32(machine.context.parent_hash),
        },
        receipts=_receipts(transactions, results),
        post_diff=_post_diff(diff, pre_state),
        verification={"replay": "executed from the recorded pre_state: gas used, receipts root and logs bloom agree"},
    )


def _account(source: StateSource, address: bytes, info: AccountInfo, slots: set[int]) -> RecordedAccount:
    # Accounts that were never created have no slots of their own; the machine knows that without asking.
    created = info.nonce or info.code_hash != EMPTY_CODE_HASH
    storage = {slot: source.storage(address, slot) for slot in slots} if created else {}
    return RecordedAccount(info.nonce, info.balance, info.code_hash, storage)


def _receipts(transactions: Sequence[bytes], results: Sequence[TransactionResult]) -> tuple[RecordedReceipt, ...]:
    receipts = []
    cumulative = 0
    for index, (raw, result) in enumerate(zip(transactions, results, strict=True)):
        tx = decode(raw)
        cumulative += result.gas_used
        receipts.append(
            RecordedReceipt(
                index=index,
                hash=Hash32(keccak(raw)),
                sender=Address(tx.sender),
                to=Address(tx.to) if tx.to else None,
                type=tx.type_id,
                status=result.status,
                gas_used=result.gas_used,
                cumulative_gas_used=cumulative,
                effective_gas_price=result.effective_gas_price,
                contract=None if result.contract_address is None else Address(result.contract_address),
                coinbase_delta=result.coinbase_payment,
                logs=result.logs,
            )
        )
    return tuple(receipts)


def _post_diff(
    diff: Diff, pre_state: Mapping[Address, RecordedAccount | None]
) -> dict[Address, RecordedAccount | None]:
    changed: dict[Address, RecordedAccount | None] = {}
    for address, change in diff.items():
        key = Address(address)
        if change is None:
            changed[key] = None
            continue
        before = pre_state.get(key)
        info = change.account
        if info is None and before is None:
            continue
        storage = dict(change.storage)
        if change.storage_cleared and before is not None:
            storage = {slot: 0 for slot, value in before.storage.items() if value} | storage
        if info is not None:
            changed[key] = RecordedAccount(info.nonce, info.balance, info.code_hash, storage)
        elif before is not None:
            changed[key] = RecordedAccount(before.nonce, before.balance, before.code_hash, storage)
    return changed
