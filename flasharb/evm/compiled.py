"""py-evm's computation with compiled blocks and lean call frames.

Messages, gas meters and stacks keep py-evm's interface, so that its opcode functions and precompiles work on them, but
not its checks of what cannot be otherwise. The stack holds nothing but ints.
"""

# ruff: noqa: PLR0913, PLR0917 - messages have as many fields as they have, and are made by position for speed.
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from eth.exceptions import FullStack, Halt, InsufficientStack, InvalidInstruction, OutOfGas, VMError
from eth.vm.code_stream import CodeStream
from eth.vm.forks.berlin.logic import GAS_SCHEDULE_EIP2929
from eth.vm.forks.london.computation import LondonComputation
from eth.vm.forks.london.storage import GAS_SCHEDULE_EIP3529
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.forks.shanghai.computation import ShanghaiComputation
from eth.vm.memory import Memory
from eth.vm.message import Message
from eth.vm.opcode import as_opcode

from flasharb.evm import runtime
from flasharb.evm.compiler import HALT, Compiler, Contract, Program
from flasharb.evm.computation import corrected
from flasharb.evm.result import CallFrame
from flasharb.evm.trace import frame_of

_ADDRESS: Final = (1 << 160) - 1
_from_bytes: Final = int.from_bytes
_PADDING: Final = bytes(32)
_RIPEMD160: Final = bytes(19) + b"\x03"


class _Message(Message):
    """A message of one of our own calls, which needs no validation."""

    __slots__ = ()

    def __init__(
        self,
        gas: int,
        to: bytes,
        sender: bytes,
        value: int,
        data: bytes,
        code: bytes,
        depth: int,
        code_address: bytes | None,
        should_transfer_value: bool,
        is_static: bool,
        is_delegation: bool,
    ) -> None:
        self.gas = gas
        self.to = to  # type: ignore[assignment]  # py-evm's Address is bytes
        self.sender = sender  # type: ignore[assignment]  # py-evm's Address is bytes
        self.value = value
        self.data = data
        self.depth = depth
        self.code = code
        self._storage_address = to  # type: ignore[assignment]  # py-evm's Address is bytes
        self._code_address = code_address  # type: ignore[assignment]  # py-evm's Address is bytes
        self.should_transfer_value = should_transfer_value
        self.is_static = is_static
        self._is_delegation = is_delegation
        self.refund = 0


class _Meter:
    """A gas meter."""

    __slots__ = ("gas_refunded", "gas_remaining", "start_gas")

    def __init__(self, gas: int) -> None:
        self.start_gas = self.gas_remaining = gas
        self.gas_refunded = 0

    def consume_gas(self, amount: int, reason: str) -> None:
        if amount > self.gas_remaining:
            raise OutOfGas(f"Out of gas: Needed {amount} - Remaining {self.gas_remaining} - Reason: {reason}")
        self.gas_remaining -= amount

    def return_gas(self, amount: int) -> None:
        self.gas_remaining += amount

    def refund_gas(self, amount: int) -> None:
        self.gas_refunded += amount


class _Memory(Memory):
    """Memory whose bytes are the same object as long as it lives."""

    __slots__ = ()

    def extend(self, start_position: int, size: int) -> None:
        if size:
            missing = ((start_position + size + 31) & ~31) - len(self._bytes)
            if missing > 0:
                self._bytes.extend(bytes(missing))

    def copy(self, destination: int, source: int, length: int) -> None:  # type: ignore[override]  # as py-evm's own
        if length:
            self._bytes[destination : destination + length] = self._bytes[source : source + length]


def _sload(c: Any) -> None:
    slot = c.stack_pop1_int()
    meter = c._gas_meter
    meter.gas_remaining, value = runtime.load_slot(c, slot, meter.gas_remaining)
    c.stack_push_int(value)


def _calling(function: Callable[..., int], count: int) -> Callable[[Any], None]:
    def call(c: Any) -> None:
        words = c.stack_pop_ints(count)
        c.stack.append(function(c, c._memory._bytes, *words, c._gas_meter.gas_remaining))

    return call


