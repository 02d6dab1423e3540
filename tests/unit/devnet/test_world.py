"""The committed world is the one that the committed contracts make, and is shaped like mainnet."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from flasharb.adapters.blockfile import read_block
from flasharb.adapters.lists import known_deployments
from flasharb.devnet import build_world, example
from flasharb.devnet.chain import Chain
from flasharb.devnet.layout import (
    CONTRACTS,
    MANAGED_POOLS,
    POOLS,
    SHARE,
    SHARE_POOLS,
    SOLIDLY_POOLS,
    TOKENS,
    VAULT_POOLS,
)
from flasharb.devnet.traders import Traders, sink_words
from flasharb.devnet.world import GENESIS_TIMESTAMP, WORLD_FILE, World, devnet_key, load_world
from flasharb.errors import UsageError
from flasharb.evm import Account, roots
from flasharb.execution import artifact
from flasharb.pools import V3Pool, contract, protocols
from flasharb.pools.files import parse_pools, parse_tokens
from flasharb.pools.protocols import check_address
from flasharb.pools.storage import mapping_slot
from flasharb.simulation.verify import verify
from flasharb.units import Address

PROTOCOLS_HERE = {
    *("uniswap_v2", "sushiswap_v2", "uniswap_v3", "uniswap_v4"),
    *("balancer_weighted", "balancer_stable", "curve_stableswap", "velodrome_v1"),
}


@pytest.mark.slow
def test_building_it_again_gives_the_committed_world() -> None:
    assert build_world.build() == json.loads(gzip.decompress(WORLD_FILE.read_bytes())), "run `just fixtures`"


def test_genesis_commits_to_the_state(world: World) -> None:
    accounts = {
        address: Account(account.nonce, account.balance, world.codes.get(account.code_hash, b""), account.storage)
        for address, account in world.accounts().items()
    }

    assert roots.state_root(accounts) == world.genesis.state_root


def test_flasharb_is_the_committed_artifact_owned_by_the_signer(world: World) -> None:
    names = world.names
    account = world.accounts()[names["flasharb"]]

    parties = names["weth"], names["balancer_vault"], names["v4_manager"]
    expected = artifact.runtime_code(names["signer"], *parties)
    assert world.codes[account.code_hash] == expected, "run `just fixtures`"


def test_every_pool_is_vouched_for(world: World) -> None:
    """By its factory's CREATE2, by the hash of its key in the V4 manager, by its code."""
    file = parse_pools(world.pools)
    known = {file.chain_id: known_deployments([file], file.chain_id)}

    assert len(file.pools) == 1 + sum(map(len, (POOLS, MANAGED_POOLS, VAULT_POOLS, SHARE_POOLS, SOLIDLY_POOLS)))
    assert [check_address(spec, file.chain_id, known) for spec in file.pools] == [None] * len(file.pools)
    assert {spec.protocol for spec in file.pools} == PROTOCOLS_HERE
    assert {spec.fee_pips for spec in file.pools if spec.protocol == "uniswap_v3"} == {100, 500, 3000, 10_000}


def test_the_registry_says_of_every_pool_whether_the_clock_moves_it(world: World) -> None:
    """A pool that answers for one block time, but is not registered so, would keep the time at which it was loaded."""
    pools = example.market_at_head(Chain(world), world).pools.values()

    assert {pool.spec.protocol for pool in pools if contract.is_timed(pool)} == {"balancer_stable", "curve_stableswap"}
    assert [protocols.is_timed(pool.spec) for pool in pools] == [contract.is_timed(pool) for pool in pools]


def test_tokens_have_mainnet_s_decimals(world: World) -> None:
    tokens = {token.symbol: token.decimals for token in parse_tokens(world.tokens).tokens}

    assert tokens == {"WETH": 18, "USDC": 6, "USDT": 6, "DAI": 18, "WBTC": 8, "devSTABLE": 18}


