"""Which contracts are StableSwap pools whose mathematics is proven here, and which of their states may be traded.

A contract is recognised by its code (``codes``). The template pools keep coins in storage and decimals in code, so that
one code hash stands for all pools of these decimals; those of the factory forward to a code that is the same for all
and keep the rest in storage; "ng" pools carry what is fixed about them at the end of their code, behind a part that is
the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from eth_hash.auto import keccak

from flasharb.pools.spec import PoolSpec
from flasharb.pools.stableswap.codes import BASES, IMPLEMENTATIONS, OWN, PROTOCOL
from flasharb.pools.stableswap.rules import NG, NG_7, NG_META, StableFacts, StableRules, facts_of
from flasharb.pools.storage import Needs, Refused, address_in, stored_spec
from flasharb.units import ZERO_ADDRESS, Address, address, checksum

ETHER: Final = Address(b"\xee" * 20)
_NATIVE_COINS: Final = (ETHER, ZERO_ADDRESS)
# what a pool of Ethereum lists in place of ether where nobody asks for another wrapper
_WETH: Final = address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")

NG_CODE_LENGTH: Final = 21685
NG_LENGTH: Final = 23509
_ARRAY: Final = 9  # words of a list of up to eight


@dataclass(frozen=True, slots=True)
class NgCode:
    """An "ng" contract: the hash of the part that is the same for all, and where the rates stand behind it."""

    rules: StableRules
    common: int
    length: int
    code: str
    rates_word: int

    def fits(self, code: bytes) -> bool:
        """Whether a contract is of this kind."""
        return len(code) == self.length and keccak(code[: self.common]).hex() == self.code

    def words(self, code: bytes) -> list[int]:
        """What is fixed about one contract."""
        return [int.from_bytes(code[at : at + 32], "big") for at in range(self.common, len(code), 32)]


NG_CODES: Final = (
    NgCode(NG, NG_CODE_LENGTH, NG_LENGTH, "2e55958ada4cc5bb9707e70abaa62bd8c6455b252f086e4bde260435af23aaa3", 21),
    NgCode(NG_7, 21491, 23635, "04b4bd650d72be4619d76c7b5a052de46d95b5194945fe44bba7e49b729d3d60", 22),
)
NG_META_CODE: Final = NgCode(
    NG_META, 21260, 22476, "4921a6e18874c75ab24b81df91354695aff9365c2c9fcdf5fee98971c892553c", 25
)
_META_MATH_WORD: Final = 12
_META_COINS_WORD: Final = 15
_META_ASSET_TYPE_WORD: Final = 23
NG_MATH_CODE: Final = "058424d1ce4d4cf3cd54d92423adf399bdf2766b265c0e30475f832d30e5daf9"


@dataclass(frozen=True, slots=True)
class StableCode:
    """What a contract's code says: ``rates`` and ``coins`` are None where storage has them."""

    rules: StableRules
    rates: tuple[int, ...] | None
    coins: tuple[Address, ...] | None = None
    base: PoolSpec | None = None

    def spec(self, pool: Address, slots: Mapping[int, int], asked: PoolSpec | None) -> PoolSpec | Needs | Refused:
        """The pool at this address, from what is known of it otherwise, from its code or from its storage.

        A template pool's LP token is a contract of its own, and only who asks for the pool may know (in ``asked``)
        where that keeps its supply. He also says what ether is called.
        """
        at, known = self.rules.slots, BASES.get(pool)
        n = self.rules.coins if self.rates is None else len(self.rates)
        assert n is not None
        wanted: set[int] = set()
        if self.coins is None and known is None:
            wanted |= {slot for slot in (*self._coin_slots(n), at.lp_token, at.base_pool) if slot is not None}
        if self.rates is None:
            assert at.rates is not None
            wanted |= set(range(at.rates, at.rates + n - (self.base is not None)))
        missing = frozenset(wanted) - slots.keys()
        if missing:
            return Needs(missing)
        if self.base is not None and at.base_pool is not None and address_in(slots[at.base_pool]) != self.base.address:
            return Refused(f"its base pool is {checksum(address_in(slots[at.base_pool]))}, which is not proven here")
        rates = self._rates(slots, n)
        if min(rates) < 1:
            return Refused("its coins have no rates: it was never initialised")
        if known is not None:
            return self._spec(pool, known.tokens, rates, facts_of(known).supply_slot)
        coins = self.coins or tuple(address_in(slots[slot]) for slot in self._coin_slots(n))
        native, coins = _with_wrapper(coins, asked)
        lp = pool if at.lp_token is None else address_in(slots[at.lp_token])
        supply_slot = at.total_supply
        if at.lp_token is not None and asked is not None:
            supply_slot = facts_of(asked).supply_slot
        return self._spec(pool, (*coins, lp), rates, supply_slot, native)

    def _coin_slots(self, n: int) -> range:
        assert self.rules.slots.coins is not None
        return range(self.rules.slots.coins, self.rules.slots.coins + n)

    def _rates(self, slots: Mapping[int, int], n: int) -> tuple[int, ...]:
        at = self.rules.slots.rates
        if self.rates is not None:
            return self.rates
        assert at is not None
        # a metapool's last rate is the price of its base pool, and 18 decimals are its LP token's
        return (slots[at], 10**18) if self.base is not None else tuple(slots[at + k] for k in range(n))

    def _spec(
        self,
        pool: Address,
        tokens: tuple[Address, ...],
        rates: tuple[int, ...],
        supply_slot: int | None,
        native: int | None = None,
    ) -> PoolSpec | Refused:
        if supply_slot is None:
            tokens = tokens[: len(rates)]
        facts = StableFacts(self.rules, rates, supply_slot, native, self.base)
        return stored_spec(lambda: PoolSpec(pool, PROTOCOL, tokens, 0, facts=facts))


