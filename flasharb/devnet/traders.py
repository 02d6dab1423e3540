"""Who moves the prices: seeded traders, a liquidity provider, and the crowd that fills the blocks.

Ether and bitcoin have a fair price that wanders and returns. Each swap goes through a router and moves one pool by some
tenths of a percent, rather towards the fair price the further the pool is from it. So pools drift apart, which makes
arbitrages, and come together again, which keeps a long run sane. Nobody here looks for arbitrage.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from eth_hash.auto import keccak

from flasharb.devnet import swaps
from flasharb.devnet.abi import call_data
from flasharb.devnet.chain import Block, Chain
from flasharb.devnet.layout import BY_ADDRESS, CONTRACTS, SINK, DevToken
from flasharb.devnet.pending import Refused
from flasharb.devnet.state import pool_at_head
from flasharb.devnet.swaps import FOREVER
from flasharb.devnet.transactions import decode, sign_dynamic_fee
from flasharb.devnet.world import TRADERS, World, devnet_key
from flasharb.execution.fees import next_base_fee
from flasharb.pools import Pool, PoolSpec
from flasharb.pools.files import parse_pools
from flasharb.units import Address

V2_RESERVES_SLOT: Final = 8
V3_SLOT0: Final = 0
V3_LIQUIDITY_SLOT: Final = 4
INCREASE_LIQUIDITY: Final = keccak(b"IncreaseLiquidity(uint256,uint128,uint256,uint256)")

MEDIAN_MOVE: Final = 0.004
"""Share by which the median swap moves its pool's price."""
MOVE_SPREAD: Final = 0.7
LARGEST_MOVE: Final = 0.02
DOLLAR_MOVE: Final = 0.05
"""How much less pools between two dollars are moved."""
SMALL_PART: Final = 1000
"""What part of a reserve is a small swap."""
DEEPEST: Final = 50
"""How many times its reserve a flat pool is taken to have at most: Solidly's stable curve is all but straight."""
PULL: Final = 40.0
"""Excess probability of a swap towards the fair price, per unit of (log) distance from it."""
FAIR_DRIFT: Final = 0.0008
FAIR_RETURN: Final = 0.01
PROVIDE_CHANCE: Final = 0.2
WITHDRAW_CHANCE: Final = 0.15

CROWD_FEE_WEI: Final = 500_000_000
"""Base fee at which the crowd fills blocks to their target."""
CROWD_ELASTICITY: Final = 1.0
CROWD_NOISE: Final = 0.25


@dataclass(frozen=True, slots=True)
class TradedPool:
    """Two tokens of a pool of the world that traders use; a pool of more tokens counts for each pair of them."""

    spec: PoolSpec
    token0: DevToken
    token1: DevToken

    @property
    def is_v3(self) -> bool:
        return self.spec.protocol in swaps.V3

    @property
    def between_dollars(self) -> bool:
        return self.token0.usd == self.token1.usd


@dataclass(frozen=True, slots=True)
class PoolState:
    """What a trader sees of a pool: the raw price (token1 per token0) and the virtual reserves at it."""

    price: float
    reserve0: float
    reserve1: float


@dataclass(frozen=True, slots=True)
class Action:
    """One transaction that somebody wants to send."""

    role: str
    to: Address
    data: bytes
    gas_limit: int


