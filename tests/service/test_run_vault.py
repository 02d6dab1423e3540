"""A vault that nobody vouches for, live on the devnet: refused while it is empty, admitted, traded, landed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import trio

from flasharb.adapters.journal import Journal
from flasharb.adapters.node import Node, open_node
from flasharb.cli.embedded import embedded_devnet
from flasharb.devnet.abi import call_data
from flasharb.devnet.layout import CONTRACTS
from flasharb.devnet.transactions import address_of, sign_dynamic_fee
from flasharb.devnet.world import devnet_key
from flasharb.execution.outcome import Included
from flasharb.pools.protocols import DEPLOYMENTS, pool_address
from flasharb.pools.spec import PoolSpec
from flasharb.service.figures import Figures
from flasharb.service.preflight import Plan
from flasharb.service.reports import Notice, Report, TradeFound
from flasharb.service.serve import serve
from flasharb.settings import DEVNET_CHAIN_ID, Devnet, MessageBus, Settings
from flasharb.settings import Chain as ChainSettings
from flasharb.units import WEI_PER_ETH, Address, Hash32, checksum, hex0x
from tests.service.test_devnet import wait_for_receipt
from tests.support.contract_world import compiled

KEY = devnet_key("trader 0")
USDC, WETH, ROUTER = CONTRACTS["usdc"], CONTRACTS["weth"], CONTRACTS["uniswap_v2_router"]
FOREVER = 2**63


@dataclass
class Depositor:
    """A trader who sends one transaction after the other and waits for each."""

    node: Node
    address: Address = field(default_factory=lambda: address_of(KEY))

    async def send(self, to: Address | None, data: bytes, value: int = 0) -> dict[str, Any]:
        nonce = int(await self.node.call("eth_getTransactionCount", hex0x(self.address), "latest"), 16)
        raw = sign_dynamic_fee(
            KEY,
            chain_id=DEVNET_CHAIN_ID,
            nonce=nonce,
            fees=(10**9, 10**11),
            gas_limit=5_000_000,
            to=to,
            data=data,
            value=value,
        )
        sent = await self.node.call("eth_sendRawTransaction", hex0x(raw))
        receipt = await wait_for_receipt(self.node, bytes.fromhex(sent[2:]))
        assert receipt["status"] == "0x1", receipt
        return receipt

    async def read(self, to: Address, signature: str, *values: object) -> int:
        answer = await self.node.call(
            "eth_call", {"to": hex0x(to), "data": hex0x(call_data(signature, *values))}, "latest"
        )
        return int(answer[-64:], 16)

    async def deploy_vault(self) -> Address:
        """OpenZeppelin's vault of USDC, with nothing in it."""
        arguments = call_data("constructor(address,uint8)", USDC, 0)[4:]
        receipt = await self.send(None, bytes.fromhex(compiled("OpenZeppelinVault")["bytecode"][2:]) + arguments)
        return Address(bytes.fromhex(receipt["contractAddress"][2:]))

    async def fill(self, vault: Address) -> None:
        """A million deposited and 50,000 given, and shares sold to a pair with ether 3 % too cheap."""
        await self.send(USDC, call_data("approve(address,uint256)", vault, 10**12))
        await self.send(vault, call_data("deposit(uint256,address)", 10**12, self.address))
        await self.send(USDC, call_data("transfer(address,uint256)", vault, 5 * 10**10))
        price = await self.read(ROUTER, "getAmountsOut(uint256,address[])", WEI_PER_ETH, [WETH, USDC])
        shares = price * 100 * 103 // 105
        await self.send(vault, call_data("approve(address,uint256)", ROUTER, shares))
        order = (vault, shares, 0, 0, self.address, FOREVER)
        signature = "addLiquidityETH(address,uint256,uint256,uint256,address,uint256)"
        await self.send(ROUTER, call_data(signature, *order), value=100 * WEI_PER_ETH)


