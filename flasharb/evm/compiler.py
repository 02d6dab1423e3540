"""The block compiler: EVM code to Python functions, one for each place where execution enters.

How it works. py-evm spends nearly all its time in its loop: two Python calls an opcode, conversions at every stack
access, checks of what cannot be otherwise. Here a stretch of code becomes one Python function ``f(c, S, k, m)`` of the
computation, its stack (a list of ints), its gas meter and its memory (a bytearray), which returns where to go on:

* The stack is virtual at compile time. PUSH, DUP, SWAP, POP and JUMPDEST cost nothing at run time; words live in local
  variables, each assigned once; only what is left at an exit is written to ``S``.
* Jumps to constant destinations are followed, so that a function covers a superblock of about ``MAX_INSTRUCTIONS``
  with side exits at each JUMPI, along the path that was usual so far. Where it arrives at a JUMPDEST a second time it
  leaves: loops go through ``run``. A full superblock ends at the next JUMPDEST or 128-byte page, so that there are few
  places where others begin: cut anywhere, a long loop would be entered somewhere else each time around.
* Constants are folded, conditions stay conditions until somebody wants the word.
* Gas is charged per straight stretch. That is equivalent: whoever runs out of gas in a stretch loses all of it wherever
  it happens. Before anything that can be observed (GAS, storage, accounts, calls, exits) the sum is charged and
  checked.
* Heights are checked once, at entry: how many words the whole superblock may take and leave is known. If the stack is
  not that high, or would become too high, py-evm's own opcode functions run that stretch and raise what is due.
* Storage, calls, logs, copies and hashing are functions of ``flasharb.evm.runtime``; the rest (CREATE, CALLCODE,
  SELFDESTRUCT ...) are py-evm's own opcode functions, for which the stack is written out.

The generated source consists of these patterns, of integers, and of words in hexadecimal escapes. Nothing else of a
contract gets into it.
Tiers: a place is interpreted until it was entered ``WARM`` times. Compiled code is kept by the hash of the contract's
code, in memory and, where a ``CodeStore`` is given, outside as marshalled code objects.
"""

from __future__ import annotations

import marshal
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from types import CodeType, FunctionType
from typing import Any, Final, Protocol

from eth import constants

from flasharb.evm import runtime

MAX_INSTRUCTIONS: Final = 400
WARM: Final = 12
HALT: Final = -1
GENERATOR_VERSION: Final = 2
_PAGE: Final = 128
MAX_HELD: Final = 160 << 20
"""So many bytes of contracts and their compiled code are held in memory, by a fair estimate."""
_BYTES_OF_CONTRACT: Final = 1_000
_BYTES_OF_CONSTANTS: Final = 1_250
_SAVE_AFTER: Final = 500
_STACK_LIMIT: Final = 1024
_MOST_BYTES_BACK: Final = 256

_INSTRUCTIONS_TO_JUMPDEST: Final = re.compile(
    rb"(?:[^\x5b\x60-\x7f]++|" + b"|".join(rb"\x%02x.{%d}" % (0x5F + n, n) for n in range(1, 33)) + rb")*+\x5b",
    re.DOTALL,
)

