"""The pools that a recorded block offers: found by asking every contract of the file what it is, and vouched for.

A pool's address must follow from its factory, tokens and fee, or its code must be that of a known fork; everything
else that answers like a pool is refused with the reason. State is read from the file's slots: what the file does not
know limits a pool's range, or keeps the pool out, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from eth_hash.auto import keccak

from flasharb.pools import Pool, PoolSpec
from flasharb.pools.identify import identify
from flasharb.pools.loading import CorruptPool, Elsewhere, Needs, Refused, load_pool
from flasharb.pools.protocols import DEPLOYMENTS, PROTOCOLS
from flasharb.simulation.recorded_keepers import kept_pools
from flasharb.simulation.replay import Replay
from flasharb.units import Address, Hash32


def _selector(signature: str) -> bytes:
    return keccak(signature.encode())[:4]


_TOKEN0: Final = _selector("token0()")
_TOKEN1: Final = _selector("token1()")
_FEE: Final = _selector("fee()")
_TICK_SPACING: Final = _selector("tickSpacing()")
_GET_RESERVES: Final = _selector("getReserves()")


@dataclass(frozen=True, slots=True)
class Offered:
    """``specs`` by key; ``refused``: what answers like a pool and is none that we trade, with the reason."""

    specs: dict[Address, PoolSpec]
    refused: dict[Address, str]

    def with_also(self, specs: Mapping[Address, PoolSpec]) -> Offered:
        """These pools as well, even where they were refused."""
        refused = {at: reason for at, reason in self.refused.items() if at not in specs}
        return Offered({**self.specs, **specs}, refused)


@dataclass(frozen=True, slots=True)
class KnownPools:
    """The pools with their state at one moment; ``unknown``: the reason why a pool has no usable state there."""

    pools: dict[Address, Pool]
    unknown: dict[Address, str]


def offered(replay: Replay) -> Offered:
    """The pools among the contracts of the replay's block."""
    found = Offered({}, {})
    for address, account in replay.block.pre_state.items():
        if account is None or not replay.code(address):
            continue
        spec = _identify(replay, address)
        if isinstance(spec, PoolSpec):
            found.specs[address] = spec
        elif spec is not None:
            found.refused[address] = spec
    for key, kept in kept_pools(replay):
        if isinstance(kept, PoolSpec):
            found.specs[key] = kept
        else:
            found.refused[key] = kept
    return found


def known_pools(replay: Replay, specs: Iterable[PoolSpec]) -> KnownPools:
    """The pools as they stand at the replay's position."""
    known = KnownPools({}, {})
    for spec in specs:
        pool = _load(replay, spec)
        if isinstance(pool, str):
            known.unknown[spec.address] = pool
        else:
            known.pools[spec.address] = pool
    return known


def _identify(replay: Replay, address: Address) -> PoolSpec | str | None:
    """What the contract is, why it is not traded, or None where it is no pool at all."""
    token0, token1 = _asked_address(replay, address, _TOKEN0), _asked_address(replay, address, _TOKEN1)
    if token0 is None or token1 is None or token0 == token1:
        return None
    fee, spacing = _asked_number(replay, address, _FEE), _asked_number(replay, address, _TICK_SPACING)
    tier = (fee, spacing) if fee is not None and spacing is not None else None
    deployments = DEPLOYMENTS.get(replay.block.chain_id, {})
    spec = identify(address, (token0, token1), deployments, tier)
    if spec is not None:
        return spec
    if tier is not None or replay.ask(address, _GET_RESERVES) is not None:
        return "no factory that we know creates a pool at this address"
    return None


def _asked_address(replay: Replay, pool: Address, question: bytes) -> Address | None:
    answer = replay.ask(pool, question)
    return Address(answer[12:]) if answer is not None and len(answer) == 32 else None


def _asked_number(replay: Replay, pool: Address, question: bytes) -> int | None:
    answer = replay.ask(pool, question)
    return int.from_bytes(answer, "big") if answer is not None and len(answer) == 32 else None


def _load(replay: Replay, spec: PoolSpec) -> Pool | str:
    """The pool, as far as the file knows it, or why it has no usable state."""
    known_part = PROTOCOLS[spec.protocol].known_part
    try:
        if known_part is not None:
            return known_part(spec, replay.slot) or "its price is not in the file"
        return _load_whole(replay, spec)
    except CorruptPool as error:
        return str(error)


def _load_whole(replay: Replay, spec: PoolSpec) -> Pool | str:
    slots: dict[int, int] = {}
    others: dict[tuple[Address, int], int] = {}
    codes: dict[Address, bytes] = {}
    hashes: dict[Address, Hash32] = {}
    timestamp: int | None = None
    while True:
        answer = load_pool(spec, slots, elsewhere=Elsewhere(others, hashes, timestamp, codes))
        if isinstance(answer, Refused):
            return answer.reason
        if not isinstance(answer, Needs):
            return answer
        own = {slot: replay.slot(spec.address, slot) for slot in answer.slots}
        foreign = {(at, slot): replay.slot(at, slot) for at, slot in answer.elsewhere}
        programs = {at: replay.code(at) for at in answer.code}
        if None in (*own.values(), *foreign.values(), *programs.values()):
            return "state of it is not in the file"
        slots.update((slot, value) for slot, value in own.items() if value is not None)
        others.update((place, value) for place, value in foreign.items() if value is not None)
        codes.update((at, code) for at, code in programs.items() if code is not None)
        hashes.update((at, Hash32(keccak(code))) for at, code in programs.items() if code is not None)
        timestamp = replay.block.context.timestamp if answer.timestamp else timestamp
