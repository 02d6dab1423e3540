"""Recorded blocks as files: round trip, and every kind of damage named."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from flasharb.adapters.blockfile import read_block, write_block
from flasharb.errors import UsageError
from flasharb.simulation.recorded import CorruptBlock, parse, to_json
from flasharb.simulation.verify import verify
from tests.conftest import REPOSITORY

FIXTURE = next(iter(sorted((REPOSITORY / "fixtures" / "blocks").glob("*.json.gz"))))
DOCUMENT: dict[str, Any] = json.loads(gzip.decompress(FIXTURE.read_bytes()))


def test_the_committed_block_verifies() -> None:
    """What the README simulates, by both engines."""
    block = read_block(FIXTURE)
    assert verify(block).ok
    assert verify(block, "stock").ok


def test_writing_and_reading_gives_the_same_block_and_bytes(tmp_path: Path) -> None:
    """The same block is the same file, whoever writes it."""
    block = read_block(FIXTURE)
    first, second = tmp_path / "a" / "1.json.gz", tmp_path / "2.json.gz"
    write_block(first, block)
    write_block(second, read_block(first))
    assert first.read_bytes() == second.read_bytes()
    assert to_json(read_block(second)) == to_json(block)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.json.gz", "a"]


@pytest.mark.parametrize("fork", ["osaka", "bpo1", "bpo2"])
def test_blocks_of_newer_forks_are_read_and_executed_by_their_rules(fork: str) -> None:
    """The committed block holds a transaction with a gas limit of 23 million, which Osaka forbids."""
    block = parse({**DOCUMENT, "fork": fork})
    assert to_json(block)["fork"] == fork
    first = verify(block).mismatches[0]
    assert first.index == 2
    assert "is above 16777216" in first.got


def damaged(*path: Any, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    at: Any = document
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return document


ACCOUNT = next(key for key, value in DOCUMENT["pre_state"].items() if value is not None)
CODE = next(iter(DOCUMENT["codes"]))


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ([], "the file"),
        (damaged("format", value="mainnet-block-bundle/2"), "format"),
        (damaged("fork", value="amsterdam"), "fork"),
        (damaged("number", value="1"), "number"),
        (damaged("number", value=DOCUMENT["number"] + 1), "number"),
        (damaged("hash", value="0x12"), "hash"),
        (damaged("header", "gasUsed", value="0x1"), "header hashes to"),
        (damaged("header", "timestamp", value=None), "header.timestamp is missing"),
        (damaged("transactions", value=DOCUMENT["transactions"][:-1]), "transactions have the root"),
        (damaged("transactions", 0, value="0xzz"), r"transactions\[0\]"),
        (damaged("pre_state", ACCOUNT, "balance", value="12"), f"pre_state.{ACCOUNT}.balance"),
        (damaged("pre_state", ACCOUNT, "storage", value={"x": "0x1"}), f"pre_state.{ACCOUNT}.storage"),
        (damaged("pre_state", "0x12", value=None), "pre_state.0x12 has 1 bytes"),
        (damaged("codes", CODE, value="0x00"), f"codes.{CODE} holds code with the hash"),
        (damaged("expected", "receiptsRoot", value="0x00"), "expected.receiptsRoot"),
        (damaged("expected", "receipts", value=DOCUMENT["expected"]["receipts"][1:]), "expected.receipts are"),
        (damaged("expected", "receipts", 0, "coinbase_delta", value=5), r"receipts\[0\].coinbase_delta"),
        (damaged("expected", "receipts", 0, "hash", value="0x" + "11" * 32), r"receipts\[0\] is of"),
        (damaged("block_hashes", value={"x": "0x"}), "block_hashes.x"),
    ],
)
def test_damage_is_named(document: Any, where: str) -> None:
    """Field and fault, never a traceback."""
    with pytest.raises(CorruptBlock, match=where):
        parse(document)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gzip.compress(b"{}")[:-6], "gzip data is damaged"),
        (b"\x1f\x8bjunk", "gzip data is damaged"),
        (gzip.compress(b"{"), "not JSON"),
        (b"", "not JSON"),
        (gzip.compress(b"[" * 100_000), "not JSON"),
        (b"{}", "format is None"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, content: bytes, reason: str) -> None:
    """With the file in front."""
    path = tmp_path / "bad.json.gz"
    path.write_bytes(content)
    with pytest.raises(CorruptBlock, match=reason) as error:
        read_block(path)
    assert str(path) in str(error.value)
    assert error.value.exit_code == 2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Exit code 2."""
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_block(tmp_path / "none.json.gz")
