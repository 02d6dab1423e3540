"""The block compiler: what it generates, what it must survive, and where it must agree with py-evm to the letter."""

from __future__ import annotations

import gc
import hashlib
import json
import random
import re
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from eth.vm.code_stream import CodeStream
from eth.vm.forks.cancun.computation import CancunComputation
from eth.vm.forks.prague.computation import PragueComputation
from hypothesis import given
from hypothesis import strategies as st

from flasharb.evm import Account, Fork, Machine, MissingState
from flasharb.evm.compiled import compiled
from flasharb.evm.compiler import (
    GENERATOR_VERSION,
    MAX_INSTRUCTIONS,
    Compiler,
    Contract,
    Program,
    block_source,
    find_jumpdests,
)
from tests.support.assembly import assemble
from tests.support.worlds import ALICE, BOB, CONTRACT, OTHER, context, world

BYTECODE = Path(__file__).resolve().parents[3] / "fixtures" / "bytecode"
OPCODES = compiled(CancunComputation).opcodes
VOCABULARY = re.compile(r"[A-Za-z_]\w*")


def words_of(source: str) -> set[str]:
    """The names in a source, without temporaries and words in hexadecimal."""
    without_words = re.sub(r"b'(?:\\x[0-9a-f]{2}){32}'", "0", source)
    return {word for word in VOCABULARY.findall(without_words) if not re.fullmatch(r"t\d+|op\d+", word)}


def both(
    code: bytes, *, data: bytes = b"", gas: int = 1_000_000, fork: Fork = Fork.CANCUN, value: int = 0
) -> tuple[Any, Any]:
    """What stock py-evm and the compiler, compiling at once, make of a call."""
    answers = []
    for engine in ("stock", "py-evm"):
        source = world({CONTRACT: Account(balance=9, code=code, storage={1: 5}), OTHER: Account(code=code)})
        machine = Machine(source, context(fork), fork, engine, compiler=Compiler(warm=1))
        result = machine.call(CONTRACT, data, sender=ALICE, value=value, gas=gas)
        answers.append((result.success, result.output, result.gas_used, result.logs, machine.touched))
    return answers[0], answers[1]


def agree(code: bytes, **how: Any) -> Any:
    """Both engines agree; what they say."""
    stock, ours = both(code, **how)
    assert ours == stock
    return stock


@pytest.mark.parametrize("seed", range(60))
def test_jumpdests_are_py_evms(seed: int) -> None:
    """In random bytes full of pushes, cut anywhere."""
    dice = random.Random(seed)
    code = bytes(dice.choice((0x5B, 0x5B, 0x60, 0x61, 0x7F, 0x70, 0x01, dice.randrange(256))) for _ in range(400))
    stream = CodeStream(code)
    valid = {at for at, byte in enumerate(code) if byte == 0x5B and stream.is_valid_opcode(at)}
    assert find_jumpdests(code) == valid


def test_generated_source_says_nothing_but_patterns_and_numbers() -> None:
    """Whatever the bytes of a contract are, the names in its source are ours."""
    dice = random.Random(1)
    codes = [
        bytes.fromhex(json.loads((BYTECODE / f"{name}.json").read_text())["bytecode"].removeprefix("0x"))
        for name in ("UniswapV3Pool", "BalancerVault")
    ]
    text = b"__import__('os').system('true')#\n\"\"\"');exec("
    for _ in range(300):
        pushes = b"".join(bytes([0x5F + n]) + (text * 2)[:n] + b"\x60\x00\x52" for n in dice.sample(range(1, 33), 8))
        codes.append(dice.randbytes(30) + pushes + dice.randbytes(30) + pushes + text)
    for code in codes:
        jumpdests = find_jumpdests(code)
        for entry in (0, 30, 31, *sorted(jumpdests)[:200]):
            source = block_source(code, jumpdests, OPCODES, entry)
            assert words_of(source) <= NAMES
            assert set(source) <= set(map(chr, range(32, 127))) | {"\n"}
            compile(source, "<test>", "exec")


