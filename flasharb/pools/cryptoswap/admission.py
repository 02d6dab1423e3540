"""Which contracts are CryptoSwap pools whose mathematics is proven here, and which of their states may be traded.

A contract is recognised by its code: the whole of it ("tricrypto2", whose coins are constants), that of the
implementation behind a minimal proxy ("twocrypto"), or the part before what is fixed about one pool ("ng"). The "ng"
contracts call a mathematics contract, whose code must be the proven one, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from eth_hash.auto import keccak

from flasharb.pools.cryptoswap.rules import (
    TRICRYPTO2,
    TRICRYPTO_NG,
    TWOCRYPTO,
    TWOCRYPTO_NG,
    CryptoFacts,
    CryptoRules,
)
from flasharb.pools.curve import forwards_to
from flasharb.pools.spec import PoolSpec
from flasharb.pools.storage import Needs, Refused, address_in, stored_spec
from flasharb.units import Address, address

PROTOCOL: Final = "curve_cryptoswap"
_TWOCRYPTO_CODE: Final = "ecd09c04d93550c0bf699cff12520ba54d0c6637f951303d1f45c4701a51a4c7"
_TRICRYPTO2_CODE: Final = "9cb858c1d8e8ab8ba7dc273f146d428965b0ca686d05fb02cb4ffc62149ec928"
_TRICRYPTO2_MATH: Final = address("0x8F68f4810CcE3194B6cB6F3d50fa58c2c9bDD1d5")
_TRICRYPTO2_MATH_CODE: Final = "7bead5c85d7bce833e933c384038394a1b5c0200d8a0f0b78e9b93e820d583c8"
# USDT, WBTC, WETH and the LP token, whose total supply stands in slot 4
_TRICRYPTO2_COINS: Final = (
    address("0xdAC17F958D2ee523a2206206994597C13D831ec7"),
    address("0x2260FAC5E5542a773Aa44fBCfeDf7C193bc2C599"),
    address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"),
)
_TRICRYPTO2_SUPPLY: Final = (address("0xc4AD29ba4B3c580e6D59105FFf484999997675Ff"), 4)
_MOST_DIGITS: Final = 18
_LP_SUPPLY_SLOT: Final = 8
"""Where the LP tokens of "twocrypto" keep their total supply."""


@dataclass(frozen=True, slots=True)
class _Ng:
    """An "ng" contract: length and hash of the part that is the same for all, and the words behind it."""

    rules: CryptoRules
    common: int
    length: int
    code: str
    math_code: str
    math_word: int
    coins_word: int
    precisions_word: int | None = None


_NG: Final = (
    _Ng(
        TRICRYPTO_NG,
        common=21_341,
        length=21_789,
        code="282a8c21abc6b583f0d893c8d5ac0e042416e5652b5d37c0211d1bb0e16de374",
        math_code="4031de700c2e5e41189dffb62c430bcaea2493c7ca522721634c3747647bea97",
        math_word=1,
        coins_word=2,
    ),
    _Ng(
        TWOCRYPTO_NG,
        common=19_738,
        length=20_218,
        code="fe2e067b2dffd2dc7f5af5fe2dc58ab997acbceee805e562e569237ecd323a74",
        math_code="bc931b24ccca3aae2cd24bf83022386ae21d4c96af2f7c7f57a91c743b8352e3",
        precisions_word=0,
        math_word=2,
        coins_word=3,
    ),
)


@dataclass(frozen=True, slots=True)
class CryptoCode:
    """What a contract's code says; coins, precisions and supply are None where storage has them."""

    rules: CryptoRules
    coins: tuple[Address, ...] | None = None
    precisions: tuple[int, ...] | None = None
    supply: tuple[Address, int] | None = None

    def spec(self, pool: Address, slots: Mapping[int, int]) -> PoolSpec | Needs | Refused:
        """The pool at this address, from its code or from its storage."""
        at, n = self.rules.slots, self.rules.coins
        wanted = {slot for slot in (at.precisions, at.lp_token) if slot is not None}
        wanted |= set() if at.coins is None else {at.coins + k for k in range(n)}
        missing = frozenset(wanted - slots.keys())
        if missing:
            return Needs(missing)
        coins, precisions, supply = self.coins, self.precisions, self.supply
        if at.coins is not None:
            coins = tuple(address_in(slots[at.coins + k]) for k in range(n))
        if at.precisions is not None:
            precisions = _precisions(self.rules, slots[at.precisions])
            if precisions is None:
                return Refused("its coins would have less than no decimals")
        if at.lp_token is not None:
            supply = (address_in(slots[at.lp_token]), _LP_SUPPLY_SLOT)
        assert coins is not None
        assert precisions is not None
        facts = CryptoFacts(self.rules, precisions, supply)
        return stored_spec(lambda: PoolSpec(pool, PROTOCOL, coins, 0, facts=facts))


def related(code: bytes) -> frozenset[Address]:
    """The contracts whose code ``recognise`` wants to know besides this one."""
    target = forwards_to(code)
    if target is not None:
        return frozenset({target})
    if _hash(code) == _TRICRYPTO2_CODE:
        return frozenset({_TRICRYPTO2_MATH})
    kind = _ng_kind(code)
    return frozenset() if kind is None else frozenset({address_in(_immutables(kind, code)[kind.math_word])})


def recognise(code: bytes, codes: Mapping[Address, bytes]) -> CryptoCode | Refused | None:
    """The kind of pool behind this code, None where it is none that is proven; or what about it is not modelled.

    ``codes`` has those of the ``related`` contracts.
    """
    others = [(at, _hash(codes[at])) for at in related(code)]
    if not others:
        return None
    ((other, other_hash),) = others
    kind = _ng_kind(code)
    if kind is not None:
        if other_hash != kind.math_code:
            return _foreign_mathematics(other)
        return _ng(kind, _immutables(kind, code))
    if other != _TRICRYPTO2_MATH:
        return CryptoCode(TWOCRYPTO) if other_hash == _TWOCRYPTO_CODE else None
    if other_hash != _TRICRYPTO2_MATH_CODE:
        return _foreign_mathematics(other)
    return CryptoCode(TRICRYPTO2, _TRICRYPTO2_COINS, (10**12, 10**10, 1), _TRICRYPTO2_SUPPLY)


def _foreign_mathematics(at: Address) -> Refused:
    return Refused(f"its mathematics contract 0x{at.hex()} is another than the proven one")


def _ng_kind(code: bytes) -> _Ng | None:
    return next((kind for kind in _NG if len(code) == kind.length and _hash(code[: kind.common]) == kind.code), None)


def _immutables(kind: _Ng, code: bytes) -> list[int]:
    return [int.from_bytes(code[at : at + 32], "big") for at in range(kind.common, len(code), 32)]


def _ng(kind: _Ng, words: list[int]) -> CryptoCode:
    n = kind.rules.coins
    coins = tuple(address_in(word) for word in words[kind.coins_word : kind.coins_word + n])
    precisions = None if kind.precisions_word is None else tuple(words[kind.precisions_word : kind.precisions_word + n])
    return CryptoCode(kind.rules, coins, precisions)


def _precisions(rules: CryptoRules, word: int) -> tuple[int, ...] | None:
    if rules.packed:
        return tuple(word >> shift & (1 << 64) - 1 for shift in (128, 64, 0))
    digits = word & 0xFF, word >> 8
    # whoever sets up a proxy of his own writes what he likes here, and a power of it would never end
    return None if max(digits) > _MOST_DIGITS else (10 ** digits[0], 10 ** digits[1])


def _hash(code: bytes) -> str:
    return keccak(code).hex()
