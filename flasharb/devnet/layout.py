"""What the devnet's world is made of: where its contracts stand, its tokens, its pools and how deep they are.

The contracts stand at their mainnet addresses, so the pools' CREATE2 addresses are those of mainnet too (Sushi's are
not: the pair code on npm is a later build than the one behind the mainnet factory).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from eth_hash.auto import keccak

from flasharb.units import Address, address

CONTRACTS: Final[dict[str, Address]] = {
    "weth": address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"),
    "usdc": address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"),
    "usdt": address("0xdAC17F958D2ee523a2206206994597C13D831ec7"),
    "dai": address("0x6B175474E89094C44Da98b954EedeAC495271d0F"),
    "wbtc": address("0x2260FAC5E5542a773Aa44fBCfeDf7C193bc2C599"),
    "uniswap_v2_factory": address("0x5C69bEe701ef814a2B6a3EDD4B1652CB9cc5aA6f"),
    "uniswap_v2_router": address("0x7a250d5630B4cF539739dF2C5dAcb4c659F2488D"),
    "sushiswap_v2_factory": address("0xC0AEe478e3658e2610c5F7A4A2E1777cE9e4f2Ac"),
    "sushiswap_v2_router": address("0xd9e1cE17f2641f24aE83637ab66a2cca9C378B9F"),
    "uniswap_v3_factory": address("0x1F98431c8aD98523631AE4a59f267346ea31F984"),
    "uniswap_v3_router": address("0xE592427A0AEce92De3Edee1F18E0157C05861564"),
    "position_manager": address("0xC36442b4a4522E871399CD717aBDD847Ab11FE88"),
    "quoter_v2": address("0x61fFE014bA17989E743c5F6cB21bF9697530B21e"),
    "balancer_vault": address("0xBA12222222228d8Ba445958a75a0704d566BF2C8"),
    "balancer_fees": address("0x97207B095e4D5C9a6e4cfbfcd2C3358E03B90c4A"),
    "v4_manager": address("0x000000000004444c5dc75cB358380D2e3dE08A90"),
    "v4_user": address("0x00000000000000000000000000000000000051a4"),
    "solidly_factory": address("0x00000000000000000000000000000000000051a5"),
    "solidly_router": address("0x00000000000000000000000000000000000051a6"),
    "curve_pool": address("0x00000000000000000000000000000000000051a7"),
    "curve_share": address("0x00000000000000000000000000000000000051a8"),
}
"""``v4_user`` is ours: it holds what it trades with, and swaps in the V4 manager for whoever calls it. Those of Solidly
and Curve are ours, too.
"""
SOLIDLY: Final = "velodrome_v1"
"""Which kind of Solidly's family our pairs are like."""
SINK: Final = address("0x00000000000000000000000000000000000051a0")
"""Where the crowd's gas goes; see :data:`SINK_CODE`."""
SINK_CODE: Final = bytes.fromhex("5f35515000")
"""``mload(calldataload(0))``: memory growth costs gas by its square and the host next to nothing."""
BEACON_ROOTS: Final = address("0x000F3df6D732807Ef1319fB7B8bB8522d0Beac02")
BLOCK_HASHES: Final = address("0x0000F90827F1C53a10cb7A02335B175320002935")


@dataclass(frozen=True, slots=True)
class DevToken:
    """A token of the world and its price at genesis."""

    key: str
    name: str
    symbol: str
    decimals: int
    usd: float

    @property
    def address(self) -> Address:
        return CONTRACTS[self.key]

    @property
    def unit(self) -> int:
        """Smallest units in one token."""
        return int(10**self.decimals)

    def units(self, usd: float) -> int:
        """How many smallest units are worth ``usd`` at genesis."""
        return round(usd / self.usd * 10**6) * self.unit // 10**6


