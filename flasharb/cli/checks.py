"""The checks behind ``flasharb doctor``. Each looks at one thing and says how to mend it; none changes anything."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from flasharb.adapters import chain
from flasharb.adapters.bus import open_bus
from flasharb.adapters.keys import identity_key_path, load_signer, read_key_file
from flasharb.adapters.node import Node, open_node
from flasharb.adapters.proven import proofs_refused
from flasharb.adapters.relay import Relay, open_relays
from flasharb.cli.consistency import own_bus
from flasharb.cli.redact import shown_text
from flasharb.devnet.world import load_world
from flasharb.errors import BusError, NodeError, UsageError
from flasharb.execution.artifact import Deployed, read_deployed
from flasharb.execution.replies import Doubt, Refusal, Refused, Reply, Unknown
from flasharb.execution.signing import SigningKey
from flasharb.feed.events import BlockHeader
from flasharb.settings import DEVNET_CHAIN_ID, Settings, balancer_vault, v4_manager, wrapped_native
from flasharb.units import checksum

LEAST_FREE_BYTES: Final = 500_000_000
STALE_SLOTS: Final = 4
"""A head older than this many slots is stale: missed slots happen, four in a row hardly."""
AHEAD_S: Final = 2.0
"""A head this far in the future means that our clock is slow."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. ``mend`` is empty when ``ok``."""

    name: str
    ok: bool
    detail: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the node said, for the checks after it; None = no node or no answer."""

    node: Node | None = None
    header: BlockHeader | None = None


async def examine_all(settings: Settings, environ: Mapping[str, str], data_dir: Path) -> list[Finding]:
    """All checks: node, bus, contract, key, relays, clock, disk."""
    signer, key = check_key(settings, environ)
    if not settings.node.url:
        own = "the embedded devnet has its own"
        bus = Finding("bus", True, own) if own_bus(settings) else await check_bus(settings)
        clock = Finding("clock", True, "the embedded devnet runs by this machine's")
        chain_side = [_embedded(settings), bus, Finding("contract", True, own), key]
        return [*chain_side, await check_relays(settings, data_dir), clock, check_disk(data_dir)]
    try:
        async with open_node(settings.node.url, timeout_s=settings.node.request_timeout_s) as node:
            found, seen = await check_node(settings, node)
            contract = await check_contract(settings, seen, signer)
            key = await _funded(key, seen, signer)
    except NodeError as error:
        seen = Seen()
        found = Finding("node", False, str(error), "start the node, or correct node.url")
        contract = await check_contract(settings, seen, signer)
    chain_side = [found, await check_bus(settings), contract, key, await check_relays(settings, data_dir)]
    return [*chain_side, check_clock(settings, seen.header, time.time()), check_disk(data_dir)]


def _embedded(settings: Settings) -> Finding:
    try:
        world = load_world()
    except UsageError as error:
        return Finding("node", False, str(error), "run `just fixtures`, or set node.url")
    if world.chain_id != settings.chain.id:
        detail = f"the devnet's world is chain {world.chain_id}, chain.id is {settings.chain.id}"
        return Finding("node", False, detail, "run `just fixtures`")
    return Finding("node", True, f"embedded devnet, chain {world.chain_id}, genesis {world.genesis.hash.hex()[:8]}…")


async def check_node(settings: Settings, node: Node) -> tuple[Finding, Seen]:
    """Reachable, the configured chain, a head, and subscriptions where they are needed.

    Raises:
        NodeError: no answer.
    """
    start = trio.current_time()
    chain_id = await chain.chain_id(node)
    delay_ms = (trio.current_time() - start) * 1000
    if chain_id != settings.chain.id:
        detail = f"{node.shown_url} serves chain {chain_id}, chain.id is {settings.chain.id}"
        return Finding("node", False, detail, f"point node.url elsewhere, or set chain.id = {chain_id}"), Seen()
    header = await chain.header(node)
    if header is None:
        return Finding("node", False, f"{node.shown_url} has no block yet", "wait until it has synchronised"), Seen(
            node
        )
    if settings.message_bus.transport == "node":
        heads = await node.subscribe("newHeads")
        await heads.aclose()
    if settings.simulation.verify_state and (refused := await proofs_refused(node)):
        detail = f"it proves no state, as simulation.verify_state = true needs: {refused}"
        return Finding("node", False, detail, "use a node that offers eth_getProof"), Seen(node, header)
    return Finding("node", True, f"chain {chain_id}, block {header.number}, {delay_ms:.0f} ms"), Seen(node, header)


async def check_bus(settings: Settings) -> Finding:
    """The first connection stands (nothing is read)."""
    bus = settings.message_bus
    if bus.transport == "node":
        return Finding("bus", True, "none: events come from the node")
    if not bus.address:
        return Finding("bus", False, "no address", "set message_bus.address, or message_bus.transport = node")
    try:
        async with open_bus(bus):
            return Finding("bus", True, f"{bus.transport} {shown_text(bus.address)} connects")
    except (BusError, UsageError) as error:
        return Finding("bus", False, shown_text(str(error)), "start the bus, or correct message_bus.address")


async def check_contract(settings: Settings, seen: Seen, signer: SigningKey | None) -> Finding:
    """Code that is ours, built for this wrapped token and vault, and owned by this signer."""
    if not settings.contract.address:
        return Finding("contract", False, "no address", "deploy it (`flasharb contract deploy`), set contract.address")
    if seen.node is None:
        return Finding("contract", False, "not looked at: no node of this chain", "mend the node first")
    try:
        answer = await seen.node.call("eth_getCode", settings.contract.address, "latest")
        code = bytes.fromhex(answer.removeprefix("0x"))
    except (NodeError, AttributeError, ValueError) as error:
        return Finding("contract", False, f"its code cannot be read: {error}", "mend the node first")
    if not code:
        return Finding(
            "contract", False, f"no code at {settings.contract.address}", "deploy it, or correct the address"
        )
    deployed = read_deployed(code)
    if isinstance(deployed, str):
        return Finding("contract", False, f"not this version's FlashArb: {deployed}", "deploy this version's")
    wrong = _differences(deployed, settings, signer)
    if wrong:
        return Finding("contract", False, "; ".join(wrong), "use its owner's key, or deploy one of your own")
    return Finding("contract", True, f"FlashArb at {settings.contract.address}, owner {checksum(deployed.owner)}")


def _differences(deployed: Deployed, settings: Settings, signer: SigningKey | None) -> list[str]:
    """What this contract was built for and these settings do not say."""
    wrong = []
    if signer is not None and deployed.owner != signer.address:
        wrong.append(f"owned by {checksum(deployed.owner)}, the signer is {checksum(signer.address)}")
    if deployed.weth != wrapped_native(settings.chain):
        wrong.append(f"built for wrapped token {checksum(deployed.weth)}")
    vault = balancer_vault(settings)
    if vault is not None and deployed.vault != vault:
        wrong.append(f"built for vault {checksum(deployed.vault)}")
    manager = v4_manager(settings)
    if manager is not None and deployed.manager != manager:
        wrong.append(f"built for V4 manager {checksum(deployed.manager)}")
    return wrong


def check_key(settings: Settings, environ: Mapping[str, str]) -> tuple[SigningKey | None, Finding]:
    """The signer's key can be read and is fit for the chain."""
    try:
        signer = load_signer(settings.signer, environ, settings.chain.id)
    except UsageError as error:
        return None, Finding("key", False, str(error), "correct the [signer] table or the file")
    if signer is not None:
        return signer, Finding("key", True, f"signer {checksum(signer.address)}")
    if settings.chain.id == DEVNET_CHAIN_ID and not settings.node.url:
        return None, Finding("key", True, "none: the embedded devnet has its own")
    detail = "none: enough for a dry run, not for --live"
    return None, Finding("key", True, detail)


