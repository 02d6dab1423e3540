"""Pool cache files of the bus's makers: which pools a producer has seen. Two layouts share magic and version.

``records``: what the Rust header describes: 64 bytes, then records of 87 bytes with a type and a length in front and a
CRC-32 over all of them in the header. ``flat``: what is really shipped, written by a script: 24 bytes, then records of
83 bytes, without a checksum. Only the file's length tells them apart, so it must fit one of them to the byte. Nothing
in the file is believed: pools are vouched for by their factories, and the fee is in units that differ by record.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from struct import Struct
from typing import Final

from flasharb.units import Address

MAGIC: Final = b"POOL"
VERSION: Final = 1

_RECORDS_HEADER: Final = Struct("<4sIQIQI32x")
_RECORD: Final = Struct("<BB20s20s20sBBBIHQQ")
_RECORD_TYPE, _RECORD_LENGTH = 200, 85
_FLAT_HEADER: Final = Struct("<4sIIIQ")
_FLAT_RECORD: Final = Struct("<20s20s20sBBBIQQ")


class DamagedCache(ValueError):
    """The bytes are no pool cache; the message says what is wrong and where."""


@dataclass(frozen=True, slots=True)
class CachedPool:
    """A pool as the cache names it. ``pool_type`` is the producer's; ``fee`` has no unit of its own."""

    pool: Address
    tokens: tuple[Address, Address]
    decimals: tuple[int, int]
    pool_type: int
    fee: int


@dataclass(frozen=True, slots=True)
class PoolCache:
    """A whole file, in its order; an address may come more than once."""

    chain_id: int
    pools: tuple[CachedPool, ...]


def is_pool_cache(content: bytes) -> bool:
    """Whether the bytes begin like a pool cache."""
    return content[:4] == MAGIC


def read_pool_cache(content: bytes) -> PoolCache:
    """Read a file of either layout.

    Raises:
        DamagedCache: cut short, too long, another version, a wrong checksum or a record that is none.
    """
    if not is_pool_cache(content):
        raise DamagedCache(f"does not begin with {MAGIC.decode()}")
    if len(content) < _FLAT_HEADER.size:
        raise DamagedCache(f"{len(content)} bytes are no header")
    version = int.from_bytes(content[4:8], "little")
    if version != VERSION:
        raise DamagedCache(f"version {version} is not {VERSION}")
    _, _, flat_count, flat_chain, _ = _FLAT_HEADER.unpack_from(content)
    if len(content) == _FLAT_HEADER.size + flat_count * _FLAT_RECORD.size:
        return PoolCache(flat_chain, tuple(_flat(content, place) for place in range(flat_count)))
    if len(content) >= _RECORDS_HEADER.size:
        _, _, chain_id, count, _, checksum = _RECORDS_HEADER.unpack_from(content)
        if len(content) == _RECORDS_HEADER.size + count * _RECORD.size:
            found = zlib.crc32(content[_RECORDS_HEADER.size :])
            if found != checksum:
                raise DamagedCache(f"the records' CRC-32 is {found:#010x}, the header says {checksum:#010x}")
            return PoolCache(chain_id, tuple(_record(content, place) for place in range(count)))
    raise DamagedCache(f"{len(content)} bytes fit neither layout: cut short, or something was added")


def _record(content: bytes, place: int) -> CachedPool:
    at = _RECORDS_HEADER.size + place * _RECORD.size
    kind, length, pool, token0, token1, decimals0, decimals1, pool_type, fee, *_ = _RECORD.unpack_from(content, at)
    if (kind, length) != (_RECORD_TYPE, _RECORD_LENGTH):
        raise DamagedCache(f"record {place} is of type {kind} and {length} bytes, not {_RECORD_TYPE} and 85")
    return _pool(pool, token0, token1, (decimals0, decimals1), pool_type, fee)


def _flat(content: bytes, place: int) -> CachedPool:
    at = _FLAT_HEADER.size + place * _FLAT_RECORD.size
    pool, token0, token1, decimals0, decimals1, pool_type, fee, *_ = _FLAT_RECORD.unpack_from(content, at)
    return _pool(pool, token0, token1, (decimals0, decimals1), pool_type, fee)


def _pool(pool: bytes, token0: bytes, token1: bytes, decimals: tuple[int, int], pool_type: int, fee: int) -> CachedPool:
    return CachedPool(Address(pool), (Address(token0), Address(token1)), decimals, pool_type, fee)