TOKENS: Final = (
    DevToken("weth", "Wrapped Ether", "WETH", 18, 3_000.0),
    DevToken("usdc", "USD Coin", "USDC", 6, 1.0),
    DevToken("usdt", "Tether USD", "USDT", 6, 1.0),
    DevToken("dai", "Dai Stablecoin", "DAI", 18, 1.0),
    DevToken("wbtc", "Wrapped BTC", "WBTC", 8, 90_000.0),
)
SHARE: Final = DevToken("curve_share", "Devnet stable pool", "devSTABLE", 18, 1.0)
"""The LP token of the Curve pool, which makes it."""
BY_SYMBOL: Final = {token.symbol: token for token in (*TOKENS, SHARE)}
BY_ADDRESS: Final = {token.address: token for token in (*TOKENS, SHARE)}


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """A pool to create, with ``side_usd`` worth of each token in it."""

    protocol: str
    pair: tuple[str, str]
    fee_pips: int
    tick_spacing: int
    side_usd: float
    native: bool = False
    """Of V4: WETH stands for ether itself, which comes first."""

    @property
    def tokens(self) -> tuple[DevToken, DevToken]:
        """token0 and token1, in the order of their addresses as on chain."""
        first, second = (BY_SYMBOL[symbol] for symbol in self.pair)
        if self.native:
            return first, second
        return (first, second) if first.address < second.address else (second, first)


@dataclass(frozen=True, slots=True)
class VaultPlan:
    """A pool of Balancer's Vault with ``value_usd`` in it: weighted, or stable where there are no ``weights``.

    Weights have 18 decimals; both kinds list their tokens in ascending order of addresses.
    """

    name: str
    symbols: tuple[str, ...]
    value_usd: float
    weights: tuple[int, ...] = ()
    amplification: int = 0

    @property
    def tokens(self) -> tuple[DevToken, ...]:
        """Its tokens, without its own."""
        return tuple(BY_SYMBOL[symbol] for symbol in self.symbols)

    @property
    def shares(self) -> tuple[float, ...]:
        """What part of the value each token is."""
        return tuple(weight / 10**18 for weight in self.weights) or (1 / len(self.symbols),) * len(self.symbols)

    @property
    def address(self) -> Address:
        """Where it stands; its id begins with it."""
        return Address(keccak(f"flasharb devnet {self.name}".encode())[12:])


@dataclass(frozen=True, slots=True)
class CurvePlan:
    """The StableSwap pool with ``side_usd`` of each coin, the first of 18 decimals and the second of 6.

    ``fee`` in 10^-10; ``trader_usd`` of its LP token is for each trader.
    """

    symbols: tuple[str, str]
    side_usd: float
    amplification: int
    fee: int
    trader_usd: float

    @property
    def coins(self) -> tuple[DevToken, DevToken]:
        first, second = self.symbols
        return BY_SYMBOL[first], BY_SYMBOL[second]


@dataclass(frozen=True, slots=True)
class SolidlyPlan:
    """A pair of our Solidly factory with ``side_usd`` worth of each token in it."""

    pair: tuple[str, str]
    side_usd: float
    stable: bool

    @property
    def tokens(self) -> tuple[DevToken, DevToken]:
        """token0 and token1, in the order of their addresses as on chain."""
        first, second = (BY_SYMBOL[symbol] for symbol in self.pair)
        return (first, second) if first.address < second.address else (second, first)


def _v2(protocol: str, first: str, second: str, side_usd: float) -> PoolPlan:
    return PoolPlan(protocol, (first, second), 3000, 0, side_usd)


def _v3(first: str, second: str, fee_pips: int, side_usd: float) -> PoolPlan:
    return PoolPlan(
        "uniswap_v3", (first, second), fee_pips, {100: 1, 500: 10, 3000: 60, 10_000: 200}[fee_pips], side_usd
    )


POOLS: Final = (
    _v2("uniswap_v2", "WETH", "USDC", 4e6),
    _v2("uniswap_v2", "WETH", "USDT", 3e6),
    _v2("uniswap_v2", "WETH", "DAI", 1.5e6),
    _v2("uniswap_v2", "WBTC", "WETH", 2e6),
    _v2("uniswap_v2", "DAI", "USDC", 8e5),
    _v2("uniswap_v2", "USDC", "USDT", 8e5),
    _v2("sushiswap_v2", "WETH", "USDC", 1.5e6),
    _v2("sushiswap_v2", "WETH", "USDT", 1e6),
    _v2("sushiswap_v2", "WETH", "DAI", 1e6),
    _v2("sushiswap_v2", "WBTC", "WETH", 1.2e6),
    _v3("WETH", "USDC", 500, 3e6),
    _v3("WETH", "USDC", 3000, 2e6),
    _v3("WETH", "USDC", 10_000, 4e5),
    _v3("WETH", "USDT", 500, 1.5e6),
    _v3("WETH", "USDT", 3000, 1.5e6),
    _v3("WETH", "DAI", 3000, 1e6),
    _v3("WBTC", "WETH", 500, 1.5e6),
    _v3("WBTC", "WETH", 3000, 1.5e6),
    _v3("WBTC", "USDC", 3000, 8e5),
    _v3("USDC", "USDT", 100, 2e6),
    _v3("DAI", "USDC", 100, 2e6),
)


