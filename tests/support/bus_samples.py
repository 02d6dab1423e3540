"""Random bus messages and streams, for property tests and the fuzzer."""

from __future__ import annotations

from random import Random

from hypothesis import strategies as st

from flasharb.feed.instrument import InstrumentId
from flasharb.feed.messages import encode
from flasharb.feed.records import (
    ArbitrageSignal,
    FlashLoanResult,
    GasPrice,
    Heartbeat,
    Message,
    Opaque,
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
from flasharb.feed.wire import Dialect

u8, u16, u32, u64, u128 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32, 64, 128))
u160 = st.integers(0, 2**160 - 1)
i32, i64, i128 = (st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (32, 64, 128))
address = st.binary(min_size=20, max_size=20)
instrument = st.builds(InstrumentId, u16, u8, u64, u8)

_BOTH: tuple[st.SearchStrategy[Message], ...] = (
    st.builds(Trade, u16, u8, u64, i64, i64, u8, u64, u8),
    st.builds(Quote, u16, u8, u64, i64, i64, i64, i64, u64, u8),
    st.builds(PoolSwap, u16, address, address, address, u128, u128, u8, u8, u160, i32, u128, u64, u64),
    st.builds(PoolMint, u16, address, address, address, address, i32, i32, u128, u128, u128, u8, u8, u64),
    st.builds(PoolBurn, u16, address, address, address, address, i32, i32, u128, u128, u128, u8, u8, u64),
    st.builds(PoolTick, u16, address, i32, i64, u64, u64),
    st.builds(PoolState, u16, address, address, address, u8, u8, u8, u128, u128, u128, i32, u128, u32, u64, u64),
    st.builds(PoolSync, u16, address, address, address, u128, u128, u8, u8, u64, u64),
    st.builds(
        ArbitrageSignal,
        *(u16, u64, u32, address, address, u16, u16, address, address, i64, i64, u16, i64, i64, i64, i64, u16),
        *(u32, u32, u16, u64),
    ),
    st.builds(FlashLoanResult, u8, u16, u32, u64, st.binary(min_size=32, max_size=32), u64, u64, u64, i128, u64),
    st.builds(Heartbeat, u64, u64),
    st.builds(Snapshot, u32, u64, u64, st.binary(max_size=400)),
    st.builds(StateInvalidation, u16, u64, st.lists(instrument, max_size=25).map(tuple), u8, u64),
    st.builds(RecoveryRequest, u32, u64, u64, u8),
)
_ONLY: dict[Dialect, st.SearchStrategy[Message]] = {
    "p1": st.builds(PoolLiquidity, u16, address, st.lists(u128, max_size=20).map(tuple), u64),
    "p3": st.builds(GasPrice, u64, u64, u32, u32, u32, u16, u16),
}
_opaque = st.builds(Opaque, st.sampled_from([3, 20, 62, 107, 200, 254]), st.binary(max_size=600))

dialects: st.SearchStrategy[Dialect] = st.sampled_from(["p1", "p3"])


def messages(dialect: Dialect) -> st.SearchStrategy[Message]:
    """Any message that a dialect can carry."""
    return st.one_of(*_BOTH, _ONLY[dialect], _opaque)


def random_message(random: Random) -> Message:
    """A plausible message of a small world: a few pools, rising blocks."""
    pool, time = bytes([random.randrange(40)]) * 20, random.getrandbits(60)
    block = 1000 + random.randrange(200)
    pick = random.randrange(8)
    if pick <= 1:
        return PoolSync(
            300, pool, bytes(20), bytes(20), random.getrandbits(112), random.getrandbits(112), 18, 6, time, block
        )
    if pick <= 3:
        price, tick = random.choice([(1 << 96, 0), (random.getrandbits(140), random.randrange(-9, 9)), (0, 0)])
        return PoolSwap(301, pool, bytes(20), bytes(20), 1, 2, 18, 6, price, tick, random.getrandbits(90), time, block)
    if pick == 4:
        kind = random.choice([PoolMint, PoolBurn])
        return kind(301, pool, bytes(20), bytes(20), bytes(20), -60, 60, random.getrandbits(80), 1, 2, 18, 6, time)
    if pick == 5:
        return Heartbeat(time, block)
    if pick == 6:
        return random.choice(
            [
                Trade(100, 50, 7, 10**8, 1, 0, time),
                StateInvalidation(300, 1, (InstrumentId(300, 100, 5),), 3, time),
                PoolState(300, pool, bytes(20), bytes(20), random.randrange(6), 18, 6, 5, 6, 7, 0, 8, 30, block, time),
                Snapshot(1, 2, time, random.randbytes(300)),
            ]
        )
    return Opaque(random.choice([3, 40, 111, 254]), random.randbytes(random.randrange(300)))


def random_frame(random: Random) -> bytes:
    """One sound message in either dialect, sometimes numbered."""
    dialect: Dialect = random.choice(["p1", "p3"])
    count = 1 if random.random() < 0.9 else random.randrange(2, 4)
    sequence = random.choice([0, 0, 0, random.getrandbits(10)])
    several = [random_message(random) for _ in range(count)]
    return encode(several, dialect=dialect, source=4, sequence=sequence, timestamp_ns=random.getrandbits(60))
