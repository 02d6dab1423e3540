"""Small markets for the tests of market and strategy: tokens, pools and blocks with addresses that sort as written."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import ClassVar

import msgspec

from flasharb.feed.events import BlockHeader, ClosedBlock, PoolEvent, PoolUnreliable
from flasharb.market.snapshot import Market
from flasharb.pools import InsufficientLiquidity, Pool, PoolSpec, Swapped, Token, V2Pool, V3Pool, v3_pool
from flasharb.pools.concentrated.liquidity import TickLiquidity
from flasharb.pools.concentrated.tick_bitmap import word_of
from flasharb.pools.concentrated.tick_math import sqrt_price_at_tick
from flasharb.pools.inverse import least_input
from flasharb.units import Address, Hash32


def address_of(name: str) -> Address:
    """An address that depends on the name only."""
    return Address(sha256(name.encode()).digest()[:20])


def numbered(n: int) -> Address:
    """The n-th address in ascending order."""
    return Address(n.to_bytes(20, "big"))


def token(symbol: str, decimals: int = 18, at: Address | None = None) -> Token:
    return Token(at or address_of(symbol), symbol, decimals)


WETH = token("WETH", 18, numbered(0xEE << 152))
USDC = token("USDC", 6, numbered(0xAA << 152))
USDT = token("USDT", 6, numbered(0xFA << 152))
DAI = token("DAI", 18, numbered(0xBB << 152))
WBTC = token("WBTC", 8, numbered(0x22 << 152))
TOKENS = (WETH, USDC, USDT, DAI, WBTC)


def v2(
    name: str,
    reserve_a: tuple[Address, int],
    reserve_b: tuple[Address, int],
    fee_pips: int = 3000,
    protocol: str = "uniswap_v2",
) -> V2Pool:
    """A constant-product pool with its two (token, reserve) in any order."""
    (token0, reserve0), (token1, reserve1) = sorted((reserve_a, reserve_b))
    return V2Pool(PoolSpec(address_of(name), protocol, (token0, token1), fee_pips), reserve0, reserve1)


def v3(
    name: str,
    tokens: tuple[Address, Address],
    tick: int,
    positions: list[tuple[int, int, int]],
    fee_pips: int = 3000,
    tick_spacing: int = 60,
    words: tuple[int, int] | None = None,
    sqrt_price_x96: int | None = None,
) -> V3Pool:
    """A concentrated pool at ``tick`` with positions (lower, upper, liquidity), known in ``words`` (None: all)."""
    token0, token1 = sorted(tokens)
    ticks: dict[int, TickLiquidity] = {}
    active = 0
    for lower, upper, liquidity in positions:
        for bound, net in ((lower, liquidity), (upper, -liquidity)):
            known = ticks.get(bound, TickLiquidity(0, 0))
            ticks[bound] = TickLiquidity(known.gross + liquidity, known.net + net)
        active += liquidity if lower <= tick < upper else 0
    if words is not None:
        ticks = {at: known for at, known in ticks.items() if words[0] <= word_of(at, tick_spacing) <= words[1]}
    spec = PoolSpec(address_of(name), "uniswap_v3", (token0, token1), fee_pips, tick_spacing)
    return v3_pool(spec, sqrt_price_x96 or sqrt_price_at_tick(tick), tick, active, ticks, words)


class Basket(msgspec.Struct, frozen=True):
    """A constant product between any two of several tokens, in no closed form that the sizing knows."""

    ROUNDING: ClassVar = (1, 1)

    spec: PoolSpec
    reserves: tuple[int, ...]

    def amount_out(self, i: int, j: int, amount: int) -> int:
        if amount < 0:
            raise ValueError(f"an amount cannot be negative: {amount}")
        paid = amount * (1_000_000 - self.spec.fee_pips) // 1_000_000
        return self.reserves[j] * paid // (self.reserves[i] + paid)

    def amount_in(self, i: int, j: int, amount: int) -> int:
        if amount >= self.reserves[j]:
            raise InsufficientLiquidity(f"{amount} is not less than the reserve of {self.reserves[j]}")
        paid = -(-self.reserves[i] * amount // (self.reserves[j] - amount))
        guess = -(-paid * 1_000_000 // (1_000_000 - self.spec.fee_pips))
        return least_input(partial(self.amount_out, i, j), amount, guess)

    def marginal_rate(self, i: int, j: int) -> float:
        return (1_000_000 - self.spec.fee_pips) / 1_000_000 * (self.reserves[j] / self.reserves[i])

    def reserve_in(self, i: int, j: int) -> int:
        return self.reserves[i]

    def depth(self) -> tuple[int, ...]:
        return self.reserves

    def swapped(self, i: int, j: int, amount: int) -> Swapped[Basket]:
        paid = self.amount_out(i, j, amount)
        after = list(self.reserves)
        after[i] += amount
        after[j] -= paid
        return Swapped(amount, paid, Basket(self.spec, tuple(after)))


def basket(name: str, reserves: dict[Address, int], fee_pips: int = 400) -> Basket:
    """A pool of as many tokens as there are reserves, under the name of a protocol that the registry has."""
    return Basket(PoolSpec(address_of(name), "uniswap_v2", tuple(reserves), fee_pips), tuple(reserves.values()))


def market(*pools: Pool, number: int = 100, tokens: tuple[Token, ...] = TOKENS, stale_after_blocks: int = 0) -> Market:
    return Market.load(number, pools, tokens, block=header(number), stale_after_blocks=stale_after_blocks)


def block_hash(number: int, branch: str = "a") -> Hash32:
    return Hash32(sha256(f"{branch}/{number}".encode()).digest())


def header(number: int, branch: str = "a", parent_branch: str | None = None, base_fee: int = 10**9) -> BlockHeader:
    """The header of a block on a branch; ``parent_branch`` where it forked off."""
    return BlockHeader(
        number=number,
        hash=block_hash(number, branch),
        parent_hash=block_hash(number - 1, parent_branch or branch),
        timestamp=1_700_000_000 + 12 * number,
        base_fee_per_gas=base_fee,
        gas_used=15_000_000,
        gas_limit=30_000_000,
        coinbase=numbered(0xC0FFEE),
    )


def closed(
    number: int, *events: PoolEvent | PoolUnreliable, branch: str = "a", parent_branch: str | None = None
) -> ClosedBlock:
    return ClosedBlock(number, events, header(number, branch, parent_branch))