def _storing(schedule: Any) -> Callable[[Any], None]:
    def store(c: Any) -> None:
        slot, value = c.stack_pop_ints(2)
        meter = c._gas_meter
        meter.gas_remaining = runtime.store_slot(c, slot, value, meter.gas_remaining, schedule)

    return store


def _logging(topics: int) -> Callable[[Any], None]:
    def log(c: Any) -> None:
        start, size, *words = c.stack_pop_ints(2 + topics)
        meter = c._gas_meter
        meter.gas_remaining = runtime.log(c, c._memory._bytes, start, size, tuple(words), meter.gas_remaining)

    return log


def _schedule_of(base: Any) -> Any:
    return GAS_SCHEDULE_EIP3529 if issubclass(base, LondonComputation) else GAS_SCHEDULE_EIP2929


def _opcodes_of(opcodes: dict[int, Any], schedule: Any) -> dict[int, Any]:
    ours = {
        0x54: _sload,
        0x55: _storing(schedule),
        0xF1: _calling(runtime.call, 7),
        0xF4: _calling(runtime.delegate_call, 6),
        0xFA: _calling(runtime.static_call, 6),
        **{0xA0 + topics: _logging(topics) for topics in range(5)},
    }
    replaced = {code: as_opcode(logic, opcodes[code].mnemonic, opcodes[code].gas_cost) for code, logic in ours.items()}
    return {**opcodes, **replaced}


def bad_opcode(op: int, _computation: Any = None) -> None:
    """End the frame: no such instruction."""
    raise InvalidInstruction(f"Invalid opcode 0x{op:x}")


def interpret(  # noqa: C901, PLR0912 - one loop over the kinds of opcodes, where a call for each would cost more
    c: Any, stack: list[int], meter: Any, memory: bytearray, place: int
) -> int:
    """Run from ``place`` to the next jump that is taken, by py-evm's opcode functions; where to go on."""
    contract = c.contract
    code, blocks = contract.code, contract.blocks
    size = len(code)
    opcodes = c.opcodes
    pc = place if place >= 0 else -2 - place
    first = pc
    while True:
        op = code[pc] if pc < size else 0
        if 0x5F <= op <= 0x9F:
            if op == 0x5F and op not in opcodes:
                bad_opcode(op)
            gas = meter.gas_remaining - (2 if op == 0x5F else 3)
            if gas < 0:
                runtime.out_of_gas()
            meter.gas_remaining = gas
            if op <= 0x8F:
                if len(stack) > 1023:
                    raise FullStack("Stack limit reached")
                if op <= 0x7F:
                    end = pc + op - 0x5E
                    data = code[pc + 1 : end]
                    value = _from_bytes(data, "big")
                    stack.append(value if end <= size else value << 8 * (op - 0x5F - len(data)))
                    pc = end
                    continue
                depth = op - 0x7F
                if len(stack) < depth:
                    raise InsufficientStack(f"Insufficient stack items for DUP{depth}")
                stack.append(stack[-depth])
            else:
                depth = op - 0x8E
                if len(stack) < depth:
                    raise InsufficientStack(f"Insufficient stack items for SWAP{depth - 1}")
                stack[-1], stack[-depth] = stack[-depth], stack[-1]
            pc += 1
        elif op == 0x5B:
            if pc != first and pc in blocks:
                return pc
            meter.gas_remaining -= 1
            if meter.gas_remaining < 0:
                runtime.out_of_gas()
            pc += 1
        elif op == 0x56:
            meter.consume_gas(8, "JUMP")
            return int(c.stack_pop1_int())
        elif op == 0x57:
            meter.consume_gas(10, "JUMPI")
            target, condition = c.stack_pop_ints(2)
            if condition:
                return int(target)
            pc += 1
        elif op == 0x58:
            meter.consume_gas(2, "PC")
            c.stack_push_int(pc)
            pc += 1
        else:
            function = opcodes.get(op)
            if function is None:
                bad_opcode(op)
            # Calling the object itself goes through C, and CPython 3.12 allows too few such calls for 1,024 frames.
            function.__call__(computation=c)
            pc += 1