_WORD: Final = runtime.WORD
_BINARY: Final = {
    0x01: "({a}+{b})&M",
    0x02: "({a}*{b})&M",
    0x03: "({a}-{b})&M",
    0x04: "({a}//{b} if {b} else 0)",
    0x05: "signed_div({a},{b})",
    0x06: "({a}%{b} if {b} else 0)",
    0x07: "signed_mod({a},{b})",
    0x0B: "sign_extend({a},{b})",
    0x16: "{a}&{b}",
    0x17: "{a}|{b}",
    0x18: "{a}^{b}",
    0x1A: "(({b}>>(248-8*{a}))&255 if {a}<32 else 0)",
    0x1B: "(({b}<<{a})&M if {a}<256 else 0)",
    0x1C: "({b}>>{a} if {a}<256 else 0)",
    0x1D: "shift_right_signed({a},{b})",
}
_COMPARISONS: Final = {
    0x10: ("{a}<{b}", "{a}>={b}"),
    0x11: ("{a}>{b}", "{a}<={b}"),
    0x12: ("({a}^N)<({b}^N)", "({a}^N)>=({b}^N)"),
    0x13: ("({a}^N)>({b}^N)", "({a}^N)<=({b}^N)"),
    0x14: ("{a}=={b}", "{a}!={b}"),
}
_CONTEXT: Final = {
    0x30: "B(c.address,'big')",
    0x32: "B(c.transaction_context.origin,'big')",
    0x33: "B(c.msg.sender,'big')",
    0x34: "c.msg.value",
    0x36: "len(c.msg.data)",
    0x3A: "c.transaction_context.gas_price",
    0x3D: "len(c.return_data)",
    0x41: "B(c.state.coinbase,'big')",
    0x42: "c.state.timestamp",
    0x43: "c.state.block_number",
    0x45: "c.state.gas_limit",
    0x46: "c.state.execution_context.chain_id",
    0x47: "c.db.get_balance(c.address)",
    0x48: "c.state.base_fee",
    0x59: "len(m)",
}
# Opcodes left to py-evm: words taken and left.
_EXTERNAL: Final = {
    0x3C: (4, 0),
    0x40: (1, 1),
    0x44: (0, 1),
    0x49: (1, 1),
    0x4A: (0, 1),
    0xF0: (3, 1),
    0xF2: (7, 1),
    0xF5: (4, 1),
}
_CALLS: Final = {0xF1: ("call", 7), 0xF4: ("delegate_call", 6), 0xFA: ("static_call", 6)}

_SHA3_WORD: Final = constants.GAS_SHA3WORD
_READS: Final = {
    0x0A: "power(",
    0x31: "balance(c,",
    0x3B: "code_size(c,",
    0x3F: "code_hash(c,",
    0x54: "load_slot(c,",
}
_OWN: Final = {
    0x08: "modular",
    0x09: "modular",
    0x15: "is_zero",
    0x19: "invert",
    0x1E: "count_leading_zeros",
    0x20: "sha3",
    0x35: "load_call_data",
}
_WRITES: Final = {
    0x37: ("g=copy_padded(m,{0},c.padded,{1},{2},g)", 3),
    0x39: ("g=copy_padded(m,{0},c.msg.code,{1},{2},g)", 3),
    0x3E: ("g=copy_return_data(c,m,{0},{1},{2},g)", 3),
    0x55: ("g=store_slot(c,{0},{1},g,schedule)", 2),
    0x5D: ("store_transient(c,{0},{1})", 2),
    0x5E: ("g=copy_memory(m,{0},{1},{2},g)", 3),
}
_FOLD: Final[dict[int, Callable[[int, int], int]]] = {
    0x01: lambda a, b: (a + b) & _WORD,
    0x02: lambda a, b: (a * b) & _WORD,
    0x03: lambda a, b: (a - b) & _WORD,
    0x04: lambda a, b: a // b if b else 0,
    0x05: runtime.signed_div,
    0x06: lambda a, b: a % b if b else 0,
    0x07: runtime.signed_mod,
    0x0B: runtime.sign_extend,
    0x10: lambda a, b: a < b,
    0x11: lambda a, b: a > b,
    0x12: lambda a, b: (a ^ runtime.SIGN) < (b ^ runtime.SIGN),
    0x13: lambda a, b: (a ^ runtime.SIGN) > (b ^ runtime.SIGN),
    0x14: lambda a, b: a == b,
    0x16: lambda a, b: a & b,
    0x17: lambda a, b: a | b,
    0x18: lambda a, b: a ^ b,
    0x1A: lambda a, b: b >> (248 - 8 * a) & 255 if a < 32 else 0,
    0x1B: lambda a, b: (b << a) & _WORD if a < 256 else 0,
    0x1C: lambda a, b: b >> a if a < 256 else 0,
    0x1D: runtime.shift_right_signed,
}


