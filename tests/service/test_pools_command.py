"""``flasharb pools discover`` against the devnet, against anvil with factories of its own, and on files alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner
from eth_hash.auto import keccak

from flasharb.adapters.journal import Journal
from flasharb.adapters.lists import read_pools
from flasharb.adapters.node import open_node
from flasharb.adapters.pool_discovery import settle
from flasharb.adapters.receipts import Receipts
from flasharb.adapters.web3_provider import web3_on
from flasharb.cli.embedded import embedded_devnet
from flasharb.cli.pools import command
from flasharb.devnet.abi import call_data
from flasharb.devnet.layout import CONTRACTS, TOKENS
from flasharb.devnet.transactions import sign_dynamic_fee
from flasharb.devnet.world import devnet_key, load_world
from flasharb.errors import FlasharbError, OutsideError, UsageError
from flasharb.execution.outcome import DryRun
from flasharb.feed.messages import encode
from flasharb.feed.records import PoolSync
from flasharb.pools.balancer.admission import pool_id_of
from flasharb.pools.balancer.code import VAULT
from flasharb.pools.balancer.creation import POOL_REGISTERED
from flasharb.pools.constant_product.creation import pair_created
from flasharb.pools.creation import POOL_COUNT, POOL_LIST, Claim, FactoryLog
from flasharb.pools.protocols import DEPLOYMENTS
from flasharb.pools.register import Refusal, Register
from flasharb.pools.spec import PoolSpec
from flasharb.service.figures import Figures
from flasharb.service.node_chain import NodeChain
from flasharb.service.preflight import Plan
from flasharb.service.reports import BlockApplied, Notice, Report, Started
from flasharb.service.serve import serve
from flasharb.settings import DEVNET_CHAIN_ID, Devnet, Pools, Settings
from flasharb.settings import Chain as ChainSettings
from flasharb.units import Hash32, address, checksum, hex0x
from tests.service.test_devnet import devnet, wait_for_receipt
from tests.service.test_node import http_server, jsonrpc, result
from tests.service.test_node_source_on_anvil import ETH, Chain
from tests.service.test_serve_on_anvil import ANVIL_CHAIN_ID, World
from tests.support.node_tools import running_anvil
from tests.support.pool_bytecode import deployed_code

USDC = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
WETH = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
REAL = "0xB4e16d0168e52d35CaCD2c6185b44281Ec28C9Dc"


def discover(*arguments: str | int | Path) -> dict[str, Any]:
    """The verb's JSON answer.

    Raises:
        FlasharbError: what the command line would say.
    """
    answer = CliRunner().invoke(command, ["discover", *map(str, arguments), "--json"], standalone_mode=False)
    if isinstance(answer.exception, FlasharbError):
        raise answer.exception
    assert answer.exception is None, answer.exception
    report: dict[str, Any] = json.loads(answer.stdout)
    return report


async def discovered(*arguments: str | int | Path) -> dict[str, Any]:
    """The same beside a running loop: the verb has a loop of its own."""
    return await trio.to_thread.run_sync(partial(discover, *arguments))


@pytest.mark.slow
async def test_the_devnets_pools_are_found_by_tokens_and_new_ones_by_logs(tmp_path: Path) -> None:
    """From the token list exactly those of the devnet's own file that CREATE2 vouches for; then one that is new."""
    out = tmp_path / "found.json"
    async with devnet(tmp_path / "d", "--trades-per-slot", "0") as (_, ready):
        listed = read_pools([ready["pool_file"]], DEVNET_CHAIN_ID)
        own = {spec.address for spec in listed if spec.protocol in DEPLOYMENTS[DEVNET_CHAIN_ID]}
        by_tokens = await discovered("--rpc", ready["rpc_url"], "--tokens", ready["token_file"], "--out", out)
        assert by_tokens["pools"] == by_tokens["new"] == len(own)
        assert by_tokens["blocks"] is None
        assert {spec.address for spec in read_pools([str(out)], DEVNET_CHAIN_ID)} == own

        # Pairs of Solidly's family follow from the factory that the devnet's own file names; their tokens say the rest.
        solidly = [spec for spec in listed if spec.protocol == "velodrome_v1"]
        named = ("--factories", ready["pool_file"], "--out", tmp_path / "more.json")
        more = await discovered("--rpc", ready["rpc_url"], "--tokens", ready["token_file"], *named)
        assert more["by_protocol"]["velodrome_v1"] == len(solidly) > 0
        assert set(solidly) <= set(read_pools([str(tmp_path / "more.json")], DEVNET_CHAIN_ID))

        async with open_node(ready["rpc_url"]) as node:
            await _vault_pools_are_settled(node, listed)
            created = await _create_pair(node, own)
        by_logs = await discovered("--rpc", ready["rpc_url"], "--from", "0", "--out", out)
        assert (by_logs["new"], by_logs["counts"]) == (1, {})
        assert by_logs["blocks"][1] >= created
        again = await discovered("--rpc", ready["rpc_url"], "--out", out)
        assert again["new"] == 0
        assert again["blocks"][0] == 0
    assert len(read_pools([str(out)], DEVNET_CHAIN_ID)) == len(own) + 1