def listed(folder: Path, pool_file: str, vault: Address) -> tuple[Path, Address]:
    """The devnet's own pools, the vault without any facts, and the pair of its share."""
    content = json.loads(Path(pool_file).read_text())
    tokens = sorted((vault, WETH))
    pair = pool_address(DEPLOYMENTS[DEVNET_CHAIN_ID]["uniswap_v2"], PoolSpec(vault, "uniswap_v2", tuple(tokens), 3000))
    assert pair is not None
    content["pools"] += [
        {"address": checksum(vault), "protocol": "erc4626", "tokens": [checksum(USDC), checksum(vault)]},
        {
            "address": checksum(pair),
            "protocol": "uniswap_v2",
            "fee_pips": 3000,
            "token0": checksum(tokens[0]),
            "token1": checksum(tokens[1]),
        },
    ]
    path = folder / "pools.json"
    path.write_text(json.dumps(content))
    return path, pair


def share_list(folder: Path, vault: Address) -> Path:
    """The share as a token: what the liquidity filter wants to know of it."""
    path = folder / "shares.json"
    share = {"address": checksum(vault), "symbol": "vUSDC", "decimals": 6}
    path.write_text(json.dumps({"chain_id": DEVNET_CHAIN_ID, "tokens": [share]}))
    return path


@pytest.mark.slow
async def test_a_vault_is_tried_out_and_traded_live(tmp_path: Path) -> None:
    # The devnet's bus tells of its own pools only; its node brings every log.
    settings = Settings(
        chain=ChainSettings(id=DEVNET_CHAIN_ID, slot_s=1.0),
        devnet=Devnet(trades_per_slot=0),
        message_bus=MessageBus(transport="node"),
    )
    seen: list[Report] = []
    refused, landed, stop = trio.Event(), trio.Event(), trio.Event()

    def through(report: TradeFound) -> bool:
        return any(hop.protocol == "erc4626" for hop in report.trade.hops)

    def show(report: Report) -> None:
        seen.append(report)
        if isinstance(report, Notice) and "too little in it" in report.detail:
            refused.set()
        if isinstance(report, Included) and any(through(one) for one in seen if isinstance(one, TradeFound)):
            landed.set()
            stop.set()

    async with embedded_devnet(settings, tmp_path) as devnet, open_node(devnet.ready.rpc_url) as node:
        trader = Depositor(node)
        vault = await trader.deploy_vault()
        await trader.send(CONTRACTS["uniswap_v2_factory"], call_data("createPair(address,address)", vault, WETH))
        path, pair = listed(tmp_path, devnet.ready.pool_file, vault)
        ours = devnet.settings
        token_files = (*ours.pools.token_files, str(share_list(tmp_path, vault)))
        ours = replace(ours, pools=replace(ours.pools, files=(str(path),), token_files=token_files))
        genesis = Hash32(bytes.fromhex(devnet.ready.genesis_hash[2:]))
        plan = Plan(ours, tmp_path, None, False, genesis, {})
        with Journal(tmp_path, "test") as journal:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(serve, plan, journal, Figures(), show, stop)
                with trio.fail_after(100):
                    await refused.wait()
                    await trader.fill(vault)
                    await landed.wait()
        shares = await trader.read(vault, "balanceOf(address)", Address(bytes.fromhex(ours.contract.address[2:])))
    (included,) = [report for report in seen if isinstance(report, Included)]
    (found,) = [one for one in seen if isinstance(one, TradeFound) and one.trade.id == included.id]
    hops = found.trade.hops
    assert [(hop.protocol, hop.hop.pool) for hop in hops[:2]] == [("uniswap_v2", pair), ("erc4626", vault)]
    assert included.gross_profit == found.trade.gross_profit > WEI_PER_ETH // 1000
    assert shares == 0
    notices = [report.detail for report in seen if isinstance(report, Notice) and report.subject == "pool"]
    assert [detail.partition("erc4626, ")[2][:24] for detail in notices] == [
        "refused: too little in i",
        "its trial is passed",
    ]
