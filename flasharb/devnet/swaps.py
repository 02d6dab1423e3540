"""How a trader swaps in each kind of pool: the call, without asking for a least output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from flasharb.devnet.abi import call_data
from flasharb.devnet.keepers import KEY, key_fields
from flasharb.devnet.layout import CONTRACTS, SOLIDLY
from flasharb.pools import PoolSpec
from flasharb.pools.balancer import admission as balancer
from flasharb.pools.concentrated.tick_math import MAX_SQRT_PRICE_X96, MIN_SQRT_PRICE_X96
from flasharb.pools.managed import key as managed_key
from flasharb.pools.solidly.storage import facts_of
from flasharb.pools.stableswap.codes import PROTOCOL as STABLESWAP
from flasharb.units import Address

FOREVER: Final = 2**63
V2: Final = ("uniswap_v2", "sushiswap_v2")
V3: Final = ("uniswap_v3",)
Way: TypeAlias = tuple[Address, Address]
"""The tokens that go in and come out."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a transaction of the trader's does."""

    to: Address
    data: bytes
    gas_limit: int


def swap_call(spec: PoolSpec, trader: Address, way: Way, amount_in: int) -> Call:
    """Swap exactly ``amount_in`` in this pool, for the trader that sends it."""
    return _CALLS[spec.protocol](spec, trader, way, amount_in)


def _v2(spec: PoolSpec, trader: Address, way: Way, amount_in: int) -> Call:
    signature = "swapExactTokensForTokens(uint256,uint256,address[],address,uint256)"
    data = call_data(signature, amount_in, 0, list(way), trader, FOREVER)
    return Call(CONTRACTS[f"{spec.protocol}_router"], data, 250_000)


def _v3(spec: PoolSpec, trader: Address, way: Way, amount_in: int) -> Call:
    signature = "exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))"
    data = call_data(signature, (*way, spec.fee_pips, trader, FOREVER, amount_in, 0, 0))
    return Call(CONTRACTS["uniswap_v3_router"], data, 600_000)


def _v4(spec: PoolSpec, _trader: Address, way: Way, amount_in: int) -> Call:
    """Out of the funds of the contract that trades in the manager for everybody."""
    key, zero_for_one = managed_key.key_of(spec), way[0] == spec.token0
    limit = MIN_SQRT_PRICE_X96 + 1 if zero_for_one else MAX_SQRT_PRICE_X96 - 1
    signature = f"swap({KEY},(bool,int256,uint160),bytes)"
    swap = call_data(signature, key_fields(key), (zero_for_one, -amount_in, limit), b"")
    parties = CONTRACTS["v4_manager"], key.currency0, key.currency1
    return Call(CONTRACTS["v4_user"], call_data("execute(address,address,address,bytes)", *parties, swap), 600_000)


def _balancer(spec: PoolSpec, trader: Address, way: Way, amount_in: int) -> Call:
    data = call_data(
        "swap((bytes32,uint8,address,address,uint256,bytes),(address,bool,address,bool),uint256,uint256)",
        (balancer.pool_id_of(spec), 0, *way, amount_in, b""),
        (trader, False, trader, False),
        0,
        FOREVER,
    )
    return Call(CONTRACTS["balancer_vault"], data, 500_000)


def _curve(spec: PoolSpec, _trader: Address, way: Way, amount_in: int) -> Call:
    """An exchange of two coins, or one coin in or out against the LP token, which comes after the coins."""
    i, j = spec.ends(*way)
    coins = len(spec.tokens) - 1
    if j == coins:
        amounts = [amount_in if k == i else 0 for k in range(coins)]
        data = call_data(f"add_liquidity(uint256[{coins}],uint256)", amounts, 0)
    elif i == coins:
        data = call_data("remove_liquidity_one_coin(uint256,int128,uint256)", amount_in, j, 0)
    else:
        data = call_data("exchange(int128,int128,uint256,uint256)", i, j, amount_in, 0)
    return Call(spec.address, data, 400_000)


def _solidly(spec: PoolSpec, trader: Address, way: Way, amount_in: int) -> Call:
    signature = "swapExactTokensForTokensSimple(uint256,uint256,address,address,bool,address,uint256)"
    data = call_data(signature, amount_in, 0, *way, facts_of(spec).stable, trader, FOREVER)
    return Call(CONTRACTS["solidly_router"], data, 400_000)


_CALLS: Final[Mapping[str, Callable[[PoolSpec, Address, Way, int], Call]]] = {
    **dict.fromkeys(V2, _v2),
    **dict.fromkeys(V3, _v3),
    managed_key.PROTOCOL: _v4,
    balancer.WEIGHTED: _balancer,
    balancer.STABLE: _balancer,
    STABLESWAP: _curve,
    SOLIDLY: _solidly,
}