def recognise(code: bytes, forwarded: bool = False) -> StableCode | Refused | None:
    """The kind of pool behind this code, None where it is none that is proven; or what about it is not modelled.

    ``forwarded``: the code is what a pool of the factory forwards to (``pools.curve.forwards_to``).
    """
    found = (IMPLEMENTATIONS if forwarded else OWN).get(keccak(code).hex())
    if found is not None:
        return StableCode(found.rules, found.rates, base=found.base)
    if forwarded:
        return None
    for kind in NG_CODES:
        if kind.fits(code):
            return _ng(kind, kind.words(code))
    return _ng_meta(NG_META_CODE.words(code)) if NG_META_CODE.fits(code) else None


def mathematics(code: bytes) -> Address | None:
    """The contract that computes for this one, whose code must be ``NG_MATH_CODE``; None where it does that itself."""
    return address_in(NG_META_CODE.words(code)[_META_MATH_WORD]) if NG_META_CODE.fits(code) else None


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


def _with_wrapper(coins: tuple[Address, ...], asked: PoolSpec | None) -> tuple[int | None, tuple[Address, ...]]:
    """Which coin is ether, and the coins with the wrapper's name for it."""
    native = next((k for k, coin in enumerate(coins) if coin == ETHER), None)
    if native is None:
        return None, coins
    told = asked is not None and facts_of(asked).native == native
    wrapper = asked.tokens[native] if asked is not None and told else _WETH
    return native, (*coins[:native], wrapper, *coins[native + 1 :])


def _ng(kind: NgCode, words: list[int]) -> StableCode | Refused:
    n, coins, asset_types = words[0], words[3 : 3 + _ARRAY], words[3 + _ARRAY : 3 + 2 * _ARRAY]
    if not 2 <= n < _ARRAY:
        return Refused(f"no such pool has {n} coins")
    rates = words[kind.rates_word : kind.rates_word + _ARRAY]
    if any(asset_types[1 : 1 + n]):
        return Refused(f"coins of asset types {asset_types[1 : 1 + n]}: only plain ones (0) are modelled")
    return StableCode(kind.rules, tuple(rates[1 : 1 + n]), tuple(address_in(coin) for coin in coins[1 : 1 + n]))


def _ng_meta(words: list[int]) -> StableCode | Refused:
    base = BASES.get(address_in(words[0]))
    if base is None:
        return Refused(f"its base pool is {checksum(address_in(words[0]))}, which is not proven here")
    if words[_META_ASSET_TYPE_WORD]:
        return Refused(f"a coin of asset type {words[_META_ASSET_TYPE_WORD]}: only plain ones (0) are modelled")
    coins = tuple(map(address_in, words[_META_COINS_WORD : _META_COINS_WORD + 2]))
    return StableCode(NG_META, (words[NG_META_CODE.rates_word], 10**18), coins, base)
