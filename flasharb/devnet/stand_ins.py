"""Pools for ``build_world`` whose real contracts no licence lets us deploy: our own, which tests hold to the real ones.

Solidly's pairs come from their factory (``solidity/devnet/Solidly.sol``), a Curve pool stands by itself
(``solidity/devnet/StableSwap.sol``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from eth_hash.auto import keccak

from flasharb.devnet.layout import CONTRACTS, SOLIDLY, SOLIDLY_FEES_BPS, CurvePlan, SolidlyPlan
from flasharb.pools.protocols import Deployment
from flasharb.pools.solidly.facts import SolidlyFacts
from flasharb.pools.spec import PoolSpec
from flasharb.pools.stableswap.admission import PROTOCOL as STABLESWAP
from flasharb.pools.stableswap.rules import TEMPLATE_2, StableFacts
from flasharb.units import Address, Hash32

if TYPE_CHECKING:
    from flasharb.devnet.build_world import Builder

ADMIN_FEE: Final = 5 * 10**9
"""Half of the fee."""


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
    """Put a StableSwap pool at its address and deposit its first liquidity."""
    first, second = plan.coins
    coins = [first.address, second.address]
    builder.deploy_at(plan.lp_token, "DevStableSwapToken", "address", plan.address)
    types = "address[2],address,uint256,uint256,uint256"
    terms = plan.amplification, plan.fee, ADMIN_FEE
    builder.deploy_at(plan.address, "DevStableSwap", types, coins, plan.lp_token, *terms)
    for token in plan.coins:
        builder.call(lp, token.address, "approve(address,uint256)", plan.address, 2**256 - 1)
    amounts = [token.units(plan.side_usd) for token in plan.coins]
    builder.call(lp, plan.address, "add_liquidity(uint256[2],uint256)", amounts, 0)
    rates = 10 ** (36 - first.decimals), 10 ** (36 - second.decimals)
    return PoolSpec(plan.address, STABLESWAP, tuple(coins), 0, facts=StableFacts(TEMPLATE_2, rates))
