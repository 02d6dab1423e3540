"""Re-execution of a recorded block, against its header and receipts."""

from __future__ import annotations

from dataclasses import dataclass

from flasharb.evm import InvalidTransaction, LogEntry, Machine, MissingState, TransactionResult
from flasharb.evm.roots import logs_bloom, ordered_root, receipt_bytes
from flasharb.simulation.recorded import RecordedBlock, RecordedReceipt, RecordedState
from flasharb.simulation.simulate import Engine
from flasharb.units import hex0x


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A transaction (``index``, None: the block) whose execution gave something else than recorded."""

    index: int | None
    field: str
    expected: str
    got: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What re-execution of a block gave. ``gas_used`` is the sum that was executed."""

    gas_used_ok: bool
    receipts_root_ok: bool
    logs_bloom_ok: bool
    gas_used: int
    mismatches: tuple[Mismatch, ...]

    @property
    def ok(self) -> bool:
        """Whether everything is as the header and the receipts say."""
        return self.gas_used_ok and self.receipts_root_ok and self.logs_bloom_ok and not self.mismatches


def verify(block: RecordedBlock, engine: Engine = "py-evm") -> Verification:
    """Execute all transactions of the block in order and compare.

    A transaction that cannot be executed, because state is missing or no block could hold it, is a mismatch and ends
    the execution: nothing after it would mean anything.
    """
    machine = Machine(RecordedState(block), block.context, block.fork, engine)
    mismatches: list[Mismatch] = []
    receipts: list[bytes] = []
    logs: list[LogEntry] = []
    try:
        machine.begin_block()
        for raw, expected in zip(block.transactions, block.receipts, strict=True):
            result = machine.apply(raw)
            mismatches += _compare(expected, result)
            logs += result.logs
            type_id = raw[0] if raw[0] < 0x80 else 0
            receipts.append(receipt_bytes(type_id, result.status, machine.gas_used, result.logs))
    except (MissingState, InvalidTransaction) as error:
        mismatches.append(Mismatch(len(receipts), "execution", "a transaction of this block", str(error)))
    root, bloom = ordered_root(receipts), logs_bloom(logs)
    for field, wanted, got in (
        ("gas_used", str(block.gas_used), str(machine.gas_used)),
        ("receipts_root", hex0x(block.receipts_root), hex0x(root)),
        ("logs_bloom", hex0x(block.logs_bloom), hex0x(bloom)),
    ):
        if wanted != got:
            mismatches.append(Mismatch(None, field, wanted, got))
    return Verification(
        gas_used_ok=machine.gas_used == block.gas_used,
        receipts_root_ok=root == block.receipts_root,
        logs_bloom_ok=bloom == block.logs_bloom,
        gas_used=machine.gas_used,
        mismatches=tuple(mismatches),
    )


def _compare(expected: RecordedReceipt, result: TransactionResult) -> list[Mismatch]:
    pairs = (
        ("status", expected.status, result.status),
        ("gas_used", expected.gas_used, result.gas_used),
        ("effective_gas_price", expected.effective_gas_price, result.effective_gas_price),
        ("coinbase_delta", expected.coinbase_delta, result.coinbase_payment),
        ("logs", expected.logs, result.logs),
    )
    return [
        Mismatch(expected.index, field, _shown(wanted), _shown(got)) for field, wanted, got in pairs if wanted != got
    ]


def _shown(value: int | tuple[LogEntry, ...]) -> str:
    if isinstance(value, int):
        return str(value)
    return f"{len(value)} logs " + " ".join(
        f"{hex0x(log.address)}:{log.topics[0].hex()[:8] if log.topics else ''}:{log.data.hex()[:16]}"
        for log in value[:8]
    )
