"""A block's pool events as bus messages, in the order of its logs, closed by a heartbeat that names the next block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from eth_hash.auto import keccak

from flasharb.devnet.chain import Block
from flasharb.devnet.layout import BY_ADDRESS, DevToken
from flasharb.devnet.world import World
from flasharb.evm import LogEntry
from flasharb.feed.messages import (
    SOURCE_POLYGON,
    Heartbeat,
    Message,
    PoolBurn,
    PoolMint,
    PoolSwap,
    PoolSync,
    encode,
)
from flasharb.units import Address, address

VENUES: Final = {"uniswap_v2": 300, "uniswap_v3": 301, "sushiswap_v2": 302}

SYNC: Final = keccak(b"Sync(uint112,uint112)")
V2_SWAP: Final = keccak(b"Swap(address,uint256,uint256,uint256,uint256,address)")
V3_SWAP: Final = keccak(b"Swap(address,address,int256,int256,uint160,uint128,int24)")
V3_MINT: Final = keccak(b"Mint(address,address,int24,int24,uint128,uint256,uint256)")
V3_BURN: Final = keccak(b"Burn(address,int24,int24,uint128,uint256,uint256)")


@dataclass(frozen=True, slots=True)
class BusPool:
    """What the bus says about a pool besides its events."""

    address: Address
    venue: int
    token0: DevToken
    token1: DevToken


def bus_pools(world: World) -> dict[Address, BusPool]:
    """The pools of the world that the bus has messages for: pairs and V3 pools."""
    pools = (
        BusPool(
            address=address(entry["address"]),
            venue=VENUES[entry["protocol"]],
            token0=BY_ADDRESS[address(entry["token0"])],
            token1=BY_ADDRESS[address(entry["token1"])],
        )
        for entry in world.pools["pools"]
        if entry["protocol"] in VENUES
    )
    return {pool.address: pool for pool in pools}


def encode_block(block: Block, pools: dict[Address, BusPool], timestamp_ns: int) -> bytes:
    """The messages of a block, ready for the wire (dialect p1). Their timestamps rise by a nanosecond each."""
    out = bytearray()
    now = timestamp_ns
    for receipt in block.receipts:
        for log in receipt.logs:
            pool = pools.get(Address(log.address))
            message = None if pool is None else pool_message(log, pool, block.number, now)
            if message is not None:
                out += encode(message, source=SOURCE_POLYGON, timestamp_ns=now)
                now += 1
    heartbeat = Heartbeat(timestamp_ns=now, block_number=block.number + 1)
    return bytes(out + encode(heartbeat, source=SOURCE_POLYGON, timestamp_ns=now))


def pool_message(log: LogEntry, pool: BusPool, block_number: int, timestamp_ns: int) -> Message | None:
    """The message for a log of a pool; None for events that the bus has no message for."""
    kind, data = log.topics[0], tuple(_words(log.data))
    if kind == SYNC:
        return PoolSync(
            venue=pool.venue,
            pool=pool.address,
            token0=pool.token0.address,
            token1=pool.token1.address,
            reserve0=data[0],
            reserve1=data[1],
            decimals0=pool.token0.decimals,
            decimals1=pool.token1.decimals,
            timestamp_ns=timestamp_ns,
            block_number=block_number,
        )
    if kind == V2_SWAP:
        net0, net1 = data[0] - data[2], data[1] - data[3]
        return _swap(pool, (net0, net1), (0, 0, 0), block_number, timestamp_ns)
    if kind == V3_SWAP:
        nets = _signed(data[0]), _signed(data[1])
        return _swap(pool, nets, (data[2], _signed(data[4]), data[3]), block_number, timestamp_ns)
    if kind == V3_MINT:
        return _liquidity(PoolMint, log, pool, data[1:4], timestamp_ns)
    if kind == V3_BURN and data[0]:
        return _liquidity(PoolBurn, log, pool, data[0:3], timestamp_ns)
    return None


def _swap(
    pool: BusPool, nets: tuple[int, int], after: tuple[int, int, int], block_number: int, timestamp_ns: int
) -> PoolSwap:
    """``nets``: what the pool gained of each token; ``after``: its price, tick and liquidity (zero for V2)."""
    zero_for_one = nets[0] > 0
    token_in, token_out = (pool.token0, pool.token1) if zero_for_one else (pool.token1, pool.token0)
    gained, lost = nets if zero_for_one else (nets[1], nets[0])
    return PoolSwap(
        venue=pool.venue,
        pool=pool.address,
        token_in=token_in.address,
        token_out=token_out.address,
        amount_in=max(gained, 0),
        amount_out=max(-lost, 0),
        decimals_in=token_in.decimals,
        decimals_out=token_out.decimals,
        sqrt_price_x96=after[0],
        tick=after[1],
        liquidity=after[2],
        timestamp_ns=timestamp_ns,
        block_number=block_number,
    )


def _liquidity(
    kind: type[PoolMint], log: LogEntry, pool: BusPool, amounts: tuple[int, ...], timestamp_ns: int
) -> PoolMint:
    """``amounts``: liquidity, and what it is of each token."""
    lower, upper = (_signed(int.from_bytes(topic, "big")) for topic in log.topics[2:4])
    return kind(
        venue=pool.venue,
        pool=pool.address,
        token0=pool.token0.address,
        token1=pool.token1.address,
        provider=log.topics[1][12:],
        tick_lower=lower,
        tick_upper=upper,
        liquidity=amounts[0],
        amount0=amounts[1],
        amount1=amounts[2],
        decimals0=pool.token0.decimals,
        decimals1=pool.token1.decimals,
        timestamp_ns=timestamp_ns,
    )


def _words(data: bytes) -> Iterator[int]:
    for start in range(0, len(data), 32):
        yield int.from_bytes(data[start : start + 32], "big")


def _signed(word: int) -> int:
    return word - 2**256 if word >> 255 else word
