"""The Rust engine of degenbot's alpha (0.6, Python 3.13), through its Python face."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from itertools import count

from benchmarks.bench_strategy import named
from benchmarks.degenbot_stable import degenbot_version, is_stable
from flasharb.pools import Pool, V2Pool, V3Pool
from flasharb.pools.managed.pool import V4Pool
from flasharb.units import Address, checksum


def is_engine() -> bool:
    """Whether its alpha is installed."""
    return degenbot_version() is not None and not is_stable()


class Engine:
    """Pools, and the paths over them. An update is ``update_v2_pool`` or ``update_v3_pool``; ``solve`` answers."""

    def __init__(self) -> None:
        module = import_module("degenbot._ffi")
        self.bot = module.Bot(1)
        self.engine = module.ArbitrageEngine(self.bot)
        self.keys: dict[Address, int] = {}
        self._blocks = count(2)

    def register(self, pool: Pool) -> int:
        """Make the pool known; return its key."""
        if pool.spec.address not in self.keys:
            self.keys[pool.spec.address] = self._registered(pool)
        return self.keys[pool.spec.address]

    def register_managed(self, pool: V4Pool, protocol_fee: int) -> int:
        """A V4 pool by its key."""
        token0, token1 = map(checksum, pool.spec.tokens)
        manager, pool_id = checksum(named("manager")), "0x" + "22" * 32
        price = (pool.sqrt_price_x96, pool.liquidity, pool.tick, 1)
        ticks = {tick: (info.gross, info.net, 1) for tick, info in pool.ladder.info.items()}
        fee, spacing = pool.spec.fee_pips, pool.spec.tick_spacing
        key: int = self.bot.register_v4_pool(
            manager, pool_id, token0, token1, fee, spacing, None, *price, ticks, "tracked", None, protocol_fee
        )
        return key

    def register_path(self, pools: Sequence[Pool], base: Address) -> None:
        """A cycle over pools."""
        refs, token = [], base
        for pool in pools:
            refs.append((self.register(pool), pool.spec.token0 == token))
            token = pool.spec.token1 if pool.spec.token0 == token else pool.spec.token0
        self.engine.register_path(refs)

    def update(self, pool: Pool) -> None:
        """Bring a pool to this state."""
        at, block = checksum(pool.spec.address), next(self._blocks)
        if isinstance(pool, V2Pool):
            self.bot.update_v2_pool(at, pool.reserve0, pool.reserve1, block)
        elif isinstance(pool, V3Pool):
            self.bot.update_v3_pool(at, pool.sqrt_price_x96, pool.liquidity, pool.tick, block)

    def solve(self) -> None:
        """Size all paths."""
        self.engine.solve_all_paths(next(self._blocks))

    def best_gain(self) -> int:
        """The largest gain of what was last solved (0: none)."""
        results, _ = self.engine.latest_results()
        return max((int(gain) for _, _, gain, *_ in results), default=0)

    def _registered(self, pool: Pool) -> int:
        at, (token0, token1) = checksum(pool.spec.address), map(checksum, pool.spec.tokens)
        factory = checksum(named("factory"))
        key: int
        if isinstance(pool, V2Pool):
            keeps = 10**6 - pool.spec.fee_pips
            fee = (keeps, 10**6, keeps, 10**6)
            key = self.bot.register_v2_pool_test_only(
                at, token0, token1, pool.reserve0, pool.reserve1, *fee, factory, 1, "uniswap-v2", False, None
            )
            return key
        assert isinstance(pool, V3Pool)
        ticks = {tick: (info.gross, info.net, 1) for tick, info in pool.ladder.info.items()}
        state = (pool.sqrt_price_x96, pool.liquidity, pool.tick, ticks, 1, "tracked")
        key = self.bot.register_v3_pool(at, token0, token1, pool.spec.fee_pips, pool.spec.tick_spacing, factory, *state)
        return key
