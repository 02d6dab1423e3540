"""Checks between keys: what contradicts itself always, and what `run` or `run --live` would still lack."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from flasharb.cli.redact import looks_like_key, shown, shown_text
from flasharb.settings import DEVNET_CHAIN_ID, Settings
from flasharb.simulation import revm
from flasharb.units import address

MAINNET_CHAIN_ID: Final = 1
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Problem:
    """One wrong or missing key. ``value`` is already fit to be shown."""

    key: str
    value: str | None
    expected: str
    source: str

    def __str__(self) -> str:
        shown_value = "" if self.value is None else f" = {self.value}"
        return f"{self.key}{shown_value} ({self.source}): {self.expected}"


def contradictions(settings: Settings, environ: Mapping[str, str], sources: Mapping[str, str]) -> tuple[Problem, ...]:
    """Keys that are each in range but cannot stand together, or whose text has a wrong form."""
    found = [*_forms(settings), *_bus(settings), *_chain(settings), *_simulation(settings)]
    found += _signer(settings, environ)
    return tuple(_problem(settings, sources, key, expected) for key, expected in found)


def lacking(
    settings: Settings, environ: Mapping[str, str], sources: Mapping[str, str], *, live: bool
) -> tuple[Problem, ...]:
    """What `run` (or `run --live`) needs beyond a sound configuration; on the embedded devnet nothing."""
    found = [*_files(settings)]
    if (settings.node.url or settings.chain.id != DEVNET_CHAIN_ID) and own_bus(settings):
        found.append(("message_bus.address", "must be the bus's socket path (or set message_bus.transport = node)"))
    if settings.chain.id != DEVNET_CHAIN_ID:
        found += _real_chain(settings)
        if live:
            found += _live(settings, environ)
    return tuple(_problem(settings, sources, key, expected) for key, expected in found)


def remarks(settings: Settings) -> tuple[str, ...]:
    """What is allowed and may still surprise."""
    mev, said = settings.mev, []
    if mev.fallback_to_public and mev.max_public_loss_usd == 0:
        said.append(
            "mev.fallback_to_public = true has no effect: no loss bound is configured "
            "(mev.max_public_loss_usd = 0); nothing is ever sent to the public mempool"
        )
    if not mev.fallback_to_public and mev.max_public_loss_usd > 0:
        said.append("mev.max_public_loss_usd has no effect while mev.fallback_to_public = false")
    if not mev.use_flashbots:
        said.append("mev.use_flashbots = false: no bundle is sent; trades end as simulated candidates")
    if settings.chain.id == DEVNET_CHAIN_ID and not settings.node.url:
        said.append("node.url is empty: the embedded devnet is started")
    return tuple(said)


def _problem(settings: Settings, sources: Mapping[str, str], key: str, expected: str) -> Problem:
    table, name = key.split(".")
    return Problem(key, shown(getattr(getattr(settings, table), name)), expected, sources.get(key, "default"))


Found = tuple[str, str]


def _forms(settings: Settings) -> Iterator[Found]:
    yield from _addresses(settings)
    if not settings.strategy.base_tokens:
        yield "strategy.base_tokens", "must name at least one token: every route starts and ends in one"
    if not settings.pools.usd_tokens and not settings.pools.chainlink_feed:
        yield (
            "pools.usd_tokens",
            "must name a token unless pools.chainlink_feed is set: else nothing has a USD price",
        )
    if settings.node.url and _scheme(settings.node.url) not in {"http", "https", "ws", "wss"}:
        yield "node.url", "must be an http(s):// or ws(s):// URL"
    if any(_scheme(url) not in {"http", "https"} for url in settings.relays.urls):
        yield "relays.urls", "must be http(s):// URLs"
    if len(set(settings.relays.urls)) != len(settings.relays.urls):
        yield "relays.urls", "names a relay twice"


def _addresses(settings: Settings) -> Iterator[Found]:
    texts = {
        "pools.chainlink_feed": (settings.pools.chainlink_feed,),
        "chain.wrapped_native": (settings.chain.wrapped_native,),
        "contract.address": (settings.contract.address,),
        "contract.balancer_vault": (settings.contract.balancer_vault,),
        "contract.v4_manager": (settings.contract.v4_manager,),
        "strategy.base_tokens": tuple(text for text in settings.strategy.base_tokens if text.startswith("0x")),
        "pools.tokens": tuple(text for text in settings.pools.tokens if text.startswith("0x")),
    }
    for key, group in texts.items():
        for text in group:
            if text and (wrong := _wrong_address(text)):
                yield key, wrong


def _wrong_address(text: str) -> str | None:
    try:
        address(text)
    except ValueError as error:
        return shown_text(str(error))
    return None


def _scheme(url: str) -> str:
    try:
        parts = urlsplit(url)
        return parts.scheme if parts.hostname and (parts.port is None or parts.port) else ""
    except ValueError:
        return ""


def _bus(settings: Settings) -> Iterator[Found]:
    bus = settings.message_bus
    if bus.dialect == "auto" and not bus.check_crc:
        yield (
            "message_bus.check_crc",
            "must be true while message_bus.dialect = auto: it tells the dialects apart",
        )
    if bus.transport == "node":
        if not settings.node.url:
            yield "message_bus.transport", "needs node.url: the node is the source of events"
        elif _scheme(settings.node.url) not in {"ws", "wss"}:
            yield "node.url", "must be a ws(s):// URL while message_bus.transport = node (events come by eth_subscribe)"
    if bus.transport == "tcp" and not re.fullmatch(r".+:[0-9]{1,5}", bus.address):
        yield "message_bus.address", "must be host:port while message_bus.transport = tcp"
    if bus.transport == "websocket" and _scheme(bus.address) not in {"ws", "wss"}:
        yield "message_bus.address", "must be a ws(s):// URL while message_bus.transport = websocket"
    if bus.transport == "capture" and not bus.address:
        yield "message_bus.address", "must be a capture file while message_bus.transport = capture"


def _chain(settings: Settings) -> Iterator[Found]:
    if not settings.node.url and settings.chain.id != DEVNET_CHAIN_ID:
        yield "node.url", f"must be set: chain {settings.chain.id} is not the devnet ({DEVNET_CHAIN_ID})"
    if settings.chain.id == MAINNET_CHAIN_ID and settings.chain.slot_s != 12:
        yield "chain.slot_s", "must be 12.0 on Ethereum mainnet"


def _simulation(settings: Settings) -> Iterator[Found]:
    if settings.simulation.second_opinion == "revm" and (reason := revm.unavailable()):
        yield "simulation.second_opinion", f"cannot be revm here: {reason}"


def _signer(settings: Settings, environ: Mapping[str, str]) -> Iterator[Found]:
    signer = settings.signer
    if looks_like_key(signer.key_env):
        yield "signer.key_env", "is the name of a variable, not a key; that key is in a file now: replace it"
    elif signer.key_env and not _VARIABLE.fullmatch(signer.key_env):
        yield "signer.key_env", "must be the name of an environment variable, or empty"
    sources = key_sources(settings, environ)
    if len(sources) > 1:
        yield sources[-1], "only one source of the signer's key may be given; also given: " + ", ".join(sources[:-1])
    if signer.keystore_file and not signer.keystore_password_file:
        yield "signer.keystore_password_file", "must be set with signer.keystore_file"
    if signer.keystore_password_file and not signer.keystore_file:
        yield "signer.keystore_file", "must be set with signer.keystore_password_file"


def key_sources(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """The keys of ``[signer]`` that give a signing key; an environment variable counts when it is set."""
    signer = settings.signer
    given = {
        "signer.key_env": bool(signer.key_env and environ.get(signer.key_env)),
        "signer.key_file": bool(signer.key_file),
        "signer.keystore_file": bool(signer.keystore_file),
    }
    return [key for key, present in given.items() if present]


def _files(settings: Settings) -> Iterator[Found]:
    named = {
        "pools.files": settings.pools.files,
        "pools.token_files": settings.pools.token_files,
        "signer.key_file": (settings.signer.key_file,),
        "signer.keystore_file": (settings.signer.keystore_file,),
        "signer.keystore_password_file": (settings.signer.keystore_password_file,),
    }
    if settings.message_bus.transport == "capture":
        named["message_bus.address"] = (settings.message_bus.address,)
    for key, names in named.items():
        for name in names:
            if name and not Path(name).expanduser().is_file():
                yield key, f"no such file: {shown(name)}"


def _real_chain(settings: Settings) -> Iterator[Found]:
    if not settings.pools.files:
        yield "pools.files", f"must name a pool file on chain {settings.chain.id}"
    if not settings.pools.token_files:
        yield "pools.token_files", f"must name a token list on chain {settings.chain.id}"
    if not settings.chain.wrapped_native and settings.chain.id != MAINNET_CHAIN_ID:
        yield "chain.wrapped_native", f"must be the wrapped native token's address on chain {settings.chain.id}"


def own_bus(settings: Settings) -> bool:
    """Whether the configured bus is the one that only the embedded devnet brings."""
    return settings.message_bus.transport == "unix" and not settings.message_bus.address


def _live(settings: Settings, environ: Mapping[str, str]) -> Iterator[Found]:
    if not key_sources(settings, environ):
        yield "signer.key_env", "is not set in the environment, and no other source of the key is given"
    if not settings.contract.address:
        yield "contract.address", "must be your FlashArb contract (`flasharb contract deploy`)"
    if settings.mev.use_flashbots and not settings.relays.urls:
        yield "relays.urls", "must name at least one relay"
