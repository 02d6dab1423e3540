"""Pools as a node knows them at one block, by batched requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from eth_hash.auto import keccak

from flasharb.adapters.chain import header_of
from flasharb.adapters.node import Node, RpcFailure
from flasharb.errors import NodeError
from flasharb.pools import Pool
from flasharb.pools.loading import CorruptPool, Elsewhere, Needs, Refused, load_pool
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address, Hash32, checksum, hex0x


@dataclass(frozen=True, slots=True)
class Loaded:
    """Pools in the order asked for, and those that must not be traded, with their reasons."""

    pools: tuple[Pool, ...]
    refused: Mapping[Address, str] = field(default_factory=dict)


async def load_pools(
    node: Node, specs: Iterable[PoolSpec], block: int | Hash32, *, v3_words: int | None = None
) -> Loaded:
    """The state of each pool at the end of ``block`` (number or hash), in the order of ``specs``.

    All pools advance together, so that a few rounds of batches do for any number of them. ``v3_words`` bitmap words
    are loaded on either side of a V3 price (None: what ±10 % of the price needs).

    Raises:
        NodeError: the node does not answer for a slot, or a pool's storage is not that of its protocol.
    """
    wanted = tuple(specs)
    seen = _Seen(node, hex(block) if isinstance(block, int) else {"blockHash": hex0x(block)})
    settled: dict[Address, Pool | Refused] = {}
    while True:
        missing: list[tuple[PoolSpec, Needs]] = []
        for spec in wanted:
            if spec.address not in settled:
                loaded = _load(spec, seen, v3_words)
                if isinstance(loaded, Needs):
                    missing.append((spec, loaded))
                else:
                    settled[spec.address] = loaded
        if not missing:
            answers = {spec.address: settled[spec.address] for spec in wanted}
            return Loaded(
                tuple(one for one in answers.values() if not isinstance(one, Refused)),
                {at: one.reason for at, one in answers.items() if isinstance(one, Refused)},
            )
        await seen.fetch(missing)


@dataclass(slots=True)
class _Seen:
    """What the node has said so far. ``at`` names the block as JSON-RPC wants it."""

    node: Node
    at: str | dict[str, str]
    slots: dict[Address, dict[int, int]] = field(default_factory=dict)
    elsewhere: dict[tuple[Address, int], int] = field(default_factory=dict)
    codes: dict[Address, bytes] = field(default_factory=dict)
    code_hashes: dict[Address, Hash32] = field(default_factory=dict)
    timestamp: int | None = None

    async def fetch(self, missing: Iterable[tuple[PoolSpec, Needs]]) -> None:
        """Ask for all that is missing in one batch, code and time beside it."""
        wanted: dict[tuple[Address, int], PoolSpec] = {}
        contracts: dict[Address, PoolSpec] = {}
        for spec, needs in missing:
            wanted |= dict.fromkeys(((spec.address, slot) for slot in sorted(needs.slots)), spec)
            wanted |= dict.fromkeys(sorted(needs.elsewhere), spec)
            contracts |= dict.fromkeys(sorted(needs.code), spec)
            if needs.timestamp and self.timestamp is None:
                self.timestamp = await self._time()
        slots = [("eth_getStorageAt", (hex0x(place), hex(slot), self.at)) for place, slot in wanted]
        codes = [("eth_getCode", (hex0x(place), self.at)) for place in contracts]
        answers = await self.node.batch([*slots, *codes])
        for ((place, slot), spec), answer in zip(wanted.items(), answers, strict=False):
            value = _value(answer, spec, slot, self.node)
            self.elsewhere[place, slot] = value
            self.slots.setdefault(place, {})[slot] = value
        for (place, spec), answer in zip(contracts.items(), answers[len(wanted) :], strict=True):
            self.codes[place] = _code(answer, spec, self.node)
            self.code_hashes[place] = Hash32(keccak(self.codes[place]))

    async def _time(self) -> int:
        if isinstance(self.at, str):
            return header_of(await self.node.call("eth_getBlockByNumber", self.at, False)).timestamp
        return header_of(await self.node.call("eth_getBlockByHash", self.at["blockHash"], False)).timestamp


def _load(spec: PoolSpec, seen: _Seen, v3_words: int | None) -> Pool | Needs | Refused:
    elsewhere = Elsewhere(seen.elsewhere, seen.code_hashes, seen.timestamp, seen.codes)
    try:
        return load_pool(spec, seen.slots.get(spec.address, {}), v3_words, elsewhere)
    except CorruptPool as error:
        raise NodeError(
            f"{seen.node.shown_url}: {_named(spec)}: its storage is not that of such a pool ({error}); "
            "check the pool file"
        ) from None


def _value(answer: Any, spec: PoolSpec, slot: int, node: Node) -> int:
    """A storage word, as a number."""
    place = f"{node.shown_url}: eth_getStorageAt slot {slot:#x} of {_named(spec)}"
    if isinstance(answer, RpcFailure):
        raise NodeError(f"{place}: {answer}")
    try:
        value = int(answer, 16)
    except (TypeError, ValueError):
        raise NodeError(f"{place}: not a storage word: {answer!r:.80}") from None
    if not 0 <= value < 1 << 256:
        raise NodeError(f"{place}: not a storage word: {answer!r:.80}")
    return value


def _code(answer: Any, spec: PoolSpec, node: Node) -> bytes:
    place = f"{node.shown_url}: eth_getCode for {_named(spec)}"
    if isinstance(answer, RpcFailure):
        raise NodeError(f"{place}: {answer}")
    try:
        return bytes.fromhex(answer[2:])
    except (TypeError, ValueError):
        raise NodeError(f"{place}: not code: {answer!r:.80}") from None


def _named(spec: PoolSpec) -> str:
    return f"{spec.protocol} pool {checksum(spec.address)}"