async def _vault_pools_are_settled(node: Any, listed: Sequence[PoolSpec]) -> None:
    """What the Vault logged of its pools (before the devnet's genesis) becomes what the devnet's own file says."""
    vault = [spec for spec in listed if spec.protocol.startswith("balancer_")]
    assert vault
    register = Register(DEVNET_CHAIN_ID, DEPLOYMENTS[DEVNET_CHAIN_ID])
    claims = []
    for spec in vault:
        pool_id = pool_id_of(spec)
        topics = (POOL_REGISTERED.topic, pool_id, spec.address.rjust(32, b"\0"))
        claim = register.created(FactoryLog(VAULT, topics, pool_id[20:22].rjust(32, b"\0"), 0))
        assert isinstance(claim, Claim)
        claims.append(claim)
    assert await settle(node, register, claims) == []
    assert set(register.specs.values()) == set(vault)


async def _create_pair(node: Any, own: set[Any]) -> int:
    """A pair that the devnet does not have, by one of its traders; the number of its block."""
    first = int(await node.call("eth_getTransactionCount", hex0x(load_world().names["trader_3"]), "latest"), 16)
    for nonce, (one, other) in enumerate(combinations(TOKENS, 2), first):
        data = call_data("createPair(address,address)", one.address, other.address)
        raw = sign_dynamic_fee(
            devnet_key("trader 3"),
            chain_id=DEVNET_CHAIN_ID,
            nonce=nonce,
            fees=(10**9, 10**11),
            gas_limit=4_000_000,
            to=CONTRACTS["sushiswap_v2_factory"],
            data=data,
            value=0,
        )
        tx_hash = await node.call("eth_sendRawTransaction", hex0x(raw))
        receipt = await wait_for_receipt(node, bytes.fromhex(tx_hash[2:]))
        if receipt["status"] == "0x1":
            return int(receipt["blockNumber"], 16)
    raise AssertionError(f"all pairs exist already: {len(own)}")


WBTC, DAI = CONTRACTS["wbtc"], CONTRACTS["dai"]


@pytest.mark.slow
async def test_pools_created_while_a_run_lasts_are_tracked(tmp_path: Path) -> None:
    """On the devnet, one by each kind of factory: V2, V3, the V4 manager, and a Solidly factory of the pool file."""
    settings = Settings(
        pools=Pools(from_factories=True), chain=ChainSettings(slot_s=0.5), devnet=Devnet(trades_per_slot=0)
    )
    began, stop, new, sizes = trio.Event(), trio.Event(), list[str](), list[int]()

    def show(report: Report) -> None:
        if isinstance(report, BlockApplied):
            began.set()
            sizes.append(report.pools)
            if sizes[-1] == sizes[0] + 4:
                stop.set()
        if isinstance(report, Notice) and report.subject == "pool":
            new.append(report.detail)

    with trio.fail_after(90):
        async with embedded_devnet(settings, tmp_path) as own, open_node(own.settings.node.url) as node:
            with Journal(own.run_dir, "test") as journal:
                async with trio.open_nursery() as nursery:
                    plan = Plan(own.settings, own.run_dir, None, False, None, {})
                    nursery.start_soon(serve, plan, journal, Figures(), show, stop)
                    await began.wait()
                    await _create_one_of_each(node)
    assert {one.split(": ")[1] for one in new} == {
        f"{name}, created by its factory, is tracked now"
        for name in ("sushiswap_v2", "uniswap_v3", "uniswap_v4", "velodrome_v1")
    }
    assert sizes[-1] == sizes[0] + len(new)