NAMES = {
    "signed_div", "signed_mod", "sign_extend", "shift_right_signed", "power", "balance", "code_hash", "load_transient",
    "store_transient", "copy_memory", "bad_jump", "bad_opcode", "state", "coinbase", "block_number", "gas_limit",
    "execution_context", "chain_id", "db", "get_balance", "base_fee", "origin", "gas_price", "computation",
    "transaction_context", "timestamp", "copy_return_data", "log", "code", "copy_padded", "del", "append", "N",
    "delegate_call", "static_call", "call", "code_size", "store_slot", "schedule", "B", "M", "sha3", "revert",
    "give_back", "load_slot", "return_data", "sender", "value", "address", "data", "padded", "if", "else", "not",
    "extend", "to_bytes", "m", "big", "msg", "def", "f", "c", "S", "k", "g", "len", "return", "interpret",
    "gas_remaining", "out_of_gas", "and",
}  # fmt: skip

HOSTILE = {
    "jumpdests": b"\x5b" * 24_576,
    "push data full of jumpdests": b"\x7f" + b"\x5b" * 24_000,
    "pushes": b"\x7f" * 1_000_000,
    "one-byte pushes": b"\x60\x01" * 500_000,
    "deep stack": b"\x60\x01" + b"\x80" * 1022 + b"\x8f" * 24,
    "too deep stack": b"\x60\x01" + b"\x80" * 1024,
    "swaps of nothing": b"\x9f" * 24_000,
    "arithmetic towers": b"\x34" + b"\x80\x02" * 12_000,
    "conditions on conditions": b"\x34" + b"\x80\x15\x14" * 8_000,
    "jumps to itself": b"\x5b\x60\x00\x56" + b"\x5b" * 20_000,
    "a jump table": b"".join(b"\x60\x00\x35\x61" + (7 * n + 6).to_bytes(2, "big") + b"\x57\x5b" for n in range(3000)),
    "every opcode": bytes(range(256)) * 96,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_compilation_of_hostile_code_is_bounded(name: str) -> None:
    """A superblock is of bounded size however long and strange the code is, and so is what its compilation takes."""
    code = HOSTILE[name]
    jumpdests = find_jumpdests(code)
    for entry in [0, *sorted(jumpdests)[:20]]:
        source = block_source(code, jumpdests, OPCODES, entry)
        assert len(source) < MAX_INSTRUCTIONS * 1200
        assert source.count("\n") < MAX_INSTRUCTIONS * 12
        tracemalloc.start()
        try:
            compile(source, "<test>", "exec")
            assert tracemalloc.get_traced_memory()[1] < 30_000_000
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_code_runs_as_on_py_evm(name: str) -> None:
    """With little gas, since some of it would run for long; py-evm cannot look behind very long runs of pushes."""
    agree(HOSTILE[name], gas=40_000)


@pytest.mark.parametrize("body", [b"\x5b" * 20_000, b"\x5b\x34\x60\x03\x57" * 4_000], ids=["jumpdests", "early exits"])
def test_what_a_contract_can_have_compiled_is_bounded(body: bytes) -> None:
    """Code that enters itself everywhere, to leave at once, is interpreted after a while."""
    # Jumps to the place in the call data.
    code = b"\x60\x00\x35\x56" + body
    compiler = Compiler(warm=1)
    machine = Machine(world({CONTRACT: Account(code=code)}), context(), Fork.PRAGUE, "py-evm", compiler=compiler)
    for place in sorted(find_jumpdests(code))[:4_000]:
        machine.call(CONTRACT, place.to_bytes(32, "big"), gas=1_000)
    contract = compiler.programs["prague"].contract(code)
    assert 20 < len(contract.blocks) < 1_000
    assert contract.size() < 100_000 + 70 * len(code)


@pytest.mark.parametrize("warm", [1, 10**9])
def test_recursion_to_the_limit_of_depth(warm: int) -> None:
    """1,024 frames deep, compiled or interpreted, as deep as on py-evm, which CPython 3.12 stops on the way."""
    code = assemble(
        "0 0 0 0 0 ADDRESS GAS CALL POP 0 SLOAD 1 ADD 0 SSTORE 32 0 RETURN".replace("ADDRESS", f"0x{CONTRACT.hex()}")
    )
    answers = []
    for engine in ("py-evm",) if sys.version_info[:2] == (3, 12) else ("py-evm", "stock"):
        source = world({CONTRACT: Account(code=code, storage={0: 5})})
        machine = Machine(source, context(), Fork.CANCUN, engine, compiler=Compiler(warm=warm))
        machine.act(ALICE, CONTRACT, b"", origin=ALICE, gas=1 << 60)
        answers.append(machine.storage(CONTRACT, 0))
    assert set(answers) == {5 + 1025}, "the outermost frame has depth 0"


def test_creation_in_creation_to_the_last_gas() -> None:
    """Init code that creates itself, some three hundred deep where a block's gas ends it, interpreted and compiled."""
    init = bytes.fromhex("385f5f39385f5ff0505f5ff3")  # copies its own code and creates with it
    worlds = []
    for engine, warm in (("py-evm", 1), ("py-evm", 10**9), ("stock", 1))[: 2 if sys.version_info[:2] == (3, 12) else 3]:
        machine = Machine(world({CONTRACT: Account(code=init)}), context(), Fork.CANCUN, engine, Compiler(warm=warm))
        result = machine.call(CONTRACT, b"", sender=ALICE, gas=30_000_000)
        worlds.append((result.success, result.gas_used))
    assert worlds == [worlds[0]] * len(worlds)


def test_a_finished_call_is_forgotten() -> None:
    """Thousands of calls with much data cost the memory of one, whether they succeed, log, revert or run out of gas."""
    ends = ("32 0 LOG0", "60000 0 REVERT", "60000 0 RETURN", "@there JUMP there: 999999 0 RETURN")
    accounts = {bytes(19) + bytes([0x50 + n]): Account(code=assemble(end)) for n, end in enumerate(ends)}
    calls = " ".join(f"0 0 60000 0 0 0x{address.hex()} 90000 CALL POP" for address in accounts)
    loop = assemble(f"loop: {calls} 600000 GAS GT @loop JUMPI")
    machine = Machine(world({CONTRACT: Account(code=loop), **accounts}), context(), Fork.PRAGUE, "py-evm")
    machine.call(CONTRACT, b"", gas=2_000_000)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        result = machine.call(CONTRACT, b"", gas=30_000_000)
        peak = tracemalloc.get_traced_memory()[1]
        alive = [thing for thing in gc.get_objects() if isinstance(thing, PragueComputation)]
    finally:
        tracemalloc.stop()
        gc.enable()
    assert result.success
    assert len(result.logs) > 50
    assert alive == []
    assert peak < 2_000_000


def test_recursion_through_creation() -> None:
    """Init code that creates its own kind."""
    # CODESIZE 0 0 CODECOPY; CREATE(0, 0, CODESIZE)
    agree(bytes.fromhex("3860006000393860006000f05060206000f3"), gas=3_000_000_000)


@pytest.mark.parametrize("fork", list(Fork))
def test_opcodes_exist_since_their_fork(fork: Fork) -> None:
    """PUSH0, BASEFEE, MCOPY and transient storage fail before they came."""
    for op in (0x5F, 0x48, 0x49, 0x4A, 0x5C, 0x5D, 0x5E, 0x44, 0x0C, 0x21, 0xEF, 0xFE):
        agree(bytes.fromhex("600060006000") + bytes([op]) + bytes.fromhex("60005260206000f3"), fork=fork)


@pytest.mark.parametrize("height", [0, 1, 2, 15, 16, 17, 1008, 1023, 1024])
@pytest.mark.parametrize("op", [0x01, 0x15, 0x50, 0x54, 0x80, 0x8F, 0x90, 0x9F, 0xA4, 0xF1, 0xFD, 0x35, 0x5A, 0x59])
def test_stack_limits_are_py_evms(height: int, op: int) -> None:
    """Below and above, also where the words were there before the block."""
    code = b"\x60\x00" * height + bytes([op]) + b"\x5a\x60\x00\x55"
    agree(code)
    at = len(b"\x60\x00" * height) + 4
    agree(b"\x60\x00" * height + b"\x61" + at.to_bytes(2, "big") + b"\x56\x5b" + bytes([op]) + b"\x5a\x60\x00\x55")


@pytest.mark.parametrize(
    "offset", [0, 1, 31, 32, 33, 724 * 32, 1 << 20, 1 << 31, 1 << 32, 1 << 63, 1 << 64, (1 << 256) - 1]
)
@pytest.mark.parametrize("size", [0, 1, 32, 33, 1 << 32, (1 << 256) - 1])
def test_memory_edges(offset: int, size: int) -> None:
    """Growth, its price and its end, with places known and unknown at compile time."""
    push = [f"{offset}", f"{size}"]
    unknown = ["0 CALLDATALOAD", "32 CALLDATALOAD"]
    data = offset.to_bytes(32, "big") + size.to_bytes(32, "big")
    for at, long in (push, unknown):
        for tail in (
            f"{at} MLOAD", f"7 {at} MSTORE", f"{long} {at} RETURN", f"{long} {at} REVERT",
            f"{long} {at} 0 CALLDATACOPY", f"{long} 0 {at} CALLDATACOPY", f"{long} 0 {at} RETURNDATACOPY",
            f"{long} {at} {long} {at} 0 0x{BOB.hex()} GAS CALL",
        ):  # fmt: skip
            agree(assemble(tail), data=data)


def test_missing_state_is_asked_for_as_by_py_evm() -> None:
    """The same question, and none that a frame without gas would not have come to."""
    code = assemble("7 SLOAD 8 SLOAD ADD 0 SSTORE")
    for gas in (100, 2_000, 2_200, 5_000, 100_000):
        asked = []
        for engine in ("stock", "py-evm"):
            source = world({CONTRACT: Account(code=code, storage={7: 1})}, complete=False)
            source.accounts[bytes(20)] = None
            machine = Machine(source, context(), Fork.PRAGUE, engine, compiler=Compiler(warm=1))
            try:
                machine.call(CONTRACT, b"", sender=ALICE, gas=gas)
            except MissingState as missing:
                asked.append((missing.accounts, missing.slots))
            else:
                asked.append((frozenset(), frozenset()))
        assert asked[0] == asked[1]


def test_preimages_of_mapping_slots_are_noted() -> None:
    """Also when the hash is remembered, and not by a frame without gas."""
    code = assemble("5 0 MSTORE 9 32 MSTORE 64 0") + b"\x20" + assemble("SLOAD")
    for gas, noted in ((100_000, 1), (40, 0)):
        for _ in range(2):
            source = world({CONTRACT: Account(code=code)})
            source.preimages = {}  # type: ignore[attr-defined]
            Machine(source, context(), Fork.PRAGUE, "py-evm", compiler=Compiler(warm=1)).call(CONTRACT, b"", gas=gas)
            assert len(source.preimages) == noted  # type: ignore[attr-defined]


def test_generated_code_changes_only_with_its_version() -> None:
    """Code in caches is used as long as the version is the same: raise GENERATOR_VERSION with any change of source."""
    digest = hashlib.sha256()
    for name in ("UniswapV3Pool", "UniswapV2Router02"):
        code = bytes.fromhex(json.loads((BYTECODE / f"{name}.json").read_text())["bytecode"].removeprefix("0x"))
        jumpdests = find_jumpdests(code)
        for entry in (0, *sorted(jumpdests)[:300]):
            digest.update(block_source(code, jumpdests, OPCODES, entry).encode())
    for code in (bytes(range(256)), b"\x34\x50" * 600):
        digest.update(block_source(code, frozenset(), OPCODES, 0).encode())
    assert (GENERATOR_VERSION, digest.hexdigest()[:16]) == (2, "d31c56c24face6c5")


def test_a_long_loop_is_compiled_once_and_not_at_every_phase() -> None:
    """However long the body of a loop is, few places of it are entered, and none is interpreted in the end."""
    for size in (390, 402, 480, 1_200, 24_000):
        body = b"\x34\x80\x01\x80\x02\x50" * (size // 6)
        code = b"\x61\x01\x00\x5b" + body + b"\x60\x01\x90\x03\x80\x60\x03\x57"
        compiler = Compiler(warm=1)
        machine = Machine(world({CONTRACT: Account(code=code)}), context(), Fork.PRAGUE, compiler=compiler)
        assert machine.call(CONTRACT, b"", gas=1 << 40).success
        assert len(compiler.programs["prague"].contract(code).blocks) <= 3 + size // 200


@given(st.lists(st.sampled_from([0x5B, 0x5B, 0x00, 0x56, 0x60, 0x61, 0x63, 0x7E, 0x7F, 0x80]), max_size=90))
def test_the_bytes_before_tell_a_jumpdest_as_all_bytes_do(code: list[int]) -> None:
    """One place at a time, before the whole code was looked through, and beyond its end."""
    raw = bytes(code)
    valid = find_jumpdests(raw)
    for place in range(len(raw) + 3):
        contract = Contract(raw, Program(Compiler(), "none", {}, {}), {})
        assert contract.is_jumpdest(place) == (place in valid)
