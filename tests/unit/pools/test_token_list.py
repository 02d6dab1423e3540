"""Published token lists: the chain's own tokens are taken, everybody else's are let pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flasharb.adapters.lists import read_tokens
from flasharb.errors import UsageError
from flasharb.pools.spec import Token
from flasharb.units import address

WETH = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
LIST: dict[str, Any] = {
    "name": "A list",
    "timestamp": "2026-11-01T00:00:00Z",
    "version": {"major": 1, "minor": 0, "patch": 0},
    "logoURI": "ipfs://x",
    "tokens": [
        {"chainId": 1, "address": WETH, "symbol": "WETH", "decimals": 18, "name": "Wrapped Ether", "logoURI": "x"},
        {"chainId": 10, "address": "nonsense", "symbol": 5},
    ],
}


def read(folder: Path, content: Any, chain_id: int = 1) -> tuple[Token, ...]:
    path = folder / "tokens.json"
    path.write_text(json.dumps(content))
    return read_tokens([str(path)], chain_id)


def test_a_published_list_gives_the_tokens_of_the_chain(tmp_path: Path) -> None:
    assert read(tmp_path, LIST) == (Token(address(WETH), "WETH", 18),)


@pytest.mark.parametrize(
    ("content", "chain_id", "says"),
    [
        (LIST, 8453, r"no token of chain 8453 is on the list \(it has those of 1, 10\)"),
        (LIST, 10, r"of chain 10, counted from 0: tokens\[0\]"),
        ({"tokens": []}, 1, "those of none"),
        ({"tokens": 5}, 1, "chain_id: expected a whole number"),
        ({**LIST, "tokens": LIST["tokens"][:1] * 2}, 1, "is listed twice"),
        ({"tokens": [{"chainId": 1, "address": WETH, "symbol": "WETH"}]}, 1, "decimals: expected a whole number"),
    ],
)
def test_a_wrong_list_is_named_with_its_place(tmp_path: Path, content: Any, chain_id: int, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read(tmp_path, content, chain_id)
