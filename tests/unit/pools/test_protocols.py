"""Deployments, CREATE2 addresses, callbacks, storage layouts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from eth_hash.auto import keccak

from flasharb.pools.protocols import DEPLOYMENTS, PROTOCOLS, Deployment, V3Layout, check_address, pool_address
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address, Hash32, address
from tests.support.pool_bytecode import creation_code

USDC = address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")
WETH = address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")
USDT = address("0xdAC17F958D2ee523a2206206994597C13D831ec7")


def spec(protocol: str, pool: str, fee_pips: int, token0: Address = USDC, token1: Address = WETH) -> PoolSpec:
    """A pool on mainnet."""
    return PoolSpec(address(pool), protocol, (token0, token1), fee_pips)


KNOWN = [
    spec("uniswap_v2", "0xB4e16d0168e52d35CaCD2c6185b44281Ec28C9Dc", 3000),
    spec("sushiswap_v2", "0x397FF1542f962076d0BFE58eA045FfA2d347ACa0", 3000),
    spec("uniswap_v3", "0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640", 500),
    spec("uniswap_v3", "0x8ad599c3A0ff1De082011EFDDc58f1908eb6e6D8", 3000),
    spec("uniswap_v3", "0x11b815efB8f581194ae79006d24E0d814B7697F6", 500, WETH, USDT),
]


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: f"{known.protocol}-{known.fee_pips}")
def test_known_pools_pass(known: PoolSpec) -> None:
    """The best-known pools of mainnet are where their factories put them."""
    assert check_address(known, 1) is None


def test_a_foreign_contract_does_not_pass() -> None:
    """The reason says which address it would have to be."""
    reason = check_address(replace(KNOWN[0], address=Address(bytes(20))), 1)

    assert reason is not None
    assert "0xB4e16d0168e52d35CaCD2c6185b44281Ec28C9Dc" in reason


def test_the_wrong_fee_does_not_pass() -> None:
    """A V3 pool's fee is part of its address."""
    reason = check_address(replace(KNOWN[2], fee_pips=3000), 1)

    assert reason is not None
    assert "fee 3000 pips" in reason


def test_an_unknown_chain_vouches_for_nothing() -> None:
    """No deployment, no proof; deployments may be passed in instead of changing the table."""
    mine = {424242: {"uniswap_v2": DEPLOYMENTS[1]["uniswap_v2"]}}

    assert check_address(KNOWN[0], 424242) == "no deployment of uniswap_v2 is known on chain 424242"
    assert check_address(KNOWN[0], 424242, mine) is None
    assert 424242 not in DEPLOYMENTS


@pytest.mark.parametrize(
    ("contract", "protocol"),
    [("UniswapV2Pair", "uniswap_v2"), ("UniswapV3Pool", "uniswap_v3"), ("PancakeV3Pool", "pancakeswap_v3")],
)
def test_init_code_hash_is_that_of_the_code(contract: str, protocol: str) -> None:
    """npm has the very code that mainnet's factories create."""
    assert keccak(creation_code(contract)) == DEPLOYMENTS[1][protocol].init_code_hash


def test_pancake_pools_come_from_their_deployer() -> None:
    """Not from the factory: the address hangs on the contract that runs CREATE2."""
    deployment = DEPLOYMENTS[1]["pancakeswap_v3"]
    pool = spec("pancakeswap_v3", "0x1ac1A8FEaAEa1900C4166dEeed0C11cC10669D36", 500)

    assert deployment.deployer != deployment.factory
    assert check_address(pool, 1) is None
    same = Deployment(deployment.factory, deployment.factory, deployment.init_code_hash)
    assert pool_address(same, pool) != pool.address


def test_layouts_and_callbacks() -> None:
    """What others read: slot numbers by protocol, selectors of the callbacks."""
    assert PROTOCOLS["uniswap_v3"].layout == V3Layout(0, 4, 5, 6)
    assert PROTOCOLS["pancakeswap_v3"].layout == V3Layout(0, 5, 6, 7)
    assert {name: one.callback_selector.hex() for name, one in PROTOCOLS.items() if one.callback} == {
        "uniswap_v2": "10d1e85c",
        "sushiswap_v2": "10d1e85c",
        "shibaswap_v2": "10d1e85c",
        "pancakeswap_v2": "84800812",
        "uniswap_v3": "fa461e33",
        "sushiswap_v3": "fa461e33",
        "pancakeswap_v3": "23a69e75",
    }
    with pytest.raises(ValueError, match="calls nobody back"):
        _ = PROTOCOLS["wrapped_native"].callback_selector


def test_every_deployment_is_of_a_known_protocol() -> None:
    """The two tables belong together."""
    assert all(named.keys() <= PROTOCOLS.keys() for named in DEPLOYMENTS.values())
    made = {name for name, one in PROTOCOLS.items() if one.create2_salt is not None}
    # factories of Solidly's family are named by pool files: none on mainnet is worth a table
    assert DEPLOYMENTS[1].keys() == {name for name in made if PROTOCOLS[name].kind != "solidly"}
    # whatever is not where its factory puts it needs somebody else to vouch for it
    assert all((one.create2_salt is None) != (one.vouch is None) for one in PROTOCOLS.values())


@pytest.mark.mainnet
def test_recorded_pools_are_at_their_addresses(mainnet_blocks: Path) -> None:
    """All but two of the recorded V2 and V3 pools belong to a deployment that is listed here (two are other forks)."""
    found: dict[str, int] = {}
    for block in json.loads((mainnet_blocks / "pools.json").read_text()):
        for pool in block["pools"]:
            if pool["kind"] in ("v2", "v3", "pancake_v3"):
                name = owner(pool)
                found[name] = found.get(name, 0) + 1

    assert found == {
        "uniswap_v2": 125,
        "uniswap_v3": 60,
        "sushiswap_v2": 10,
        "shibaswap_v2": 1,
        "pancakeswap_v3": 1,
        "nobody": 2,
    }


def owner(pool: dict[str, object]) -> str:
    """The protocol whose deployment created a recorded pool."""
    state = pool["state_at_parent"]
    assert isinstance(state, dict)
    tokens = [Address(bytes.fromhex(str(pool[key])[2:])) for key in ("token0", "token1")]
    at = Address(bytes.fromhex(str(pool["pool"])[2:]))
    for name, protocol in PROTOCOLS.items():
        if protocol.create2_salt is not None and (pool["kind"] == "v2") == (protocol.kind == "v2"):
            candidate = PoolSpec(at, name, (tokens[0], tokens[1]), int(state.get("fee", 3000)))
            if check_address(candidate, 1) is None:
                return name
    return "nobody"


def test_hashes_have_their_length() -> None:
    """A slip in a constant would make every pool foreign."""
    for named in DEPLOYMENTS.values():
        for one in named.values():
            assert isinstance(one.init_code_hash, bytes)
            assert (len(one.factory), len(one.deployer), len(Hash32(one.init_code_hash))) == (20, 20, 32)
