"""Pool cache files in both layouts, and every way in which one can be damaged."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasharb.feed.pool_cache import DamagedCache, read_pool_cache
from flasharb.units import address

WMATIC = address("0x0d500b1d8e8ef31e21c99d1db9a6444d3adf1270")
USDC = address("0x2791bca1f2de4661ed88a30c99a7a9449aa84174")
WETH = address("0x7ceb23fd6bc0add59e62ac25578270cff1b9f619")
QUICKSWAP = address("0x6e7a5fafcec6bb1e78bae2a1f0b612012bf14827")
UNISWAP = address("0x45dda9cb7c25131df268515131f647d726f50608")
ROWS = ((QUICKSWAP, WMATIC, USDC, 18, 6, 1, 30), (UNISWAP, USDC, WETH, 6, 18, 2, 500))
SEEN_NS = 1_700_000_000_000_000_000


def flat() -> bytes:
    """As the producer's script writes it: header of 24 bytes, records of 83."""
    header = b"POOL" + bytes((1, 0, 0, 0)) + struct.pack("<IIQ", len(ROWS), 137, SEEN_NS)
    body = b"".join(
        pool + one + other + bytes((d0, d1, kind)) + struct.pack("<IQQ", fee, SEEN_NS, SEEN_NS)
        for pool, one, other, d0, d1, kind, fee in ROWS
    )
    return header + body


def records() -> bytes:
    """As the Rust header describes it: 64 bytes with a checksum, records of 87."""
    body = b"".join(
        bytes((200, 85)) + pool + one + other + bytes((d0, d1, kind)) + struct.pack("<IHQQ", fee, 300, SEEN_NS, SEEN_NS)
        for pool, one, other, d0, d1, kind, fee in ROWS
    )
    header = b"POOL" + struct.pack("<IQIQI", 1, 137, len(ROWS), SEEN_NS // 10**9, zlib.crc32(body)) + bytes(32)
    return header + body


def test_the_layouts_have_the_sizes_of_the_specification() -> None:
    assert (len(flat()), len(records())) == (24 + 2 * 83, 64 + 2 * 87)


@pytest.mark.parametrize("content", [flat(), records()], ids=["flat", "records"])
def test_both_layouts_say_the_same(content: bytes) -> None:
    cache = read_pool_cache(content)
    assert cache.chain_id == 137
    assert [one.pool for one in cache.pools] == [QUICKSWAP, UNISWAP]
    assert [one.tokens for one in cache.pools] == [(WMATIC, USDC), (USDC, WETH)]
    assert [one.decimals for one in cache.pools] == [(18, 6), (6, 18)]
    assert [(one.pool_type, one.fee) for one in cache.pools] == [(1, 30), (2, 500)]


@pytest.mark.parametrize("content", [flat(), records()], ids=["flat", "records"])
def test_no_part_of_a_file_is_a_file(content: bytes) -> None:
    for length in range(len(content)):
        with pytest.raises(DamagedCache):
            read_pool_cache(content[:length])
    with pytest.raises(DamagedCache, match="fit neither layout"):
        read_pool_cache(content + b"\0")


@given(place=st.integers(64, len(records()) - 1), bit=st.integers(0, 7))
def test_any_changed_bit_of_the_records_is_noticed(place: int, bit: int) -> None:
    damaged = bytearray(records())
    damaged[place] ^= 1 << bit
    with pytest.raises(DamagedCache, match="CRC-32"):
        read_pool_cache(bytes(damaged))


def test_a_record_of_another_type_is_named() -> None:
    body = bytearray(records()[64:])
    body[87] = 201
    header = b"POOL" + struct.pack("<IQIQI", 1, 137, 2, 0, zlib.crc32(body)) + bytes(32)
    with pytest.raises(DamagedCache, match="record 1 is of type 201"):
        read_pool_cache(header + body)


def test_another_version_is_refused() -> None:
    with pytest.raises(DamagedCache, match="version 2"):
        read_pool_cache(b"POOL\x02" + flat()[5:])


@given(st.binary(max_size=300))
def test_other_bytes_are_refused_and_nothing_else_is_raised(content: bytes) -> None:
    for begun in (content, b"POOL" + content, b"POOL\1\0\0\0" + content):
        try:
            read_pool_cache(begun)
        except DamagedCache:
            continue
        # 16 more bytes with a count of zero are an empty cache.
        assert len(begun) in (24, 64)