def test_v3_pools_have_positions_over_many_ticks(world: World) -> None:
    market = example.market_at_head(Chain(world), world)
    ladders = [len(pool.ladder.info) for pool in market.pools.values() if isinstance(pool, V3Pool)]

    assert min(ladders) >= 4
    assert max(ladders) >= 8


def test_the_vault_can_lend_every_token(world: World) -> None:
    accounts = world.accounts()
    vault = world.names["balancer_vault"]
    for token in TOKENS:
        held = accounts[token.address].storage

        # in whichever slot the token keeps its mapping of balances
        assert max(held.get(mapping_slot(int.from_bytes(vault, "big"), slot), 0) for slot in range(8)) >= token.units(
            30e6
        )


def test_bundles_land_through_pools_of_every_protocol(world: World) -> None:
    """The first seed's traders part the prices of all kinds of pools; what is found is included and pays.

    A Curve pool's LP token is one of the tokens on the way, too.
    """
    chain = Chain(world)
    traders = Traders(chain, world, 1, example.TRADES_PER_SLOT)
    missing: set[str | Address] = {*PROTOCOLS_HERE, SHARE.address}
    for number in range(1, 61):
        sent = example.send_best(chain, world)
        traders.act()
        built = chain.mine(GENESIS_TIMESTAMP + number * example.SLOT_S)
        traders.observe(built.block)
        if sent is not None:
            bundle, trade = sent
            assert built.outcomes[bundle.hash].startswith("included")
            missing -= {hop.protocol for hop in trade.hops} | {hop.hop.token_in for hop in trade.hops}
        if not missing:
            break
    assert not missing


def test_a_missing_or_damaged_world_says_how_to_mend_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no devnet world .* `just fixtures`"):
        load_world(tmp_path / "none.json.gz")
    damaged = tmp_path / "world.json.gz"
    damaged.write_bytes(WORLD_FILE.read_bytes()[:-100])
    with pytest.raises(UsageError, match=r"damaged .* `just fixtures`"):
        load_world(damaged)
    content = json.loads(gzip.decompress(WORLD_FILE.read_bytes()))
    content["genesis"]["gasLimit"] = "0x1"
    damaged.write_bytes(gzip.compress(json.dumps(content).encode()))
    with pytest.raises(UsageError, match="its genesis header does not have its hash"):
        load_world(damaged)


def test_the_signer_s_key_is_public_and_its_address_stands_in_the_world(world: World) -> None:
    assert build_world.address_of(devnet_key("signer")) == world.names["signer"]


def test_contracts_stand_at_mainnet_addresses(world: World) -> None:
    accounts = world.accounts()
    for name, place in CONTRACTS.items():
        assert world.names[name] == place
        assert len(world.codes[accounts[place].code_hash]) > 1000


@pytest.mark.parametrize("gas", [0, 100, 10_000, 1_000_000, 25_000_000])
def test_the_crowd_s_sink_costs_what_was_planned(gas: int) -> None:
    words = sink_words(gas)

    assert 3 * words + words * words // 512 <= gas < 3 * (words + 1) + (words + 1) ** 2 // 512 + 1


def test_the_example_block_holds_a_profitable_arbitrage_and_verifies(world: World) -> None:
    (path,) = example.BLOCKS_FOLDER.glob("*.json.gz")
    block = read_block(path)

    assert verify(block).mismatches == ()
    assert block.parent_header is not None
    receipt = block.receipts[0]
    assert (receipt.sender, receipt.to, receipt.status) == (world.names["signer"], world.names["flasharb"], 1)
    assert receipt.coinbase_delta > 0


@pytest.mark.slow
def test_recording_the_example_again_gives_the_committed_file(world: World, tmp_path: Path) -> None:
    path, _ = example.record(world, tmp_path)
    (committed,) = example.BLOCKS_FOLDER.glob("*.json.gz")

    assert path.name == committed.name
    assert gzip.decompress(path.read_bytes()) == gzip.decompress(committed.read_bytes()), "run `just fixtures`"
