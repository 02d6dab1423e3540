"""Pools for ``build_world`` whose real contracts no licence lets us deploy: our own, which tests hold to the real ones.

Solidly's pairs come from their factory (``solidity/devnet/Solidly.sol``), the Curve pool stands by itself
(``solidity/devnet/StableSwap.sol``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from eth_hash.auto import keccak

from flasharb.devnet.layout import CONTRACTS, SHARE, SOLIDLY, SOLIDLY_FEES_BPS, CurvePlan, SolidlyPlan
from flasharb.pools.protocols import Deployment
from flasharb.pools.solidly.facts import SolidlyFacts
from flasharb.pools.spec import PoolSpec
from flasharb.pools.stableswap.codes import PROTOCOL as STABLESWAP
from flasharb.pools.stableswap.rules import TEMPLATE_2, StableFacts
from flasharb.units import Address, Hash32

if TYPE_CHECKING:
    from flasharb.devnet.build_world import Builder

ADMIN_FEE: Final = 5 * 10**9
"""Half of the fee."""
SHARE_SUPPLY_SLOT: Final = 2
"""Where OpenZeppelin's ERC-20 keeps its total supply."""


def deploy_solidly(builder: Builder, pair_creation_code: bytes) -> Deployment:
    """The factory of Solidly pairs and a router; what vouches for the addresses of its pairs."""
    factory = CONTRACTS["solidly_factory"]
    builder.deploy_at(factory, "DevSolidlyFactory", "address,uint256,uint256", builder.deployer, *SOLIDLY_FEES_BPS)
    builder.deploy_at(CONTRACTS["solidly_router"], "DevSolidlyRouter", "address", factory)
    return Deployment(factory, factory, Hash32(keccak(pair_creation_code)))


def create_solidly(builder: Builder, plan: SolidlyPlan, lp: Address) -> PoolSpec:
    """Create a pair and send it its first liquidity."""
    factory, tokens = CONTRACTS["solidly_factory"], plan.tokens
    held = tokens[0].address, tokens[1].address
    pair = Address(builder.call(lp, factory, "createPair(address,address,bool)", *held, plan.stable)[12:])
    for token in tokens:
        builder.call(lp, token.address, "transfer(address,uint256)", pair, token.units(plan.side_usd))
    builder.call(lp, pair, "mint(address)", lp)
    facts = SolidlyFacts("velodrome_v1", plan.stable, (tokens[0].unit, tokens[1].unit), factory)
    return PoolSpec(pair, SOLIDLY, held, 0, facts=facts)


def create_curve(builder: Builder, plan: CurvePlan, lp: Address) -> PoolSpec:
    """Put the StableSwap pool at its address and deposit its first liquidity."""
    pool, share = CONTRACTS["curve_pool"], SHARE.address
    first, second = plan.coins
    coins = [first.address, second.address]
    builder.deploy_at(share, "DevStableSwapToken", "address", pool)
    types = "address[2],address,uint256,uint256,uint256"
    builder.deploy_at(pool, "DevStableSwap", types, coins, share, plan.amplification, plan.fee, ADMIN_FEE)
    for coin in coins:
        builder.call(lp, coin, "approve(address,uint256)", pool, 2**256 - 1)
    amounts = [token.units(plan.side_usd) for token in plan.coins]
    builder.call(lp, pool, "add_liquidity(uint256[2],uint256)", amounts, 0)
    rates = 10 ** (36 - first.decimals), 10 ** (36 - second.decimals)
    facts = StableFacts(TEMPLATE_2, rates, SHARE_SUPPLY_SLOT)
    return PoolSpec(pool, STABLESWAP, (*coins, share), 0, facts=facts)
