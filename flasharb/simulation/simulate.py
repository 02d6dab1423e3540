"""Transactions in, what they did out: executed in order on the state of a source, measured, no input or output.

The answer to unknown state is the value ``MissingState``: whoever can fetch does so and asks again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from eth_hash.auto import keccak

from flasharb.evm import (
    Account,
    BlockContext,
    Fork,
    Machine,
    MissingState,
    Snapshot,
    StateSource,
    TransactionResult,
    UnsignedTransaction,
)
from flasharb.simulation.measure import Pair, changes, pairs_of, token_balances
from flasharb.simulation.result import Executed, Log, Simulation
from flasharb.simulation.revert_reason import revert_reason
from flasharb.units import Address, Hash32

Engine = Literal["py-evm", "stock"]

_QUESTION_GAS: Final = 3_000_000


def simulate(
    transactions: Sequence[bytes | UnsignedTransaction],
    source: StateSource,
    context: BlockContext,
    fork: Fork,
    *,
    measure: Iterable[Pair] | None = None,
    before: Sequence[bytes] = (),
    engine: Engine = "py-evm",
    trace: bool = False,
) -> Simulation | MissingState:
    """Execute ``transactions`` in the block ``context``, after the transactions ``before`` of the same block.

    ``measure`` lists the (account, token) pairs whose balance changes are wanted; state that this needs counts as
    needed. None: every pair that transfer events name, as far as the known state allows; what it did not allow is in
    ``Simulation.unmeasured``.

    Raises:
        InvalidTransaction: a transaction that no block could hold at its place.
    """
    options = Options(None if measure is None else tuple(measure), engine, trace)
    return Run(transactions, source, context, fork, before, options).step()


@dataclass(frozen=True, slots=True)
class Options:
    """How to simulate: see ``simulate``.

    ``beside_block``: the transactions are no part of the block, which may be full without them.
    """

    measure: tuple[Pair, ...] | None = None
    engine: Engine = "py-evm"
    trace: bool = False
    beside_block: bool = False


_DEFAULT: Final = Options()


class Run:
    """A simulation that can go on where state was missing: ``step`` again once the source knows more."""

    def __init__(
        self,
        transactions: Sequence[bytes | UnsignedTransaction],
        source: StateSource,
        context: BlockContext,
        fork: Fork,
        before: Sequence[bytes] = (),
        options: Options = _DEFAULT,
    ) -> None:
        self._machine = Machine(source, context, fork, options.engine)
        self._source = source
        self._transactions = transactions
        self._before = before
        self._options = options
        self._begun = False
        self._executed: list[Executed] = []
        self._done = 0
        self._unmeasured: MissingState | None = None
        self._start: Snapshot | None = None
        self.measure_all = self._options.measure is not None
        """Whether state that is needed only to measure balances counts as needed."""

    def step(self) -> Simulation | MissingState:
        """Go on to the end, or to where state is missing; then nothing of the transaction in hand has happened."""
        try:
            if not self._begun:
                self._machine.begin_block()
                self._begun = True
            while self._done < len(self._before):
                self._machine.apply(self._before[self._done])
                self._done += 1
            if self._options.beside_block and not self._executed:
                self._machine.make_room()
            while len(self._executed) < len(self._transactions):
                self._executed.append(self._one(self._transactions[len(self._executed)]))
        except MissingState as missing:
            return missing
        touched = {Address(address): frozenset(slots) for address, slots in self._machine.touched.items()}
        return Simulation(tuple(self._executed), touched, self._unmeasured)

    def ask(self, to: Address, data: bytes) -> bytes | None:
        """What a contract answers now; None when it fails or state is missing."""
        try:
            answer = self._machine.call(to, data, gas=_QUESTION_GAS)
        except MissingState:
            return None
        return answer.output if answer.success else None

    def state_before(self) -> dict[bytes, Account]:
        """What the last transaction found: every account and slot that was touched so far, as it stood before it.

        Raises:
            NotImplementedError: the stock engine cannot look back.
        """
        machine = self._machine
        assert self._start is not None
        places = {address: set(slots) for address, slots in machine.touched.items()}
        for address, change in machine.diff().items():
            # An account that is not known was only written to, by the block itself: no transaction has looked at it.
            if change is None or change.account is not None:
                places.setdefault(address, set()).update(() if change is None else change.storage)
        with machine.rewound(self._start):
            return {
                address: Account(
                    machine.nonce(address),
                    machine.balance(address),
                    machine.code(address),
                    {slot: value for slot in slots if (value := machine.storage(address, slot))},
                )
                for address, slots in places.items()
            }

    def _one(self, transaction: bytes | UnsignedTransaction) -> Executed:
        machine = self._machine
        wei_before = machine.balances()
        snapshot = self._start = machine.snapshot()
        if self._options.measure is not None or machine.engine == "stock":
            # The stock engine cannot look back: it measures the pairs it is told, or none but ETH.
            pairs = list(self._options.measure or ())
            held_before, lacking = token_balances(machine, pairs)
            if lacking:
                raise _union(lacking.values())
            result = machine.apply(transaction, trace=self._options.trace)
        else:
            result = machine.apply(transaction, trace=self._options.trace)
            pairs = pairs_of(result.logs)
            with machine.rewound(snapshot):
                held_before, lacking = token_balances(machine, pairs)
        held_after, lacking_after = token_balances(machine, pairs)
        lacking |= lacking_after
        if lacking and self.measure_all and machine.engine != "stock":
            machine.revert(snapshot)
            raise _union(lacking.values())
        if lacking:
            self._unmeasured = _union([*lacking.values(), *([self._unmeasured] if self._unmeasured else [])])
        wei_after = machine.balances()
        for address in wei_after.keys() - wei_before.keys():
            account = self._source.account(address)
            wei_before[address] = account.balance if account is not None else 0
        return _executed(transaction, result, changes(held_before, held_after, wei_before, wei_after))


def _union(lacking: Iterable[MissingState]) -> MissingState:
    first, *others = lacking
    for other in others:
        first |= other
    return first


def _executed(
    transaction: bytes | UnsignedTransaction,
    result: TransactionResult,
    balance_changes: dict[Address, dict[Address | None, int]],
) -> Executed:
    return Executed(
        tx_hash=Hash32(keccak(transaction)) if isinstance(transaction, bytes) else None,
        status=result.status,
        gas_used=result.gas_used,
        effective_gas_price=result.effective_gas_price,
        output=result.output,
        revert_reason=revert_reason(result.output, result.error),
        logs=tuple(
            Log(Address(log.address), tuple(Hash32(topic) for topic in log.topics), log.data) for log in result.logs
        ),
        balance_changes=balance_changes,
        coinbase_payment_wei=result.coinbase_payment,
        contract_address=None if result.contract_address is None else Address(result.contract_address),
        trace=result.trace,
    )
