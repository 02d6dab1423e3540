"""What a protocol asks for and gets when a pool is built from the chain's state, without doing the reading.

A protocol's ``load`` is asked again and again with more, until it has a pool: it answers ``Needs`` (what to fetch).
Whoever reads (a node, a recorded block, the local chain) loops. What is absent is unknown, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from eth_hash.auto import keccak

from flasharb.units import Address, Hash32


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be known before the pool can be built.

    ``slots`` are of the contract at the spec's address; ``elsewhere`` are (contract, slot) of others; ``code`` are
    contracts whose code (or its hash) decides; ``timestamp``: the block's.
    """

    slots: frozenset[int] = frozenset()
    elsewhere: frozenset[tuple[Address, int]] = frozenset()
    code: frozenset[Address] = frozenset()
    timestamp: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The pool is of its protocol, but must not be traded: its variant, its state or a rate of it is not modelled."""

    reason: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What is known beside the pool's own slots; code hashes are keccak-256 of the deployed code, ``codes`` itself."""

    slots: Mapping[tuple[Address, int], int] = field(default_factory=dict)
    code_hashes: Mapping[Address, Hash32] = field(default_factory=dict)
    timestamp: int | None = None
    codes: Mapping[Address, bytes] = field(default_factory=dict)


class CorruptPool(ValueError):
    """The storage does not make sense as this protocol's pool: another contract, or slots of different blocks."""


def mapping_slot(key: int, slot: int) -> int:
    """The storage slot of ``mapping[key]`` for a mapping of integers or addresses at ``slot``."""
    return int.from_bytes(keccak((key % (1 << 256)).to_bytes(32, "big") + slot.to_bytes(32, "big")), "big")


def signed(value: int, bits: int) -> int:
    """The low ``bits`` of ``value`` as a two's complement number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