async def _funded(key: Finding, seen: Seen, signer: SigningKey | None) -> Finding:
    if signer is None or seen.node is None or seen.header is None:
        return key
    try:
        held = await chain.holdings(seen.node, {signer.address: ()}, seen.header.number)
    except NodeError as error:
        return Finding("key", False, f"{key.detail}: its balance cannot be read: {error}", "mend the node first")
    wei = held[signer.address].wei
    detail = f"{key.detail}, {wei // 10**12 / 10**6:.6f} ETH"
    if wei == 0:
        return Finding("key", False, detail, f"send some ETH for gas to {checksum(signer.address)}")
    return Finding("key", True, detail)


async def check_relays(settings: Settings, data_dir: Path) -> Finding:
    """Each relay answers a signed, harmless question within its deadline."""
    if not settings.relays.urls:
        own = settings.chain.id == DEVNET_CHAIN_ID and not settings.node.url
        return Finding("relays", True, "the embedded devnet has its own" if own else "none: nothing can be sent")
    path = identity_key_path(settings, data_dir)
    try:
        # The stored identity, else a passing one: the real one is made by the first run, not by a look around.
        identity = read_key_file(path) if path.exists() else SigningKey(secrets.token_bytes(32))
    except UsageError as error:
        return Finding("relays", False, f"relay identity: {error}", "mend the file, or remove it to get a new identity")
    answers: dict[str, Reply] = {}

    async def ask(relay: Relay) -> None:
        answers[relay.name] = await relay.probe()

    async with (
        open_relays(settings.relays.urls, identity, settings.relays.request_timeout_s) as relays,
        trio.open_nursery() as nursery,
    ):
        for relay in relays.relays:
            nursery.start_soon(ask, relay)
    bad = [f"{name}: {_words(reply)}" for name, reply in answers.items() if not _healthy(reply)]
    if bad:
        return Finding("relays", False, "; ".join(sorted(bad)), "correct relays.urls, or remove the relay")
    return Finding("relays", True, f"{', '.join(sorted(answers))} answer{'s' if len(answers) == 1 else ''}")


