"""Byte layouts of the messages, ``spec`` § 1.5: p1 is packed, p3 aligned with addresses in 32-byte fields.

Every decoder wants the exact length of its layout and raises ``struct.error`` or ``MalformedMessage`` otherwise; every
encoder raises ``struct.error`` or ``OverflowError`` for a value that does not fit.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any, Final
from zlib import crc32, decompressobj
from zlib import error as zlib_error

import msgspec

from flasharb.feed.instrument import InstrumentId
from flasharb.feed.records import (
    MAX_SNAPSHOT_BYTES,
    ArbitrageSignal,
    FlashLoanResult,
    GasPrice,
    Heartbeat,
    PoolBurn,
    PoolLiquidity,
    PoolMint,
    PoolState,
    PoolSwap,
    PoolSync,
    PoolTick,
    Quote,
    RecoveryRequest,
    Snapshot,
    StateInvalidation,
    Trade,
)
from flasharb.feed.tlv import MalformedMessage
from flasharb.feed.wire import Dialect

_U64: Final = 0xFFFF_FFFF_FFFF_FFFF


class Codec(msgspec.Struct, frozen=True):
    """How one message's value bytes are written and read."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


def _raw(value: bytes, size: int) -> bytes:
    # struct's "20s" would cut or pad a wrong length without a word.
    if len(value) != size:
        raise OverflowError(f"{len(value)} bytes where {size} belong")
    return value


def _address(value: bytes) -> bytes:
    return _raw(value, 20)


def _low(value: int) -> int:
    return value & _U64


def _high(value: int) -> int:
    """The upper half of a u128; struct refuses it when the number is negative or too large."""
    return value >> 64


def _plain(kind: type[msgspec.Struct], form: str, names: str) -> Codec:
    """A layout that is just these fields in this order."""
    layout, fields = Struct(form), names.split()

    def encode(message: Any) -> bytes:
        return layout.pack(*[getattr(message, name) for name in fields])

    def decode(value: bytes) -> Any:
        return kind(**dict(zip(fields, layout.unpack(value), strict=True)))

    return Codec(encode, decode)


_trade_p1: Final = _plain(Trade, "<HBBQqqBQ", "venue asset_type reserved asset_id price_e8 volume_e8 side timestamp_ns")
_trade_p3: Final = _plain(
    Trade, "<QqqQHBBB3x", "asset_id price_e8 volume_e8 timestamp_ns venue asset_type reserved side"
)
_quote_p1: Final = _plain(
    Quote,
    "<HBBQqqqqQ",
    "venue asset_type reserved asset_id bid_price_e8 bid_size_e8 ask_price_e8 ask_size_e8 timestamp_ns",
)
_quote_p3: Final = _plain(
    Quote,
    "<QqqqqQHBB4x",
    "asset_id bid_price_e8 bid_size_e8 ask_price_e8 ask_size_e8 timestamp_ns venue asset_type reserved",
)
_gas_price: Final = _plain(
    GasPrice, "<QQIIIHH", "block_number timestamp_ns gas_price_gwei base_fee_gwei priority_fee_gwei venue reserved"
)
_heartbeat: Final = _plain(Heartbeat, "<QQ", "timestamp_ns block_number")


# PoolLiquidity (10), p1 only

_LIQUIDITY_HEAD: Final = Struct("<H20sB")


def _encode_liquidity(m: PoolLiquidity) -> bytes:
    reserves = b"".join(reserve.to_bytes(16, "little") for reserve in m.reserves)
    head = _LIQUIDITY_HEAD.pack(m.venue, _address(m.pool), len(m.reserves))
    return head + reserves + m.timestamp_ns.to_bytes(8, "little")


def _decode_liquidity(value: bytes) -> PoolLiquidity:
    venue, pool, count = _LIQUIDITY_HEAD.unpack_from(value)
    end = _LIQUIDITY_HEAD.size + 16 * count
    if len(value) != end + 8:
        raise MalformedMessage(f"PoolLiquidity of {count} reserves has {end + 8} bytes, not {len(value)}")
    reserves = tuple(int.from_bytes(value[i : i + 16], "little") for i in range(_LIQUIDITY_HEAD.size, end, 16))
    return PoolLiquidity(venue, pool, reserves, int.from_bytes(value[end:], "little"))


