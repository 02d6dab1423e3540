"""The protocols and where they are deployed.

A ``Protocol`` is what all deployments of one bytecode share: the kind of mathematics, the storage layout, the callback.
A ``Deployment`` is where one chain has it; with it, a pool's address follows from tokens and fee (CREATE2), so that a
pool file cannot pass off a foreign contract as a known pool. For a chain that is not listed here, the caller passes
deployments in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from eth_hash.auto import keccak

from flasharb.pools.spec import PoolSpec
from flasharb.settings import DEVNET_CHAIN_ID
from flasharb.units import Address, Hash32, address, checksum


@dataclass(frozen=True, slots=True)
class V2Layout:
    """Storage slots of a pair: where the packed reserves stand."""

    reserves: int = 8


@dataclass(frozen=True, slots=True)
class V3Layout:
    """Storage slots of a concentrated pool; ``ticks`` and ``tick_bitmap`` are mappings."""

    slot0: int = 0
    liquidity: int = 4
    ticks: int = 5
    tick_bitmap: int = 6


@dataclass(frozen=True, slots=True)
class Protocol:
    """One bytecode and its forks with the same behaviour.

    ``default_fee_pips`` is the fee of a V2 pool file entry without one; None where the fee differs by pool.
    ``tick_spacings`` maps a V3 fee to the spacing that the factory gives it. ``callback`` is the function that a pool
    calls on the recipient of a flash swap (V2) or on the swapper (V3).
    """

    name: str
    kind: Literal["v2", "v3"]
    default_fee_pips: int | None
    layout: V2Layout | V3Layout
    callback: str
    tick_spacings: Mapping[int, int]

    @property
    def callback_selector(self) -> bytes:
        """The four bytes that the pool's call begins with."""
        return keccak(self.callback.encode())[:4]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A protocol on one chain; ``deployer`` is the contract that runs CREATE2 (mostly the factory itself)."""

    factory: Address
    deployer: Address
    init_code_hash: Hash32


def _v2(name: str, fee_pips: int, callback: str = "uniswapV2Call") -> Protocol:
    return Protocol(
        name, "v2", fee_pips, V2Layout(), f"{callback}(address,uint256,uint256,bytes)", MappingProxyType({})
    )


def _v3(name: str, tick_spacings: dict[int, int], layout: V3Layout, callback: str) -> Protocol:
    return Protocol(name, "v3", None, layout, f"{callback}(int256,int256,bytes)", MappingProxyType(tick_spacings))


_UNISWAP_SPACINGS: Final = {100: 1, 500: 10, 3000: 60, 10000: 200}
# feeProtocol is a uint32 there, so that slot0 takes two slots and all that follows stands one later
_PANCAKE_V3_LAYOUT: Final = V3Layout(slot0=0, liquidity=5, ticks=6, tick_bitmap=7)

PROTOCOLS: Final[Mapping[str, Protocol]] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            _v2("uniswap_v2", 3000),
            _v2("sushiswap_v2", 3000),
            _v2("shibaswap_v2", 3000),
            _v2("pancakeswap_v2", 2500, "pancakeCall"),
            _v3("uniswap_v3", _UNISWAP_SPACINGS, V3Layout(), "uniswapV3SwapCallback"),
            _v3("sushiswap_v3", _UNISWAP_SPACINGS, V3Layout(), "uniswapV3SwapCallback"),
            _v3(
                "pancakeswap_v3",
                {100: 1, 500: 10, 2500: 50, 10000: 200},
                _PANCAKE_V3_LAYOUT,
                "pancakeV3SwapCallback",
            ),
        )
    }
)


def _deployment(factory: str, init_code_hash: str, deployer: str | None = None) -> Deployment:
    return Deployment(address(factory), address(deployer or factory), Hash32(bytes.fromhex(init_code_hash)))


_UNISWAP_V3_POOL: Final = "e34f199b19b2b4f47f68442619d555527d244f78a3297ea89325f843f87b8b54"

DEPLOYMENTS: Final[Mapping[int, Mapping[str, Deployment]]] = MappingProxyType(
    {
        1: MappingProxyType(
            {
                "uniswap_v2": _deployment(
                    "0x5C69bEe701ef814a2B6a3EDD4B1652CB9cc5aA6f",
                    "96e8ac4277198ff8b6f785478aa9a39f403cb768dd02cbee326c3e7da348845f",
                ),
                "sushiswap_v2": _deployment(
                    "0xC0AEe478e3658e2610c5F7A4A2E1777cE9e4f2Ac",
                    "e18a34eb0e04b04f7a0ac29a6e80748dca96319b42c54d679cb821dca90c6303",
                ),
                "shibaswap_v2": _deployment(
                    "0x115934131916C8b277DD010Ee02de363c09d037c",
                    "65d1a3b1e46c6e4f1be1ad5f99ef14dc488ae0549dc97db9b30afe2241ce1c7a",
                ),
                "pancakeswap_v2": _deployment(
                    "0x1097053Fd2ea711dad45caCcc45EfF7548fCB362",
                    "57224589c67f3f30a6b0d7a1b54cf3153ab84563bc609ef41dfb34f8b2974d2d",
                ),
                "uniswap_v3": _deployment("0x1F98431c8aD98523631AE4a59f267346ea31F984", _UNISWAP_V3_POOL),
                "sushiswap_v3": _deployment("0xbACEB8eC6b9355Dfc0269C18bac9d6E2Bdc29C4F", _UNISWAP_V3_POOL),
                "pancakeswap_v3": _deployment(
                    "0x0BFbCF9fa4f9C56B0F40a671Ad40E0805A091865",
                    "6ce8eb472fa82df5469c6ab6d485f17c3ad13c8cd7af59b3d4a8026c5ce0f7e2",
                    deployer="0x41ff9AA7e16B8B1a8a8dc4f0eFacd93D02d071c9",
                ),
            }
        ),
        DEVNET_CHAIN_ID: MappingProxyType(
            {
                "uniswap_v2": _deployment(
                    "0x5C69bEe701ef814a2B6a3EDD4B1652CB9cc5aA6f",
                    "96e8ac4277198ff8b6f785478aa9a39f403cb768dd02cbee326c3e7da348845f",
                ),
                # The pair code that npm has is a later build than the one behind mainnet's factory.
                "sushiswap_v2": _deployment(
                    "0xC0AEe478e3658e2610c5F7A4A2E1777cE9e4f2Ac",
                    "8a1861e3cef8b973c5cfa3a2fb2e737ecf0ffd9dbf7c0acedd82a54ebeb01c94",
                ),
                "uniswap_v3": _deployment("0x1F98431c8aD98523631AE4a59f267346ea31F984", _UNISWAP_V3_POOL),
            }
        ),
    }
)


def pool_address(deployment: Deployment, spec: PoolSpec) -> Address:
    """The address at which the deployment creates this pool (its own address is not looked at)."""
    if PROTOCOLS[spec.protocol].kind == "v2":
        salt = keccak(spec.token0 + spec.token1)
    else:
        salt = keccak(bytes(12) + spec.token0 + bytes(12) + spec.token1 + spec.fee_pips.to_bytes(32, "big"))
    return Address(keccak(b"\xff" + deployment.deployer + salt + deployment.init_code_hash)[12:])


def check_address(
    spec: PoolSpec, chain_id: int, deployments: Mapping[int, Mapping[str, Deployment]] = DEPLOYMENTS
) -> str | None:
    """Why the pool cannot be what its file says, or None when its address follows from protocol, tokens and fee.

    A protocol without a known deployment on this chain is such a reason too: nothing vouches for the address.
    """
    deployment = deployments.get(chain_id, {}).get(spec.protocol)
    if deployment is None:
        return f"no deployment of {spec.protocol} is known on chain {chain_id}"
    expected = pool_address(deployment, spec)
    if expected != spec.address:
        fee = f", fee {spec.fee_pips} pips" if PROTOCOLS[spec.protocol].kind == "v3" else ""
        return (
            f"not the {spec.protocol} pool of {checksum(spec.token0)} and {checksum(spec.token1)}{fee}: "
            f"that one is at {checksum(expected)}"
        )
    return None
