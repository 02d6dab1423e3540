"""Identifiers of the bus: instruments (12 bytes), pools by their tokens, and the SipHash-1-3 that indexes them.

``fast_hash`` is what Rust's ``DefaultHasher`` gives for (venue as u16, token ids as a slice of u64): SipHash-1-3 with
key 0. It is an index only: two fee tiers of one token pair share it, so equality always compares the full content.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct, error
from typing import Final

_MASK: Final = 0xFFFF_FFFF_FFFF_FFFF
_INSTRUMENT: Final = Struct("<HBBQ")
_POOL_HEAD: Final = Struct("<BBHBBQ")
_POOL_TLV_TYPE: Final = 3

ASSET_TOKEN: Final = 50
ASSET_POOL: Final = 100


def siphash13(data: bytes) -> int:
    """SipHash-1-3 with key (0, 0)."""
    v0, v1, v2, v3 = 0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573
    whole = len(data) & ~7
    last = len(data) << 56 & _MASK | int.from_bytes(data[whole:], "little")
    words = [int.from_bytes(data[i : i + 8], "little") for i in range(0, whole, 8)]
    for word in (*words, last):
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3 ^ word)
        v0 ^= word
    v2 ^= 0xFF
    for _ in range(3):
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


def _sip_round(v0: int, v1: int, v2: int, v3: int) -> tuple[int, int, int, int]:
    v0 = v0 + v1 & _MASK
    v1 = (v1 << 13 | v1 >> 51) & _MASK ^ v0
    v0 = (v0 << 32 | v0 >> 32) & _MASK
    v2 = v2 + v3 & _MASK
    v3 = (v3 << 16 | v3 >> 48) & _MASK ^ v2
    v0 = v0 + v3 & _MASK
    v3 = (v3 << 21 | v3 >> 43) & _MASK ^ v0
    v2 = v2 + v1 & _MASK
    v1 = (v1 << 17 | v1 >> 47) & _MASK ^ v2
    v2 = (v2 << 32 | v2 >> 32) & _MASK
    return v0, v1, v2, v3


def token_id(address: bytes) -> int:
    """The bus's 64-bit id of an EVM token: the first eight bytes of its address, read big-endian."""
    return int.from_bytes(address[:8], "big")


def pool_asset_id(first: int, second: int) -> int:
    """The 64-bit asset id of a two-token pool in dialect p1, from its tokens' ids in any order."""
    low, high = sorted((first, second))
    return (low * 31 + high) & _MASK


def fast_hash(venue: int, token_ids: Iterable[int]) -> int:
    """The index hash of a pool of these tokens at ``venue``; order and repetition of the tokens do not matter."""
    tokens = sorted(set(token_ids))
    words = b"".join(token.to_bytes(8, "little") for token in (len(tokens), *tokens))
    return siphash13(venue.to_bytes(2, "little") + words)


@dataclass(frozen=True, slots=True)
class InstrumentId:
    """Anything that trades: venue, kind of asset and a 64-bit id (truncated from the address for tokens)."""

    venue: int
    asset_type: int
    asset_id: int
    reserved: int = 0

    @classmethod
    def token(cls, venue: int, address: bytes) -> InstrumentId:
        """The id of an EVM token."""
        return cls(venue, ASSET_TOKEN, token_id(address))

    @classmethod
    def pool(cls, venue: int, first: int, second: int) -> InstrumentId:
        """The id of a two-token pool in dialect p1."""
        return cls(venue, ASSET_POOL, pool_asset_id(first, second))

    @classmethod
    def from_bytes(cls, data: bytes) -> InstrumentId:
        """Read the 12-byte form.

        Raises:
            ValueError: not 12 bytes.
        """
        if len(data) != _INSTRUMENT.size:
            raise ValueError(f"an InstrumentId has {_INSTRUMENT.size} bytes, not {len(data)}")
        venue, asset_type, reserved, asset_id = _INSTRUMENT.unpack(data)
        return cls(venue, asset_type, asset_id, reserved)

    def to_bytes(self) -> bytes:
        """The 12-byte form."""
        return _INSTRUMENT.pack(self.venue, self.asset_type, self.reserved, self.asset_id)

    def to_u64(self) -> int:
        """The bus's short key; it loses ``reserved`` and the upper 24 bits of ``asset_id``."""
        return self.venue << 48 | self.asset_type << 40 | self.asset_id & (1 << 40) - 1

    def cache_key(self) -> int:
        """The bus's lossless 96-bit key."""
        return self.venue << 80 | self.asset_type << 72 | self.reserved << 64 | self.asset_id


@dataclass(frozen=True, slots=True)
class PoolInstrumentId:
    """A pool by venue and tokens (``token_ids`` ascending, each once)."""

    venue: int
    token_ids: tuple[int, ...]

    @classmethod
    def of(cls, venue: int, token_ids: Iterable[int]) -> PoolInstrumentId:
        """Sort and deduplicate the tokens.

        Raises:
            ValueError: no token, or more than 255.
        """
        tokens = tuple(sorted(set(token_ids)))
        if not 1 <= len(tokens) <= 255:
            raise ValueError(f"a pool id names 1 to 255 tokens, not {len(tokens)}")
        return cls(venue, tokens)

    @classmethod
    def from_bytes(cls, data: bytes) -> PoolInstrumentId:
        """Read the serialised form; its hash is recomputed, never trusted.

        Raises:
            ValueError: wrong type, length or order of tokens, or a hash that does not belong to the content.
        """
        try:
            kind, length, venue, asset_type, count, stored = _POOL_HEAD.unpack_from(data)
        except error:
            raise ValueError(f"a PoolInstrumentId has at least {_POOL_HEAD.size} bytes, not {len(data)}") from None
        if kind != _POOL_TLV_TYPE or asset_type != ASSET_POOL:
            raise ValueError(f"not a pool id: TLV type {kind}, asset type {asset_type}")
        if len(data) != _POOL_HEAD.size + 8 * count or length != min(len(data) - 2, 255):
            raise ValueError(f"a pool id of {count} tokens has {_POOL_HEAD.size + 8 * count} bytes, not {len(data)}")
        body = data[_POOL_HEAD.size :]
        tokens = tuple(int.from_bytes(body[i : i + 8], "little") for i in range(0, len(body), 8))
        found = cls.of(venue, tokens)
        if found.token_ids != tokens:
            raise ValueError("the tokens of a pool id are not in ascending order, each once")
        if found.fast_hash != stored:
            raise ValueError(f"fast_hash {stored:#x} does not belong to this pool ({found.fast_hash:#x} does)")
        return found

    @property
    def fast_hash(self) -> int:
        """The index hash; see the head of this module for what it cannot tell apart."""
        return fast_hash(self.venue, self.token_ids)

    def to_bytes(self) -> bytes:
        """The serialised form, 14 bytes and 8 per token."""
        count = len(self.token_ids)
        head = _POOL_HEAD.pack(_POOL_TLV_TYPE, min(12 + 8 * count, 255), self.venue, ASSET_POOL, count, self.fast_hash)
        return head + b"".join(token.to_bytes(8, "little") for token in self.token_ids)
