"""The pools that a recorded block offers: found by asking every contract of the file what it is, and vouched for.

A pool's address must follow from its factory, tokens and fee, or its code must be that of a known fork; everything
else that answers like a pool is refused with the reason. State is read from the file's slots: what the file does not
know limits a pool's range, or keeps the pool out, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from eth_hash.auto import keccak

from flasharb.pools import Pool, PoolSpec
from flasharb.pools.identify import identify
from flasharb.pools.loading import CorruptPool, Elsewhere, Needs, Refused, load_pool
from flasharb.pools.protocols import DEPLOYMENTS, PROTOCOLS
from flasharb.simulation.recorded_keepers import kept_pools
from flasharb.simulation.recorded_probes import probed_pools
from flasharb.simulation.replay import Replay
from flasharb.units import Address, Hash32


def _selector(signature: str) -> bytes:
    return keccak(signature.encode())[:4]


_TOKEN0: Final = _selector("token0()")
_TOKEN1: Final = _selector("token1()")
_FEE: Final = _selector("fee()")
_TICK_SPACING: Final = _selector("tickSpacing()")
_GET_RESERVES: Final = _selector("getReserves()")

UNVOUCHED: Final = "neither a factory that we know nor its code vouches for it"
"""The reason of an impostor; with every other the contract is of a known kind, or perhaps of one."""


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
    for key, kept in (*kept_pools(replay), *probed_pools(replay)):
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
    made = _by_factory(replay, address)
    if isinstance(made, PoolSpec):
        return made
    for protocol in PROTOCOLS.values():
        if protocol.identify is not None:
            told = _asked(replay, address, partial(protocol.identify, address))
            if told is not None:
                return told.reason if isinstance(told, Refused) else told
    return made


def _by_factory(replay: Replay, address: Address) -> PoolSpec | str | None:
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
        return UNVOUCHED
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
        loaded = _asked(replay, spec.address, partial(_load_whole, spec))
        return loaded.reason if isinstance(loaded, Refused) else loaded
    except CorruptPool as error:
        return str(error)


def _load_whole(spec: PoolSpec, slots: dict[int, int], elsewhere: Elsewhere) -> Pool | Needs | Refused:
    return load_pool(spec, slots, elsewhere=elsewhere)


Answer = TypeVar("Answer")


def _asked(
    replay: Replay, pool: Address, question: Callable[[dict[int, int], Elsewhere], Answer | Needs | Refused]
) -> Answer | Refused:
    """The answer to a question that asks back for state, as far as the file has that.

    What the file lacks is told once as unknown; asked for again, it is a reason to refuse.
    """
    known = _Known(replay, pool)
    while True:
        answer = question(known.own, known.elsewhere())
        if not isinstance(answer, Needs):
            return answer
        if not known.learn(answer):
            return Refused("state of it is not in the file")


@dataclass(slots=True)
class _Known:
    """What has been read of the file for one pool."""

    replay: Replay
    pool: Address
    own: dict[int, int] = field(default_factory=dict)
    others: dict[tuple[Address, int], int] = field(default_factory=dict)
    codes: dict[Address, bytes] = field(default_factory=dict)
    unknown: set[tuple[Address, int]] = field(default_factory=set)
    timestamp: int | None = None

    def elsewhere(self) -> Elsewhere:
        hashes = {at: Hash32(keccak(code)) for at, code in self.codes.items()}
        return Elsewhere(self.others, hashes, self.timestamp, self.codes, self.unknown)

    def learn(self, needs: Needs) -> bool:
        """Read what is needed; False where nothing new comes of it."""
        before = self._size()
        for at, slot in (*((self.pool, slot) for slot in needs.slots), *needs.elsewhere):
            value = self.replay.slot(at, slot)
            if value is None:
                self.unknown.add((at, slot))
                continue
            self.others[at, slot] = value
            if at == self.pool:
                self.own[slot] = value
        for at in needs.code:
            code = self.replay.code(at)
            if code is not None:
                self.codes[at] = code
        if needs.timestamp:
            self.timestamp = self.replay.block.context.timestamp
        return self._size() != before

    def _size(self) -> tuple[int, int, int, int | None]:
        return len(self.others), len(self.codes), len(self.unknown), self.timestamp