def _v4(first: str, second: str, fee_pips: int, side_usd: float, *, native: bool = False) -> PoolPlan:
    return PoolPlan("uniswap_v4", (first, second), fee_pips, {100: 1, 500: 10, 3000: 60}[fee_pips], side_usd, native)


MANAGED_POOLS: Final = (
    _v4("WETH", "USDC", 500, 3e6, native=True),
    _v4("WETH", "USDT", 3000, 1.5e6, native=True),
    _v4("WBTC", "WETH", 3000, 1.5e6),
    _v4("USDC", "USDT", 100, 1.5e6),
)
VAULT_POOLS: Final = (
    VaultPlan("50 WBTC 50 WETH", ("WBTC", "WETH"), 3e6, (5 * 10**17, 5 * 10**17)),
    VaultPlan("60 WETH 40 DAI", ("DAI", "WETH"), 2.5e6, (4 * 10**17, 6 * 10**17)),
    VaultPlan("thirds of WBTC, USDC, WETH", ("WBTC", "USDC", "WETH"), 4.5e6, (33 * 10**16, 33 * 10**16, 34 * 10**16)),
    VaultPlan("dollars", ("DAI", "USDC", "USDT"), 4e6, amplification=200),
)
CURVE_POOL: Final = CurvePlan(("DAI", "USDC"), 5e6, amplification=200, fee=1_000_000, trader_usd=1e6)
SHARE_POOLS: Final = (_v2("uniswap_v2", "WETH", SHARE.symbol, 1e6),)
"""Pairs with the Curve pool's LP token, so that whoever wants to level their price goes through that pool."""
SOLIDLY_FEES_BPS: Final = (1, 20)
"""Of stable and of volatile pairs."""
SOLIDLY_POOLS: Final = (
    SolidlyPlan(("WETH", "USDC"), 1.5e6, stable=False),
    SolidlyPlan(("DAI", "WETH"), 1e6, stable=False),
    SolidlyPlan(("USDC", "USDT"), 1e6, stable=True),
)

RANGES: Final = (
    (-0.40, 0.60, 0.25),
    (-0.12, 0.12, 0.30),
    (-0.03, 0.03, 0.25),
    (-0.15, -0.02, 0.10),
    (0.02, 0.15, 0.10),
)
"""Positions of a V3 pool: from and to as shares of the price, and the share of the pool's value."""
STABLE_RANGES: Final = (
    (-0.05, 0.05, 0.3),
    (-0.005, 0.005, 0.4),
    (-0.001, 0.001, 0.2),
    (0.0005, 0.01, 0.05),
    (-0.01, -0.0005, 0.05),
)


def ranges_of(plan: PoolPlan) -> tuple[tuple[float, float, float], ...]:
    """The positions for a pool: narrow ones where both tokens are dollars."""
    return STABLE_RANGES if plan.fee_pips == 100 else RANGES


def raw_price(token0: DevToken, token1: DevToken) -> float:
    """Smallest units of token1 per smallest unit of token0 at genesis prices."""
    return float(token0.usd / token1.usd * 10.0 ** (token1.decimals - token0.decimals))


def sqrt_price_x96(token0: DevToken, token1: DevToken) -> int:
    """The V3 price at genesis; exact in integers, so that every machine gets the same."""
    numerator = int(token0.usd) * 10**token1.decimals
    denominator = int(token1.usd) * 10**token0.decimals
    return math.isqrt((numerator << 192) // denominator)


def tick_bounds(plan: PoolPlan, low: float, high: float) -> tuple[int, int]:
    """The usable ticks around the genesis price shifted by ``low`` and ``high`` (shares of the price)."""
    price = raw_price(*plan.tokens)
    spacing = plan.tick_spacing
    lower = math.floor(math.log(price * (1 + low), 1.0001) / spacing) * spacing
    upper = math.floor(math.log(price * (1 + high), 1.0001) / spacing + 1) * spacing
    return lower, upper