# PoolSwap (11)

_SWAP_P1: Final = Struct("<H20s20s20sQQQQBB20siQQQQ")
_SWAP_P3: Final = Struct("<QQQQQQQQiHBB8x20s12x20s12x20s12x32s")


def _encode_swap_p1(m: PoolSwap) -> bytes:
    return _SWAP_P1.pack(
        m.venue,
        _address(m.pool),
        _address(m.token_in),
        _address(m.token_out),
        _low(m.amount_in),
        _high(m.amount_in),
        _low(m.amount_out),
        _high(m.amount_out),
        m.decimals_in,
        m.decimals_out,
        m.sqrt_price_x96.to_bytes(20, "big"),
        m.tick,
        _low(m.liquidity),
        _high(m.liquidity),
        m.timestamp_ns,
        m.block_number,
    )


def _decode_swap_p1(value: bytes) -> PoolSwap:
    (
        venue, pool, token_in, token_out, in_low, in_high, out_low, out_high, decimals_in, decimals_out, price, tick,
        liquidity_low, liquidity_high, timestamp_ns, block,
    ) = _SWAP_P1.unpack(value)  # fmt: skip
    return PoolSwap(
        venue,
        pool,
        token_in,
        token_out,
        in_low | in_high << 64,
        out_low | out_high << 64,
        decimals_in,
        decimals_out,
        int.from_bytes(price, "big"),
        tick,
        liquidity_low | liquidity_high << 64,
        timestamp_ns,
        block,
    )


def _encode_swap_p3(m: PoolSwap) -> bytes:
    # Others write (and read) only the low 128 bits of the price; the field has room for all 160, so we fill it.
    return _SWAP_P3.pack(
        _low(m.amount_in),
        _high(m.amount_in),
        _low(m.amount_out),
        _high(m.amount_out),
        _low(m.liquidity),
        _high(m.liquidity),
        m.timestamp_ns,
        m.block_number,
        m.tick,
        m.venue,
        m.decimals_in,
        m.decimals_out,
        _address(m.pool),
        _address(m.token_in),
        _address(m.token_out),
        m.sqrt_price_x96.to_bytes(20, "little"),
    )


def _decode_swap_p3(value: bytes) -> PoolSwap:
    (
        in_low, in_high, out_low, out_high, liquidity_low, liquidity_high, timestamp_ns, block, tick, venue,
        decimals_in, decimals_out, pool, token_in, token_out, price,
    ) = _SWAP_P3.unpack(value)  # fmt: skip
    return PoolSwap(
        venue,
        pool,
        token_in,
        token_out,
        in_low | in_high << 64,
        out_low | out_high << 64,
        decimals_in,
        decimals_out,
        int.from_bytes(price, "little"),
        tick,
        liquidity_low | liquidity_high << 64,
        timestamp_ns,
        block,
    )


# PoolMint and PoolBurn (12, 13)

_MINT_P1: Final = Struct("<H20s20s20s20siiQQQQQQBBQ")
_MINT_P3: Final = Struct("<QQQQQQQiiHBB12x20s12x20s12x20s12x20s12x")


def _encode_mint_p1(m: PoolMint) -> bytes:
    return _MINT_P1.pack(
        m.venue,
        _address(m.pool),
        _address(m.token0),
        _address(m.token1),
        _address(m.provider),
        m.tick_lower,
        m.tick_upper,
        _low(m.liquidity),
        _high(m.liquidity),
        _low(m.amount0),
        _high(m.amount0),
        _low(m.amount1),
        _high(m.amount1),
        m.decimals0,
        m.decimals1,
        m.timestamp_ns,
    )


