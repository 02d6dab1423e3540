"""What a protocol asks for and gets when a pool is built from the chain's state, without doing the reading.

A protocol's ``load`` is asked again and again with more, until it has a pool: it answers ``Needs`` (what to fetch).
Whoever reads (a node, a recorded block, the local chain) loops. What is absent is unknown, never zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field

from eth_hash.auto import keccak

from flasharb.pools.spec import PoolSpec
from flasharb.units import Address, Hash32, checksum


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be known before the pool can be built.

    ``slots`` are of the contract at the spec's address; ``elsewhere`` are (contract, slot) of others; ``code`` are
    contracts whose code (or its hash) decides; ``timestamp``: the block's. ``calls`` are (contract, call data) whose
    answers are wanted: only for what no storage layout tells, of contracts that somebody vouches for.
    """

    slots: frozenset[int] = frozenset()
    elsewhere: frozenset[tuple[Address, int]] = frozenset()
    code: frozenset[Address] = frozenset()
    timestamp: bool = False
    calls: frozenset[tuple[Address, bytes]] = frozenset()


@dataclass(frozen=True, slots=True)
class Refused:
    """The pool is of its protocol, but must not be traded: its variant, its state or a rate of it is not modelled."""

    reason: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What is known beside the pool's own slots.

    ``codes`` are the deployed codes, ``code_hashes`` their keccak-256. ``unknown`` are places (the pool's own slots
    too) that were asked for in vain: where only a part of the pool hangs on one, it is loaded without that part.
    ``answers`` are what calls returned, nothing where they reverted.
    """

    slots: Mapping[tuple[Address, int], int] = field(default_factory=dict)
    code_hashes: Mapping[Address, Hash32] = field(default_factory=dict)
    timestamp: int | None = None
    codes: Mapping[Address, bytes] = field(default_factory=dict)
    unknown: Set[tuple[Address, int]] = frozenset()
    answers: Mapping[tuple[Address, bytes], bytes] = field(default_factory=dict)


class CorruptPool(ValueError):
    """The storage does not make sense as this protocol's pool: another contract, or slots of different blocks."""


def contradiction(spec: PoolSpec, told: PoolSpec) -> Refused:
    """Why a pool is refused whose code and storage tell another spec."""
    if spec.tokens != told.tokens:
        return Refused(f"by code and storage its tokens are {', '.join(map(checksum, told.tokens))}")
    if spec.fee_pips != told.fee_pips:
        return Refused(f"by code and storage its fee is {told.fee_pips} pips, not {spec.fee_pips}")
    return Refused(f"by code and storage its facts are {told.facts}, not {spec.facts}")


def stored_spec(spec: Callable[[], PoolSpec]) -> PoolSpec | Refused:
    """The spec that code and storage tell, unless no pool can be so (a contract that nobody has set up)."""
    try:
        return spec()
    except ValueError as error:
        return Refused(f"by code and storage it is none: {error}")


def address_in(word: int) -> Address:
    """The address in a storage word."""
    return Address(word.to_bytes(32, "big")[12:])


def mapping_slot(key: int, slot: int) -> int:
    """The storage slot of ``mapping[key]`` for a mapping of integers or addresses at ``slot``."""
    return int.from_bytes(keccak((key % (1 << 256)).to_bytes(32, "big") + slot.to_bytes(32, "big")), "big")


def signed(value: int, bits: int) -> int:
    """The low ``bits`` of ``value`` as a two's complement number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
