"""Which logs move a pool of the Vault, and what it is afterwards.

The Vault's own logs name the pool in their second topic and are exact for a weighted pool. A stable pool keeps more
than they tell: after a join or an exit, and when it has asked for a rate (whose expiry follows from the block's time,
which a log does not have), it must be loaded anew.
"""

from __future__ import annotations

from typing import Final

from flasharb.pools.balancer.pool import VaultPool
from flasharb.pools.balancer.stable import StablePool
from flasharb.pools.balancer.stable_facts import Ramp
from flasharb.pools.balancer.weighted import WeightedPool
from flasharb.pools.events import Log, Rule, StateUnknown, reload, rules, word
from flasharb.units import Address


def _token(pool: VaultPool, topic: bytes) -> int:
    """The index of a token that a topic names."""
    try:
        return pool.spec.tokens.index(Address(topic[-20:]))
    except ValueError:
        raise StateUnknown("the Vault moved a token that the pool was not known to hold") from None


def _swap(pool: WeightedPool | StablePool, log: Log) -> WeightedPool | StablePool:
    i, j = _token(pool, log.topics[2]), _token(pool, log.topics[3])
    return pool.after_swap(i, j, word(log, 0), word(log, 1))


def _balance_changed(pool: WeightedPool | StablePool, log: Log) -> WeightedPool | StablePool:
    tokens = [Address(raw.to_bytes(32, "big")[12:]) for raw in _array(log, 0)]
    if tuple(tokens) != pool.spec.tokens:
        raise StateUnknown("the Vault's tokens are not those that the pool was known to hold")
    return pool.after_pool_balance_changed([_signed(raw) for raw in _array(log, 1)], _array(log, 2))


def _managed(pool: WeightedPool | StablePool, log: Log) -> WeightedPool | StablePool:
    return pool.after_pool_balance_managed(_token(pool, log.topics[3]), _signed(word(log, 0)), _signed(word(log, 1)))


def _array(log: Log, index: int) -> list[int]:
    """A dynamic array among the log's arguments."""
    at = word(log, index) // 32
    return [word(log, at + 1 + k) for k in range(word(log, at))]


def _signed(raw: int) -> int:
    return raw - (1 << 256) if raw >> 255 else raw


def _ramp_started(pool: StablePool, log: Log) -> StablePool:
    return pool.after_amplification_changed(Ramp(*(word(log, k) for k in range(4))))


def _ramp_stopped(pool: StablePool, log: Log) -> StablePool:
    return pool.after_amplification_changed(Ramp(word(log, 0), word(log, 0), 0, 0))


_OF_THE_VAULT: Final = (
    Rule("Swap(bytes32,address,address,uint256,uint256)", 3, 2, _swap, pool_topic=1),
    Rule("PoolBalanceChanged(bytes32,address,address[],int256[],uint256[])", 2, None, _balance_changed, pool_topic=1),
    Rule("PoolBalanceManaged(bytes32,address,address,int256,int256)", 3, 2, _managed, pool_topic=1),
)
_OF_EVERY_POOL: Final = (
    Rule("SwapFeePercentageChanged(uint256)", 0, 1, lambda pool, log: pool.after_swap_fee_changed(word(log, 0))),
    Rule("PausedStateChanged(bool)", 0, 1, reload("the pool was paused or set going again")),
    Rule("RecoveryModeStateChanged(bool)", 0, 1, reload("the pool entered or left recovery mode")),
)

WEIGHTED_RULES: Final = rules(*_OF_THE_VAULT, *_OF_EVERY_POOL)
STABLE_RULES: Final = rules(
    *_OF_THE_VAULT,
    *_OF_EVERY_POOL,
    Rule("AmpUpdateStarted(uint256,uint256,uint256,uint256)", 0, 4, _ramp_started),
    Rule("AmpUpdateStopped(uint256)", 0, 1, _ramp_stopped),
    Rule("TokenRateCacheUpdated(uint256,uint256)", 1, 1, reload("the pool asked for a rate")),
    Rule("TokenRateProviderSet(uint256,address,uint256)", 2, 1, reload("a rate is to last longer or shorter")),
    Rule("ProtocolFeePercentageCacheUpdated(bytes32)", 0, 1, reload("the protocol's share was changed")),
)