def _encode_mint_p3(m: PoolMint) -> bytes:
    return _MINT_P3.pack(
        _low(m.liquidity),
        _high(m.liquidity),
        _low(m.amount0),
        _high(m.amount0),
        _low(m.amount1),
        _high(m.amount1),
        m.timestamp_ns,
        m.tick_lower,
        m.tick_upper,
        m.venue,
        m.decimals0,
        m.decimals1,
        _address(m.pool),
        _address(m.provider),
        _address(m.token0),
        _address(m.token1),
    )


def _mint_p1(kind: type[PoolMint]) -> Codec:
    def decode(value: bytes) -> PoolMint:
        (
            venue, pool, token0, token1, provider, lower, upper, low, high, low0, high0, low1, high1, decimals0,
            decimals1, timestamp_ns,
        ) = _MINT_P1.unpack(value)  # fmt: skip
        return kind(
            venue,
            pool,
            token0,
            token1,
            provider,
            lower,
            upper,
            low | high << 64,
            low0 | high0 << 64,
            low1 | high1 << 64,
            decimals0,
            decimals1,
            timestamp_ns,
        )

    return Codec(_encode_mint_p1, decode)


def _mint_p3(kind: type[PoolMint]) -> Codec:
    def decode(value: bytes) -> PoolMint:
        (
            low, high, low0, high0, low1, high1, timestamp_ns, lower, upper, venue, decimals0, decimals1, pool,
            provider, token0, token1,
        ) = _MINT_P3.unpack(value)  # fmt: skip
        return kind(
            venue,
            pool,
            token0,
            token1,
            provider,
            lower,
            upper,
            low | high << 64,
            low0 | high0 << 64,
            low1 | high1 << 64,
            decimals0,
            decimals1,
            timestamp_ns,
        )

    return Codec(_encode_mint_p3, decode)


# PoolTick (14)

_TICK_P1: Final = Struct("<H20siqQQ")
_TICK_P3: Final = Struct("<qQQiH2x20s12x")


def _encode_tick_p1(m: PoolTick) -> bytes:
    return _TICK_P1.pack(m.venue, _address(m.pool), m.tick, m.liquidity_net, m.sqrt_price, m.timestamp_ns)


def _decode_tick_p1(value: bytes) -> PoolTick:
    return PoolTick(*_TICK_P1.unpack(value))


def _encode_tick_p3(m: PoolTick) -> bytes:
    return _TICK_P3.pack(m.liquidity_net, m.sqrt_price, m.timestamp_ns, m.tick, m.venue, _address(m.pool))


def _decode_tick_p3(value: bytes) -> PoolTick:
    liquidity_net, sqrt_price, timestamp_ns, tick, venue, pool = _TICK_P3.unpack(value)
    return PoolTick(venue, pool, tick, liquidity_net, sqrt_price, timestamp_ns)


# PoolState (15)

_STATE_P1: Final = Struct("<H20s20s20sBBBQQQQQQiQQIQQ")
_STATE_P3: Final = Struct("<QQQQQQQQQQiIHBBB3x20s12x20s12x20s12x")


def _encode_state_p1(m: PoolState) -> bytes:
    return _STATE_P1.pack(
        m.venue,
        _address(m.pool),
        _address(m.token0),
        _address(m.token1),
        m.pool_type,
        m.decimals0,
        m.decimals1,
        _low(m.reserve0),
        _high(m.reserve0),
        _low(m.reserve1),
        _high(m.reserve1),
        _low(m.sqrt_price_low128),
        _high(m.sqrt_price_low128),
        m.tick,
        _low(m.liquidity),
        _high(m.liquidity),
        m.fee_bps,
        m.block_number,
        m.timestamp_ns,
    )


def _decode_state_p1(value: bytes) -> PoolState:
    (
        venue, pool, token0, token1, pool_type, decimals0, decimals1, low0, high0, low1, high1, price_low, price_high,
        tick, liquidity_low, liquidity_high, fee_bps, block, timestamp_ns,
    ) = _STATE_P1.unpack(value)  # fmt: skip
    return PoolState(
        venue,
        pool,
        token0,
        token1,
        pool_type,
        decimals0,
        decimals1,
        low0 | high0 << 64,
        low1 | high1 << 64,
        price_low | price_high << 64,
        tick,
        liquidity_low | liquidity_high << 64,
        fee_bps,
        block,
        timestamp_ns,
    )


