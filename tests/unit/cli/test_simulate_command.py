"""``simulate`` and ``verify`` on the committed block: exit codes, JSON, and errors that say where was looked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from flasharb.adapters.blockfile import read_block
from flasharb.cli.simulate import command as simulate
from flasharb.cli.verify import command as verify
from flasharb.errors import FlasharbError
from flasharb.units import hex0x
from tests.conftest import REPOSITORY

FIXTURE = next(iter(sorted((REPOSITORY / "fixtures" / "blocks").glob("*.json.gz"))))
BLOCK = read_block(FIXTURE)


def run(command: Any, *arguments: str) -> Any:
    return CliRunner().invoke(command, list(arguments), standalone_mode=False)


@pytest.mark.parametrize("receipt", BLOCK.receipts, ids=lambda receipt: str(receipt.index))
def test_every_committed_transaction_simulates_without_network(
    receipt: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found among the fixtures by its hash; gas and status are the recorded ones."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    result = run(simulate, hex0x(receipt.hash), "--json")
    assert result.exception is None
    answer = msgspec.json.decode(result.stdout)
    assert result.return_value == 1 - receipt.status
    assert (answer["index"], answer["gas_used"], answer["status"]) == (receipt.index, receipt.gas_used, receipt.status)
    assert answer["coinbase_payment"] == str(receipt.coinbase_delta)
    assert len(answer["logs"]) == len(receipt.logs)


def test_an_unknown_hash_says_where_was_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2, with every place."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    result = run(simulate, "0x" + "12" * 32)
    assert isinstance(result.exception, FlasharbError)
    assert result.exception.exit_code == 2
    assert "fixtures" in str(result.exception)
    assert str(tmp_path) in str(result.exception)


@pytest.mark.parametrize("text", ["0x1234", "0xzz", "no-such-file.json"])
def test_arguments_that_are_nothing(text: str) -> None:
    """Exit code 2."""
    result = run(simulate, text)
    assert isinstance(result.exception, FlasharbError)
    assert result.exception.exit_code == 2


def test_a_damaged_file_ends_verify_with_2_and_the_others_are_verified(tmp_path: Path) -> None:
    """One bad file does not hide the good ones."""
    bad = tmp_path / "bad.json.gz"
    bad.write_bytes(FIXTURE.read_bytes()[:-20])
    result = run(verify, str(bad), str(FIXTURE), "--json")
    assert isinstance(result.exception, FlasharbError)
    assert result.exception.exit_code == 2
    answer = msgspec.json.decode(result.stdout)
    assert not answer["ok"]
    assert [report["ok"] for report in answer["files"]] == [True]


@pytest.mark.parametrize("engine", ["py-evm", "stock"])
def test_verify_tells_the_speed_of_each_block_and_of_all(engine: str) -> None:
    """Millions of gas, seconds, and one by the other, for our engine and for py-evm unchanged."""
    result = run(verify, str(FIXTURE), str(FIXTURE), "--engine", engine)
    assert result.return_value == 0
    *blocks, last = result.stdout.splitlines()
    figures = r"(\d+\.\d+) Mgas in (\d+\.\d+) s \((\d+\.\d+) Mgas/s\)"
    each = [re.search(figures, line) for line in blocks]
    total = re.fullmatch(rf"2 of 2 recorded blocks verified \({engine}\): {figures}", last)
    assert total is not None
    assert len(each) == 2
    gas = sum(receipt.gas_used for receipt in BLOCK.receipts) / 1e6
    assert all(one is not None and float(one[1]) == pytest.approx(gas, abs=0.01) for one in each)
    assert float(total[1]) == pytest.approx(2 * gas, abs=0.06)


def test_a_reader_that_goes_away_is_no_failure(tmp_path: Path) -> None:
    """``simulate … | head -1`` ends with exit code 0 and without a word on stderr."""
    command = [sys.executable, "-m", "flasharb", "simulate", hex0x(BLOCK.receipts[0].hash)]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
        process.wait(timeout=60)
    assert (process.returncode, said) == (0, b"")
