"""Compiled code on disk: whole, ours, bounded, and never in the way."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from flasharb.adapters.code_cache import CodeCache, cache_directory, keep_code
from flasharb.evm import Account, Fork, Machine
from flasharb.evm.compiler import Compiler
from tests.support.assembly import assemble
from tests.support.worlds import CONTRACT, context, world

LOOP = assemble("200 again: 1 SWAP1 SUB DUP1 @again JUMPI 0 MSTORE 32 0 RETURN")


def run(compiler: Compiler) -> None:
    """Execute a loop that gets warm."""
    machine = Machine(world({CONTRACT: Account(code=LOOP)}), context(), Fork.PRAGUE, "py-evm", compiler=compiler)
    result = machine.call(CONTRACT, b"")
    assert result.success
    assert result.output == bytes(32)


def counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Notes every place that is compiled from here on."""
    from flasharb.evm import compiler

    compiled: list[int] = []
    generate = compiler.Contract._generate

    def noting(self: compiler.Contract, entry: int) -> object:
        compiled.append(entry)
        return generate(self, entry)

    monkeypatch.setattr(compiler.Contract, "_generate", noting)
    return compiled


def test_a_second_process_compiles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one compiler saved, another one loads."""
    compiled = counting(monkeypatch)
    first = Compiler(CodeCache(tmp_path))
    run(first)
    assert compiled
    first.save()
    compiled.clear()
    run(Compiler(CodeCache(tmp_path)))
    assert compiled == []


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"x" + data, lambda _: b"", lambda data: data[:60]]
)
def test_damaged_files_are_ignored_and_rebuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: object) -> None:
    """A torn or foreign file is compiled anew and replaced."""
    first = Compiler(CodeCache(tmp_path))
    run(first)
    first.save()
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))  # type: ignore[operator]
    compiled = counting(monkeypatch)
    second = Compiler(CodeCache(tmp_path))
    run(second)
    assert compiled
    second.save()
    compiled.clear()
    run(Compiler(CodeCache(tmp_path)))
    assert compiled == []


def test_what_a_store_returns_may_be_anything(tmp_path: Path) -> None:
    """Bytes that are whole but no code are rebuilt as well."""
    cache = CodeCache(tmp_path)
    first = Compiler(cache)
    run(first)
    first.save()
    (file,) = tmp_path.iterdir()
    for data in (b"", b"\xff\xff", b"N", b"i\x01\x00\x00\x00"):
        cache.save(file.name, data)
        run(Compiler(cache))


def test_links_are_not_followed(tmp_path: Path) -> None:
    """Nobody lends us a file."""
    directory = tmp_path / "cache"
    cache = CodeCache(directory)
    cache.save("one", b"data")
    (directory / "two").symlink_to(directory / "one")
    assert cache.load("one") == b"data"
    assert cache.load("two") is None


def test_a_directory_that_others_may_write_is_not_used(tmp_path: Path) -> None:
    """It could hold anybody's code."""
    directory = tmp_path / "cache"
    CodeCache(directory).save("one", b"data")
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    directory.chmod(0o777)
    cache = CodeCache(directory)
    assert cache.load("one") is None
    cache.save("two", b"data")
    assert not (directory / "two").exists()


def test_no_directory_is_no_error(tmp_path: Path) -> None:
    """The cache is a help, not a need."""
    (tmp_path / "file").write_text("in the way")
    compiler = Compiler(CodeCache(tmp_path / "file" / "cache"))
    run(compiler)
    compiler.save()


def test_the_cache_is_bounded(tmp_path: Path) -> None:
    """The file that was unused for longest goes first."""
    cache = CodeCache(tmp_path, max_bytes=2500)
    now = time.time()
    for number in range(3):
        cache.save(f"file{number}", bytes(1000))
        os.utime(tmp_path / f"file{number}", (now - 100 + number, now - 100 + number))
    assert cache.load("file0") is not None
    cache.prune()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file0", "file2"]


def test_the_directory_is_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_CACHE_HOME, or ~/.cache where it is unset or relative."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_directory({"XDG_CACHE_HOME": "/somewhere"}) == Path("/somewhere/flasharb/evm")
    assert cache_directory({}) == tmp_path / ".cache" / "flasharb" / "evm"
    assert cache_directory({"XDG_CACHE_HOME": "relative"}) == tmp_path / ".cache" / "flasharb" / "evm"


def test_keeping_code_is_asked_for_once(tmp_path: Path) -> None:
    """A second call leaves the store as it is."""
    compiler = Compiler()
    keep_code(compiler, {"XDG_CACHE_HOME": str(tmp_path)})
    store = compiler.store
    keep_code(compiler, {"XDG_CACHE_HOME": str(tmp_path / "other")})
    assert compiler.store is store


def test_what_is_held_in_memory_is_bounded_and_comes_back_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hundreds of contracts pass through little memory; compiled ones are loaded again, not compiled again.

    Room is made before a contract comes in; what it compiles itself comes on top, at most its own budget.
    """
    monkeypatch.setattr("flasharb.evm.compiler.MAX_HELD", 200_000)
    compiled = counting(monkeypatch)
    compiler = Compiler(CodeCache(tmp_path), warm=2)
    codes = [LOOP + bytes([0, n & 255, n >> 8]) for n in range(400)]
    for _ in range(2):
        for code in codes:
            machine = Machine(world({CONTRACT: Account(code=code)}), context(), Fork.PRAGUE, compiler=compiler)
            assert machine.call(CONTRACT, b"").success
            assert compiler.held <= 200_000 + 50_000
            assert sum(len(program.contracts) for program in compiler.programs.values()) < 200
        in_this_round = len(compiled)
        compiled.clear()
    assert in_this_round == 0


def test_two_processes_keep_each_others_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever saves last does not throw away what the other one has compiled of the same contract."""
    code = assemble("0 CALLDATALOAD @other JUMPI 1 0 MSTORE 32 0 RETURN other: 2 0 MSTORE 32 0 RETURN")
    calls = (bytes(32), b"\1" * 32)

    def compile_for(compiler: Compiler, data: bytes) -> None:
        machine = Machine(world({CONTRACT: Account(code=code)}), context(), Fork.PRAGUE, compiler=compiler)
        for _ in range(2):
            assert machine.call(CONTRACT, data).success

    one, other = Compiler(CodeCache(tmp_path), warm=1), Compiler(CodeCache(tmp_path), warm=1)
    for compiler, data in zip((one, other), calls, strict=True):
        compile_for(compiler, data)
    one.save()
    other.save()
    compiled = counting(monkeypatch)
    third = Compiler(CodeCache(tmp_path), warm=1)
    for data in calls:
        compile_for(third, data)
    assert compiled == []
