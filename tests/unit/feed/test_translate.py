"""What moves a pool's state, and what does not."""

from __future__ import annotations

import pytest

from flasharb.feed import events
from flasharb.feed.events import Event, FeedGap, GasHint, PoolNamed, PoolsInvalidated, PoolUnreliable, PriceHint
from flasharb.feed.instrument import InstrumentId
from flasharb.feed.messages import decode, encode
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
from flasharb.feed.reframer import Reframer
from flasharb.feed.stream import bus_decoder
from flasharb.feed.tick_check import is_price_of_tick, sqrt_price_x96_at
from flasharb.feed.translate import Translator
from flasharb.feed.wire import Dialect, Frame, encode_frame
from flasharb.pools.concentrated.tick_math import sqrt_price_at_tick
from flasharb.units import Address

POOL = Address(b"\x11" * 20)
OTHER = Address(b"\x22" * 20)
T0, T1 = b"\x01" * 20, b"\x02" * 20
NOTHING = bytes(20)


def sync(block: int, reserve0: int = 5, pool: bytes = POOL, time: int = 0) -> PoolSync:
    return PoolSync(300, pool, T0, T1, reserve0, 7, 18, 6, time or block, block)


def swap(block: int, price: int, tick: int, liquidity: int = 9, venue: int = 301) -> PoolSwap:
    return PoolSwap(venue, POOL, T0, T1, 1, 2, 18, 6, price, tick, liquidity, block, block)


def mint(time: int = 1000, kind: type[PoolMint] = PoolMint) -> PoolMint:
    return kind(301, POOL, T0, T1, NOTHING, -60, 60, 1000, 1, 2, 18, 6, time)


def told(*messages: Message, dialect: Dialect = "p1", translator: Translator | None = None) -> list[Event]:
    """The events of these messages, through real bytes."""
    reframer = Reframer(dialect)
    wire = b"".join(encode(message, dialect=dialect, source=4, timestamp_ns=1) for message in messages)
    return (translator or Translator()).translate(reframer.feed(wire))


def test_pool_sync_sets_reserves() -> None:
    assert told(sync(8)) == [events.V2Sync(POOL, 5, 7, 8)]


def test_v2_swap_moves_nothing() -> None:
    assert told(swap(8, 0, 0, 0, venue=300)) == []
    assert told(swap(8, 0, 0, 0, venue=400), dialect="p3") == []


@pytest.mark.parametrize("dialect", ["p1", "p3"])
def test_v3_swap_sets_price_tick_and_liquidity(dialect: Dialect) -> None:
    assert told(swap(8, 1 << 96, 0), dialect=dialect) == [events.V3Swap(POOL, 1 << 96, 0, 9, 8)]
    assert told(swap(8, 1 << 96, 0, liquidity=0), dialect=dialect) == [events.V3Swap(POOL, 1 << 96, 0, 0, 8)]


def test_v3_swap_with_a_price_above_128_bits_is_whole_in_p1() -> None:
    price = (1 << 130) + 12345
    assert told(swap(8, price, 471_364)) == [events.V3Swap(POOL, price, 471_364, 9, 8)]


@pytest.mark.parametrize("price", [0, 1, 1 << 160])
def test_v3_swap_without_a_possible_price_makes_the_pool_unreliable(price: int) -> None:
    message = swap(8, min(price, (1 << 160) - 1), 0)
    (event,) = told(message)
    assert isinstance(event, PoolUnreliable)
    assert (event.pool, event.block_number) == (POOL, 8)


def test_v3_venue_with_all_zeroes_is_no_v2_swap() -> None:
    (event,) = told(swap(8, 0, 0, 0, venue=301))
    assert isinstance(event, PoolUnreliable)


# A truncated price in p3. Others write the low 128 bits; ticks from 443,636 on have more.


