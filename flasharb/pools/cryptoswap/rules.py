"""How the generations of CryptoSwap contracts differ, and what is fixed about one pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from flasharb.pools.curve import CurveFacts
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address

PRECISION: Final = 10**18
A_MULTIPLIER: Final = 10_000
FEE_DENOMINATOR: Final = 10**10

Generation = Literal["tricrypto2", "tricrypto_ng", "twocrypto", "twocrypto_ng"]


@dataclass(frozen=True, slots=True)
class CryptoSlots:
    """Where a contract keeps its state. Prices are packed into one word each where there are three coins.

    The fee and rebalancing parameters are one packed word each in the "ng" contracts, single slots in the others.
    """

    price_scale: int
    price_oracle: int
    last_prices: int
    last_timestamp: int
    initial_a_gamma: int
    future_a_gamma: int
    initial_time: int
    future_time: int
    balances: int
    d: int
    xcp_profit: int
    virtual_price: int
    fees: tuple[int, ...]
    rebalancing: tuple[int, ...]
    not_adjusted: int | None = None
    is_killed: int | None = None
    total_supply: int | None = None
    precisions: int | None = None
    lp_token: int | None = None
    coins: int | None = None


@dataclass(frozen=True, slots=True)
class CryptoRules:
    """One generation of contracts: its limits on A times n^n times 10^4 and on gamma, and its slots.

    ``packed`` says whether parameters share words; ``ema_is_natural`` whether the price oracle decays by e or by
    halves; ``least_fraction`` bounds how far a balance may lie from D (in 10^-18) where D is computed.
    """

    name: Generation
    coins: int
    least_a: int
    most_a: int
    most_gamma: int
    packed: bool
    ema_is_natural: bool
    least_fraction: int
    slots: CryptoSlots


@dataclass(frozen=True, slots=True)
class CryptoFacts:
    """What never changes about a pool: ``precisions`` are 10^(18 - decimals).

    ``supply`` is where a LP token that is a contract of its own keeps its total supply (contract, slot); None where the
    pool keeps it itself, or nobody knows. That hides only the pool after a swap, not the quotes.
    """

    rules: CryptoRules
    precisions: tuple[int, ...]
    supply: tuple[Address, int] | None = None

    @property
    def called(self) -> CurveFacts:
        """See ``pools.curve``."""
        return CurveFacts(self.rules.coins, uint_indices=True)


LEAST_GAMMA: Final = 10**10
# keccak(22): the compilers before 0.2.9 kept arrays at the hash of their slot
_HASHED_22: Final = 0xD833147D7DC355BA459FC788F669E58CFAF9DC25DDCD0702E87D69C7B5124289

TRICRYPTO2: Final = CryptoRules(
    "tricrypto2",
    coins=3,
    least_a=2_700,
    most_a=270_000_000,
    most_gamma=5 * 10**16,
    packed=False,
    ema_is_natural=False,
    least_fraction=10**16,
    slots=CryptoSlots(
        price_scale=0,
        price_oracle=1,
        last_prices=2,
        last_timestamp=3,
        initial_a_gamma=4,
        future_a_gamma=5,
        initial_time=6,
        future_time=7,
        rebalancing=(8, 12, 14),
        fees=(16, 17, 10),
        balances=_HASHED_22,
        d=23,
        xcp_profit=26,
        virtual_price=28,
        not_adjusted=29,
        is_killed=30,
    ),
)
TRICRYPTO_NG: Final = CryptoRules(
    "tricrypto_ng",
    coins=3,
    least_a=2_700,
    most_a=270_000_000,
    most_gamma=5 * 10**16,
    packed=True,
    ema_is_natural=True,
    least_fraction=10**16 - 1,
    slots=CryptoSlots(
        precisions=1,
        price_scale=3,
        price_oracle=4,
        last_prices=5,
        last_timestamp=6,
        initial_a_gamma=7,
        initial_time=8,
        future_a_gamma=9,
        future_time=10,
        balances=11,
        d=14,
        xcp_profit=15,
        virtual_price=17,
        rebalancing=(18,),
        fees=(20,),
        total_supply=25,
    ),
)
TWOCRYPTO: Final = CryptoRules(
    "twocrypto",
    coins=2,
    least_a=4_000,
    most_a=4_000_000_000,
    most_gamma=2 * 10**16,
    packed=False,
    ema_is_natural=False,
    least_fraction=10**16,
    slots=CryptoSlots(
        lp_token=1,
        coins=2,
        price_scale=4,
        price_oracle=5,
        last_prices=6,
        last_timestamp=7,
        initial_a_gamma=8,
        future_a_gamma=9,
        initial_time=10,
        future_time=11,
        rebalancing=(12, 16, 18),
        fees=(20, 21, 14),
        balances=26,
        d=28,
        xcp_profit=30,
        virtual_price=32,
        not_adjusted=33,
        precisions=35,
    ),
)
TWOCRYPTO_NG: Final = CryptoRules(
    "twocrypto_ng",
    coins=2,
    least_a=4_000,
    most_a=40_000_000,
    most_gamma=2 * 10**15,
    packed=True,
    ema_is_natural=True,
    least_fraction=10**16 - 1,
    slots=CryptoSlots(
        price_scale=1,
        price_oracle=2,
        last_prices=4,
        last_timestamp=5,
        initial_a_gamma=8,
        initial_time=9,
        future_a_gamma=10,
        future_time=11,
        balances=12,
        d=14,
        xcp_profit=15,
        virtual_price=17,
        rebalancing=(18,),
        fees=(19,),
        total_supply=24,
    ),
)

RULES: Final[Mapping[str, CryptoRules]] = {
    rules.name: rules for rules in (TRICRYPTO2, TRICRYPTO_NG, TWOCRYPTO, TWOCRYPTO_NG)
}
"""Generations by name."""


def facts_of(spec: PoolSpec) -> CryptoFacts:
    """A pool's facts."""
    assert isinstance(spec.facts, CryptoFacts)
    return spec.facts