class Traders:
    """All the seeded accounts of a devnet."""

    def __init__(self, chain: Chain, world: World, seed: int, trades_per_slot: float) -> None:
        self._chain = chain
        self._random = random.Random(f"flasharb devnet traders {seed}")
        self._rate = trades_per_slot
        self._keys = {role: devnet_key(role) for role in ("lp", "crowd", *(f"trader {n}" for n in range(TRADERS)))}
        self._addresses = {role: world.names[role.replace(" ", "_")] for role in self._keys}
        self._pools = tuple(_traded_pools(world))
        self._log_fair = {token.symbol: 0.0 for token in BY_ADDRESS.values()}
        self._positions: list[tuple[int, int]] = []

    def act(self) -> None:
        """Send this slot's transactions into the mempool."""
        self._wander()
        for _ in range(self._swap_count()):
            self._send(self._swap())
        if self._rate > 0:
            if self._random.random() < PROVIDE_CHANCE:
                self._send(self._provide())
            if self._positions and self._random.random() < WITHDRAW_CHANCE:
                self._send(self._withdraw())
            self._send_crowd()

    def observe(self, block: Block) -> None:
        """Learn from a block which positions the provider holds."""
        manager, provider = CONTRACTS["position_manager"], self._addresses["lp"]
        for receipt in block.receipts:
            if receipt.sender != provider:
                continue
            for log in receipt.logs:
                if log.address == manager and log.topics[0] == INCREASE_LIQUIDITY:
                    self._positions.append((int.from_bytes(log.topics[1], "big"), int.from_bytes(log.data[:32], "big")))

    def _wander(self) -> None:
        for symbol in ("WETH", "WBTC"):
            step = self._random.gauss(0.0, FAIR_DRIFT)
            self._log_fair[symbol] += step - FAIR_RETURN * self._log_fair[symbol]

    def _swap_count(self) -> int:
        """Poisson with mean ``trades_per_slot`` (Knuth's method; the rate is at most 50)."""
        threshold, product, count = math.exp(-self._rate), self._random.random(), 0
        while product > threshold:
            product *= self._random.random()
            count += 1
        return count

    def _swap(self) -> Action:
        pool = self._random.choice(self._pools)
        state = self._read(pool)
        distance = math.log(state.price / self._fair_price(pool))
        # Selling token0 lowers the price: it goes towards the fair one when the pool's is above it.
        towards = self._random.random() < 0.5 + min(PULL * abs(distance), 0.5)
        zero_for_one = (distance > 0) == towards
        move = min(self._random.lognormvariate(math.log(MEDIAN_MOVE), MOVE_SPREAD), LARGEST_MOVE)
        move *= DOLLAR_MOVE if pool.between_dollars else 1.0
        reserve = state.reserve0 if zero_for_one else state.reserve1
        trader = f"trader {self._random.randrange(TRADERS)}"
        # No finer than ten digits, so that the last bits of the host's mathematics do not show.
        token0, token1 = pool.token0.address, pool.token1.address
        way = (token0, token1) if zero_for_one else (token1, token0)
        call = swaps.swap_call(pool.spec, self._addresses[trader], way, _rounded(reserve * move / 2))
        return Action(trader, call.to, call.data, call.gas_limit)

    def _provide(self) -> Action:
        """A new position around or beside the price of some V3 pool, a few percent as deep as what is there."""
        pool = self._random.choice([pool for pool in self._pools if pool.is_v3])
        state = self._read(pool)
        spacing = pool.spec.tick_spacing
        here = math.floor(math.log(state.price, 1.0001) / spacing)
        width = self._random.randint(3, 40)
        lower = (here + self._random.randint(-width, width // 3)) * spacing
        share = self._random.uniform(0.001, 0.01)
        data = call_data(
            "mint((address,address,uint24,int24,int24,uint256,uint256,uint256,uint256,address,uint256))",
            (
                pool.token0.address,
                pool.token1.address,
                pool.spec.fee_pips,
                lower,
                lower + width * spacing,
                _rounded(state.reserve0 * share),
                _rounded(state.reserve1 * share),
                0,
                0,
                self._addresses["lp"],
                FOREVER,
            ),
        )
        return Action("lp", CONTRACTS["position_manager"], data, 800_000)

    def _withdraw(self) -> Action:
        """All liquidity of one position that this run opened."""
        token_id, liquidity = self._positions.pop(self._random.randrange(len(self._positions)))
        data = call_data(
            "decreaseLiquidity((uint256,uint128,uint256,uint256,uint256))", (token_id, liquidity, 0, 0, FOREVER)
        )
        return Action("lp", CONTRACTS["position_manager"], data, 500_000)

    def _send_crowd(self) -> None:
        """One transaction that uses the gas which everybody else would: the more, the cheaper gas is."""
        header = self._chain.head.header
        demand = 1 + CROWD_ELASTICITY * math.log(CROWD_FEE_WEI / next_base_fee(header))
        demand += self._random.gauss(0.0, CROWD_NOISE)
        gas = int(header.gas_limit / 2 * min(max(demand, 0.0), 1.8))
        offset = 32 * sink_words(gas - 30_000)
        self._send(Action("crowd", SINK, offset.to_bytes(32, "big"), gas + 20_000))

    def _send(self, action: Action) -> None:
        sender = self._addresses[action.role]
        account = self._chain.ledger.accounts[sender]
        base_fee = next_base_fee(self._chain.head.header)
        # The crowd pays no tip, so it comes last.
        tip = 0 if action.role == "crowd" else self._random.randrange(10_000_000, 200_000_000)
        raw = sign_dynamic_fee(
            self._keys[action.role],
            chain_id=self._chain.chain_id,
            nonce=self._chain.mempool.next_nonce(sender, account.nonce),
            fees=(tip, 2 * base_fee + tip),
            gas_limit=min(action.gas_limit, self._chain.head.header.gas_limit),
            to=action.to,
            data=action.data,
        )
        try:
            self._chain.add_transaction(decode(raw))
        except Refused:
            # A full mempool or an empty purse: the others go on, and this one tries again in a later slot.
            return

    def _fair_price(self, pool: TradedPool) -> float:
        usd0 = pool.token0.usd * math.exp(self._log_fair[pool.token0.symbol])
        usd1 = pool.token1.usd * math.exp(self._log_fair[pool.token1.symbol])
        return float(usd0 / usd1 * 10.0 ** (pool.token1.decimals - pool.token0.decimals))

    def _read(self, pool: TradedPool) -> PoolState:
        if pool.spec.protocol not in (*swaps.V2, *swaps.V3):
            return _loaded_state(pool_at_head(self._chain, pool.spec), pool)
        storage = self._chain.ledger.accounts[pool.spec.address].storage
        if pool.is_v3:
            root = (storage[V3_SLOT0] & (1 << 160) - 1) / 2**96
            liquidity = storage.get(V3_LIQUIDITY_SLOT, 0)
            return PoolState(root * root, liquidity / root, liquidity * root)
        reserves = storage[V2_RESERVES_SLOT]
        mask = (1 << 112) - 1
        reserve0, reserve1 = reserves & mask, reserves >> 112 & mask
        return PoolState(reserve1 / reserve0, float(reserve0), float(reserve1))


def sink_words(gas: int) -> int:
    """How many words of memory cost ``gas``: the inverse of 3w + w²/512."""
    return max(math.isqrt(768 * 768 + 512 * max(gas, 0)) - 768, 0)


def _rounded(amount: float) -> int:
    return int(float(f"{amount:.9e}")) or 1


def _traded_pools(world: World) -> Iterator[TradedPool]:
    for spec in parse_pools(world.pools).pools:
        for one, other in combinations([token for token in spec.tokens if token in BY_ADDRESS], 2):
            yield TradedPool(spec, BY_ADDRESS[one], BY_ADDRESS[other])


def _loaded_state(state: Pool, pool: TradedPool) -> PoolState:
    i, j = state.spec.ends(pool.token0.address, pool.token1.address)
    # The fees of both directions fall out.
    price = math.sqrt(state.marginal_rate(i, j) / state.marginal_rate(j, i))
    return PoolState(price, _virtual_reserve(state, i, j), _virtual_reserve(state, j, i))


def _virtual_reserve(pool: Pool, i: int, j: int) -> float:
    """The reserve of a constant-product pool whose price a small swap would move as much, within ``DEEPEST``."""
    reserve = pool.reserve_in(i, j)
    amount = reserve // SMALL_PART
    at_once = pool.marginal_rate(i, j) * amount
    lost = at_once - pool.amount_out(i, j, amount)
    deepest = DEEPEST * float(reserve)
    return min(amount * (at_once / lost - 1), deepest) if lost > 0 else deepest
