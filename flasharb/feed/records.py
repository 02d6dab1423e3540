"""The messages that flasharb reads and writes, one struct each: a closed list.

Amounts are unsigned integers in a token's smallest unit, addresses 20 raw bytes, ``_e8`` numbers have 8 decimals,
``timestamp_ns`` counts from the Unix epoch. ``feed.layouts`` has their bytes, ``feed.messages`` reads and writes them.
"""

from __future__ import annotations

from typing import ClassVar, Final, TypeAlias

import msgspec

from flasharb.feed.instrument import InstrumentId


class Trade(msgspec.Struct, frozen=True, gc=False):
    """A trade print: a price hint, it carries no reserves. ``side`` is 0 for buy, 1 for sell."""

    TYPE: ClassVar[int] = 1
    venue: int
    asset_type: int
    asset_id: int
    price_e8: int
    volume_e8: int
    side: int
    timestamp_ns: int
    reserved: int = 0


class Quote(msgspec.Struct, frozen=True, gc=False):
    """Best bid and ask: a price hint."""

    TYPE: ClassVar[int] = 2
    venue: int
    asset_type: int
    asset_id: int
    bid_price_e8: int
    bid_size_e8: int
    ask_price_e8: int
    ask_size_e8: int
    timestamp_ns: int
    reserved: int = 0


class PoolLiquidity(msgspec.Struct, frozen=True, gc=False):
    """Reserves of a pool without its tokens (dialect p1 only: p3's layout depends on the producer's compiler)."""

    TYPE: ClassVar[int] = 10
    venue: int
    pool: bytes
    reserves: tuple[int, ...]
    timestamp_ns: int


class PoolSwap(msgspec.Struct, frozen=True, gc=False):
    """A swap; price, tick and liquidity after it are zero for constant-product pools."""

    TYPE: ClassVar[int] = 11
    venue: int
    pool: bytes
    token_in: bytes
    token_out: bytes
    amount_in: int
    amount_out: int
    decimals_in: int
    decimals_out: int
    sqrt_price_x96: int
    tick: int
    liquidity: int
    timestamp_ns: int
    block_number: int


class PoolMint(msgspec.Struct, frozen=True, gc=False):
    """Liquidity added to a concentrated pool; carries no block number."""

    TYPE: ClassVar[int] = 12
    venue: int
    pool: bytes
    token0: bytes
    token1: bytes
    provider: bytes
    tick_lower: int
    tick_upper: int
    liquidity: int
    amount0: int
    amount1: int
    decimals0: int
    decimals1: int
    timestamp_ns: int


class PoolBurn(PoolMint, frozen=True, gc=False):
    """Liquidity removed from a concentrated pool; carries no block number."""

    TYPE: ClassVar[int] = 13


class PoolTick(msgspec.Struct, frozen=True, gc=False):
    """Net liquidity of one tick; ``sqrt_price`` has 64 bits and is no use as a Q96 price."""

    TYPE: ClassVar[int] = 14
    venue: int
    pool: bytes
    tick: int
    liquidity_net: int
    sqrt_price: int
    timestamp_ns: int


class PoolState(msgspec.Struct, frozen=True, gc=False):
    """The whole state of a pool; its sqrt price is truncated to 128 bits and never used."""

    TYPE: ClassVar[int] = 15
    venue: int
    pool: bytes
    token0: bytes
    token1: bytes
    pool_type: int
    decimals0: int
    decimals1: int
    reserve0: int
    reserve1: int
    sqrt_price_low128: int
    tick: int
    liquidity: int
    fee_bps: int
    block_number: int
    timestamp_ns: int


class PoolSync(msgspec.Struct, frozen=True, gc=False):
    """Reserves of a constant-product pool after an event: authoritative."""

    TYPE: ClassVar[int] = 16
    venue: int
    pool: bytes
    token0: bytes
    token1: bytes
    reserve0: int
    reserve1: int
    decimals0: int
    decimals1: int
    timestamp_ns: int
    block_number: int