@pytest.mark.parametrize("tick", [443_636, 443_637, 500_000, 887_271])
def test_truncated_price_is_never_used(tick: int) -> None:
    whole = (sqrt_price_x96_at(tick) + sqrt_price_x96_at(tick + 1)) // 2
    if tick == 443_636:
        whole = max(whole, 1 << 128)
    truncated = whole & (1 << 128) - 1
    assert truncated != whole
    (event,) = told(swap(8, truncated, tick), dialect="p3")
    assert isinstance(event, PoolUnreliable)
    assert told(swap(8, whole, tick), dialect="p3") == [events.V3Swap(POOL, whole, tick, 9, 8)]


@pytest.mark.parametrize("tick", [-887_272, -443_637, -1, 0, 1, 60, 443_635, 443_636, 887_271])
def test_price_belongs_to_its_tick_up_to_and_with_the_upper_end(tick: int) -> None:
    low, high = sqrt_price_x96_at(tick), sqrt_price_x96_at(tick + 1)
    assert is_price_of_tick(low, tick)
    assert is_price_of_tick(high - 1, tick)
    # After a swap down onto an initialised tick, the contract's tick is one below its price.
    assert is_price_of_tick(high, tick) == (tick < 887_271)
    assert not is_price_of_tick(low - 1, tick)
    assert not is_price_of_tick(high + 1, tick)


def test_price_at_tick_is_the_contracts() -> None:
    # Published constants of TickMath and of its tests.
    assert sqrt_price_x96_at(-887_272) == 4_295_128_739
    assert sqrt_price_x96_at(887_272) == 1_461_446_703_485_210_103_287_273_052_203_988_822_378_723_970_342
    assert sqrt_price_x96_at(0) == 1 << 96
    assert sqrt_price_x96_at(50) == 79_426_470_787_362_580_746_886_972_461
    assert sqrt_price_x96_at(-50) == 79_030_349_367_926_598_376_800_521_322
    assert sqrt_price_x96_at(250_000) == 21_246_587_762_933_397_357_449_903_968_194_344
    assert sqrt_price_x96_at(-738_203) == 7_409_801_140_451


def test_agrees_with_the_pools_tick_math() -> None:
    """The feed has its own copy, because feed and pools may not import each other."""
    for tick in range(-887_272, 887_273, 9973):
        assert sqrt_price_at_tick(tick) == sqrt_price_x96_at(tick)


# Mint and burn carry no block


def test_liquidity_changes_belong_to_the_block_of_the_message_before() -> None:
    found = told(sync(8), mint(), mint(1001, PoolBurn), sync(9), mint(), Heartbeat(4, 11), mint())
    assert [event for event in found if isinstance(event, events.V3Mint | events.V3Burn)] == [
        events.V3Mint(POOL, -60, 60, 1000, 8),
        events.V3Burn(POOL, -60, 60, 1000, 8),
        events.V3Mint(POOL, -60, 60, 1000, 9),
        events.V3Mint(POOL, -60, 60, 1000, 11),
    ]


def test_liquidity_change_in_an_unknown_or_older_block_asks_for_a_reload() -> None:
    (first,) = told(mint())
    assert first == FeedGap("liquidity changed in a block that the bus does not name", frozenset({POOL}))
    found = told(sync(9), sync(8, pool=OTHER), mint())
    assert isinstance(found[-1], FeedGap)
    assert found[-1].pools == {POOL}


# Other messages


def test_pool_state_replaces_v2_and_never_v3() -> None:
    state = PoolState(300, POOL, T0, T1, 0, 18, 6, 50, 70, 1 << 96, 0, 9, 30, 8, 1)
    assert told(state) == [events.V2Sync(POOL, 50, 70, 8)]
    (event,) = told(PoolState(301, POOL, T0, T1, 1, 18, 6, 0, 0, 1 << 96, 0, 9, 30, 8, 1))
    assert isinstance(event, PoolUnreliable)


def test_hints_and_heartbeat() -> None:
    assert told(Trade(100, 50, 7, 123, 1, 0, 99)) == [PriceHint(100, 7, 123, 99)]
    assert told(Quote(100, 50, 7, 100, 1, 104, 1, 99)) == [PriceHint(100, 7, 102, 99)]
    assert told(Heartbeat(3, 8)) == [events.Heartbeat(8, 3)]
    assert told(GasPrice(8, 1, 30, 28, 2, 200), dialect="p3") == [GasHint(8, 28, 2)]