async def _create_one_of_each(node: Any) -> None:
    key, sender = devnet_key("trader 3"), hex0x(load_world().names["trader_3"])
    first = int(await node.call("eth_getTransactionCount", sender, "latest"), 16)
    pool_key = (WBTC, DAI, 500, 10, bytes(20))
    creations = [
        ("sushiswap_v2_factory", call_data("createPair(address,address)", WBTC, DAI)),
        ("uniswap_v3_factory", call_data("createPool(address,address,uint24)", WBTC, DAI, 3000)),
        ("v4_manager", call_data("initialize((address,address,uint24,int24,address),uint160)", pool_key, 1 << 96)),
        ("solidly_factory", call_data("createPair(address,address,bool)", WBTC, DAI, True)),
    ]
    for nonce, (to, data) in enumerate(creations, first):
        raw = sign_dynamic_fee(
            key,
            chain_id=DEVNET_CHAIN_ID,
            nonce=nonce,
            fees=(10**9, 10**11),
            gas_limit=6_000_000,
            to=CONTRACTS[to],
            data=data,
            value=0,
        )
        tx_hash = await node.call("eth_sendRawTransaction", hex0x(raw))
        receipt = await wait_for_receipt(node, bytes.fromhex(tx_hash[2:]))
        assert receipt["status"] == "0x1", to


@pytest.mark.node
@pytest.mark.slow
async def test_factories_on_anvil_are_discovered_and_traded(tmp_path: Path) -> None:
    """Real factories of npm, deployed anew: their logs name the pools, and the service finds its trade in that file."""
    async with running_anvil() as place, open_node(f"ws://{place}") as node:
        web3 = web3_on(node)
        world = World(Chain(web3, (await web3.eth.accounts)[0]))
        await world.build()
        settings = world.settings(tmp_path, f"ws://{place}")
        by_hand = json.loads((tmp_path / "pools.json").read_text())
        (tmp_path / "factories.json").write_text(json.dumps({**by_hand, "pools": []}))
        out = tmp_path / "found" / "pools.json"
        arguments = ("--rpc", f"ws://{place}", "--factories", tmp_path / "factories.json", "--out", out)
        with pytest.raises(UsageError, match="--from is needed"):
            await discovered(*arguments)
        assert not out.exists()
        report = await discovered(*arguments, "--from", "0")
        assert report["by_protocol"] == {"uniswap_v2": 1, "uniswap_v3": 1}
        # The factories are in the file: it can be used, and continued, by itself.
        found, listed = (read_pools([str(one)], ANVIL_CHAIN_ID) for one in (out, tmp_path / "pools.json"))
        assert set(found) == set(listed)
        assert (await discovered("--rpc", f"ws://{place}", "--out", out))["new"] == 0

        (tmp_path / "pools.json").write_bytes(out.read_bytes())
        assert await _finds_a_trade(world, settings, tmp_path)
        block = await web3.eth.get_block("latest")
        (receipt,) = await Receipts(node).of_block(block["number"], Hash32(bytes(block["hash"])))
        assert hex0x(receipt.tx_hash) == hex0x(bytes(block["transactions"][0]))
        assert receipt.logs


