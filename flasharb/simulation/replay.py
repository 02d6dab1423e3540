"""A recorded block, transaction by transaction: between two of them anything can be asked of the state.

Nothing that is asked changes the block: what is tried there runs on a machine of its own, whose source is this one's
state at that moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eth_hash.auto import keccak

from flasharb.evm import AccountInfo, Machine, MissingState, StateSource
from flasharb.evm.source import EMPTY_CODE_HASH
from flasharb.simulation.arbitrage import Arbitrage, classify
from flasharb.simulation.recorded import RecordedBlock, RecordedState
from flasharb.simulation.result import Executed, Simulation
from flasharb.simulation.simulate import Options, Run
from flasharb.simulation.swaps import Swap, read_swaps
from flasharb.units import Address

_QUESTION_GAS: Final = 3_000_000


class MachineState:
    """The state of a machine as it stands, as the source of another machine. It follows the machine when that goes on.

    What the machine does not know is missing here as well.
    """

    def __init__(self, machine: Machine, ancestors: StateSource) -> None:
        """``ancestors`` knows the hashes of the blocks before."""
        self._machine = machine
        self._ancestors = ancestors
        self._codes: dict[bytes, bytes] = {EMPTY_CODE_HASH: b""}
        self._hashes: dict[bytes, bytes] = {b"": EMPTY_CODE_HASH}

    def account(self, address: bytes) -> AccountInfo | None:
        machine = self._machine
        code = machine.code(address)
        nonce, balance = machine.nonce(address), machine.balance(address)
        if not (code or nonce or balance):
            # An empty account and none are the same to every rule since Berlin.
            return None
        code_hash = self._hashes.get(code)
        if code_hash is None:
            code_hash = self._hashes[code] = keccak(code)
            self._codes[code_hash] = code
        return AccountInfo(nonce, balance, code_hash)

    def storage(self, address: bytes, slot: int) -> int:
        return self._machine.storage(address, slot)

    def code(self, code_hash: bytes) -> bytes:
        try:
            return self._codes[code_hash]
        except KeyError:
            raise MissingState(codes=(code_hash,)) from None

    def block_hash(self, number: int) -> bytes:
        return self._ancestors.block_hash(number)


@dataclass(frozen=True, slots=True)
class Examined:
    """What the next transaction does: measured, its swaps, and whether it is an arbitrage."""

    executed: Executed
    swaps: tuple[Swap, ...]
    arbitrage: Arbitrage | None


class Replay:
    """Stands before one transaction of the block (``position``, its index), at first before transaction 0."""

    def __init__(self, block: RecordedBlock) -> None:
        """Raises ``MissingState`` where the file lacks what the block's own system calls need."""
        self.block = block
        self.position = 0
        self._source = RecordedState(block)
        self._machine = Machine(self._source, block.context, block.fork)
        self._machine.begin_block()

    def advance(self) -> None:
        """Execute the next transaction.

        Raises:
            MissingState: the file lacks state that it needs; the position stays.
            InvalidTransaction: no block could hold it there.
        """
        self._machine.apply(self.block.transactions[self.position])
        self.position += 1

    def state(self) -> MachineState:
        """The state here; it moves on with the replay."""
        return MachineState(self._machine, self._source)

    def slot(self, address: bytes, slot: int) -> int | None:
        """A storage slot here; None where the file does not know it."""
        try:
            return self._machine.storage(address, slot)
        except MissingState:
            return None

    def code(self, address: bytes) -> bytes | None:
        """The code of an account here; None where the file does not know it."""
        try:
            return self._machine.code(address)
        except MissingState:
            return None

    def ask(self, to: Address, data: bytes) -> bytes | None:
        """What a contract answers here; None when it fails or the file lacks state that it needs."""
        try:
            answer = self._machine.call(to, data, gas=_QUESTION_GAS)
        except MissingState:
            return None
        return answer.output if answer.success else None

    def examine(self, wrapped_native: Address) -> Examined:
        """What the next transaction will do, without doing it.

        Raises:
            MissingState: the file lacks state that it needs.
        """
        block = self.block
        context = block.context
        run = Run([block.transactions[self.position]], self.state(), context, block.fork, options=Options(trace=True))
        answer = run.step()
        if not isinstance(answer, Simulation):
            raise answer
        executed = answer.transactions[0]
        receipt = block.receipts[self.position]
        swaps = read_swaps(executed.logs, run.ask, block.chain_id, executed.trace)
        found = classify(executed, swaps, receipt.sender, receipt.to, context.base_fee_per_gas, wrapped_native)
        return Examined(executed, swaps, found)
