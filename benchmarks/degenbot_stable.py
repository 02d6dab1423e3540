"""degenbot's stable releases (0.3 for Python 3.11, 0.5 from 3.12 on): its pools and cycles, made without a node.

Everything that is timed is public: ``UniswapLpCycle.calculate`` after ``external_update`` of the pools, the same with
``state_overrides``, and ``calculate_with_pool``. Only the objects are filled by hand, where it would ask a node.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from logging import WARNING, getLogger
from threading import Lock
from types import SimpleNamespace
from typing import Any
from weakref import WeakSet

from flasharb.pools import Pool, V2Pool, V3Pool
from flasharb.pools.concentrated.tick_bitmap import full_range
from flasharb.pools.stableswap import StableSwapPool
from flasharb.units import Address, checksum

STABLE = ("0.3", "0.5")
_CYCLES = "degenbot.arbitrage.uniswap_lp_cycle"
_CURVE_CYCLES = "degenbot.arbitrage.uniswap_curve_cycle"


def degenbot_version() -> str | None:
    """The installed release; None without one."""
    try:
        return version("degenbot")
    except PackageNotFoundError:
        return None


def is_stable(release: str | tuple[str, ...] = STABLE) -> bool:
    """Whether one of the releases that this module knows is installed, or a certain one of them."""
    return (degenbot_version() or "").startswith(release)


class StablePools:
    """Its copies of our pools. ``sparse``: with the map of ticks that a pool starts with, rather than a whole one."""

    def __init__(self, pools: Sequence[Pool], sparse: bool = False) -> None:
        self.sparse = sparse
        self.old = is_stable("0.3")
        self.tokens: dict[Address, Any] = {}
        self._blocks = count(2)
        self.pools = [self._pool(pool) for pool in pools]

    def token(self, at: Address) -> Any:
        """Its token."""
        if at not in self.tokens:
            kind = import_module("degenbot.erc20_token" if self.old else "degenbot.erc20").Erc20Token
            token = object.__new__(kind)
            token.address, token.symbol, token.name, token.decimals = checksum(at), "T", "T", 18
            token._chain_id = 1
            self.tokens[at] = token
        return self.tokens[at]

    def updates(self, pools: Sequence[Pool]) -> list[Any]:
        """The ``external_update`` arguments that bring its pools to these states."""
        block = next(self._blocks)
        return [self._update(pool, block) for pool in pools]

    def apply(self, updates: Sequence[Any]) -> None:
        """Update each pool that can be told."""
        for pool, update in zip(self.pools, updates, strict=True):
            if update is not None:
                pool.external_update(update)

    def overrides(self, pools: Sequence[Pool]) -> dict[Any, Any]:
        """``state_overrides`` for these states."""
        keys = [pool.address for pool in self.pools] if self.old else self.pools
        return {key: self._state(pool) for key, pool in zip(keys, pools, strict=True)}

    def _types(self, generation: str) -> Any:
        return import_module("degenbot.uniswap.types" if self.old else f"degenbot.uniswap.{generation}_types")

    def _pool(self, pool: Pool) -> Any:
        if isinstance(pool, StableSwapPool):
            return self._curve_pool(pool)
        generation = "v2" if isinstance(pool, V2Pool) else "v3"
        module = import_module(f"degenbot.uniswap.{generation}_liquidity_pool")
        made = object.__new__(module.UniswapV2Pool if generation == "v2" else module.UniswapV3Pool)
        made.address, made.name, made._chain_id = checksum(pool.spec.address), "bench", 1
        made.token0, made.token1 = (self.token(at) for at in pool.spec.tokens)
        made._state_lock, made._subscribers = Lock(), set() if self.old else WeakSet()
        made._state_cache = import_module("degenbot.types" if self.old else "degenbot.types.concrete").BoundedCache(8)
        made._update_block = made._initial_state_block = 1
        if isinstance(pool, V2Pool):
            made.fee_token0 = made.fee_token1 = Fraction(pool.spec.fee_pips, 10**6)
        else:
            made.fee, made.tick_spacing = pool.spec.fee_pips, pool.spec.tick_spacing
            made.sparse_liquidity_map = self.sparse
            made._swap_step_cache, made._swap_step_cache_lock = {}, Lock()
        made._state = self._state(pool)
        return made

    def _curve_pool(self, pool: StableSwapPool) -> Any:
        """A plain pool of the first kind, in 0.5. It asks a node for the block: here one at hand."""
        module = import_module("degenbot.curve.curve_stableswap_liquidity_pool")
        node = SimpleNamespace(eth=SimpleNamespace(get_block_number=lambda: 1, block_number=1))
        for asking in (module, import_module(_CURVE_CYCLES)):
            vars(asking)["connection_manager"] = SimpleNamespace(get_web3=lambda _: node)
        made = object.__new__(module.CurveStableswapPool)
        made.address, made.name, made._chain_id, made.base_pool = checksum(pool.spec.address), "bench", 1, None
        made._subscribers = WeakSet()
        made.tokens = tuple(self.token(at) for at in pool.spec.tokens[: len(pool.balances)])
        for token, rate in zip(made.tokens, pool.rates, strict=True):
            token.decimals = 36 - (len(str(rate)) - 1)
        made.rate_multipliers, made.fee = pool.rates, pool.parameters.fee
        made.a_coefficient = pool.parameters.ramp.future // pool.facts.rules.a_precision
        made.initial_a_coefficient = made.future_a_coefficient = None
        made._block_timestamps = {1: 1}
        made._state = self._state(pool)
        return made

    def _state(self, pool: Pool) -> Any:
        at = checksum(pool.spec.address)
        if isinstance(pool, StableSwapPool):
            state = import_module("degenbot.curve.types").CurveStableswapPoolState
            return state(address=at, block=1, balances=pool.balances)
        where: dict[str, Any] = {"pool": at} if self.old else {"address": at, "block": 1}
        if isinstance(pool, V2Pool):
            reserves = {"reserves_token0": pool.reserve0, "reserves_token1": pool.reserve1}
            return self._types("v2").UniswapV2PoolState(**where, **reserves)
        assert isinstance(pool, V3Pool)
        types = self._types("v3")
        lowest, highest = full_range(pool.spec.tick_spacing)
        bitmap = dict.fromkeys(range(lowest - 1, highest + 2), 0)
        for tick in pool.ladder.ticks:
            compressed = tick // pool.spec.tick_spacing
            bitmap[compressed >> 8] |= 1 << (compressed & 255)
        info = pool.ladder.info.items()
        return types.UniswapV3PoolState(
            **where,
            liquidity=pool.liquidity,
            sqrt_price_x96=pool.sqrt_price_x96,
            tick=pool.tick,
            tick_bitmap={word: types.UniswapV3BitmapAtWord(bitmap=bits) for word, bits in bitmap.items()},
            tick_data={
                tick: types.UniswapV3LiquidityAtTick(liquidity_net=known.net, liquidity_gross=known.gross)
                for tick, known in info
            },
        )

    def _update(self, pool: Pool, block: int) -> Any:
        if isinstance(pool, StableSwapPool):
            return None  # it asks the node for these
        if isinstance(pool, V2Pool):
            return self._types("v2").UniswapV2PoolExternalUpdate(
                block_number=block, reserves_token0=pool.reserve0, reserves_token1=pool.reserve1
            )
        assert isinstance(pool, V3Pool)
        return self._types("v3").UniswapV3PoolExternalUpdate(
            block_number=block, liquidity=pool.liquidity, sqrt_price_x96=pool.sqrt_price_x96, tick=pool.tick
        )


class StableCycle(StablePools):
    """``UniswapLpCycle``, or with a Curve pool ``UniswapCurveCycle``, over its pools.

    ``most``: its ``max_input``, None for its own default.
    """

    def __init__(self, pools: Sequence[Pool], base: Address, most: int | None = None, sparse: bool = False) -> None:
        super().__init__(pools, sparse)
        getLogger("degenbot").setLevel(WARNING + 1)  # it warns of its own default
        curve = any(isinstance(pool, StableSwapPool) for pool in pools)
        kinds = import_module(_CURVE_CYCLES if curve else _CYCLES)
        kind = kinds.UniswapCurveCycle if curve else kinds.UniswapLpCycle
        self.cycle = kind(input_token=self.token(base), swap_pools=self.pools, id="bench", max_input=most)
        self._executor = ThreadPoolExecutor(1)
        self._loop = asyncio.new_event_loop()

    def calculate(self, overrides: Any = None) -> int:
        """The gain that it finds."""
        return int(self.cycle.calculate(state_overrides=overrides).profit_amount)

    def calculate_in_executor(self) -> int:
        """The same through its asynchronous way."""

        async def run() -> int:
            future = await self.cycle.calculate_with_pool(executor=self._executor)
            return int((await future).profit_amount)

        return self._loop.run_until_complete(run())

    def close(self) -> None:
        """End the executor's thread."""
        self._executor.shutdown()
        self._loop.close()


