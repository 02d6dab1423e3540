"""What the devnet says on the bus, and its node about the pools that the bus has no messages for, is enough to follow
its pools: every pool, every block, to the last unit.
"""

from __future__ import annotations

from flasharb.adapters.chain import header_of
from flasharb.devnet.chain import Block, Built, Chain
from flasharb.devnet.example import market_at_head
from flasharb.devnet.messages import bus_pools, encode_block
from flasharb.devnet.rpc import matching_logs, parse_log_filter
from flasharb.devnet.traders import Traders
from flasharb.devnet.world import World
from flasharb.feed.blocks import BlockAssembler
from flasharb.feed.events import ClosedBlock, PoolLog
from flasharb.feed.logs import event_of
from flasharb.feed.messages import Heartbeat, Message, PoolBurn, PoolMint, PoolSwap, PoolSync, decode
from flasharb.feed.reframer import Reframer
from flasharb.feed.translate import Translator
from flasharb.market.snapshot import Market
from flasharb.pools import Pool
from flasharb.pools.contract import is_timed
from flasharb.pools.protocols import LOG_TOPICS, PROTOCOLS
from flasharb.units import Address
from tests.support.devnet import mine

ALL_WORDS = 7000
Traded = tuple[Chain, list[Built]]


def _messages(data: bytes) -> list[Message]:
    return [message for frame in Reframer().feed(data) for message in decode(frame)]


def test_a_market_that_listens_stays_equal_to_one_that_is_read_from_the_chain(world: World) -> None:
    chain = Chain(world)
    traders = Traders(chain, world, seed=11, trades_per_slot=3.0)
    market = market_at_head(chain, world, ALL_WORDS)
    reframer, translator, assembler = Reframer(), Translator(), BlockAssembler(after=0)
    seen: set[type] = set()
    pools = bus_pools(world)
    for number in range(1, 41):
        (built,) = mine(chain, traders, 1)
        header = header_of(built.block.header.to_json())
        data = encode_block(built.block, pools, timestamp_ns=number * 10**9)
        seen |= {type(message) for message in _messages(data)}
        for event in translator.translate(reframer.feed(data)):
            for closed in assembler.add(event):
                market = market.apply(ClosedBlock(closed.number, (*closed.events, *unheard(built.block)), header))

        assert market.number == number

    assert seen == {PoolSync, PoolSwap, PoolMint, PoolBurn, Heartbeat}
    assert timeless(market) == timeless(market_at_head(chain, world, ALL_WORDS))
    moved = {PROTOCOLS[market.pools[at].spec.protocol].kind for at in market.last_event}
    assert moved == {"v2", "v3", "v4", "balancer_v2", "curve", "solidly"}


def unheard(block: Block) -> list[PoolLog]:
    """The logs that the service asks the node for."""
    events = [event_of(log, LOG_TOPICS) for log in matching_logs(block, parse_log_filter({}))]
    return [event for event in events if isinstance(event, PoolLog)]


def timeless(market: Market) -> dict[Address, Pool]:
    """Its pools; some remember when they were loaded, which is not compared."""
    return {at: pool.at(0) if is_timed(pool) else pool for at, pool in market.pools.items()}


def test_a_block_ends_with_a_heartbeat_that_names_the_next(traded: Traded, world: World) -> None:
    _, blocks = traded
    for built in blocks:
        messages = _messages(encode_block(built.block, bus_pools(world), timestamp_ns=7))

        assert messages[-1] == Heartbeat(timestamp_ns=7 + len(messages) - 1, block_number=built.block.number + 1)


def test_a_v2_trade_is_told_as_sync_and_as_swap(traded: Traded, world: World) -> None:
    _, blocks = traded
    messages = [m for built in blocks for m in _messages(encode_block(built.block, bus_pools(world), 0))]
    swaps = [m for m in messages if isinstance(m, PoolSwap) and m.venue != 301]
    syncs = [m for m in messages if isinstance(m, PoolSync)]

    assert len(swaps) == len(syncs) > 0
    for swap, sync in zip(swaps, syncs, strict=True):
        assert (swap.pool, swap.block_number) == (sync.pool, sync.block_number)
        assert {swap.token_in, swap.token_out} == {sync.token0, sync.token1}
        assert swap.sqrt_price_x96 == swap.tick == swap.liquidity == 0
        assert swap.amount_in > 0
        assert swap.amount_out > 0