def run(c: Any, contract: Contract) -> None:
    """Execute the code of a frame to its end.

    Raises:
        VMError: as the frame failed.
    """
    stack, meter, memory, blocks = c.stack, c._gas_meter, c._memory._bytes, contract.blocks
    c.contract = contract
    place = -2
    try:
        while place != HALT:
            block = blocks.get(place)
            if block is None:
                block = contract.arrive(place)
                if block is None:
                    place = interpret(c, stack, meter, memory, place)
                    continue
            place = block(c, stack, meter, memory)
    except Halt:
        pass


def compiled(base: Any) -> Any:  # noqa: C901 - a class made for each fork, of short methods
    """The computation class ``base`` with compiled blocks."""
    parent = corrected(base)
    warms_coinbase = issubclass(base, ShanghaiComputation)
    schedule = _schedule_of(base)
    # Forks that execute by the same opcodes share their compiled code.
    program_name = base.__name__.removesuffix("Computation").lower()

    class Compiled(parent):  # type: ignore[misc, valid-type]  # one class per fork, made from py-evm's
        opcodes = _opcodes_of(parent.opcodes, schedule)
        stream: CodeStream | None = None
        data_floor_cost = 0
        follows_delegations = issubclass(base, PragueComputation)
        # A finished frame is forgotten; what it left is its caller's by then.
        children = ()
        _error: VMError | None = None

        def __init__(self, state: Any, message: Any, transaction_context: Any) -> None:
            self.state = state
            self.msg = message
            self.transaction_context = transaction_context
            self.db = state._account_db
            self.address = message.storage_address
            self.padded = message.data + _PADDING
            self.stack: list[int] = []
            self._gas_meter = _Meter(message.gas)
            self._memory = _Memory()
            self.accounts_to_delete: list[bytes] = []
            self.beneficiaries: list[bytes] = []
            self._log_entries: list[tuple[int, bytes, tuple[int, ...], bytes]] = []
            if state.traces:
                self.calls: list[CallFrame] = []

        # Stack: py-evm's opcode functions meet ints only.

        def stack_pop_ints(self, count: int) -> tuple[int, ...]:
            stack = self.stack
            if count > len(stack):
                raise InsufficientStack(f"Wanted {count} stack items, only had {len(stack)}")
            words = tuple(stack[: -count - 1 : -1])
            del stack[-count:]
            return words

        def stack_pop1_int(self) -> int:
            if not self.stack:
                raise InsufficientStack("Wanted 1 stack item, had none")
            return self.stack.pop()

        def stack_pop_bytes(self, count: int) -> tuple[bytes, ...]:
            return tuple(word.to_bytes(32, "big") for word in self.stack_pop_ints(count))

        def stack_pop1_bytes(self) -> bytes:
            return self.stack_pop1_int().to_bytes(32, "big")

        stack_pop_any = stack_pop_ints
        stack_pop1_any = stack_pop1_int

        def stack_push_int(self, value: int) -> None:
            if len(self.stack) > 1023:
                raise FullStack("Stack limit reached")
            self.stack.append(value)

        def stack_push_bytes(self, value: bytes) -> None:
            self.stack_push_int(_from_bytes(value, "big"))

        @property
        def code(self) -> CodeStream:
            stream = self.stream
            if stream is None:
                stream = self.stream = CodeStream(self.msg.code)
            return stream

        def consume_gas(self, amount: int, reason: str) -> None:
            self._gas_meter.consume_gas(amount, reason)

        # Frames

        @staticmethod
        def message(
            gas: int, to: bytes, sender: bytes, value: int, data: bytes, code: bytes, is_delegation: bool
        ) -> Any:
            """The message of a transaction's own frame."""
            return _Message(gas, to, sender, value, data, code, 0, None, True, False, is_delegation)

        def child(
            self,
            gas: int,
            to: bytes,
            sender: bytes,
            value: int,
            data: bytes,
            code: bytes,
            code_address: bytes | None,
            transfers: bool,
            is_static: bool,
            is_delegation: bool,
        ) -> Any:
            """Execute a message call of this frame; what ``apply_message`` does in py-evm."""
            state, db = self.state, self.db
            snapshot = len(db.log)
            if transfers and value:
                db.set_balance(sender, db.get_balance(sender) - value)
                db.set_balance(to, db.get_balance(to) + value)
            if not db.existing.get(to):
                db.touch_account(to)
            message = _Message(
                gas,
                to,
                sender,
                value,
                data,
                code,
                self.msg.depth + 1,
                code_address,
                transfers,
                is_static,
                is_delegation,
            )
            child = Compiled(state, message, self.transaction_context)
            child.contracts_created = self.contracts_created
            if not code and db.account_is_empty(to):
                child.beneficiaries.append(to)
            try:
                precompile = self._precompiles.get(code_address or to)
                if precompile is not None:
                    if not is_delegation:
                        precompile(child)
                elif code:
                    run(child, state.program.contract(code))
            except VMError as error:
                child.fail(error)
                db.discard(snapshot)
            return child

        def absorb(self, child: Any) -> None:
            """Take over what a finished call leaves to its caller; whether it failed is known."""
            if child.beneficiaries:
                self.beneficiaries += child.get_self_destruct_beneficiaries()
            if child._error is None:
                self._gas_meter.gas_refunded += child._gas_meter.gas_refunded
                if child._log_entries:
                    self._log_entries += child._log_entries
                if child.accounts_to_delete:
                    self.accounts_to_delete += child.accounts_to_delete
            if self.state.traces:
                self.calls.append(frame_of(child))

        def add_child_computation(self, child_computation: Any) -> None:
            """What py-evm's own CREATE and CALLCODE do with a finished call."""
            failed = child_computation.is_error
            if child_computation.msg.is_create:
                self.return_data = child_computation.output if failed else b""
            else:
                self.return_data = b"" if child_computation.should_burn_gas else child_computation.output
            self.absorb(child_computation)

        def get_raw_log_entries(self) -> tuple[Any, ...]:
            return () if self._error is not None else tuple(self._log_entries)

        def get_self_destruct_beneficiaries(self) -> list[bytes]:
            """The accounts that are to be removed at the end of the transaction if they are empty then (EIP-161)."""
            if self._error is None:
                return list(set(self.beneficiaries))
            # py-evm touches the third precompile for good, as the main network once did (EIPs issue 716).
            return [_RIPEMD160] if _RIPEMD160 in self.beneficiaries else []

        def fail(self, error: VMError) -> None:
            """This frame failed: its gas is gone, unless it reverted."""
            # The traceback holds the frame, which holds the error.
            self._error = error.with_traceback(None)
            if error.burns_gas:
                self._gas_meter.gas_remaining = 0
            if error.erases_return_data:
                self.return_data = b""

        @classmethod
        def apply_computation(
            cls, state: Any, message: Any, transaction_context: Any, parent_computation: Any = None
        ) -> Any:
            """Execute a transaction's own frame, a system call or a creation."""
            computation = cls(state, message, transaction_context)
            if warms_coinbase:
                state.mark_address_warm(state.coinbase)
            try:
                if computation.is_origin_computation:
                    computation.contracts_created = []
                    if message.is_create:
                        cls.consume_initcode_gas_cost(computation)
                if parent_computation is not None:
                    computation.contracts_created = parent_computation.contracts_created
                if message.is_create:
                    computation.contracts_created.append(message.storage_address)
                precompile = cls._precompiles.get(message.code_address)
                if precompile is not None:
                    if not message.is_delegation:
                        precompile(computation)
                elif message.code:
                    program = state.program
                    find = program.passing if message.is_create else program.contract
                    run(computation, find(message.code))
            except VMError as error:
                computation.fail(error)
            return computation

        @classmethod
        def program(cls, compiler: Compiler) -> Program:
            """The compiled contracts under this fork's rules."""
            program = compiler.programs.get(program_name)
            if program is None:
                program = compiler.programs[program_name] = Program(
                    compiler,
                    program_name,
                    cls.opcodes,
                    {"interpret": interpret, "bad_opcode": bad_opcode, "schedule": schedule},
                )
            return program

    Compiled.__name__ = Compiled.__qualname__ = f"Compiled{base.__name__}"
    return Compiled