class StableCycles(StablePools):
    """Its cycles over many pools."""

    @property
    def rate_too_low(self) -> type[Exception]:
        """What ``calculate`` raises for a cycle whose rate is below the least that was asked for."""
        module = import_module("degenbot.exceptions" if self.old else "degenbot.exceptions.arbitrage")
        error: type[Exception] = module.RateOfExchangeBelowMinimum
        return error

    def __init__(self, pools: Sequence[Pool], paths: Sequence[Sequence[Pool]], base: Address) -> None:
        super().__init__(pools)
        kind = import_module(_CYCLES).UniswapLpCycle
        self._made = {pool.spec.address: made for pool, made in zip(pools, self.pools, strict=True)}
        self._through: dict[Address, list[Any]] = {pool.spec.address: [] for pool in pools}
        for path in paths:
            over = [self._made[pool.spec.address] for pool in path]
            cycle = kind(input_token=self.token(base), swap_pools=over, id="bench", max_input=10**20)
            for pool in path:
                self._through[pool.spec.address].append(cycle)

    def about(self, pool: Pool) -> tuple[Callable[[], object], list[Any]]:
        """The update to this state, ready to be made, and the cycles through the pool."""
        at = pool.spec.address
        return partial(self._made[at].external_update, self._update(pool, next(self._blocks))), self._through[at]