def _encode_state_p3(m: PoolState) -> bytes:
    return _STATE_P3.pack(
        _low(m.reserve0),
        _high(m.reserve0),
        _low(m.reserve1),
        _high(m.reserve1),
        _low(m.sqrt_price_low128),
        _high(m.sqrt_price_low128),
        _low(m.liquidity),
        _high(m.liquidity),
        m.block_number,
        m.timestamp_ns,
        m.tick,
        m.fee_bps,
        m.venue,
        m.pool_type,
        m.decimals0,
        m.decimals1,
        _address(m.pool),
        _address(m.token0),
        _address(m.token1),
    )


def _decode_state_p3(value: bytes) -> PoolState:
    (
        low0, high0, low1, high1, price_low, price_high, liquidity_low, liquidity_high, block, timestamp_ns, tick,
        fee_bps, venue, pool_type, decimals0, decimals1, pool, token0, token1,
    ) = _STATE_P3.unpack(value)  # fmt: skip
    return PoolState(
        venue,
        pool,
        token0,
        token1,
        pool_type,
        decimals0,
        decimals1,
        low0 | high0 << 64,
        low1 | high1 << 64,
        price_low | price_high << 64,
        tick,
        liquidity_low | liquidity_high << 64,
        fee_bps,
        block,
        timestamp_ns,
    )


# PoolSync (16)

_SYNC_P1: Final = Struct("<H20s20s20sQQQQBBQQ")
_SYNC_P3: Final = Struct("<QQQQQQHBB12x20s12x20s12x20s12x")


def _encode_sync_p1(m: PoolSync) -> bytes:
    return _SYNC_P1.pack(
        m.venue,
        _address(m.pool),
        _address(m.token0),
        _address(m.token1),
        _low(m.reserve0),
        _high(m.reserve0),
        _low(m.reserve1),
        _high(m.reserve1),
        m.decimals0,
        m.decimals1,
        m.timestamp_ns,
        m.block_number,
    )


def _decode_sync_p1(value: bytes) -> PoolSync:
    (
        venue, pool, token0, token1, low0, high0, low1, high1, decimals0, decimals1, timestamp_ns, block,
    ) = _SYNC_P1.unpack(value)  # fmt: skip
    return PoolSync(
        venue,
        pool,
        token0,
        token1,
        low0 | high0 << 64,
        low1 | high1 << 64,
        decimals0,
        decimals1,
        timestamp_ns,
        block,
    )


def _encode_sync_p3(m: PoolSync) -> bytes:
    return _SYNC_P3.pack(
        _low(m.reserve0),
        _high(m.reserve0),
        _low(m.reserve1),
        _high(m.reserve1),
        m.timestamp_ns,
        m.block_number,
        m.venue,
        m.decimals0,
        m.decimals1,
        _address(m.pool),
        _address(m.token0),
        _address(m.token1),
    )


def _decode_sync_p3(value: bytes) -> PoolSync:
    (
        low0, high0, low1, high1, timestamp_ns, block, venue, decimals0, decimals1, pool, token0, token1,
    ) = _SYNC_P3.unpack(value)  # fmt: skip
    return PoolSync(
        venue,
        pool,
        token0,
        token1,
        low0 | high0 << 64,
        low1 | high1 << 64,
        decimals0,
        decimals1,
        timestamp_ns,
        block,
    )


# ArbitrageSignal (32): the same 170 bytes in both dialects

_SIGNAL: Final = Struct("<HQI20s20sHH20s20sqqHqqqqHIIH2xQ")


def _encode_signal(m: ArbitrageSignal) -> bytes:
    return _SIGNAL.pack(
        m.strategy_id,
        m.signal_id,
        m.chain_id,
        _address(m.source_pool),
        _address(m.target_pool),
        m.source_venue,
        m.target_venue,
        _address(m.token_in),
        _address(m.token_out),
        m.expected_profit_e8,
        m.required_capital_e8,
        m.spread_bps,
        m.dex_fees_e8,
        m.gas_cost_e8,
        m.slippage_e8,
        m.net_profit_e8,
        m.slippage_tolerance_bps,
        m.max_gas_gwei,
        m.valid_until_s,
        m.priority,
        m.timestamp_ns,
    )


