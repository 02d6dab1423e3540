"""Pools as a node knows them at one block, by batched ``eth_getStorageAt``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flasharb.adapters.node import Node, RpcFailure
from flasharb.errors import NodeError
from flasharb.pools import Pool
from flasharb.pools.loading import CorruptPool, Needs, load_pool
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address, Hash32, checksum, hex0x


async def load_pools(
    node: Node, specs: Iterable[PoolSpec], block: int | Hash32, *, v3_words: int | None = None
) -> tuple[Pool, ...]:
    """The state of each pool at the end of ``block`` (number or hash), in the order of ``specs``.

    All pools advance together, so that three rounds of batches do for any number of them. ``v3_words`` bitmap words
    are loaded on either side of a V3 price (None: what ±10 % of the price needs).

    Raises:
        NodeError: the node does not answer for a slot, or a pool's storage is not that of its protocol.
    """
    wanted = tuple(specs)
    at = hex(block) if isinstance(block, int) else {"blockHash": hex0x(block)}
    slots: dict[Address, dict[int, int]] = {spec.address: {} for spec in wanted}
    pools: dict[Address, Pool] = {}
    while True:
        missing: list[tuple[PoolSpec, int]] = []
        for spec in wanted:
            if spec.address not in pools:
                loaded = _load(spec, slots[spec.address], v3_words, node)
                if isinstance(loaded, Needs):
                    missing += [(spec, slot) for slot in sorted(loaded.slots)]
                else:
                    pools[spec.address] = loaded
        if not missing:
            return tuple(pools[spec.address] for spec in wanted)
        calls = [("eth_getStorageAt", (hex0x(spec.address), hex(slot), at)) for spec, slot in missing]
        for (spec, slot), answer in zip(missing, await node.batch(calls), strict=True):
            slots[spec.address][slot] = _value(answer, spec, slot, node)


def _load(spec: PoolSpec, slots: Mapping[int, int], v3_words: int | None, node: Node) -> Pool | Needs:
    try:
        return load_pool(spec, slots, v3_words)
    except CorruptPool as error:
        raise NodeError(
            f"{node.shown_url}: {_named(spec)}: its storage is not that of such a pool ({error}); check the pool file"
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


def _named(spec: PoolSpec) -> str:
    return f"{spec.protocol} pool {checksum(spec.address)}"