def test_invalidation_names_the_pools_by_venue() -> None:
    items = (InstrumentId(300, 100, 5), InstrumentId(301, 100, 6), InstrumentId(300, 100, 7))
    assert told(StateInvalidation(300, 1, items, 3, 9)) == [
        PoolsInvalidated(300, (5, 7), "stale"),
        PoolsInvalidated(301, (6,), "stale"),
    ]


def test_the_rest_is_counted_and_moves_nothing() -> None:
    translator = Translator()
    signal = ArbitrageSignal(21, 1, 1, T0, T1, 0, 0, T0, T1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    passive = [
        PoolTick(301, POOL, 1, 2, 3, 4),
        PoolLiquidity(300, POOL, (1, 2), 3),
        RecoveryRequest(1, 2, 3, 1),
        Snapshot(1, 2, 3, b"{}"),
        signal,
        FlashLoanResult(1, 21, 1, 1, bytes(32), 1, 1, 1, 1, 1),
    ]
    assert told(*passive, Opaque(40, b"x"), translator=translator) == []
    counters = translator.counters
    assert (counters.messages, counters.passive, counters.unknown) == (7, 6, 1)


def test_malformed_message_is_counted_and_tells_of_the_loss() -> None:
    translator = Translator()
    frames = [Frame("p1", 1, 4, 0, 0, 1, b"\x10\x05abcde"), Frame("p1", 1, 4, 0, 0, 1, b"\x10\xffabc")]
    found = translator.translate(frames)
    assert [type(event) for event in found] == [FeedGap, FeedGap]
    assert translator.counters.malformed == 2
    assert translator.counters.messages == 0


# Staleness without sequence numbers


def test_older_and_repeated_messages_of_a_block_are_ignored() -> None:
    translator = Translator()
    found = told(sync(8, 1, time=5), sync(8, 2, time=6), sync(8, 1, time=5), sync(8, 2, time=6), translator=translator)
    assert found == [events.V2Sync(POOL, 1, 7, 8), events.V2Sync(POOL, 2, 7, 8)]
    assert translator.counters.stale == 2


def test_reserves_that_come_back_within_a_block_are_told() -> None:
    found = told(sync(8, 1, time=5), sync(8, 2, time=5), sync(8, 1, time=5))
    assert [event.reserve0 for event in found if isinstance(event, events.V2Sync)] == [1, 2, 1]


def test_repeated_mint_counts_once_and_has_the_pool_reloaded() -> None:
    found = told(sync(8, pool=OTHER), mint(5), mint(5), mint(6))
    assert [type(event) for event in found] == [events.V2Sync, events.V3Mint, FeedGap, events.V3Mint]
    assert isinstance(found[2], FeedGap)
    assert found[2].pools == {POOL}


def test_price_and_liquidity_change_out_of_order_have_the_pool_reloaded() -> None:
    """The price after a swap includes the liquidity of the mints before it, so their order cannot be mended here."""
    newer, older = swap(8, 1 << 96, 0), mint(7)
    found = told(newer, older)
    assert [type(event) for event in found] == [events.V3Swap, FeedGap]
    found = told(sync(8, pool=OTHER), mint(9), newer)
    assert [type(event) for event in found] == [events.V2Sync, events.V3Mint, FeedGap]


# Sequence numbers


def numbered(*numbers: int, source: int = 4, time: int | None = None) -> bytes:
    return b"".join(
        encode(
            sync(8, n, pool=bytes([n % 256]) * 20), source=source, sequence=n, timestamp_ns=n if time is None else time
        )
        for n in numbers
    )


@pytest.mark.parametrize(
    ("after", "remedy", "kind"),
    [
        (3, "retransmission asked", 1),
        (102, "retransmission asked", 1),
        (103, "snapshot asked", 2),
        (10_002, "snapshot asked", 2),
    ],
)
def test_gap_asks_for_what_mends_it(after: int, remedy: str, kind: int) -> None:
    decoder = bus_decoder(consumer_id=77)
    found = decoder.feed(numbered(1, after))
    gap = found[1]
    assert isinstance(gap, FeedGap)
    assert gap.pools is None
    assert gap.reason == f"{after - 2} messages missing from domain 1 source 4 (2..{after - 1}): {remedy}"
    (request,) = decoder.take_requests(20, 5)
    assert decoder.take_requests(20, 5) == []
    (frame,) = Reframer().feed(request)
    assert (frame.domain, frame.source) == (1, 20)
    assert decode(frame) == [RecoveryRequest(77, 1, after, kind)]


def test_a_pools_first_message_names_its_tokens_where_that_is_asked_for() -> None:
    """Once a pool, before its event, the lower token first; without being asked nothing is said."""
    turned = PoolSwap(301, OTHER, T1, T0, 1, 2, 18, 6, 0, 0, 0, 8, 8)
    said = [sync(7), sync(8), turned]
    found = told(*said, translator=Translator(tell_names=True))
    names = [event for event in found if isinstance(event, PoolNamed)]
    assert names == [PoolNamed(POOL, (Address(T0), Address(T1))), PoolNamed(OTHER, (Address(T0), Address(T1)))]
    assert found[0] == names[0]
    assert [event for event in found if event not in names] == told(*said)


def test_gap_too_wide_for_the_relay_asks_the_node() -> None:
    decoder = bus_decoder()
    found = decoder.feed(numbered(1, 10_003))
    assert isinstance(found[1], FeedGap)
    assert found[1].reason.endswith("to be reloaded from the node")
    assert decoder.take_requests(20, 5) == []


def test_retransmitted_messages_are_taken_once() -> None:
    decoder = bus_decoder()
    decoder.feed(numbered(1, 4))
    assert len(decoder.feed(numbered(2))) == 1
    assert decoder.feed(numbered(2, 1, 4)) == []
    assert decoder.translator.counters.stale == 3


def test_sources_are_tracked_apart() -> None:
    decoder = bus_decoder()
    found = decoder.feed(numbered(1) + numbered(500, source=5) + numbered(2) + numbered(501, source=5))
    assert not [event for event in found if isinstance(event, FeedGap)]


def test_producer_that_starts_over_is_followed() -> None:
    decoder = bus_decoder()
    decoder.feed(numbered(900, 901))
    found = decoder.feed(numbered(1, time=10_000) + numbered(2, time=10_001))
    assert [type(event) for event in found] == [FeedGap, events.V2Sync, events.V2Sync]


# Damage on the line


def test_dropped_bytes_are_told_as_a_gap_but_not_before_anything_was_heard() -> None:
    decoder = bus_decoder()
    good = encode(sync(8), source=4, timestamp_ns=1)
    assert decoder.feed(good[10:] + good) == [events.V2Sync(POOL, 5, 7, 8)]
    broken = bytearray(encode(sync(9), source=4, timestamp_ns=1))
    broken[50] ^= 1
    found = decoder.feed(bytes(broken) + encode(sync(10), source=4, timestamp_ns=1))
    assert found == [FeedGap(f"{len(broken)} bytes of damaged messages dropped"), events.V2Sync(POOL, 5, 7, 10)]
    assert decoder.feed(encode(sync(11), source=4, timestamp_ns=1)) == [events.V2Sync(POOL, 5, 7, 11)]


def test_reset_forgets_the_old_connection() -> None:
    decoder = bus_decoder()
    good = encode(sync(8), source=4, sequence=50, timestamp_ns=1)
    decoder.feed(good + good[:70])
    decoder.reset()
    assert decoder.feed(encode(sync(9), source=4, sequence=3, timestamp_ns=1)) == [events.V2Sync(POOL, 5, 7, 9)]
    (gap,) = decoder.feed(encode(mint(), source=4, timestamp_ns=1))[-1:]
    assert isinstance(gap, events.V3Mint)
    decoder.reset()
    (gap,) = decoder.feed(encode(mint(), source=4, timestamp_ns=1))
    assert isinstance(gap, FeedGap)


def test_empty_frame_is_no_event() -> None:
    assert bus_decoder().feed(encode_frame(Frame("p1", 1, 4, 0, 0, 1 << 60, b""))) == []
