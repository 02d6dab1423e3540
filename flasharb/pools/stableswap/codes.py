"""The codes of StableSwap contracts that were run against the mathematics here.

A code is known by its keccak-256: for a pool with a code of its own the hash of that, for a pool of the factory the
hash of the contract that it forwards to. What deployed contracts were compiled from is public; a contract that was
built otherwise has another hash and is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from flasharb.pools.spec import PoolSpec
from flasharb.pools.stableswap.rules import (
    EARLY,
    EMA,
    EVEN_2021,
    EVEN_2022,
    HASHED,
    META,
    META_FACTORY_1,
    META_FACTORY_2,
    META_FACTORY_3,
    META_UNSETTLED,
    PLAIN_2021,
    PLAIN_2022,
    TEMPLATE_2,
    StableFacts,
    StableRules,
)
from flasharb.units import Address, address

PROTOCOL: Final = "curve_stableswap"
_WAD: Final = 10**18

THREE_POOL: Final = PoolSpec(
    address("0xbEbc44782C7dB0a1A60Cb6fe97d0b483032FF1C7"),
    PROTOCOL,
    (
        address("0x6B175474E89094C44Da98b954EedeAC495271d0F"),
        address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"),
        address("0xdAC17F958D2ee523a2206206994597C13D831ec7"),
        address("0x6c3F90f043a72FA612cbac8115EE7e52BDe6E490"),
    ),
    0,
    facts=StableFacts(EARLY, (_WAD, 10**30, 10**30), 5),
)
"""DAI, USDC, USDT and their LP token 3Crv: the base pool of the metapools."""

FRAX_USDC: Final = PoolSpec(
    address("0xDcEF968d416a41Cdac0ED8702fAC8128A64241A2"),
    PROTOCOL,
    (
        address("0x853d955aCEf822Db058eb8505911ED77F175b99e"),
        address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"),
        address("0x3175Df0976dFA876431C2E9eE6Bc45b65d3473CC"),
    ),
    0,
    facts=StableFacts(TEMPLATE_2, (_WAD, 10**30), 9),
)

BASES: Final[Mapping[Address, PoolSpec]] = MappingProxyType({pool.address: pool for pool in (THREE_POOL, FRAX_USDC)})
"""Pools of Ethereum that metapools stand on. Recorded blocks need not hold their coins, nor tell of their LP supply."""


@dataclass(frozen=True, slots=True)
class Code:
    """What stands in a code. ``rates`` is None where storage has them; ``base`` is the base pool of a metapool."""

    rules: StableRules
    rates: tuple[int, ...] | None = None
    base: PoolSpec | None = None


def _factory(*hashes: str, rules: tuple[StableRules, ...], even: bool = False) -> Iterator[tuple[str, Code]]:
    for at, kind in zip(hashes, rules, strict=True):
        assert kind.coins is not None
        yield at, Code(kind, (_WAD,) * kind.coins if even else None)


OWN: Final[Mapping[str, Code]] = MappingProxyType(
    {
        # DAI, USDC, USDT; FRAX, USDC
        "954a1e212c557c85043985931498ffa3e2fcbe7dfe9cd61513f36eb47d6f4dfc": Code(EARLY, (_WAD, 10**30, 10**30)),
        "304e2199bfe57413d95a53efb2f3df8ed69be12f7df5770b874c9b3a30d9cafd": Code(TEMPLATE_2, (_WAD, 10**30)),
        # the same decimals: the devnet's own pool, solidity/devnet/StableSwap.sol
        "025ffd6a8ba919ed64c6de8491b3928c3dc3762c87b63800676a1c653236bb58": Code(TEMPLATE_2, (_WAD, 10**30)),
        # EURS, sEUR; ether, sETH
        "8dd7b93f7fa1889b40cecbfd07bac5172cc4664ef0470af1352f640ac0c4d6cc": Code(HASHED, (10**34, _WAD)),
        "61794a44efb2e8910c44c3723372acde22fa47ea2950aa55f2c6b6d604791b4d": Code(HASHED, (_WAD, _WAD)),
        # GUSD; HUSD; USDK, USDN, mUSD and RSV; DUSD; USDP; UST: all against 3Crv
        "ce79330162abf07fc163331f9d9d1553b93dbf509eeafa1215fafa6113c5088e": Code(
            META_UNSETTLED, (10**34, _WAD), THREE_POOL
        ),
        "297a325332c8be7a545be002112b21070cfc4f63cd118e765cf6b249571d4e99": Code(
            META_UNSETTLED, (10**28, _WAD), THREE_POOL
        ),
        "4970a9888f5ac8a4f41a5fcabdf82d14cf78f808b86b33cb65a49aa32043ee1a": Code(
            META_UNSETTLED, (_WAD, _WAD), THREE_POOL
        ),
        "5dd5c57dc8b4d42f7f80d135c1cc0b9dafff23e4e25963fb7ddcef07c96baf32": Code(
            META_UNSETTLED, (_WAD, _WAD), THREE_POOL
        ),
        "df6da52c8d7987c9c589b48580fd55420ec64941a8c4f7ffc99343074d95585e": Code(META, (_WAD, _WAD), THREE_POOL),
        "04fe4a36bda86015bb016299c3bc7e99e2fccc1508b95d6accfd829606543353": Code(META, (_WAD, _WAD), THREE_POOL),
    }
)
"""Codes of pools that have one of their own, by hash."""

IMPLEMENTATIONS: Final[Mapping[str, Code]] = MappingProxyType(
    {
        # metapools against 3Crv
        "260a286cc14e91f4a2d4a966e2e5f5030543a7d2f090a623f5fa15ba174a50f3": Code(META_FACTORY_1, None, THREE_POOL),
        "0caeef889b40b6179a3064889f677c8a341c627f0300f0b13a39f37b155e6a20": Code(META_FACTORY_1, None, THREE_POOL),
        "86092e83f01ab6d7a368475cdf5c75f0a18352f943cdc4de65248f10d4881267": Code(META_FACTORY_2, None, THREE_POOL),
        "e7d60bb77eabe6b153db10a7b5bca3453de695533a254b53d2bebe3dd6853114": Code(META_FACTORY_3, None, THREE_POOL),
        # tokens of any decimals and an average price; the same of crvUSD's factory; the same with ether as coin 0
        "992effe83a11d642ce410a6512930f6d6d535c0ad99c3bebd3d9f447aae2ce06": Code(EMA),
        "f8b6ec0714326b3183e32c835b0ae5be7156bb248fface95fb6d83aa6abaa3c8": Code(EMA),
        "227bee915947e96bcabc2b5049463915eb0df840238c82e9aa3b80391e9b3171": Code(EMA),
        # tokens of any decimals; then the same with ether as coin 0; then tokens of 18 decimals
        **dict(
            _factory(
                "eeccdab36bda2dc3eb5aa81e800b294816465f29efb22da01e72b4b381faefad",
                "285ea6bb2a12dbb8cb014e7ffe3a9e9a7953ce0dbea288112301dab232163661",
                "7519755c6a4699e7677e5550cef56d93f7b2c966a1f05680ab04ee84ba29264c",
                rules=PLAIN_2021,
            )
        ),
        **dict(
            _factory(
                "71b6761352b447f2628386afe53224ad41bd523c54714178a60239ad5a1435ed",
                "7d17ad8706f7018dc420b21b4f1d81d46eb5c7a350cbfdd903e884472145cf0b",
                "bcabaa93a568d1c9d441d5e3314d71f7f1bba0b9984c42304efc3c11eef3fb06",
                rules=PLAIN_2022,
            )
        ),
        **dict(
            _factory(
                "ba0284a6a8a86734c1c777e3c6b5b56f2c8ba95dc0f7eba481c6d09da7885ebc",
                "1256d8998fc47a4599c6bcb3d728da9333548045bb59c282d245b799947d8d0f",
                "427296b33fc2d86fcfa56cfacfed99f43ef79f1d1e381f23cba3beebee970527",
                rules=PLAIN_2021,
            )
        ),
        **dict(
            _factory(
                "43aa7905de0894a0c6ca9cc0287acf44a7adf8811f2fc58f53196297ef948bf5",
                "257e8ae29b8911648b722884f4b4d49688e4a1974ad2cc1de32d7e19a2b5a084",
                "b215e9861ace45390d1c301d9cfb3e1fa2a80c7451ba433a6b86aa7d2a2882da",
                rules=PLAIN_2022,
            )
        ),
        **dict(
            _factory(
                "5d91af4d063046c4ed9d279ab21bafb481037b5962a7f5ec1131f6704654d89e",
                "6b822ad06310ecc98590745151cdc375d4519a54bb8a0315c3a33c19c79f189f",
                "d201643622840a222d2da65b3309ab51756fccef151189e5bedeb1ae67de8638",
                rules=EVEN_2021,
                even=True,
            )
        ),
        **dict(
            _factory(
                "07ce330650d3f6e201a34016b71eecf38c230a53d1231cfd9db8dc0658a23a21",
                "68d170ed7d69285c677ced672834873e9a93a2245ae621012405dd698fa9f1a3",
                "fceddacc37b3ff50b937c0cd2b3a7ecee86941177f4fe5bd1a20203af16dcb81",
                rules=EVEN_2022,
                even=True,
            )
        ),
    }
)
"""Codes that the factory's pools forward to, by hash."""