def _healthy(reply: Reply) -> bool:
    if isinstance(reply, Unknown):
        return reply.kind is Doubt.NO_HASH
    return isinstance(reply, Refused) and reply.kind in {Refusal.PERMANENT, Refusal.RATE_LIMITED}


def _words(reply: Reply) -> str:
    return reply.detail if isinstance(reply, (Refused, Unknown)) else ""


def check_clock(settings: Settings, header: BlockHeader | None, now_s: float) -> Finding:
    """This machine's clock against the newest block's timestamp."""
    if header is None:
        return Finding("clock", False, "not compared: no head", "mend the node first")
    age_s = now_s - header.timestamp
    if age_s < -AHEAD_S:
        detail = f"the newest block is {-age_s:.0f} s in the future: this clock is slow"
        return Finding("clock", False, detail, "synchronise the clock (NTP)")
    if age_s > STALE_SLOTS * settings.chain.slot_s:
        detail = f"the newest block is {age_s:.0f} s old"
        return Finding("clock", False, detail, "synchronise the clock (NTP), or wait until the node has caught up")
    return Finding("clock", True, f"the newest block is {max(age_s, 0):.1f} s old")


def check_disk(data_dir: Path) -> Finding:
    """The data directory takes a file, to the disk, and has room."""
    mend = "correct the directory's rights, or set storage.data_dir"
    try:
        place = next(folder for folder in (data_dir, *data_dir.resolve().parents) if folder.is_dir())
        with tempfile.NamedTemporaryFile(dir=place) as file:
            file.write(b"flasharb")
            file.flush()
            os.fsync(file.fileno())
        free = shutil.disk_usage(place).free
    except OSError as error:
        return Finding("disk", False, f"cannot write to {data_dir}: {error.strerror}", mend)
    if free < LEAST_FREE_BYTES:
        detail = f"{data_dir} has {free / 1e6:.0f} MB left, {LEAST_FREE_BYTES / 1e6:.0f} are wanted"
        return Finding("disk", False, detail, "make room, or set storage.data_dir")
    return Finding("disk", True, f"{data_dir} writable, {free / 1e9:.1f} GB free")
