"""Every published test vector of the bus, read and written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flasharb.feed.instrument import InstrumentId, PoolInstrumentId, fast_hash, pool_asset_id, siphash13, token_id
from flasharb.feed.layouts import CODECS
from flasharb.feed.messages import decode, decode_value, domain_of, encode, encode_value
from flasharb.feed.records import (
    ArbitrageSignal,
    FlashLoanResult,
    Message,
    PoolLiquidity,
    PoolState,
    PoolSwap,
    PoolSync,
    PoolTick,
    Quote,
    RecoveryRequest,
    StateInvalidation,
    Trade,
)
from flasharb.feed.reframer import Reframer
from flasharb.feed.tlv import join, split
from flasharb.feed.wire import Dialect, decode_h1, decode_h2

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "bus_vectors.json").read_text())
TIME = 1_700_000_000_000_000_000

QUICK = bytes.fromhex("6e7a5fafcec6bb1e78bae2a1f0b612012bf14827")
V3 = bytes.fromhex("45dda9cb7c25131df268515131f647d726f50608")
WMATIC = bytes.fromhex("0d500b1d8e8ef31e21c99d1db9a6444d3adf1270")
USDC = bytes.fromhex("2791bca1f2de4661ed88a30c99a7a9449aa84174")
WETH = bytes.fromhex("7ceb23fd6bc0add59e62ac25578270cff1b9f619")
MAINNET_USDC = bytes.fromhex("a0b86991c6218b36c1d19d4a2e9eb0ce3606eb48")
MAINNET_WETH = bytes.fromhex("c02aaa39b223fe8d0a0e5c4f27ead9083c756cc2")

TRADE = Trade(100, 0, 0x12345678, 4_512_350_000_000, 12_345_678, 0, TIME)
QUOTE = Quote(
    101, 1, int.from_bytes(b"BTCUSD\0\0", "big"), 4_512_350_000_000, 50_000_000, 4_512_450_000_000, 25_000_000, TIME
)
SYNC = PoolSync(400, QUICK, WMATIC, USDC, 5 * 10**24, 25 * 10**11, 18, 6, TIME, 48_000_000)
V2_SWAP = PoolSwap(400, QUICK, WMATIC, USDC, 10**21, 498_000_000, 18, 6, 0, 0, 0, TIME, 48_000_001)
V3_SWAP = PoolSwap(301, V3, USDC, WETH, 10**9, 4 * 10**17, 6, 18, 1 << 96, -1, 10**18, TIME, 48_000_002)
LIQUIDITY = PoolLiquidity(400, QUICK, (1, 2), TIME)
STATE = PoolState(400, QUICK, WMATIC, USDC, 0, 18, 6, 5 * 10**24, 25 * 10**11, 0, 0, 0, 30, 48_000_000, TIME)
RECOVERY = RecoveryRequest(1, 10, 20, 1)
SIGNAL = ArbitrageSignal(
    21,
    TIME,
    137,
    QUICK,
    V3,
    400,
    301,
    WMATIC,
    USDC,
    125_000_000,
    100_000_000_000,
    150,
    30_000_000,
    5_000_000,
    1_000_000,
    89_000_000,
    50,
    100,
    1_700_000_300,
    1500,
    TIME,
)
TICK = PoolTick(301, QUICK, -100, -5, 7, TIME)
INVALIDATION = StateInvalidation(301, 5, (InstrumentId(301, 100, 0x367F72E0B033DA17),), 0, TIME)

VALUES: list[tuple[str, Message, Dialect]] = [
    (VECTORS["TradeTLV37"], TRADE, "p1"),
    (VECTORS["TradeTLV40"], TRADE, "p3"),
    (VECTORS["QuoteTLV52"], QUOTE, "p1"),
    (VECTORS["QuoteTLV56"], QUOTE, "p3"),
    (VECTORS["PoolSync110"], SYNC, "p1"),
    (VECTORS["PoolSync160"], SYNC, "p3"),
    (VECTORS["PoolSwap152 V2"], V2_SWAP, "p1"),
    (VECTORS["PoolSwap152 V3"], V3_SWAP, "p1"),
    (VECTORS["PoolSwap208 V3"], V3_SWAP, "p3"),
    (VECTORS["PoolLiquidity(2)"], LIQUIDITY, "p1"),
    (VECTORS["PoolState153"], STATE, "p1"),
    ("012d00000000000000050001012d6400367f72e0b033da170017979cfe362a0000", INVALIDATION, "p1"),
    (
        "2d016e7a5fafcec6bb1e78bae2a1f0b612012bf148279cfffffffbffffffffffffff070000000000000000002a36fe9c9717",
        TICK,
        "p1",
    ),
]

MESSAGES: list[tuple[str, list[Message], dict[str, Any]]] = [
    ("msg H1 trade37", [TRADE], {"dialect": "p1", "domain": 1, "source": 1, "sequence": 42}),
    ("msg P3 trade40 (domain 0, source 1)", [TRADE], {"dialect": "p3", "domain": 0, "source": 1, "sequence": 42}),
    ("msg H1 PoolSync", [SYNC], {"dialect": "p1", "domain": 1, "source": 4, "sequence": 7}),
    ("msg H1 PoolSwap", [V2_SWAP], {"dialect": "p1", "domain": 1, "source": 4, "sequence": 8}),
    ("msg H1 RecoveryRequest", [RECOVERY], {"dialect": "p1", "domain": 1, "source": 20, "sequence": 0}),
    (
        "msg P3 ArbitrageSignal (domain 1, source 10)",
        [SIGNAL],
        {"dialect": "p3", "domain": 1, "source": 10, "sequence": 1},
    ),
    ("msg H1 Trade+Quote seq3 src2", [TRADE, QUOTE], {"dialect": "p1", "domain": 1, "source": 2, "sequence": 3}),
    (
        "msg P3 PoolSync160 (domain 0, source 4, seq 7)",
        [SYNC],
        {"dialect": "p3", "domain": 0, "source": 4, "sequence": 7},
    ),
]


@pytest.mark.parametrize(("text", "message", "dialect"), VALUES)
def test_value_is_written_and_read_as_published(text: str, message: Message, dialect: Dialect) -> None:
    value = bytes.fromhex(text)
    assert encode_value(message, dialect).hex() == text
    assert decode_value(message.TYPE, value, dialect) == message  # type: ignore[union-attr]


@pytest.mark.parametrize(("name", "messages", "header"), MESSAGES)
def test_message_is_written_and_read_as_published(name: str, messages: list[Message], header: dict[str, Any]) -> None:
    data = bytes.fromhex(VECTORS[name])
    assert encode(messages, timestamp_ns=TIME, **header) == data
    for dialect in ("auto", header["dialect"]):
        reframer = Reframer(dialect)
        (frame,) = reframer.feed(data)
        assert {key: getattr(frame, key) for key in header} == header
        assert frame.timestamp_ns == TIME
        assert decode(frame) == messages
        assert reframer.counters.dropped_bytes == 0


def test_h2_message_is_counted_and_skipped() -> None:
    data = bytes.fromhex(VECTORS["msg H2 trade37"])
    header = decode_h2(data)
    assert (header.sequence, header.timestamp_ns, header.payload_size, header.source) == (42, TIME, 39, 1)
    assert (header.domain, header.version, header.flags) == (1, 1, 0)
    reframer = Reframer("auto")
    sync = bytes.fromhex(VECTORS["msg H1 PoolSync"])
    assert [decode(frame) for frame in reframer.feed(sync + data + sync)] == [[SYNC], [SYNC]]
    assert (reframer.counters.h2_frames, reframer.counters.dropped_bytes, reframer.counters.resyncs) == (1, 0, 0)


def test_default_domains_are_those_of_the_builders() -> None:
    assert [domain_of(message, "p1") for message in (SYNC, SIGNAL, RECOVERY)] == [1, 2, 4]
    assert [domain_of(message, "p3") for message in (SYNC, SIGNAL, RECOVERY)] == [0, 1, 3]
    result = FlashLoanResult(1, 21, 1, 2, bytes(32), 3, 4, 5, -6, 7)
    assert domain_of(result, "p1") == 2


def test_flash_loan_result_has_our_layout() -> None:
    result = FlashLoanResult(2, 21, 61_861, 7, bytes(range(32)), 100, 200_000, 10**9, -(10**15), 12_345)
    value = encode_value(result, "p1")
    assert value == encode_value(result, "p3")
    assert (len(value), value[0], value[1], value[16:48]) == (96, 1, 2, bytes(range(32)))
    assert int.from_bytes(value[2:4], "little") == 21
    assert int.from_bytes(value[4:8], "little") == 61_861
    assert int.from_bytes(value[72:88], "little", signed=True) == -(10**15)
    assert int.from_bytes(value[88:96], "little") == 12_345
    assert decode_value(67, value, "p1") == result


def test_sizes_are_the_published_ones() -> None:
    swap, sync = encode_value(V2_SWAP, "p1"), encode_value(SYNC, "p1")
    assert VECTORS["sizes"] == {
        "trade37": len(encode_value(TRADE, "p1")),
        "trade40": len(encode_value(TRADE, "p3")),
        "quote52": len(encode_value(QUOTE, "p1")),
        "quote56": len(encode_value(QUOTE, "p3")),
        "swap152": len(swap),
        "swap208": len(encode_value(V2_SWAP, "p3")),
        "sync110": len(sync),
        "sync160": len(encode_value(SYNC, "p3")),
        "state153": len(encode_value(STATE, "p1")),
        "arb": len(encode_value(SIGNAL, "p3")),
        "rec": len(encode_value(RECOVERY, "p1")),
    }
    assert VECTORS["ArbitrageSignal170 len"] == len(encode_value(SIGNAL, "p1"))


def test_closed_list_of_types() -> None:
    shared = {1, 2, 11, 12, 13, 14, 15, 16, 32, 67, 100, 101, 106, 110}
    assert set(CODECS["p1"]) == shared | {10}
    assert set(CODECS["p3"]) == shared | {18}


def test_hashes_and_ids() -> None:
    assert siphash13(b"") == int(VECTORS["siphash13_empty"], 16)
    for key, expected in VECTORS.items():
        if key.startswith("fast_hash"):
            venue = int(key.split("venue=")[1].split()[0])
            tokens = [int(text.strip(" '"), 16) for text in key.split("[")[1].rstrip("]").split(",")]
            assert fast_hash(venue, tokens) == int(expected, 16)
    assert PoolInstrumentId.of(300, [2, 1]).to_bytes().hex() == VECTORS["pool_tlv venue=300 tokens=[1,2]"]
    usdc = InstrumentId.token(200, MAINNET_USDC)
    assert usdc.to_bytes().hex() == VECTORS["InstrumentId ETH USDC bytes"]
    assert InstrumentId.from_bytes(usdc.to_bytes()) == usdc
    assert usdc.to_u64() == int(VECTORS["to_u64"], 16)
    assert usdc.cache_key() == int(VECTORS["cache_key"], 16)
    pool = pool_asset_id(token_id(MAINNET_WETH), token_id(MAINNET_USDC))
    assert pool == int(VECTORS["pool asset_id P1 (lo*31+hi)"], 16)
    assert InstrumentId.pool(301, token_id(MAINNET_USDC), token_id(MAINNET_WETH)).asset_id == pool


def test_siphash_agrees_with_cpython() -> None:
    # CPython hashes bytes with SipHash-1-3 too; with PYTHONHASHSEED=0 its key is (0, 0).
    import os
    import subprocess
    import sys

    if sys.hash_info.algorithm != "siphash13":
        pytest.skip(f"this Python hashes with {sys.hash_info.algorithm}")
    program = "print([hash(bytes(range(n))) & (1 << 64) - 1 for n in range(1, 70)])"
    output = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": "0"}, capture_output=True, check=True
    ).stdout
    assert json.loads(output) == [siphash13(bytes(range(n))) for n in range(1, 70)]


def test_extended_tlv() -> None:
    forced = bytes.fromhex(VECTORS["extended TLV type3 payload 0102030405"])
    assert join(3, bytes([1, 2, 3, 4, 5]), extended=True) == forced
    assert split(forced) == [(3, bytes([1, 2, 3, 4, 5]))]
    value = bytes(range(256)) + bytes(44)
    published = "efbeadde0101040031010000090000000000000000002a36fe9c9717ec5badecff00032c0100010203040506"
    from flasharb.feed.records import Opaque

    data = encode(Opaque(3, value), source=4, sequence=9, timestamp_ns=TIME)
    assert data.hex().startswith(published)
    assert len(data) == 337
    (frame,) = Reframer().feed(data)
    assert decode(frame) == [Opaque(3, value)]
    assert decode_h1(data).payload_size == 305


def test_wrong_hash_of_a_pool_is_rejected() -> None:
    data = bytearray(PoolInstrumentId.of(301, [5, 9]).to_bytes())
    assert PoolInstrumentId.from_bytes(bytes(data)).token_ids == (5, 9)
    data[6] ^= 1
    with pytest.raises(ValueError, match="does not belong to this pool"):
        PoolInstrumentId.from_bytes(bytes(data))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data[:3],
        lambda data: b"\x04" + data[1:],
        lambda data: data[:14] + data[22:] + data[14:22],
    ],
)
def test_damaged_pool_ids_are_refused(spoil: Any) -> None:
    with pytest.raises(ValueError, match=r"pool id|PoolInstrumentId|tokens"):
        PoolInstrumentId.from_bytes(spoil(PoolInstrumentId.of(301, [5, 9]).to_bytes()))