def _decode_signal(value: bytes) -> ArbitrageSignal:
    return ArbitrageSignal(*_SIGNAL.unpack(value))


# FlashLoanResult (67): our own layout, version 1

_RESULT: Final = Struct("<BBHIQ32sQQQQqQ")
_RESULT_VERSION: Final = 1


def _encode_result(m: FlashLoanResult) -> bytes:
    return _RESULT.pack(
        _RESULT_VERSION,
        m.outcome,
        m.strategy_id,
        m.chain_id,
        m.opportunity_id,
        _raw(m.tx_hash, 32),
        m.block_number,
        m.gas_used,
        m.effective_gas_price_wei,
        m.net_profit_wei & _U64,
        m.net_profit_wei >> 64,
        m.latency_ns,
    )


def _decode_result(value: bytes) -> FlashLoanResult:
    (
        version, outcome, strategy, chain, opportunity, tx_hash, block, gas_used, gas_price, profit_low, profit_high,
        latency,
    ) = _RESULT.unpack(value)  # fmt: skip
    if version != _RESULT_VERSION:
        raise MalformedMessage(f"FlashLoanResult version {version} (known: {_RESULT_VERSION})")
    profit = profit_low | profit_high << 64
    return FlashLoanResult(outcome, strategy, chain, opportunity, tx_hash, block, gas_used, gas_price, profit, latency)


# Snapshot (101): a header that repeats the TLV's, then JSON; only "none" is ever written by known producers

_SNAPSHOT: Final = Struct("<BBIQQBII3x")
_SNAPSHOT_UNCOMPRESSED: Final = 0
_SNAPSHOT_ZLIB: Final = 1


def _encode_snapshot(m: Snapshot) -> bytes:
    if len(m.state) > MAX_SNAPSHOT_BYTES:
        raise OverflowError(f"a snapshot of {len(m.state)} bytes; the most is {MAX_SNAPSHOT_BYTES}")
    head = _SNAPSHOT.pack(
        Snapshot.TYPE,
        _SNAPSHOT.size - 2,
        m.snapshot_id,
        m.sequence,
        m.timestamp_ns,
        _SNAPSHOT_UNCOMPRESSED,
        crc32(m.state),
        len(m.state),
    )
    return head + m.state


def _decode_snapshot(value: bytes) -> Snapshot:
    _, _, snapshot_id, sequence, timestamp_ns, compression, checksum, size = _SNAPSHOT.unpack_from(value)
    if size > MAX_SNAPSHOT_BYTES:
        raise MalformedMessage(f"Snapshot of {size} bytes; the most accepted is {MAX_SNAPSHOT_BYTES}")
    state = value[_SNAPSHOT.size :]
    if compression == _SNAPSHOT_ZLIB:
        try:
            # One byte more than announced is enough to see that the size is a lie, however far it would unfold.
            state = decompressobj().decompress(state, size + 1)
        except zlib_error as problem:
            raise MalformedMessage(f"Snapshot that does not decompress: {problem}") from None
    elif compression != _SNAPSHOT_UNCOMPRESSED:
        raise MalformedMessage(f"Snapshot compression {compression} (known: 0 none, 1 zlib)")
    if len(state) != size or crc32(state) != checksum:
        raise MalformedMessage("Snapshot whose size or CRC does not belong to its state")
    return Snapshot(snapshot_id, sequence, timestamp_ns, state)


# StateInvalidation (106): the only big-endian layout of the bus

_INVALIDATION_HEAD: Final = Struct(">HQH")
_INVALIDATION_ITEM: Final = Struct(">HBBQ")
_INVALIDATION_TAIL: Final = Struct(">BQ")


