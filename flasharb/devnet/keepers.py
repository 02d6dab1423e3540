"""Pools that share one contract, for ``build_world``: Uniswap V4's in the PoolManager, Balancer's in the Vault.

The manager pays and is paid inside a lock only, so that a contract of ours (``V4User``) stands between it and everybody
else: it holds funds of its own, provides the liquidity, and swaps for whoever calls it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from eth_abi.abi import encode

from flasharb.devnet.abi import call_data
from flasharb.devnet.layout import (
    CONTRACTS,
    PoolPlan,
    VaultPlan,
    ranges_of,
    sqrt_price_x96,
    tick_bounds,
)
from flasharb.pools.balancer.admission import recognised
from flasharb.pools.balancer.facts import WeightedFacts
from flasharb.pools.concentrated.tick_math import sqrt_price_at_tick
from flasharb.pools.managed.key import PoolKey, facts_of, key_of, spec_of
from flasharb.pools.spec import PoolSpec
from flasharb.units import ZERO_ADDRESS, Address, Hash32, checksum

if TYPE_CHECKING:
    from flasharb.devnet.build_world import Builder

KEY: Final = "(address,address,uint24,int24,address)"
FEE: Final = 10**15
"""0.1 %, of Balancer's pools, with 18 decimals."""
STABLE_FEE: Final = 10**14
DAY_S: Final = 86400


def key_fields(key: PoolKey) -> tuple[Any, ...]:
    """The key as the ABI has it."""
    return key.currency0, key.currency1, key.fee, key.tick_spacing, key.hooks


def create_managed(builder: Builder, plan: PoolPlan, lp: Address) -> PoolSpec:
    """Initialise a pool of the manager and fill it out of ``V4User``'s funds."""
    token0, token1 = plan.tokens
    currency0 = ZERO_ADDRESS if plan.native else token0.address
    key = PoolKey(currency0, token1.address, plan.fee_pips, plan.tick_spacing)
    manager, price = CONTRACTS["v4_manager"], sqrt_price_x96(token0, token1)
    builder.call(lp, manager, f"initialize({KEY},uint160)", key_fields(key), price)
    for low, high, share in ranges_of(plan):
        bounds = tick_bounds(plan, low, high)
        amounts = token0.units(plan.side_usd * share), token1.units(plan.side_usd * share)
        change = (*bounds, _liquidity(price, bounds, amounts), bytes(32))
        data = call_data(f"modifyLiquidity({KEY},(int24,int24,int256,bytes32),bytes)", key_fields(key), change, b"")
        builder.call(
            lp,
            CONTRACTS["v4_user"],
            "execute(address,address,address,bytes)",
            manager,
            key.currency0,
            key.currency1,
            data,
        )
    return spec_of(manager, key, CONTRACTS["weth"] if plan.native else None)


def _liquidity(price: int, bounds: tuple[int, int], amounts: tuple[int, int]) -> int:
    """The most liquidity between two ticks that both amounts are enough for (Uniswap's LiquidityAmounts)."""
    lower, upper = (sqrt_price_at_tick(tick) for tick in bounds)
    here = min(max(price, lower), upper)
    found = []
    if here < upper:
        found.append(amounts[0] * here * upper // (upper - here) >> 96)
    if here > lower:
        found.append((amounts[1] << 96) // (here - lower))
    return min(found)


def create_in_vault(builder: Builder, plan: VaultPlan, lp: Address) -> PoolSpec:
    """Create a pool of the Vault at its address, and join it with the first liquidity."""
    tokens = plan.tokens
    nobody, held = [ZERO_ADDRESS] * len(tokens), [token.address for token in tokens]
    named = ("Devnet pool", plan.name)
    ends: tuple[Any, ...] = (90 * DAY_S, 30 * DAY_S, builder.deployer)
    vault, fees = CONTRACTS["balancer_vault"], CONTRACTS["balancer_fees"]
    if plan.weights:
        params = (*named, held, list(plan.weights), nobody, nobody, FEE)
        kind = "(string,string,address[],uint256[],address[],address[],uint256)"
        types = f"{kind},address,address,uint256,uint256,address,string"
        builder.deploy_at(plan.address, "BalancerWeightedV3", types, params, vault, fees, *ends, "devnet")
    else:
        flags, none = [False] * len(tokens), [0] * len(tokens)
        stable = (vault, fees, *named, held, nobody, none, flags, plan.amplification, STABLE_FEE, *ends, "devnet")
        inner = "address[],address[],uint256[],bool[],uint256,uint256,uint256,uint256,address,string"
        builder.deploy_at(plan.address, "BalancerStableV3", f"(address,address,string,string,{inner})", stable)
    pool_id = Hash32(builder.call(lp, plan.address, "getPoolId()"))
    assets = held if plan.weights else sorted([*held, plan.address])
    units = {
        token.address: token.units(plan.value_usd * share) for token, share in zip(tokens, plan.shares, strict=True)
    }
    user_data = encode(["uint256", "uint256[]"], [0, [units.get(asset, 0) for asset in assets]])
    builder.call(
        lp,
        vault,
        "joinPool(bytes32,address,address,(address[],uint256[],bytes,bool))",
        pool_id,
        lp,
        lp,
        (assets, [units.get(asset, 2**256 - 1) for asset in assets], user_data, False),
    )
    account = builder.state.accounts[plan.address]
    assert account is not None
    spec = recognised(account.code, pool_id, tuple(assets))
    if isinstance(spec, str):
        raise RuntimeError(f"{plan.name}: {spec}")
    return spec


def entry_of(spec: PoolSpec) -> dict[str, Any]:
    """The pool as an entry of a pool file."""
    entry = {
        "address": checksum(spec.address),
        "protocol": spec.protocol,
        "tokens": [checksum(token) for token in spec.tokens],
    }
    if spec.protocol == "uniswap_v4":
        return {**entry, "fee_pips": spec.fee_pips, "tick_spacing": spec.tick_spacing, "facts": _managed_facts(spec)}
    return {**entry, "facts": _vault_facts(spec)}


def _managed_facts(spec: PoolSpec) -> dict[str, Any]:
    facts = facts_of(spec)
    named = {"manager": checksum(facts.manager), "pool_id": f"0x{key_of(spec).pool_id().hex()}"}
    return {**named, "native": True} if facts.native else named


def _vault_facts(spec: PoolSpec) -> dict[str, Any]:
    facts: Any = spec.facts
    common = {
        "kind": facts.kind,
        "pool_id": f"0x{facts.pool_id.hex()}",
        "decimals": [19 - len(str(scale)) for scale in facts.scaling],
        "pausable_until": facts.pausable_until,
    }
    if isinstance(facts, WeightedFacts):
        return {**common, "weights": list(facts.weights)}
    return {**common, "has_rate": list(facts.has_rate), "exempt": list(facts.exempt), "bpt": facts.bpt}
