"""Which contracts are StableSwap pools whose mathematics is proven here, and which of their states may be traded.

A contract is recognised by its code. The template pools keep coins in storage and decimals in code, so that one code
hash stands for all pools of these decimals; "ng" pools carry what is fixed about them at the end of their code, behind
a part that is the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from eth_hash.auto import keccak

from flasharb.pools.spec import PoolSpec
from flasharb.pools.stableswap.rules import EARLY, NG, TEMPLATE_2, StableFacts, StableRules, facts_of
from flasharb.pools.storage import Needs, Refused, address_in
from flasharb.units import ZERO_ADDRESS, Address, address

PROTOCOL: Final = "curve_stableswap"
_ETHER: Final = Address(b"\xee" * 20)
_NATIVE_COINS: Final = (_ETHER, ZERO_ADDRESS)

# code hash: rules and 10^(36 - decimals) of each coin
_TEMPLATES: Final[Mapping[str, tuple[StableRules, tuple[int, ...]]]] = {
    # 18, 6, 6 decimals (DAI, USDC, USDT)
    "954a1e212c557c85043985931498ffa3e2fcbe7dfe9cd61513f36eb47d6f4dfc": (EARLY, (10**18, 10**30, 10**30)),
    # 18, 6 decimals (FRAX, USDC)
    "304e2199bfe57413d95a53efb2f3df8ed69be12f7df5770b874c9b3a30d9cafd": (TEMPLATE_2, (10**18, 10**30)),
    # the same decimals: the devnet's own pool, solidity/devnet/StableSwap.sol
    "025ffd6a8ba919ed64c6de8491b3928c3dc3762c87b63800676a1c653236bb58": (TEMPLATE_2, (10**18, 10**30)),
}
_NG_CODE: Final = "2e55958ada4cc5bb9707e70abaa62bd8c6455b252f086e4bde260435af23aaa3"
NG_CODE_LENGTH: Final = 21685
NG_LENGTH: Final = 23509
_ARRAY: Final = 9  # words of a list of up to eight


@dataclass(frozen=True, slots=True)
class KnownPool:
    """Coins of a pool, then the LP token where the slot of its supply is known (else no LP hops)."""

    tokens: tuple[Address, ...]
    supply_slot: int | None = None


_USDC: Final = address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")
MAINNET: Final[Mapping[Address, KnownPool]] = {
    address("0xbEbc44782C7dB0a1A60Cb6fe97d0b483032FF1C7"): KnownPool(
        (
            address("0x6B175474E89094C44Da98b954EedeAC495271d0F"),
            _USDC,
            address("0xdAC17F958D2ee523a2206206994597C13D831ec7"),
        )
    ),
    address("0xDcEF968d416a41Cdac0ED8702fAC8128A64241A2"): KnownPool(
        (
            address("0x853d955aCEf822Db058eb8505911ED77F175b99e"),
            _USDC,
            address("0x3175Df0976dFA876431C2E9eE6Bc45b65d3473CC"),
        ),
        9,
    ),
}
"""Pools of Ethereum whose coins a recorded block need not hold, and LP supplies, which pools do not tell."""


@dataclass(frozen=True, slots=True)
class StableCode:
    """What a contract's code says: ``coins`` is None where storage has them."""

    rules: StableRules
    rates: tuple[int, ...]
    coins: tuple[Address, ...] | None = None

    def spec(self, pool: Address, slots: Mapping[int, int], asked: PoolSpec | None) -> PoolSpec | Needs:
        """The pool at this address, from what is known of it otherwise, from its code or from its storage.

        A template pool's LP token is a contract of its own, and only who asks for the pool may know (in ``asked``)
        where that keeps its supply.
        """
        at, n, known = self.rules.slots, len(self.rates), MAINNET.get(pool)
        if known is not None:
            tokens, supply_slot = known.tokens, known.supply_slot
        elif self.coins is not None:
            tokens, supply_slot = (*self.coins, pool), at.total_supply
        else:
            assert at.coins is not None
            assert at.lp_token is not None
            wanted = [*range(at.coins, at.coins + n), at.lp_token]
            missing = frozenset(wanted) - slots.keys()
            if missing:
                return Needs(missing)
            supply_slot = facts_of(asked).supply_slot if asked is not None else None
            tokens = tuple(address_in(slots[slot]) for slot in wanted)
        if supply_slot is None:
            tokens = tokens[:n]
        return PoolSpec(pool, PROTOCOL, tokens, 0, facts=StableFacts(self.rules, self.rates, supply_slot))


def recognise(code: bytes) -> StableCode | Refused | None:
    """The kind of pool behind this code, None where it is none that is proven; or what about it is not modelled."""
    template = _TEMPLATES.get(keccak(code).hex())
    if template is not None:
        return StableCode(*template)
    if len(code) == NG_LENGTH and keccak(code[:NG_CODE_LENGTH]).hex() == _NG_CODE:
        return _ng(code[NG_CODE_LENGTH:])
    return None


def watched(facts: StableFacts) -> dict[int, str]:
    """Slots that are zero in a pool that may be traded, with the reason why not otherwise."""
    at = facts.rules.slots
    slots: dict[int, str] = {}
    if at.is_killed is not None:
        slots[at.is_killed] = "the pool is killed"
    if at.rate_oracles is not None:
        slots |= {at.rate_oracles + k: f"coin {k} has a rate oracle" for k in range(facts.lp_index)}
    return slots


def refused(spec: PoolSpec, slots: Mapping[int, int]) -> str | None:
    """Why the pool must not be traded in this state, or None."""
    reason = next((reason for slot, reason in watched(facts_of(spec)).items() if slots[slot]), None)
    if reason is None and any(coin in _NATIVE_COINS for coin in spec.tokens):
        return "one of the coins is native ether, which the pool takes as the value of the call"
    return reason


def _ng(immutables: bytes) -> StableCode | Refused:
    words = [int.from_bytes(immutables[at : at + 32], "big") for at in range(0, len(immutables), 32)]
    n, coins, asset_types = words[0], words[3 : 3 + _ARRAY], words[3 + _ARRAY : 3 + 2 * _ARRAY]
    rates = words[3 + 2 * _ARRAY : 3 + 3 * _ARRAY]
    if any(asset_types[1 : 1 + n]):
        return Refused(f"coins of asset types {asset_types[1 : 1 + n]}: only plain ones (0) are modelled")
    return StableCode(NG, tuple(rates[1 : 1 + n]), tuple(address_in(coin) for coin in coins[1 : 1 + n]))