async def _finds_a_trade(world: World, settings: Any, folder: Path) -> bool:
    stop, started, seen = trio.Event(), trio.Event(), list[Report]()

    def show(report: Report) -> None:
        seen.append(report)
        if isinstance(report, Started):
            started.set()
        if isinstance(report, DryRun):
            stop.set()

    with Journal(folder, "test") as journal, trio.fail_after(90):
        async with trio.open_nursery() as nursery:
            plan = Plan(settings, folder, None, False, None, {})
            nursery.start_soon(serve, plan, journal, Figures(), show, stop)
            await started.wait()
            await world.swap(ETH // 1000)
            await world.move_price()
            await stop.wait()
    return any(isinstance(report, DryRun) and report.net_profit_wei > 0 for report in seen)


@pytest.mark.mainnet
def test_a_recorded_block_offers_its_pools_and_names_its_impostors(mainnet_blocks: Path, tmp_path: Path) -> None:
    out = tmp_path / "pools.json"
    report = discover("--block", mainnet_blocks / "17666333.json.gz", "--out", out)
    assert report["chain_id"] == 1
    assert len(read_pools([str(out)], 1)) == report["new"] == report["pools"] > 20
    assert report["counts"] == {"not_traded": 1}
    assert {(one["refusal"], one["detail"]) for one in report["refused"]} == {
        ("not_traded", "state of it is not in the file")
    }
    again = discover("--block", mainnet_blocks / "17666333.json.gz", "--out", out)
    assert again["new"] == 0
    assert again["counts"] == {"not_traded": 1, "duplicate": report["pools"]}


def test_what_stood_in_the_file_stays_as_it_was_written(tmp_path: Path) -> None:
    """Pools with facts too: the devnet's own file, and a message that names one of its pools."""
    own = dict(load_world().pools)
    out, capture = tmp_path / "pools.json", tmp_path / "bus.capture"
    out.write_text(json.dumps(own))
    capture.write_bytes(sync(REAL, 5))
    report = discover("--capture", capture, "--chain", DEVNET_CHAIN_ID, "--out", out)
    assert (report["new"], report["counts"]) == (0, {"duplicate": 1})
    assert json.loads(out.read_text())["pools"] == own["pools"]


def sync(pool: str, block: int) -> bytes:
    message = PoolSync(300, address(pool), address(USDC), address(WETH), 1, 1, 6, 18, 10**18, block)
    return encode(message, dialect="p1", source=4, timestamp_ns=10**18, sequence=0)


def test_what_a_bus_named_is_vouched_for(tmp_path: Path) -> None:
    """A capture with a real pool, twice, and one at an address that no factory gives."""
    capture, out = tmp_path / "bus.capture", tmp_path / "pools.json"
    capture.write_bytes(sync(REAL, 5) + sync(REAL, 6) + sync("0x" + "66" * 20, 6))
    report = discover("--capture", capture, "--chain", "1", "--out", out)
    assert (report["new"], report["counts"]) == (1, {"impostor": 1})
    assert [checksum(spec.address) for spec in read_pools([str(out)], 1)] == [REAL]


def flat_cache(chain_id: int) -> bytes:
    record = address(REAL) + address(USDC) + address(WETH) + bytes((6, 18, 1)) + (30).to_bytes(4, "little") + bytes(16)
    header = b"POOL\1\0\0\0" + (2).to_bytes(4, "little") + chain_id.to_bytes(4, "little") + bytes(8)
    return header + record + address("0x" + "66" * 20) + record[20:]


def test_a_pool_cache_is_vouched_for(tmp_path: Path) -> None:
    cache, out = tmp_path / "chain_1_pool_cache.tlv", tmp_path / "pools.json"
    cache.write_bytes(flat_cache(1))
    report = discover("--cache", cache, "--out", out)
    assert (report["new"], report["counts"]) == (1, {"impostor": 1})
    (refused,) = report["refused"]
    assert "record 1 of" in refused["source"]


def test_refused_pools_are_lines_for_people(tmp_path: Path) -> None:
    cache = tmp_path / "cache.tlv"
    cache.write_bytes(flat_cache(1))
    answer = CliRunner().invoke(command, ["discover", "--cache", str(cache), "--out", str(tmp_path / "pools.json")])
    assert answer.exit_code == 0
    first, second, third = answer.stdout.splitlines()
    assert first.startswith("refused 0x6666666666666666666666666666666666666666 (record 1 of")
    assert second.endswith("1 pools (1 new): 1 uniswap_v2")
    assert third == "not taken: 1 impostor"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--from", "0"], "--rpc is needed"),
        ([], "--rpc is needed"),
        (["--chain", "1", "--to", "5", "--capture", __file__], "it needs --from"),
        (["--cache", "cache"], "no factories are known on chain 137"),
        (["--cache", "cache", "--chain", "1"], "different chains: --chain 1, the cache 137"),
        (["--cache", "damaged"], "is no pool cache"),
        (["--capture", "damaged"], "give --chain"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(tmp_path: Path, arguments: list[str], says: str) -> None:
    (tmp_path / "cache").write_bytes(flat_cache(137))
    (tmp_path / "damaged").write_bytes(flat_cache(137)[:-1])
    named = [str(tmp_path / one) if one in ("cache", "damaged") else one for one in arguments]
    out = tmp_path / "pools.json"
    with pytest.raises(UsageError, match=says):
        discover(*named, "--out", out)
    assert not out.exists()


async def test_what_was_found_before_a_node_failed_is_kept_and_gone_on_from(tmp_path: Path) -> None:
    """The node answers for 2,000 blocks, with Uniswap's first pair in them, then no more; later it is there again."""
    asked: list[tuple[int, int]] = []
    alive = [True]

    def answer(request: Any) -> Any:
        if request["method"] != "eth_getLogs":
            return result(request, {"eth_chainId": "0x1", "eth_blockNumber": hex(10_010_000)}[request["method"]])
        query = request["params"][0]
        asked.append((int(query["fromBlock"], 16), int(query["toBlock"], 16)))
        if len(asked) > 1 and not alive[0]:
            return {"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32000, "message": "pruned"}}
        topics = [hex0x(keccak(b"PairCreated(address,address,address,uint256)")), *(topic(one) for one in (USDC, WETH))]
        log = {
            "address": "0x5C69bEe701ef814a2B6a3EDD4B1652CB9cc5aA6f",
            "topics": topics,
            "data": topic(REAL) + "00" * 32,
            "blockNumber": hex(10_008_355),
        }
        return result(request, [log] if asked[-1][0] <= 10_008_355 <= asked[-1][1] else [])

    out = tmp_path / "pools.json"
    async with http_server(jsonrpc(answer)) as url:
        alive[0] = False
        with pytest.raises(OutsideError, match="the same command goes on from there"):
            await discovered("--rpc", url, "--from", 10_008_000, "--out", out)
        assert json.loads(out.read_text())["discovered"] == {"from_block": 10_008_000, "to_block": 10_009_999}
        assert len(read_pools([str(out)], 1)) == 1
        alive[0] = True
        asked.clear()
        report = await discovered("--rpc", url, "--out", out)
        assert asked == [(10_010_000, 10_010_000)]
        assert report["blocks"] == [10_008_000, 10_010_000]
        with pytest.raises(UsageError, match="--from 99999999 is after the node's head 10010000"):
            await discovered("--rpc", url, "--from", 99_999_999, "--out", out)
        with pytest.raises(UsageError, match="would leave a gap"):
            await discovered("--rpc", url, "--from", 5, "--to", 10, "--out", out)
        earlier = await discovered("--rpc", url, "--from", 10_007_000, "--to", 10_007_999, "--out", out)
        assert earlier["blocks"] == [10_007_000, 10_010_000]


def topic(text: str) -> str:
    return "0x" + address(text).rjust(32, b"\0").hex()


STABLE_FACTORY, SAITA_FACTORY = (
    "0x6A8cbed756804B16E05E741eDaBd5cB544AE21bf",
    "0x35113a300ca0D7621374890ABFEAC30E88f214b1",
)
PAIR, PROXY = ("0x" + digit * 40 for digit in "78")
PLAINS = ["0x" + f"9{digit}" * 20 for digit in range(6)]


class MainnetNode:
    """A node of chain 1 with two logs, of Curve's factory and of a fork of Uniswap's, and what they are about."""

    def __init__(self) -> None:
        self.lists_read = 0
        self.asked_at: set[str] = set()
        self.codes = {
            PAIR: deployed_code("UniswapV2Pair"),
            PROXY: bytes.fromhex(f"363d3d373d3d3d363d73{'77' * 20}5af43d82803e903d91602b57fd5bf3"),
        }

    def answer(self, request: Any) -> Any:
        if isinstance(request, list):
            return [self.answer(one) for one in request]
        method, params = request["method"], request["params"]
        return result(request, getattr(self, method)(*params))

    def eth_chainId(self) -> str:
        return "0x1"

    def eth_blockNumber(self) -> str:
        return hex(19_000_100)

    def eth_getLogs(self, query: Any) -> list[Any]:
        assert {SAITA_FACTORY.lower(), STABLE_FACTORY.lower()} <= set(query["address"])
        pair = {
            "address": SAITA_FACTORY,
            "topics": [hex0x(pair_created(3000).topic), topic(USDC), topic(WETH)],
            "data": topic(PAIR) + "00" * 32,
            "blockNumber": hex(19_000_001),
        }
        plain = {
            "address": STABLE_FACTORY,
            "topics": [hex0x(keccak(b"PlainPoolDeployed(address[],uint256,uint256,address)"))],
            "data": "0x" + "00" * 32 * 7,
            "blockNumber": hex(19_000_002),
        }
        return [pair, plain, plain]

    def eth_call(self, call: Any, block: str) -> str:
        assert call["to"] == STABLE_FACTORY.lower()
        self.asked_at.add(block)
        data = bytes.fromhex(call["data"][2:])
        if data == POOL_COUNT:
            self.lists_read += 1
            return "0x" + (len(PLAINS) + 2).to_bytes(32, "big").hex()
        assert data[:4] == POOL_LIST
        return topic((PROXY, PAIR, *PLAINS)[int.from_bytes(data[4:], "big")])

    def eth_getCode(self, at: str, block: str) -> str:
        return hex0x(self.codes.get(at, b"\x60"))

    def eth_getStorageAt(self, at: str, slot: str, block: str) -> str:
        return topic({6: USDC, 7: WETH}[int(slot, 16)]) if at == PAIR else "0x" + "00" * 32


async def test_logs_that_say_too_little_are_followed_up_at_the_node(tmp_path: Path) -> None:
    """A pair by its code and storage; a list is read once, and the unknown on it are refused with a count."""
    chain, out = MainnetNode(), tmp_path / "pools.json"
    async with http_server(jsonrpc(chain.answer)) as url:
        report = await discovered("--rpc", url, "--from", 19_000_000, "--out", out)
    assert chain.lists_read == 1
    assert report["by_protocol"] == {"v2_fork": 1}
    assert report["counts"] == {"unknown_code": len(PLAINS) + 1}
    assert {one["pool"].lower() for one in report["refused"]} == {PROXY, *PLAINS}
    (spec,) = read_pools([str(out)], 1)
    assert (hex0x(spec.address), spec.tokens, spec.fee_pips) == (PAIR, (address(USDC), address(WETH)), 3000)


async def test_a_run_follows_them_up_in_the_same_manner() -> None:
    """What the service asks after each block: of a list only the newest, of which there are two logs."""
    chain, register = MainnetNode(), Register(1, DEPLOYMENTS[1])
    async with http_server(jsonrpc(chain.answer)) as url, open_node(url) as node:
        asked = NodeChain(node, {}, (), address(PAIR), address(PAIR), 1, 0, 12, None, hears_all=True)
        refused = await asked.created(19_000_000, 19_000_002, register)
    assert {hex0x(at) for at in register.specs} == {PAIR}
    assert [hex0x(one.pool) for one in refused] == PLAINS[-2:]
    assert {one.refusal for one in refused} == {Refusal.UNKNOWN_CODE}
    assert chain.asked_at == {hex(19_000_002)}


async def test_many_that_are_not_modelled_are_one_line(tmp_path: Path) -> None:
    chain, out = MainnetNode(), tmp_path / "pools.json"
    async with http_server(jsonrpc(chain.answer)) as url:
        arguments = ["discover", "--rpc", url, "--from", "19000000", "--out", str(out)]
        answer = await trio.to_thread.run_sync(partial(CliRunner().invoke, command, arguments))
    assert answer.exit_code == 0, answer.output
    first, second, third = answer.stdout.splitlines()
    assert first.endswith("1 pools (1 new): 1 v2_fork, factories' logs of blocks 19000000 to 19000100")
    known = "its code is none whose mathematics is known here"
    assert second == f"refused {len(PLAINS) + 1} pools (--json names them): unknown_code: {known}"
    assert third == f"not taken: {len(PLAINS) + 1} unknown_code"


def test_a_node_that_is_not_there_is_an_outside_failure(tmp_path: Path) -> None:
    with pytest.raises(OutsideError):
        discover("--rpc", "http://127.0.0.1:9", "--from", "0", "--out", tmp_path / "pools.json")
