"""Pool files and token files: what is read, and what is said about mistakes."""

from __future__ import annotations

from typing import Any

import pytest

from flasharb.errors import UsageError
from flasharb.pools.files import parse_pools, parse_tokens
from flasharb.units import checksum

POOL = {
    "address": "0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640",
    "protocol": "uniswap_v3",
    "token0": "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
    "token1": "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2",
    "fee_pips": 500,
    "tick_spacing": 10,
}
PAIR = {key: POOL[key] for key in ("token0", "token1")} | {
    "address": "0xB4e16d0168e52d35CaCD2c6185b44281Ec28C9Dc",
    "protocol": "uniswap_v2",
}
TOKEN = {"address": "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2", "symbol": "WETH", "decimals": 18}


def file_of(*pools: Any) -> dict[str, Any]:
    """A pool file of chain 1."""
    return {"chain_id": 1, "pools": list(pools)}


def test_a_whole_file() -> None:
    """Both kinds; a V2 fee comes from the protocol, a V3 spacing from the fee, where they are left out."""
    short = {key: value for key, value in POOL.items() if key != "tick_spacing"}
    parsed = parse_pools(file_of(short, PAIR))

    assert parsed.chain_id == 1
    assert [(p.protocol, p.fee_pips, p.tick_spacing) for p in parsed.pools] == [
        ("uniswap_v3", 500, 10),
        ("uniswap_v2", 3000, 0),
    ]
    assert checksum(parsed.pools[0].address) == POOL["address"]
    assert parse_pools(file_of(POOL)).pools[0] == parsed.pools[0]


def test_pancake_pairs_have_their_own_fee() -> None:
    """0.25 %."""
    assert parse_pools(file_of(PAIR | {"protocol": "pancakeswap_v2"})).pools[0].fee_pips == 2500


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"address": "0x88e6"}, "address: not an address: '0x88e6'"),
        ({"address": 5}, "address: expected an address in text, not 5"),
        ({"address": "0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f564f"}, "address: address with a wrong checksum"),
        ({"protocol": "uniswap"}, "protocol: 'uniswap' is none of uniswap_v2, "),
        ({"protocol": ["uniswap_v3"]}, "protocol: ['uniswap_v3'] is none of"),
        ({"token0": POOL["token1"], "token1": POOL["token0"]}, "token0 must be the lower address"),
        ({"token1": POOL["token0"]}, "token0 must be the lower address"),
        ({"token0": None}, "token0: expected an address in text, not nothing"),
        ({"fee_pips": None}, "fee_pips: expected a whole number from 0 to 999999"),
        ({"fee_pips": 0.3}, "not 0.3"),
        ({"fee_pips": 1_000_000}, "not 1000000"),
        ({"fee_pips": True}, "fee_pips: expected a whole number"),
        ({"tick_spacing": 60}, "the uniswap_v3 factory gives 10 to a fee of 500 pips, not 60"),
        ({"fee_pips": 777, "tick_spacing": 0}, "tick_spacing: expected a whole number from 1 to 16383"),
        ({"fee": 500}, "unknown key 'fee'"),
    ],
)
def test_mistakes_are_named(change: dict[str, Any], says: str) -> None:
    """Which entry, which key, what is expected."""
    with pytest.raises(UsageError) as caught:
        parse_pools(file_of(PAIR, POOL | change))

    assert str(caught.value).startswith("pools[1]: ")
    assert says in str(caught.value)


def test_all_mistakes_at_once() -> None:
    """Every wrong entry has its line."""
    with pytest.raises(UsageError) as caught:
        parse_pools({"chain_id": 0, "pools": [POOL, 7, POOL, PAIR | {"tick_spacing": 1}], "extra": 1})

    assert str(caught.value).splitlines() == [
        "unknown key 'extra' (known: chain_id, pools)",
        "chain_id: expected a whole number from 1 on, not 0",
        "pools[1]: expected an object, not 7",
        "pools[2].address: 0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640 is listed twice",
        "pools[3]: tick_spacing: expected a whole number from 0 to 0 (a pool of uniswap_v2 has none), not 1",
    ]


@pytest.mark.parametrize("content", [None, [], "pools", 5, {"chain_id": 1}, {"chain_id": 1, "pools": {}}])
def test_other_shapes(content: Any) -> None:
    """Not even a list of pools."""
    with pytest.raises(UsageError, match="expected"):
        parse_pools(content)


def test_tokens() -> None:
    """Symbols are free text, decimals a byte."""
    (token,) = parse_tokens({"chain_id": 1, "tokens": [TOKEN]}).tokens

    assert (token.symbol, token.decimals) == ("WETH", 18)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"symbol": ""}, "symbol: expected printable text"),
        ({"symbol": "A\x1b[2J"}, "symbol: expected printable text"),
        ({"symbol": 5}, "symbol: expected printable text"),
        ({"decimals": 256}, "decimals: expected a whole number from 0 to 255"),
        ({"decimals": "18"}, "decimals: expected a whole number"),
        ({"name": "x"}, "unknown key 'name'"),
    ],
)
def test_token_mistakes(change: dict[str, Any], says: str) -> None:
    """A symbol goes to the terminal as it stands, so control characters are refused."""
    with pytest.raises(UsageError) as caught:
        parse_tokens({"chain_id": 1, "tokens": [TOKEN | change]})

    assert says in str(caught.value)