class CodeStore(Protocol):
    """Keeps compiled code outside of the process, by name. It may forget at any time and never raises."""

    def load(self, name: str) -> bytes | None:
        """What was saved under ``name``."""
        ...

    def save(self, name: str, data: bytes) -> None:
        """Keep ``data`` under ``name``."""
        ...


class _Condition:
    """A word that is 0 or 1, as the expression of its being 1 and of its being 0."""

    __slots__ = ("holds", "name", "not_holds")

    def __init__(self, holds: str, not_holds: str) -> None:
        self.holds, self.not_holds, self.name = holds, not_holds, ""


_Value = str | _Condition


def _constant(value: _Value) -> int | None:
    # Constants are the only words that start with a digit.
    return int(value) if isinstance(value, str) and value[0].isdigit() else None


def _literal(word: int) -> str:
    """A word as bytes, without a letter of what it may spell."""
    return "b'" + "".join(f"\\x{byte:02x}" for byte in word.to_bytes(32, "big")) + "'"


class _Block:
    """The source of one superblock."""

    def __init__(
        self, code: bytes, jumpdests: frozenset[int], opcodes: dict[int, Any], entry: int, arrivals: Mapping[int, int]
    ) -> None:
        self.code, self.jumpdests, self.opcodes, self.entry, self.arrivals = code, jumpdests, opcodes, entry, arrivals
        self.usual = arrivals.get(entry if entry in jumpdests else -2 - entry, 0)
        self.lines: list[str] = []
        self.values: list[_Value] = []  # on top of S without its uppermost self.taken words
        self.taken = 0
        self.loaded: dict[int, str] = {}
        self.names = 0
        self.cost = 0
        self.height = 0  # of S now, against S at entry
        self.lowest = 0
        self.highest = 0
        self.memory = 0  # bytes that the memory surely has
        self.instructions = 0

    # Words

    def emit(self, line: str) -> None:
        self.lines.append(line)

    def name(self) -> str:
        self.names += 1
        return f"t{self.names}"

    def take(self) -> str:
        self.taken += 1
        self.lowest = min(self.lowest, self.height - self.taken)
        at = self.taken
        if at not in self.loaded:
            self.loaded[at] = self.name()
            self.emit(f"{self.loaded[at]}=S[-{at}]")
        return self.loaded[at]

    def pop_value(self) -> _Value:
        return self.values.pop() if self.values else self.take()

    def pop(self) -> str:
        return self.word(self.pop_value())

    def word(self, value: _Value) -> str:
        if isinstance(value, str):
            return value
        if not value.name:
            value.name = self.name()
            self.emit(f"{value.name}=1 if {value.holds} else 0")
        return value.name

    def reach(self, depth: int) -> None:
        """Have at least ``depth`` words in ``values``."""
        while len(self.values) < depth:
            self.values.insert(0, self.take())

    def push(self, value: _Value) -> None:
        self.values.append(value)
        self.highest = max(self.highest, self.height - self.taken + len(self.values))

    def assign(self, expression: str) -> None:
        name = self.name()
        self.emit(f"{name}={expression}")
        self.push(name)

    # Gas, memory, exits

    def charge(self) -> None:
        if self.cost:
            self.emit(f"g-={self.cost}")
            self.cost = 0

    def settle(self) -> None:
        """Charge what is due, and end the frame here if it was too much."""
        self.charge()
        self.emit("if g<0: out_of_gas(c)")

    def grow(self, start: str, size: int) -> None:
        at = _constant(start)
        if at is None:
            self.emit(f"if {start}+{size}>len(m): g=extend(m,{start}+{size},g)")
        elif at + size > self.memory:
            self.emit(f"if len(m)<{at + size}: g=extend(m,{at + size},g)")
            self.memory = at + size if at < 1 << 32 else self.memory

    def written(self, indent: str = "") -> Iterator[str]:
        """The lines that bring the virtual stack into ``S``."""
        values, below = list(self.values), self.taken
        while below and values and values[0] == self.loaded.get(below):
            del values[0]
            below -= 1
        words = []
        for value in values:
            if isinstance(value, str):
                words.append(value)
            else:
                words.append(value.name or f"1 if {value.holds} else 0")
        listed = ",".join(words)
        if below and not words:
            yield f"{indent}del S[-{below}:]"
        elif below:
            yield f"{indent}S[-{below}:]=[{listed}]"
        elif len(words) == 1:
            yield f"{indent}S.append({listed})"
        elif words:
            yield f"{indent}S+=({listed})"

    def leave(self, target: str, indent: str = "") -> None:
        self.emit(f"{indent}if g<0: out_of_gas(c)")
        self.emit(f"{indent}k.gas_remaining=g")
        self.lines.extend(self.written(indent))
        self.emit(f"{indent}return {target}")

    def spill(self) -> None:
        """Bring everything into ``S``, for an opcode function of py-evm's."""
        self.lines.extend(self.written())
        self.height += len(self.values) - self.taken
        self.values, self.taken, self.loaded = [], 0, {}

    # The source

    def source(self) -> str:
        pc = before = self.entry
        arrived: set[int] = set()
        code, size = self.code, len(self.code)
        while pc >= 0:
            op = code[pc] if pc < size else 0
            full = self.instructions >= MAX_INSTRUCTIONS and (op == 0x5B or pc // _PAGE != before // _PAGE)
            if full or (op == 0x5B and pc in arrived):
                self.charge()
                self.leave(str(pc) if pc in self.jumpdests else str(-2 - pc))
                break
            if op == 0x5B:
                arrived.add(pc)
            self.instructions += 1
            before, pc = pc, self.step(op, pc)
        body = "\n ".join(self.lines)
        resume = str(self.entry) if self.entry in self.jumpdests else str(-2 - self.entry)
        low, high = -self.lowest, _STACK_LIMIT - self.highest
        return (
            "def f(c,S,k,m):\n"
            f" if not {low}<=len(S)<={high}: return interpret(c,S,k,m,{resume})\n"
            " g=k.gas_remaining\n "
            f"{body}\n"
        )

    def step(self, op: int, pc: int) -> int:
        """Generate one instruction; the next place, or -1 where the superblock ends."""
        function = self.opcodes.get(op)
        if function is None:
            self.settle()
            self.emit(f"bad_opcode({op},c)")
            return -1
        self.cost += function.gas_cost if op not in _EXTERNAL and op != 0xFF else 0
        if 0x5F <= op <= 0x7F:
            return self.constant(op - 0x5F, pc)
        if 0x80 <= op <= 0x8F:
            self.reach(op - 0x7F)
            self.push(self.values[-(op - 0x7F)])
        elif 0x90 <= op <= 0x9F:
            depth = op - 0x8E
            self.reach(depth)
            values = self.values
            values[-1], values[-depth] = values[-depth], values[-1]
        elif op in _BINARY:
            self.binary(op)
        elif op in _COMPARISONS:
            self.comparison(op)
        elif op in (0x56, 0x57):
            return self.jump(op, pc)
        elif op in _CONTEXT:
            self.assign(_CONTEXT[op])
        else:
            return self.other(op, pc)
        return pc + 1

    def constant(self, size: int, pc: int) -> int:
        self.push(str(int.from_bytes(self.code[pc + 1 : pc + 1 + size].ljust(size, b"\0"), "big")))
        return pc + 1 + size

    def binary(self, op: int) -> None:
        a, b = self.pop(), self.pop()
        first, second = _constant(a), _constant(b)
        if first is not None and second is not None:
            self.push(str(_FOLD[op](first, second)))
        elif op == 0x1B and first is not None and first < 256:
            self.assign(f"({b}<<{a})&M")
        elif op == 0x1C and first is not None and first < 256:
            self.assign(f"{b}>>{a}")
        elif op in (0x04, 0x06) and second:
            self.assign(f"{a}{'//' if op == 0x04 else '%'}{b}")
        elif op == 0x0B and first is not None and first > 30:
            self.push(b)
        else:
            self.assign(_BINARY[op].format(a=a, b=b))

    def comparison(self, op: int) -> None:
        a, b = self.pop(), self.pop()
        holds, not_holds = (pattern.format(a=a, b=b) for pattern in _COMPARISONS[op])
        first, second = _constant(a), _constant(b)
        if first is not None and second is not None:
            self.push(str(int(_FOLD[op](first, second))))
        else:
            self.push(_Condition(holds, not_holds))

    def jump(self, op: int, pc: int) -> int:
        target = self.pop()
        condition = self.pop_value() if op == 0x57 else "1"
        self.charge()
        known, chosen = _constant(target), _constant(condition)
        if chosen == 0:
            return pc + 1
        if chosen is None:
            test = condition if isinstance(condition, str) else condition.holds
            if known in self.jumpdests and 2 * self.arrivals.get(known, 0) > self.usual > 0:
                # Usually taken: the rest of the superblock goes there.
                self.emit(f"if not {test}:" if isinstance(condition, str) else f"if {condition.not_holds}:")
                self.leave(str(pc + 1 if pc + 1 in self.jumpdests else -3 - pc), " ")
                return known
            self.emit(f"if {test}:")
            self.exit_to(target, known, " ")
            return pc + 1
        if known is not None and known in self.jumpdests:
            return known
        self.exit_to(target, known, "")
        return -1

    def exit_to(self, target: str, known: int | None, indent: str) -> None:
        if known is not None and known not in self.jumpdests:
            self.emit(f"{indent}bad_jump({known})")
            # The checker of the stack must see a way out of the function.
            self.emit(f"{indent}return {HALT}")
        else:
            self.leave(target, indent)

    def other(self, op: int, pc: int) -> int:
        if op == 0x5B:
            pass
        elif op == 0x50:
            self.pop_value()
        elif op == 0x38:
            self.push(str(len(self.code)))
        elif op == 0x58:
            self.push(str(pc))
        elif op == 0x5A:
            self.settle()
            self.assign("g")
        elif op in {0x51, 0x52, 0x53}:
            self.memory_access(op)
        elif op in _OWN:
            getattr(self, _OWN[op])(op)
        else:
            return self.outward(op, pc)
        return pc + 1

    def invert(self, _op: int) -> None:
        a = self.pop()
        known = _constant(a)
        if known is None:
            self.assign(f"M^{a}")
        else:
            self.push(str(_WORD ^ known))

    def count_leading_zeros(self, _op: int) -> None:
        a = self.pop()
        known = _constant(a)
        if known is None:
            self.assign(f"256-{a}.bit_length()")
        else:
            self.push(str(256 - known.bit_length()))

    def modular(self, op: int) -> None:
        a, b, n = self.pop(), self.pop(), self.pop()
        self.assign(f"({a}{'+' if op == 0x08 else '*'}{b})%{n} if {n} else 0")

    def load_call_data(self, _op: int) -> None:
        a = self.pop()
        known = _constant(a)
        end = f"{a}+32" if known is None else str(known + 32)
        self.assign(f"B(c.padded[{a}:{end}],'big')")

    def is_zero(self, _op: int) -> None:
        value = self.pop_value()
        known = _constant(value)
        if known is not None:
            self.push(str(int(known == 0)))
        elif isinstance(value, _Condition):
            self.push(_Condition(value.not_holds, value.holds))
        else:
            self.push(_Condition(f"not {value}", f"{value}"))

    def memory_access(self, op: int) -> None:
        at = self.pop()
        value = self.pop() if op != 0x51 else ""
        self.charge()
        self.grow(at, 1 if op == 0x53 else 32)
        known = _constant(at)
        end = f"{at}+32" if known is None else str(known + 32)
        if op == 0x51:
            self.assign(f"B(m[{at}:{end}],'big')")
        elif op == 0x53:
            self.emit(f"m[{at}]={value}&255")
        else:
            word = _constant(value)
            data = f"{value}.to_bytes(32,'big')" if word is None else _literal(word)
            self.emit(f"m[{at}:{end}]={data}")

    def sha3(self, _op: int) -> None:
        start, size = self.pop(), self.pop()
        self.charge()
        known = _constant(size)
        if known is None:
            self.emit(f"g-={_SHA3_WORD}*(({size}+31)>>5)")
            self.emit("if g<0: out_of_gas(c)")
            self.emit(f"if {size} and {start}+{size}>len(m): g=extend(m,{start}+{size},g)")
        else:
            self.emit(f"g-={_SHA3_WORD * ((known + 31) >> 5)}")
            if known:
                self.grow(start, known)
        # Hashing notes the preimage, which a frame without gas must not.
        self.emit("if g<0: out_of_gas(c)")
        self.assign(f"sha3(c,m,{start},{size})")

    def outward(self, op: int, pc: int) -> int:
        """What reads or writes more than words and memory."""
        if op in _CALLS:
            function, count = _CALLS[op]
            arguments = ",".join(self.pop() for _ in range(count))
            self.settle()
            name = self.name()
            self.emit(f"{name}={function}(c,m,{arguments},g); g=k.gas_remaining")
            self.push(name)
        elif op in _READS:
            arguments = ",".join(self.pop() for _ in range(2 if op == 0x0A else 1))
            self.settle()
            name = self.name()
            self.emit(f"g,{name}={_READS[op]}{arguments},g)")
            self.push(name)
        elif op in _WRITES:
            pattern, count = _WRITES[op]
            words = [self.pop() for _ in range(count)]
            self.settle()
            self.emit(pattern.format(*words))
        elif 0xA0 <= op <= 0xA4:
            start, size, *topics = (self.pop() for _ in range(op - 0xA0 + 2))
            self.settle()
            listed = "".join(f"{topic}," for topic in topics)
            self.emit(f"g=log(c,m,{start},{size},({listed}),g)")
        elif op == 0x5C:
            slot = self.pop()
            self.assign(f"load_transient(c,{slot})")
        elif op == 0x00:
            self.charge()
            self.emit("if g<0: out_of_gas(c)")
            self.emit("k.gas_remaining=g")
            self.emit(f"return {HALT}")
            return -1
        elif op in (0xF3, 0xFD):
            start, size = self.pop(), self.pop()
            self.settle()
            self.emit(f"{'give_back' if op == 0xF3 else 'revert'}(c,m,{start},{size},g)")
            self.emit(f"return {HALT}")
            return -1
        else:
            return self.external(op, pc)
        return pc + 1

    def external(self, op: int, pc: int) -> int:
        self.settle()
        self.emit("k.gas_remaining=g")
        self.spill()
        self.emit(f"op{op}(computation=c)")
        if op not in _EXTERNAL:
            self.emit(f"return {HALT}")
            return -1
        taken, left = _EXTERNAL[op]
        self.lowest = min(self.lowest, self.height - taken)
        self.height += left - taken
        self.highest = max(self.highest, self.height)
        self.emit("g=k.gas_remaining")
        return pc + 1


def block_source(
    code: bytes,
    jumpdests: frozenset[int],
    opcodes: dict[int, Any],
    entry: int,
    arrivals: Mapping[int, int] | None = None,
) -> str:
    """The source of the function for what starts at ``entry``; ``arrivals`` counts how often places were jumped to."""
    return _Block(code, jumpdests, opcodes, entry, arrivals or {}).source()


def find_jumpdests(code: bytes) -> frozenset[int]:
    """Where jumps may go: every JUMPDEST that is no data of a PUSH."""
    found = []
    at = 0
    while match := _INSTRUCTIONS_TO_JUMPDEST.match(code, at):
        at = match.end()
        found.append(at - 1)
    return frozenset(found)


def _held(code: CodeType) -> int:
    # Asking for co_code would have the code keep a copy of it.
    return code.__sizeof__() + _BYTES_OF_CONSTANTS


def _without_places(code: CodeType) -> CodeType:
    """The code without its table of places in the source, which nobody has and which is a third of it.

    A table it needs, or tracebacks fail: each entry says "nowhere" of eight code units.
    """
    whole, rest = divmod(len(code.co_code) // 2, 8)
    table = b"\xff" * whole + (bytes((0xF8 | rest - 1,)) if rest else b"")
    return code.replace(co_linetable=table)


def _may_be_pushed(code: bytes, place: int) -> bool:
    """Whether a byte before, if it is an instruction, pushes the byte at ``place``."""
    before = code[max(place - 32, 0) : place]
    return any(op <= 0x7F and op - 0x5F >= len(before) - at for at, op in enumerate(before))


class Contract:
    """The compiled blocks of one code under the rules of one fork."""

    __slots__ = ("_budget", "_compiled", "_counts", "_jumpdests", "_program", "blocks", "code", "fresh")

    def __init__(self, code: bytes, program: Program, compiled: dict[int, CodeType]) -> None:
        self.code = code
        self.blocks: dict[int, Callable[[Any, list[int], Any, bytearray], int]] = {}
        self.fresh = 0
        self._program = program
        self._compiled = compiled
        self._counts: dict[int, int] = {}
        self._jumpdests: frozenset[int] | None = None
        # Bytes. Real code needs a third of it; hostile code could have an entry into each of its instructions, and have
        # us compile at each what is never executed.
        self._budget = 50_000 + 64 * len(code) - sum(map(_held, compiled.values()))

    @property
    def jumpdests(self) -> frozenset[int]:
        """Where jumps may go."""
        if self._jumpdests is None:
            self._jumpdests = find_jumpdests(self.code)
        return self._jumpdests

    def is_jumpdest(self, place: int) -> bool:
        """Whether a jump may go there.

        The bytes just before tell: an instruction begins where none of them can push the byte that stands there, and
        from such a place on one reads instruction by instruction. So a contract whose blocks are nearly all in the
        store need not be looked through.
        """
        code = self.code
        if place >= len(code) or code[place] != 0x5B:
            return False
        if self._jumpdests is not None:
            return place in self._jumpdests
        at = place
        while at and place - at < _MOST_BYTES_BACK and _may_be_pushed(code, at):
            at -= 1
        if at and _may_be_pushed(code, at):
            return place in self.jumpdests
        while at < place:
            op = code[at]
            at += op - 0x5E if 0x60 <= op <= 0x7F else 1
        return at == place

    def arrive(self, place: int) -> Callable[[Any, list[int], Any, bytearray], int] | None:
        """The function for ``place``, which is not among ``blocks`` yet; None if it is to be interpreted.

        Raises:
            InvalidJumpDestination: it is the destination of a jump, and not allowed.
        """
        code = self._compiled.get(place)
        if code is None:
            count = self._counts.get(place, 0) + 1
            if count == 1 and place >= 0 and not self.is_jumpdest(place):
                runtime.bad_jump(place)
            self._counts[place] = count
            if count < self._program.compiler.warm or self._budget <= 0:
                return None
            code = self._compiled[place] = self._generate(place if place >= 0 else -2 - place)
            self._budget -= _held(code)
            self.fresh += 1
            self._program.compiler.compiled(code)
        block = self.blocks[place] = FunctionType(code, self._program.namespace)
        return block

    def _generate(self, entry: int) -> CodeType:
        source = block_source(self.code, self.jumpdests, self._program.opcodes, entry, self._counts)
        module = compile(source, "<evm>", "exec", dont_inherit=True, optimize=2)
        return _without_places(next(constant for constant in module.co_consts if isinstance(constant, CodeType)))

    def size(self) -> int:
        """Bytes of memory, estimated."""
        return len(self.code) + _BYTES_OF_CONTRACT + sum(map(_held, self._compiled.values()))

    def add(self, compiled: Mapping[int, CodeType]) -> None:
        """Know these blocks as well."""
        self._compiled = {**compiled, **self._compiled}

    def saved(self) -> bytes:
        """All compiled blocks, for ``CodeStore``."""
        return marshal.dumps(self._compiled)


class Program:
    """All contracts under the rules of one fork."""

    def __init__(self, compiler: Compiler, name: str, opcodes: dict[int, Any], namespace: dict[str, Any]) -> None:
        self.compiler, self.name, self.opcodes = compiler, name, opcodes
        self.namespace = {**_NAMESPACE, **namespace, **{f"op{code}": op for code, op in opcodes.items()}}
        self.contracts: dict[bytes, Contract] = {}

    def contract(self, code: bytes) -> Contract:
        """The contract with this code."""
        contract = self.contracts.get(code)
        if contract is None:
            contract = Contract(code, self, self._load(code))
            self.compiler.make_room(contract.size())
            self.contracts[code] = contract
        return contract

    def passing(self, code: bytes) -> Contract:
        """A contract that nobody will run again: init code."""
        return Contract(code, self, {})

    def store_name(self, code: bytes) -> str:
        """What the compiled code of a contract is kept under: all that it depends on."""
        python = f"{sys.implementation.cache_tag}-{sys.hexversion:x}"
        return f"{GENERATOR_VERSION}-{python}-{self.name}-{sha256(code).hexdigest()}"

    def _load(self, code: bytes) -> dict[int, CodeType]:
        store = self.compiler.store
        data = store.load(self.store_name(code)) if store is not None and code else None
        if data is None:
            return {}
        try:
            compiled = marshal.loads(data)  # noqa: S302 - what a store returns, it has verified to be what we gave it
        except (EOFError, ValueError, TypeError):
            return {}
        return compiled if isinstance(compiled, dict) else {}

    def save(self) -> None:
        """Hand everything that was compiled since the last time to the store."""
        for contract in self.contracts.values():
            if contract.fresh and self.compiler.store is not None:
                # What another process saved meanwhile stays.
                contract.add(self._load(contract.code))
                self.compiler.store.save(self.store_name(contract.code), contract.saved())
            contract.fresh = 0


class Compiler:
    """Compiled contracts of all forks; one serves many machines.

    ``store`` keeps the code beyond this process; ``warm`` is the number of entries from which on a place is compiled.
    """

    def __init__(self, store: CodeStore | None = None, warm: int = WARM) -> None:
        self.store = store
        self.warm = warm
        self.programs: dict[str, Program] = {}
        self.held = 0
        """Bytes of memory that contracts and compiled code take, estimated."""
        self._unsaved = 0

    def make_room(self, size: int) -> None:
        """Before ``size`` bytes more are held: forget everything if that were too much. The store still has it."""
        self.held += size
        if self.held > MAX_HELD:
            self.save()
            for program in self.programs.values():
                program.contracts.clear()
            self.held = size

    def compiled(self, code: CodeType) -> None:
        """A block more, which is not in the store."""
        self.held += _held(code)
        self._unsaved += 1
        if self._unsaved >= _SAVE_AFTER:
            self.save()

    def save(self, least: int = 1) -> None:
        """Hand everything new to the store, if ``least`` blocks or more are new."""
        if self._unsaved < least:
            return
        self._unsaved = 0
        for program in self.programs.values():
            program.save()


_NAMESPACE: Final[dict[str, Any]] = {
    "__builtins__": {"len": len},
    "B": int.from_bytes,
    "M": runtime.WORD,
    "N": runtime.SIGN,
    **{
        function.__name__: function
        for function in (
            runtime.out_of_gas,
            runtime.bad_jump,
            runtime.signed_div,
            runtime.signed_mod,
            runtime.sign_extend,
            runtime.shift_right_signed,
            runtime.power,
            runtime.extend,
            runtime.sha3,
            runtime.copy_padded,
            runtime.copy_return_data,
            runtime.copy_memory,
            runtime.load_slot,
            runtime.store_slot,
            runtime.load_transient,
            runtime.store_transient,
            runtime.log,
            runtime.balance,
            runtime.code_size,
            runtime.code_hash,
            runtime.give_back,
            runtime.revert,
            runtime.call,
            runtime.static_call,
            runtime.delegate_call,
        )
    },
}