class GasPrice(msgspec.Struct, frozen=True, gc=False):
    """Gas prices in whole gwei (dialect p3 only): a hint, the header decides."""

    TYPE: ClassVar[int] = 18
    block_number: int
    timestamp_ns: int
    gas_price_gwei: int
    base_fee_gwei: int
    priority_fee_gwei: int
    venue: int
    reserved: int = 0


class ArbitrageSignal(msgspec.Struct, frozen=True, gc=False):
    """An opportunity as told to others; money has 8 decimals of a US dollar, ``valid_until_s`` is Unix time."""

    TYPE: ClassVar[int] = 32
    strategy_id: int
    signal_id: int
    chain_id: int
    source_pool: bytes
    target_pool: bytes
    source_venue: int
    target_venue: int
    token_in: bytes
    token_out: bytes
    expected_profit_e8: int
    required_capital_e8: int
    spread_bps: int
    dex_fees_e8: int
    gas_cost_e8: int
    slippage_e8: int
    net_profit_e8: int
    slippage_tolerance_bps: int
    max_gas_gwei: int
    valid_until_s: int
    priority: int
    timestamp_ns: int


class FlashLoanResult(msgspec.Struct, frozen=True, gc=False):
    """What became of a trade. ``outcome``: see ``OUTCOMES``; money in wei."""

    TYPE: ClassVar[int] = 67
    outcome: int
    strategy_id: int
    chain_id: int
    opportunity_id: int
    tx_hash: bytes
    block_number: int
    gas_used: int
    effective_gas_price_wei: int
    net_profit_wei: int
    latency_ns: int


class Heartbeat(msgspec.Struct, frozen=True, gc=False):
    """The producer lives and is at ``block_number``: blocks before it are complete."""

    TYPE: ClassVar[int] = 100
    timestamp_ns: int
    block_number: int


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """A relay's state (``state`` is JSON, uncompressed here whatever the wire had)."""

    TYPE: ClassVar[int] = 101
    snapshot_id: int
    sequence: int
    timestamp_ns: int
    state: bytes


class StateInvalidation(msgspec.Struct, frozen=True, gc=False):
    """The producer withdraws instruments. ``reason``: see ``INVALIDATION_REASONS``. Big-endian in both dialects."""

    TYPE: ClassVar[int] = 106
    venue: int
    sequence: int
    instruments: tuple[InstrumentId, ...]
    reason: int
    timestamp_ns: int


class RecoveryRequest(msgspec.Struct, frozen=True, gc=False):
    """Asks a relay for what was lost. ``request_type``: 1 retransmission, 2 snapshot."""

    TYPE: ClassVar[int] = 110
    consumer_id: int
    last_sequence: int
    current_sequence: int
    request_type: int


class Opaque(msgspec.Struct, frozen=True, gc=False):
    """A TLV outside the closed list."""

    type: int
    value: bytes


Message: TypeAlias = (
    Trade
    | Quote
    | PoolLiquidity
    | PoolSwap
    | PoolMint
    | PoolBurn
    | PoolTick
    | PoolState
    | PoolSync
    | GasPrice
    | ArbitrageSignal
    | FlashLoanResult
    | Heartbeat
    | Snapshot
    | StateInvalidation
    | RecoveryRequest
    | Opaque
)

ARBITRAGE_STRATEGY: Final = 21
OUTCOMES: Final = {0: "simulated only", 1: "included", 2: "reverted", 3: "not included", 4: "dropped by policy"}
INVALIDATION_REASONS: Final = {
    0: "disconnect",
    1: "authentication",
    2: "rate limit",
    3: "stale",
    4: "maintenance",
    5: "recovery",
}
RETRANSMIT: Final = 1
SNAPSHOT: Final = 2
MAX_SNAPSHOT_BYTES: Final = 16 * 1024 * 1024
"""Largest uncompressed state that is accepted: a compressed one cannot fill the memory."""
