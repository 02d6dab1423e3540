"""What is fixed about a pool: address, protocol, tokens, fee."""

from __future__ import annotations

from dataclasses import dataclass

from flasharb.units import Address


@dataclass(frozen=True, slots=True)
class Token:
    """An ERC-20 token."""

    address: Address
    symbol: str
    decimals: int


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """The immutable facts of a pool.

    ``protocol`` is a key of ``pools.protocols.PROTOCOLS`` (``uniswap_v2``, ``sushiswap_v2``, ``pancakeswap_v2``,
    ``uniswap_v3``, ``pancakeswap_v3``, …); ``token0 < token1`` as on chain; ``tick_spacing`` is 0 for constant product.
    """

    address: Address
    protocol: str
    token0: Address
    token1: Address
    fee_pips: int
    tick_spacing: int = 0
