"""How the generations of StableSwap contracts differ, and what is fixed about one pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flasharb.pools.curve import CurveFacts
from flasharb.pools.spec import PoolSpec

FEE_DENOMINATOR: Final = 10**10
PRECISION: Final = 10**18


@dataclass(frozen=True, slots=True)
class StableSlots:
    """Where a contract keeps its state; ``admin_balances`` is None where balances are kept net of admin fees.

    ``admin_fee`` is None where it is a constant of the code (``StableRules.admin_fee``).
    """

    balances: int
    fee: int
    future_a: int
    future_a_time: int
    initial_a: int
    initial_a_time: int
    coins: int | None = None
    admin_fee: int | None = None
    lp_token: int | None = None
    is_killed: int | None = None
    admin_balances: int | None = None
    offpeg_fee_multiplier: int | None = None
    rate_oracles: int | None = None
    total_supply: int | None = None


@dataclass(frozen=True, slots=True)
class StableRules:
    """One generation of contracts.

    ``a_precision``: A is kept times this. ``must_settle``: an iteration that does not settle reverts.
    ``keeps_prices``: every hop ends with the prices at the new balances, which may revert.
    """

    name: str
    a_precision: int
    must_settle: bool
    slots: StableSlots
    admin_fee: int | None = None
    keeps_prices: bool = False


@dataclass(frozen=True, slots=True)
class StableFacts:
    """What never changes about a pool.

    ``rates``: 10^(36 - decimals) of each coin. ``supply_slot`` is where the LP token keeps its total supply; None if
    nobody knows: then the pool has no LP hops, and its tokens are its coins only. Else the LP token comes after them.
    ``native`` is the coin that the pool holds as ether, which ``tokens`` list as WETH; None where there is none.
    """

    rules: StableRules
    rates: tuple[int, ...]
    supply_slot: int | None = None
    native: int | None = None

    @property
    def lp_index(self) -> int:
        """The number of coins, and of the LP token among the pool's tokens."""
        return len(self.rates)

    @property
    def called(self) -> CurveFacts:
        """See ``pools.curve``."""
        ng = self.rules.slots.total_supply is not None
        return CurveFacts(len(self.rates), dynamic_amounts=ng, ether=self.native)


# keccak(0) and keccak(1): the compilers before 0.2.9 kept arrays at the hash of their slot
_HASHED_0: Final = 0x290DECD9548B62A8D60345A988386FC84BA6BC95484008F6362F93160EF3E563
_HASHED_1: Final = 0xB10E2D527612073B26EECDFD717E6A320CF44B4AFAC2B0732D9FCBE2B7FA0CF6

# 2020: A without hundredths, coins and balances at hashed slots (3pool)
EARLY: Final = StableRules(
    "early",
    a_precision=1,
    must_settle=False,
    slots=StableSlots(
        coins=_HASHED_0,
        balances=_HASHED_1,
        fee=2,
        admin_fee=3,
        lp_token=5,
        initial_a=6,
        future_a=7,
        initial_a_time=8,
        future_a_time=9,
        is_killed=15,
    ),
)
# 2021: the base template with A in hundredths; two coins (the slots follow the number of coins)
TEMPLATE_2: Final = StableRules(
    "template",
    a_precision=100,
    must_settle=True,
    slots=StableSlots(
        coins=1,
        balances=3,
        fee=5,
        admin_fee=6,
        lp_token=8,
        initial_a=9,
        future_a=10,
        initial_a_time=11,
        future_a_time=12,
        is_killed=18,
    ),
)
# 2023: stableswap-ng, plain: own LP token, dynamic fee, admin fees kept apart, coins in the code
NG: Final = StableRules(
    "ng",
    a_precision=100,
    must_settle=True,
    admin_fee=5 * 10**9,
    keeps_prices=True,
    slots=StableSlots(
        balances=2,
        fee=10,
        offpeg_fee_multiplier=11,
        initial_a=12,
        future_a=13,
        initial_a_time=14,
        future_a_time=15,
        admin_balances=17,
        rate_oracles=26,
        total_supply=49,
    ),
)

RULES: Final[Mapping[str, StableRules]] = {rules.name: rules for rules in (EARLY, TEMPLATE_2, NG)}
"""Generations by name."""


def facts_of(spec: PoolSpec) -> StableFacts:
    """A pool's facts."""
    assert isinstance(spec.facts, StableFacts)
    return spec.facts
