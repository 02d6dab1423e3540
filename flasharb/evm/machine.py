"""One block's machine: executes transactions and calls on a source, and can undo everything.

The source is never written. Whatever leaves the machine by an exception, ``MissingState`` above all, leaves it as it
was before the call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from eth.vm.message import Message

from flasharb.evm import system
from flasharb.evm.blobs import most_blob_gas
from flasharb.evm.compiler import Compiler
from flasharb.evm.context import BlockContext
from flasharb.evm.entry import execute
from flasharb.evm.forks import GAS_PER_BLOB, Fork
from flasharb.evm.result import CallResult, TransactionResult
from flasharb.evm.source import Diff, StateSource
from flasharb.evm.states import Engine, flat_state, stock_state
from flasharb.evm.trace import frame_of, logs_of, reason_of
from flasharb.evm.transactions import (
    InvalidTransaction,
    Transaction,
    UnsignedTransaction,
    check_entry,
    decode,
    from_unsigned,
)

_DELEGATION_PREFIX: Final = b"\xef\x01\x00"
SHARED_COMPILER: Final = Compiler()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A moment of a machine, for ``revert``."""

    state: Any
    gas_used: int
    blob_gas_used: int
    deposits: int


class Machine:
    """Executes in the block ``context`` under the rules of ``fork`` on what ``source`` knows.

    ``engine`` "py-evm" is ours, which runs hot code as Python functions (``compiler`` keeps them, one for the process
    if none is given); "stock" is py-evm's own computation and account database (it cannot revert to a snapshot taken
    before the latest transaction or call).
    """

    def __init__(
        self,
        source: StateSource,
        context: BlockContext,
        fork: Fork,
        engine: Engine = "py-evm",
        compiler: Compiler | None = None,
    ) -> None:
        if fork.since(Fork.CANCUN) and context.excess_blob_gas is None:
            raise ValueError(f"block {context.number}: excess_blob_gas is needed under {fork} rules")
        if engine not in ("py-evm", "stock"):
            raise ValueError(f"engine {engine!r}: expected 'py-evm' or 'stock'")
        self.context = context
        self.fork = fork
        self.engine = engine
        self.gas_used = 0
        self._blob_gas_used = 0
        self._deposits: list[bytes] = []
        state_class = stock_state(fork) if engine == "stock" else flat_state(fork)
        self._state: Any = state_class(source, context)
        if engine == "py-evm":
            self._state.program = state_class.computation_class.program(compiler or SHARED_COMPILER)
        self._db: Any = self._state._account_db
        self._executor: Any = self._state.get_transaction_executor()

    # The block

    def begin_block(self) -> None:
        """The system calls before the first transaction: beacon root (EIP-4788), parent hash (EIP-2935)."""
        self._state.lock_changes()
        self._guarded(lambda: system.begin_block(self._state, self.context, self.fork))

    def end_block(
        self, withdrawals: Iterable[tuple[bytes, int]] = (), collect_requests: bool = True
    ) -> tuple[bytes, ...]:
        """Pay withdrawals (address, gwei) and, since Prague, collect the execution requests (type byte in front).

        Block rewards of the time before the merge are not paid.

        Raises:
            MissingState: needed state is unknown; nothing has changed.
        """

        def finish() -> tuple[bytes, ...]:
            system.pay_withdrawals(self._state, withdrawals)
            if not (collect_requests and self.fork.since(Fork.PRAGUE)):
                return ()
            return system.collect_requests(self._state, b"".join(self._deposits))

        self._state.lock_changes()
        requests: tuple[bytes, ...] = self._guarded(finish)
        return requests

    # Execution

    def apply(self, transaction: bytes | UnsignedTransaction, *, trace: bool = False) -> TransactionResult:
        """Execute a transaction, raw and signed or unsigned, and keep what it did.

        Raises:
            InvalidTransaction: no block could hold it here; nothing has changed.
            MissingState: needed state is unknown; nothing has changed.
        """
        tx = decode(transaction) if isinstance(transaction, bytes) else from_unsigned(transaction)
        self._state.lock_changes()
        result: TransactionResult = self._guarded(lambda: self._apply(tx, trace))
        return result

    def _apply(self, tx: Transaction, trace: bool) -> TransactionResult:
        state = self._state
        state.traces = trace
        self._check(tx)
        coinbase = self.context.coinbase
        coinbase_before = state.get_balance(coinbase)
        price = self._price(tx)
        if self.engine == "py-evm":
            computation, gas_used = execute(state, self.fork, tx, price)
        else:
            computation = state.apply_transaction(tx)
            gas_used = self._gas_used(tx, computation)
        logs = logs_of(computation)
        self.gas_used += gas_used
        self._blob_gas_used += GAS_PER_BLOB * len(tx.blob_versioned_hashes)
        self._deposits += system.deposits_of(logs, self.context.chain_id)
        succeeded = bool(computation.is_success)
        return TransactionResult(
            status=int(succeeded),
            gas_used=gas_used,
            effective_gas_price=price,
            output=bytes(computation.output),
            error=reason_of(computation),
            logs=logs,
            contract_address=computation.msg.storage_address if not tx.to and succeeded else None,
            coinbase_payment=state.get_balance(coinbase) - coinbase_before,
            trace=frame_of(computation) if trace else None,
        )

    def call(
        self,
        to: bytes,
        data: bytes,
        *,
        sender: bytes = bytes(20),
        value: int = 0,
        gas: int = 30_000_000,
        trace: bool = False,
    ) -> CallResult:
        """Call a contract and undo what the call did. The gas price is zero, and ``value`` is the sender's own.

        Raises:
            MissingState: needed state is unknown.
        """
        self._state.lock_changes()
        result: CallResult = self._guarded(lambda: self._call(to, data, sender, value, gas, trace), keep=False)
        return result

    def act(self, sender: bytes, to: bytes, data: bytes, *, origin: bytes, gas: int = 30_000_000) -> CallResult:
        """Call a contract as ``sender``, which may be a contract too, in a transaction of ``origin``; keep what it did.

        No chain could hold such a transaction: it shows what a contract would bring about. A failed call changes
        nothing. The gas price is zero.

        Raises:
            MissingState: needed state is unknown; nothing has changed.
        """
        self._state.lock_changes()
        result: CallResult = self._guarded(lambda: self._call(to, data, sender, 0, gas, False, origin))
        self._forget_transaction()
        return result

    def _call(
        self, to: bytes, data: bytes, sender: bytes, value: int, gas: int, trace: bool, origin: bytes | None = None
    ) -> CallResult:
        state = self._state
        state.traces = trace
        if value and state.get_balance(sender) < value:
            return CallResult(False, b"", 0, "the sender's balance is below the value of the call", ())
        state.mark_address_warm(sender)
        state.mark_address_warm(to)
        code = state.get_code(to)
        delegated = self.fork.since(Fork.PRAGUE) and code[:3] == _DELEGATION_PREFIX and len(code) == 23
        if delegated:
            state.mark_address_warm(code[3:])
            code = state.get_code(code[3:])
        message = Message(gas=gas, to=to, sender=sender, value=value, data=data, code=code, is_delegation=delegated)  # type: ignore[arg-type]  # py-evm's Address is bytes
        context = state.get_transaction_context_class()(gas_price=0, origin=origin or sender)
        computation = state.computation_class.apply_message(state, message, context)
        return CallResult(
            success=bool(computation.is_success),
            output=bytes(computation.output),
            gas_used=computation.get_gas_used(),
            error=reason_of(computation),
            logs=logs_of(computation),
            trace=frame_of(computation) if trace else None,
        )

    def make_room(self) -> None:
        """Forget the gas used so far: for a transaction that is tried after those of a block that is full."""
        self.gas_used = self._blob_gas_used = 0

    # Undo

    def snapshot(self) -> Snapshot:
        """This moment, for ``revert``."""
        return Snapshot(self._state.snapshot(), self.gas_used, self._blob_gas_used, len(self._deposits))

    def revert(self, snapshot: Snapshot) -> None:
        """Undo everything since ``snapshot``; later snapshots are void."""
        self._state.revert(snapshot.state)
        self.gas_used = snapshot.gas_used
        self._blob_gas_used = snapshot.blob_gas_used
        del self._deposits[snapshot.deposits :]

    @contextmanager
    def rewound(self, snapshot: Snapshot) -> Iterator[None]:
        """Look at the state of ``snapshot`` for a while (reads and calls only), then come back to now."""
        if self.engine == "stock":
            raise NotImplementedError("the stock engine cannot go back past a transaction")
        undone = self._db.rewind(snapshot.state)
        try:
            yield
        finally:
            self._db.replay(undone)

    def _guarded(self, action: Callable[[], Any], keep: bool = True) -> Any:
        """Run ``action``; undo it unless ``keep``, if anything is raised, or if state was missing in silence."""
        loader = self._db.loader
        loader.missing = None
        snapshot = self.snapshot()
        try:
            result = action()
        except Exception as error:
            self._undo(snapshot)
            if loader.missing is not None and error is not loader.missing:
                raise loader.missing from error
            raise
        except BaseException:
            self._undo(snapshot)
            raise
        if loader.missing is not None:
            self._undo(snapshot)
            raise loader.missing
        if keep:
            self._state.commit(snapshot.state)
        else:
            self._undo(snapshot)
        return result

    def _undo(self, snapshot: Snapshot) -> None:
        self.revert(snapshot)
        self._forget_transaction()

    def _forget_transaction(self) -> None:
        if self.fork.since(Fork.CANCUN):
            self._state.clear_transient_storage()

    # What stands

    def balance(self, address: bytes) -> int:
        """The balance in wei, now."""
        return int(self._guarded(lambda: self._state.get_balance(address)))

    def nonce(self, address: bytes) -> int:
        """The nonce, now."""
        return int(self._guarded(lambda: self._state.get_nonce(address)))

    def code(self, address: bytes) -> bytes:
        """The code, now."""
        return bytes(self._guarded(lambda: self._state.get_code(address)))

    def storage(self, address: bytes, slot: int) -> int:
        """A storage slot, now."""
        return int(self._guarded(lambda: self._state.get_storage(address, slot)))

    def balances(self) -> dict[bytes, int]:
        """The balances in wei, now, of all accounts that were read so far."""
        return {address: self._db.get_balance(address) for address in list(self._db.loader.accounts)}

    def diff(self) -> Diff:
        """What changed against the source."""
        changes: Diff = self._db.changes()
        return changes

    @property
    def touched(self) -> dict[bytes, set[int]]:
        """Accounts and slots that were read from the source so far."""
        return {address: set(slots) for address, slots in self._db.loader.slots.items()}

    @property
    def block_hashes(self) -> dict[int, bytes]:
        """Hashes of ancestors, other than the parent, that contracts asked for so far."""
        return dict(self._db.loader.block_hashes)

    # Rules of entry and price

    def _check(self, tx: Transaction) -> None:
        check_entry(tx, self.fork, self.context.chain_id)
        left = self.context.gas_limit - self.gas_used
        if tx.gas > left:
            raise InvalidTransaction(f"gas limit {tx.gas} is above the {left} left in the block")
        if self.fork.since(Fork.LONDON) and tx.max_fee_per_gas < self.context.base_fee_per_gas:
            raise InvalidTransaction(
                f"maximum fee {tx.max_fee_per_gas} is below the base fee {self.context.base_fee_per_gas}"
            )
        self._check_sender(tx)
        if tx.type_id == 3:
            self._check_blobs(tx)

    def _check_sender(self, tx: Transaction) -> None:
        state = self._state
        nonce, balance, code = state.get_nonce(tx.sender), state.get_balance(tx.sender), state.get_code(tx.sender)
        if nonce != tx.nonce:
            raise InvalidTransaction(f"nonce {tx.nonce} of 0x{tx.sender.hex()} where {nonce} is next")
        if code and not (self.fork.since(Fork.PRAGUE) and code[:3] == _DELEGATION_PREFIX and len(code) == 23):
            raise InvalidTransaction(f"sender 0x{tx.sender.hex()} is a contract")
        cost = tx.gas * tx.max_fee_per_gas + tx.value
        cost += GAS_PER_BLOB * len(tx.blob_versioned_hashes) * tx.max_fee_per_blob_gas
        if balance < cost:
            raise InvalidTransaction(f"sender 0x{tx.sender.hex()} has {balance} wei, may have to pay {cost}")

    def _check_blobs(self, tx: Transaction) -> None:
        limit = most_blob_gas(self.fork)
        if self._blob_gas_used + GAS_PER_BLOB * len(tx.blob_versioned_hashes) > limit:
            raise InvalidTransaction(f"more blob gas than the {limit} of a block")
        price = self._state.blob_base_fee
        if tx.max_fee_per_blob_gas < price:
            raise InvalidTransaction(f"blob fee {tx.max_fee_per_blob_gas} is below the blob base fee {price}")

    def _price(self, tx: Transaction) -> int:
        if not self.fork.since(Fork.LONDON):
            return tx.max_fee_per_gas
        return min(tx.max_fee_per_gas, self.context.base_fee_per_gas + tx.max_priority_fee_per_gas)

    def _gas_used(self, tx: Transaction, computation: Any) -> int:
        """What the sender paid for: py-evm's receipts differ from it where refund cap and call-data floor meet."""
        consumed = tx.gas - computation.get_gas_remaining()
        refund = min(computation.get_gas_refund(), consumed // (5 if self.fork.since(Fork.LONDON) else 2))
        return int(consumed - refund + computation.data_floor_gas)
