"""``flasharb contract``: build, deploy and verify FlashArb."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import trio
from eth_hash.auto import keccak

import flasharb
from flasharb.adapters import chain
from flasharb.adapters.keys import load_signer
from flasharb.adapters.node import Node, open_node
from flasharb.cli import trio_main
from flasharb.cli.config import config_option, json_option
from flasharb.cli.loading import load_settings
from flasharb.errors import NodeError, OutsideError, UsageError
from flasharb.evm.rlp import encode_bytes, encode_int, encode_list
from flasharb.execution import artifact
from flasharb.execution.fees import AboveCap, choose_fees, gwei_to_wei, next_base_fee
from flasharb.execution.signing import SignedTransaction, SigningKey, sign
from flasharb.execution.transaction import MAX_TRANSACTION_GAS, Transaction
from flasharb.settings import Settings, balancer_vault, v4_manager, wrapped_native
from flasharb.units import WEI_PER_ETH, WEI_PER_GWEI, ZERO_ADDRESS, Address, address, checksum, hex0x

SOLIDITY: Final = Path(flasharb.__file__).resolve().parent.parent / "solidity"
TIP_WEI: Final = WEI_PER_GWEI
"""A deployment is in no hurry and goes through the public pool."""
RECEIPT_WAIT_S: Final = 180.0
POLL_S: Final = 1.0


class AddressType(click.ParamType[Address]):
    """An address on the command line."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """Parse it, or fail as click does."""
        try:
            return address(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group(name="contract", epilog="Example: flasharb contract verify --rpc http://127.0.0.1:8545 0x…")
def command() -> None:
    """Build, deploy and verify the FlashArb contract."""


# --- build


@command.command(epilog="Example: flasharb contract build --check")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if the committed artifacts differ from the sources.")
def build(check: bool) -> int:
    """Compile the contract with the pinned solc and write the artifacts.

    Needs Node.js and the tools of solidity/package-lock.json; running and deploying do not, they use what is committed.
    """
    if not SOLIDITY.is_dir():
        raise UsageError(f"no Solidity sources at {SOLIDITY}: build from a clone of the repository")
    node = shutil.which("node")
    if node is None:
        raise OutsideError("Node.js is missing: install Node.js 20 or newer (only building needs it)")
    if not (SOLIDITY / "node_modules" / "solc").is_dir():
        raise OutsideError("the pinned tools are missing: ./just node-tools")
    result = subprocess.run([node, "build.mjs", *(["--check"] if check else [])], cwd=SOLIDITY, check=False)
    return 1 if result.returncode else 0


# --- verify


@command.command(epilog="Example: flasharb contract verify --rpc http://127.0.0.1:8545 0x…")
@click.argument("contract", type=AddressType(), required=False)
@click.option("--rpc", "rpc_url", metavar="URL", help="Node; the default is node.url of the configuration.")
@config_option
@json_option
def verify(contract: Address | None, rpc_url: str | None, config_file: Path | None, as_json: bool) -> int:
    """Compare the code at an address with the committed artifact, the constructor's arguments masked.

    The default address is contract.address. Exit code 0: it is FlashArb of this version; 1: it is not; 3: no answer.
    """
    settings = _with_node(load_settings(config_file, os.environ).settings, rpc_url)
    if contract is None:
        if not settings.contract.address:
            raise UsageError("which contract? Give an address, or set contract.address")
        contract = address(settings.contract.address)
    return trio_main.run(_verify, settings, contract, as_json)


async def _verify(settings: Settings, contract: Address, as_json: bool) -> int:
    async with open_node(settings.node.url, timeout_s=settings.node.request_timeout_s) as node:
        code = await chain.code(node, contract)
    found = artifact.read_deployed(code) if code else "no code at this address"
    ok = isinstance(found, artifact.Deployed)
    built = artifact.load()
    report: dict[str, object] = {"ok": ok, "address": checksum(contract), "code_hash": hex0x(keccak(code))}
    report |= {"compiler": built.compiler, "source_sha256": built.source_sha256}
    if isinstance(found, artifact.Deployed):
        report |= {"owner": checksum(found.owner), "weth": checksum(found.weth), "vault": checksum(found.vault)}
        report["manager"] = checksum(found.manager)
    else:
        report["reason"] = found
    if as_json:
        click.echo(msgspec.json.encode(report))
        return 0 if ok else 1
    click.echo(
        f"{checksum(contract)}: {'FlashArb of this version' if ok else f'not FlashArb of this version: {found}'}"
    )
    for name in ("owner", "weth", "vault", "manager", "compiler", "source_sha256"):
        if name in report:
            click.echo(f"  {name:<14} {report[name]}")
    return 0 if ok else 1


# --- deploy


@dataclass(frozen=True, slots=True)
class Deployment:
    """What would be, or was, sent. Amounts in wei."""

    transaction: Transaction
    owner: Address
    weth: Address
    vault: Address
    manager: Address
    sender: Address
    contract: Address


@command.command(epilog="Example: flasharb contract deploy --config mainnet.toml --live")
@click.option("--owner", type=AddressType(), help="Who may execute and sweep, for ever; the default is the signer.")
@click.option("--rpc", "rpc_url", metavar="URL", help="Node; the default is node.url of the configuration.")
@click.option("--live", is_flag=True, help="Send the transaction; without it, only show what would be sent.")
@config_option
@json_option
def deploy(owner: Address | None, rpc_url: str | None, live: bool, config_file: Path | None, as_json: bool) -> int:
    """Deploy the committed artifact with the configured signer, and verify the code on the chain.

    A dry run unless --live. WETH, the Balancer vault and the Uniswap V4 manager come from the configuration, or are the
    chain's known ones.
    """
    settings = _with_node(load_settings(config_file, os.environ).settings, rpc_url)
    return trio_main.run(_deploy, settings, owner, live, as_json)


async def _deploy(settings: Settings, owner: Address | None, live: bool, as_json: bool) -> int:
    async with open_node(settings.node.url, timeout_s=settings.node.request_timeout_s) as node:
        served = await chain.chain_id(node)
        if served != settings.chain.id:
            raise UsageError(f"the node serves chain {served}, chain.id says {settings.chain.id}: correct one of them")
        # The served id, so that a published test key can never come to a real chain by a wrong setting.
        key = load_signer(settings.signer, os.environ, served)
        if key is None:
            raise UsageError(f"no signer: set ${settings.signer.key_env or 'signer.key_env'}, or signer.key_file")
        plan = await _plan(node, settings, key, owner or key.address)
        if not live:
            _report(plan, as_json, None)
            return 0
        signed = sign(plan.transaction, key)
        if not as_json:
            _report(plan, as_json, signed)
        receipt = await _send(node, signed)
        code = await chain.code(node, plan.contract)
    ok = receipt.get("status") == "0x1" and code == artifact.runtime_code(
        plan.owner, plan.weth, plan.vault, plan.manager
    )
    if as_json:
        _report(plan, as_json, signed, ok)
    else:
        click.echo(f"deployed and verified: {checksum(plan.contract)}" if ok else "the deployment failed on the chain")
    return 0 if ok else 1


async def _plan(node: Node, settings: Settings, key: SigningKey, owner: Address) -> Deployment:
    weth = wrapped_native(settings.chain)
    if weth is None:
        raise UsageError(f"chain.wrapped_native is not set, and none is known for chain {settings.chain.id}")
    vault = balancer_vault(settings) or ZERO_ADDRESS
    manager = v4_manager(settings) or ZERO_ADDRESS
    if not await chain.code(node, weth):
        raise UsageError(f"chain.wrapped_native: there is no contract at {checksum(weth)}")
    if vault != ZERO_ADDRESS and not await chain.code(node, vault):
        raise UsageError(f"contract.balancer_vault: there is no contract at {checksum(vault)}")
    if manager != ZERO_ADDRESS and not await chain.code(node, manager):
        raise UsageError(f"contract.v4_manager: there is no contract at {checksum(manager)}")
    head = await chain.header(node)
    if head is None:
        raise NodeError("the node has no block yet")
    cap = gwei_to_wei(settings.mev.max_gas_price_gwei)
    fees = choose_fees(next_base_fee(head), TIP_WEI, cap)
    if isinstance(fees, AboveCap):
        raise UsageError(f"mev.max_gas_price_gwei: {fees.detail}")
    data = artifact.creation_code(owner, weth, vault, manager)
    nonce = await chain.confirmed_nonce(node, key.address, head.hash)
    call = {"from": hex0x(key.address), "data": hex0x(data)}
    gas = int(str(await node.call("eth_estimateGas", call)), 16)
    transaction = Transaction(
        chain_id=settings.chain.id,
        nonce=nonce,
        max_priority_fee_per_gas=fees.max_priority_fee_per_gas,
        # Room for six full blocks while it waits in the public pool.
        max_fee_per_gas=max(fees.max_fee_per_gas, min(cap, 2 * fees.max_fee_per_gas)),
        gas_limit=min(gas * 11 // 10, MAX_TRANSACTION_GAS),
        to=None,
        value=0,
        data=data,
    )
    return Deployment(transaction, owner, weth, vault, manager, key.address, created_address(key.address, nonce))


def created_address(sender: Address, nonce: int) -> Address:
    """The address of the contract that ``sender`` creates with its transaction number ``nonce``."""
    return Address(keccak(encode_list((encode_bytes(sender), encode_int(nonce))))[12:])


async def _send(node: Node, signed: SignedTransaction) -> dict[str, Any]:
    await node.call("eth_sendRawTransaction", hex0x(signed.raw))
    with trio.move_on_after(RECEIPT_WAIT_S):
        while True:
            receipt = await node.call("eth_getTransactionReceipt", hex0x(signed.hash))
            if isinstance(receipt, dict):
                return receipt
            await trio.sleep(POLL_S)
    raise OutsideError(
        f"transaction {hex0x(signed.hash)} was sent but is in no block after {RECEIPT_WAIT_S:.0f} s: "
        "look for it before sending another"
    )


def _report(plan: Deployment, as_json: bool, signed: SignedTransaction | None, ok: bool = True) -> None:
    cost = plan.transaction.gas_limit * plan.transaction.max_fee_per_gas
    if as_json:
        report = {
            "ok": ok,
            "live": signed is not None,
            "contract": checksum(plan.contract),
            "owner": checksum(plan.owner),
            "weth": checksum(plan.weth),
            "vault": checksum(plan.vault),
            "manager": checksum(plan.manager),
            "sender": checksum(plan.sender),
            "nonce": plan.transaction.nonce,
            "gas_limit": plan.transaction.gas_limit,
            "max_fee_per_gas": str(plan.transaction.max_fee_per_gas),
            "tx_hash": hex0x(signed.hash) if signed else None,
        }
        click.echo(msgspec.json.encode(report))
        return
    click.echo(f"{'deploying' if signed else 'would deploy'} FlashArb to {checksum(plan.contract)}")
    click.echo(f"  chain  {plan.transaction.chain_id}")
    click.echo(f"  owner  {checksum(plan.owner)}")
    click.echo(f"  weth   {checksum(plan.weth)}")
    click.echo(f"  vault  {checksum(plan.vault) if plan.vault != ZERO_ADDRESS else 'none'} (Balancer V2)")
    click.echo(f"  manager {checksum(plan.manager) if plan.manager != ZERO_ADDRESS else 'none'} (Uniswap V4)")
    click.echo(f"  from   {checksum(plan.sender)}, nonce {plan.transaction.nonce}")
    click.echo(f"  cost   at most {cost / WEI_PER_ETH:.6f} ETH ({plan.transaction.gas_limit} gas)")
    if signed is None:
        click.echo("dry run: nothing was sent; --live sends it")
    else:
        click.echo(f"  hash   {hex0x(signed.hash)}")


def _with_node(settings: Settings, rpc_url: str | None) -> Settings:
    url = rpc_url or settings.node.url
    if not url:
        raise UsageError("which node? Give --rpc, or set node.url")
    return replace(settings, node=replace(settings.node, url=url))
