"""The quarantine survives runs, and a damaged file is refused with what to do."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from flasharb.adapters.quarantine import Quarantine, file_name
from flasharb.errors import OutsideError, UsageError
from flasharb.market.filters import Cause
from flasharb.market.quarantine import Quarantined, excluded
from flasharb.market.snapshot import Market
from flasharb.pools import PoolSpec, V2Pool
from flasharb.units import Address

A, B, C = (Address(bytes([number]) * 20) for number in (1, 2, 3))
FOUND = Quarantined("receiver_gets_less", 22_944_300, "transfer of 100: receiver gets 99 – ünïcode")


def test_what_a_run_finds_the_next_one_knows(tmp_path: Path) -> None:
    """Reason, block and evidence; the first reason stays; each chain has its own file."""
    first = Quarantine(tmp_path / "new", 1)
    assert first.tokens == {}
    first.add(A, FOUND)
    first.add(A, Quarantined("greedy", 1, ""))
    first.add(B, Quarantined("greedy", 7, "x"))

    assert Quarantine(tmp_path / "new", 1).tokens == {A: FOUND, B: Quarantined("greedy", 7, "x")}
    assert Quarantine(tmp_path / "new", 5).tokens == {}
    assert os.listdir(tmp_path / "new") == [file_name(1)]  # noqa: PTH208  # names alone


def test_a_mapping_once_taken_does_not_change(tmp_path: Path) -> None:
    """Who holds the tokens of a block keeps them."""
    quarantine = Quarantine(tmp_path, 1)
    before = quarantine.tokens
    quarantine.add(A, FOUND)
    assert (before, quarantine.tokens) == ({}, {A: FOUND})


GOOD = {"token": "0x" + "01" * 20, "reason": "greedy", "block": 7, "evidence": ""}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no object with"),
        ('{"format": "other"}', "no object with"),
        ({"chain_id": 5, "tokens": []}, "chain_id is 5, not 1"),
        ({"tokens": {}}, "tokens is no list"),
        ({"tokens": [GOOD, 7]}, r"tokens\[1\]: expected an object with token, reason"),
        ({"tokens": [GOOD | {"block": "7"}]}, r"tokens\[0\]: block: expected a number"),
        ({"tokens": [GOOD | {"token": "0x12"}]}, r"tokens\[0\]"),
        ({"tokens": [{"token": GOOD["token"]}]}, r"tokens\[0\]: expected an object"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: object, problem: str) -> None:
    """Never taken as empty: tokens that are traps would be traded again. It says where, and what to do."""
    if isinstance(content, dict) and "format" not in content:
        content = {"format": "flasharb-quarantine/1", "chain_id": 1} | content
    (tmp_path / file_name(1)).write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UsageError, match=problem) as refused:
        Quarantine(tmp_path, 1)
    assert "delete it" in str(refused.value)


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """The token is in quarantine all the same."""
    (tmp_path / "file").write_text("")
    quarantine = Quarantine.__new__(Quarantine)
    quarantine.path, quarantine._chain_id, quarantine._tokens = tmp_path / "file" / "below", 1, {}
    with pytest.raises(OutsideError, match="cannot be written"):
        quarantine.add(A, FOUND)
    assert A in quarantine.tokens


def test_pools_with_a_quarantined_token_are_left_out() -> None:
    """Named, with the token."""
    specs = [PoolSpec(C, "uniswap_v2", (A, B), 3000), PoolSpec(B, "uniswap_v2", (B, C), 3000)]
    market = Market.load(7, [V2Pool(spec, 10, 10) for spec in specs], ())
    left_out = excluded(market, {A: FOUND})

    assert left_out.keys() == {C}
    assert left_out[C].cause is Cause.QUARANTINED
    assert left_out[C].detail == "0x0101010101010101010101010101010101010101 is in quarantine"
    assert excluded(market, {}) == {}
