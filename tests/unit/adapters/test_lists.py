"""Pool and token files: each entry is vouched for before it becomes part of the market."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flasharb.adapters.lists import read_pools, read_pools_and_factories
from flasharb.errors import UsageError
from flasharb.pools.files import PoolFile, pool_file_json
from flasharb.pools.managed.key import PoolKey, facts_of, spec_of
from flasharb.pools.register import creators
from flasharb.units import Address, address, checksum

USDC = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
WETH = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
REAL = "0xB4e16d0168e52d35CaCD2c6185b44281Ec28C9Dc"
"""Uniswap V2's USDC/WETH pool on mainnet."""


FACTORY = "0x5C69bEe701ef814a2B6a3EDD4B1652CB9cc5aA6f"
INIT_CODE_HASH = "0x96e8ac4277198ff8b6f785478aa9a39f403cb768dd02cbee326c3e7da348845f"


def written(folder: Path, pool: str, chain_id: int = 1, **more: object) -> str:
    entry = {"address": pool, "protocol": "uniswap_v2", "token0": USDC, "token1": WETH, "fee_pips": 3000}
    path = folder / "pools.json"
    path.write_text(json.dumps({"chain_id": chain_id, "pools": [entry], **more}))
    return str(path)


def test_a_pool_at_the_address_of_its_factory_is_taken(tmp_path: Path) -> None:
    (spec,) = read_pools([written(tmp_path, REAL)], 1)

    assert spec.address == address(REAL)


def test_an_impostor_is_refused_and_the_real_address_named(tmp_path: Path) -> None:
    impostor = "0x" + "11" * 20

    with pytest.raises(UsageError, match=f"{impostor}.*{REAL}"):
        read_pools([written(tmp_path, impostor)], 1)


def test_a_protocol_that_this_chain_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no deployment of uniswap_v2 is known on chain 777"):
        read_pools([written(tmp_path, REAL, chain_id=777)], 777)


def test_a_file_of_another_chain_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is for chain 1, chain\.id is 61861"):
        read_pools([written(tmp_path, REAL)], 61861)


def test_on_an_unknown_chain_the_file_names_the_factory_itself(tmp_path: Path) -> None:
    deployments = {"uniswap_v2": {"factory": FACTORY, "init_code_hash": INIT_CODE_HASH}}

    (spec,) = read_pools([written(tmp_path, REAL, 777, deployments=deployments)], 777)

    assert spec.address == address(REAL)


MANAGER, OTHER = Address(b"\x44" * 20), Address(b"\x55" * 20)


def managed(folder: Path, manager: Address) -> str:
    """A file of one V4 pool that names this manager, on a chain where none is known."""
    spec = spec_of(manager, PoolKey(address(USDC), address(WETH), 500, 10), address(WETH))
    path = folder / "managed.json"
    path.write_text(json.dumps(pool_file_json(PoolFile(777, (spec,)))))
    return str(path)


def test_the_configured_v4_manager_vouches_for_the_pools_that_name_it(tmp_path: Path) -> None:
    """And for no others; without one nothing does."""
    specs, deployments = read_pools_and_factories([managed(tmp_path, MANAGER)], 777, MANAGER)
    assert [facts_of(spec).manager for spec in specs] == [MANAGER]
    assert [emitter for _, emitter, _ in creators(777, deployments)] == [MANAGER], "its log tells of new pools, too"
    with pytest.raises(UsageError, match=f"{checksum(OTHER)} is not the factory of uniswap_v4 on chain 777"):
        read_pools_and_factories([managed(tmp_path, OTHER)], 777, MANAGER)
    with pytest.raises(UsageError, match="no deployment of uniswap_v4 is known on chain 777"):
        read_pools([managed(tmp_path, MANAGER)], 777)


def test_a_file_cannot_replace_a_known_factory(tmp_path: Path) -> None:
    deployments = {"uniswap_v2": {"factory": "0x" + "22" * 20, "init_code_hash": INIT_CODE_HASH}}

    with pytest.raises(UsageError, match="not the one known on chain 1"):
        read_pools([written(tmp_path, REAL, deployments=deployments)], 1)


def test_a_wrong_deployment_says_where_and_why(tmp_path: Path) -> None:
    deployments = {"uniswap_v2": {"factory": FACTORY, "init_code_hash": "0x12"}}

    with pytest.raises(UsageError, match=r"deployments\.uniswap_v2: init_code_hash: expected 32 bytes of hex"):
        read_pools([written(tmp_path, REAL, 777, deployments=deployments)], 777)