def _encode_invalidation(m: StateInvalidation) -> bytes:
    head = _INVALIDATION_HEAD.pack(m.venue, m.sequence, len(m.instruments))
    items = b"".join(
        _INVALIDATION_ITEM.pack(item.venue, item.asset_type, item.reserved, item.asset_id) for item in m.instruments
    )
    return head + items + _INVALIDATION_TAIL.pack(m.reason, m.timestamp_ns)


def _decode_invalidation(value: bytes) -> StateInvalidation:
    venue, sequence, count = _INVALIDATION_HEAD.unpack_from(value)
    start = _INVALIDATION_HEAD.size
    end = start + count * _INVALIDATION_ITEM.size
    if len(value) != end + _INVALIDATION_TAIL.size:
        raise MalformedMessage(f"StateInvalidation of {count} instruments with {len(value)} bytes")
    instruments = tuple(
        InstrumentId(item_venue, asset_type, asset_id, reserved)
        for item_venue, asset_type, reserved, asset_id in _INVALIDATION_ITEM.iter_unpack(value[start:end])
    )
    reason, timestamp_ns = _INVALIDATION_TAIL.unpack_from(value, end)
    return StateInvalidation(venue, sequence, instruments, reason, timestamp_ns)


# RecoveryRequest (110): repeats its own TLV header inside, with a length that producers get wrong the same way

_RECOVERY: Final = Struct("<BBIQQBx")
_RECOVERY_INNER_LENGTH: Final = 20


def _encode_recovery(m: RecoveryRequest) -> bytes:
    return _RECOVERY.pack(
        RecoveryRequest.TYPE,
        _RECOVERY_INNER_LENGTH,
        m.consumer_id,
        m.last_sequence,
        m.current_sequence,
        m.request_type,
    )


def _decode_recovery(value: bytes) -> RecoveryRequest:
    _, _, consumer_id, last_sequence, current_sequence, request_type = _RECOVERY.unpack(value)
    return RecoveryRequest(consumer_id, last_sequence, current_sequence, request_type)


_BOTH: Final = {
    ArbitrageSignal.TYPE: Codec(_encode_signal, _decode_signal),
    FlashLoanResult.TYPE: Codec(_encode_result, _decode_result),
    Heartbeat.TYPE: _heartbeat,
    Snapshot.TYPE: Codec(_encode_snapshot, _decode_snapshot),
    StateInvalidation.TYPE: Codec(_encode_invalidation, _decode_invalidation),
    RecoveryRequest.TYPE: Codec(_encode_recovery, _decode_recovery),
}

CODECS: Final[dict[Dialect, dict[int, Codec]]] = {
    "p1": {
        Trade.TYPE: _trade_p1,
        Quote.TYPE: _quote_p1,
        PoolLiquidity.TYPE: Codec(_encode_liquidity, _decode_liquidity),
        PoolSwap.TYPE: Codec(_encode_swap_p1, _decode_swap_p1),
        PoolMint.TYPE: _mint_p1(PoolMint),
        PoolBurn.TYPE: _mint_p1(PoolBurn),
        PoolTick.TYPE: Codec(_encode_tick_p1, _decode_tick_p1),
        PoolState.TYPE: Codec(_encode_state_p1, _decode_state_p1),
        PoolSync.TYPE: Codec(_encode_sync_p1, _decode_sync_p1),
        **_BOTH,
    },
    "p3": {
        Trade.TYPE: _trade_p3,
        Quote.TYPE: _quote_p3,
        PoolSwap.TYPE: Codec(_encode_swap_p3, _decode_swap_p3),
        PoolMint.TYPE: _mint_p3(PoolMint),
        PoolBurn.TYPE: _mint_p3(PoolBurn),
        PoolTick.TYPE: Codec(_encode_tick_p3, _decode_tick_p3),
        PoolState.TYPE: Codec(_encode_state_p3, _decode_state_p3),
        PoolSync.TYPE: Codec(_encode_sync_p3, _decode_sync_p3),
        GasPrice.TYPE: _gas_price,
        **_BOTH,
    },
}
"""Every dialect's layouts by TLV type."""
