"""How the generations of StableSwap contracts differ, and what is fixed about one pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from flasharb.pools.curve import CurveFacts
from flasharb.pools.spec import PoolSpec

FEE_DENOMINATOR: Final = 10**10
PRECISION: Final = 10**18


@dataclass(frozen=True, slots=True)
class StableSlots:
    """Where a contract keeps its state; ``admin_balances`` is None where balances are kept net of admin fees.

    ``admin_fee`` is None where it is a constant of the code (``StableRules.admin_fee``). ``rates`` is None where the
    code has them. ``base_price``: a metapool's copy of its base pool's virtual price, then the time of that copy. All
    contracts keep the four words of A's ramp in one order, from ``initial_a`` on.
    """

    balances: int
    fee: int
    initial_a: int
    coins: int | None = None
    admin_fee: int | None = None
    lp_token: int | None = None
    is_killed: int | None = None
    admin_balances: int | None = None
    offpeg_fee_multiplier: int | None = None
    rate_oracles: int | None = None
    total_supply: int | None = None
    rates: int | None = None
    base_pool: int | None = None
    base_price: int | None = None

    @property
    def future_a(self) -> int:
        """A at the ramp's end."""
        return self.initial_a + 1

    @property
    def initial_a_time(self) -> int:
        """When the ramp began."""
        return self.initial_a + 2

    @property
    def future_a_time(self) -> int:
        """When the ramp ends."""
        return self.initial_a + 3


@dataclass(frozen=True, slots=True)
class StableRules:
    """One generation of contracts.

    ``a_precision``: A is kept times this. ``must_settle``: an iteration that does not settle reverts.
    ``keeps_prices``: every hop ends with the prices at the new balances, which may revert. ``divides_last``: in the
    invariant the product of all D / x is taken first and divided by n^n then, which rounds otherwise. ``any_amounts``:
    ``add_liquidity`` takes an array of any length. ``packs_prices``: the price at the new balances is kept in 128 bits,
    and a hop to where it does not fit reverts. ``coins`` is None where the rules fit any number of them.
    """

    name: str
    a_precision: int
    must_settle: bool
    slots: StableSlots
    admin_fee: int | None = None
    keeps_prices: bool = False
    divides_last: bool = False
    any_amounts: bool = False
    packs_prices: bool = False
    coins: int | None = None


@dataclass(frozen=True, slots=True)
class StableFacts:
    """What never changes about a pool.

    ``rates``: 10^(36 - decimals) of each coin. ``supply_slot`` is where the LP token keeps its total supply; None if
    nobody knows: then the pool has no LP hops, and its tokens are its coins only. Else the LP token comes after them.
    ``native`` is the coin that the pool holds as ether, which ``tokens`` list as WETH; None where there is none.
    ``base`` is the pool whose LP token is the last coin of a metapool, and whose virtual price is that coin's rate.
    """

    rules: StableRules
    rates: tuple[int, ...]
    supply_slot: int | None = None
    native: int | None = None
    base: PoolSpec | None = None

    @property
    def lp_index(self) -> int:
        """The number of coins, and of the LP token among the pool's tokens."""
        return len(self.rates)

    @property
    def is_ng(self) -> bool:
        """Whether its events have arrays of any length, and the invariant after fees."""
        return self.rules.slots.offpeg_fee_multiplier is not None

    @property
    def called(self) -> CurveFacts:
        """See ``pools.curve``."""
        return CurveFacts(len(self.rates), dynamic_amounts=self.rules.any_amounts, ether=self.native)


# keccak(0) to keccak(3): the compilers before 0.2.9 kept arrays at the hash of their slot
_HASHED: Final = (
    0x290DECD9548B62A8D60345A988386FC84BA6BC95484008F6362F93160EF3E563,
    0xB10E2D527612073B26EECDFD717E6A320CF44B4AFAC2B0732D9FCBE2B7FA0CF6,
    0x405787FA12A823E0F2B7631CC41B3BA8828B3321CA811111FA75CD3AA3BB5ACE,
    0xC2575A0E9E593C00F959F8C92F12DB2869C3395A3B0502D05E2516446F71F85B,
)
FACTORY_ADMIN_FEE: Final = 5 * 10**9

# 2020: A without hundredths, coins and balances at hashed slots (3pool)
EARLY: Final = StableRules(
    "early",
    a_precision=1,
    must_settle=False,
    slots=StableSlots(
        coins=_HASHED[0],
        balances=_HASHED[1],
        fee=2,
        admin_fee=3,
        lp_token=5,
        initial_a=6,
        is_killed=15,
    ),
)
# late 2020: the same slots, A in hundredths (EURS/sEUR, ETH/sETH)
HASHED: Final = replace(EARLY, name="hashed", a_precision=100, must_settle=True)
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
        is_killed=18,
    ),
)
# 2020 and 2021: metapools that copy the base pool's virtual price for ten minutes
META_UNSETTLED: Final = StableRules(
    "meta_unsettled",
    a_precision=100,
    must_settle=False,
    slots=StableSlots(
        coins=_HASHED[0],
        balances=_HASHED[1],
        fee=2,
        admin_fee=3,
        lp_token=5,
        base_pool=6,
        base_price=7,
        initial_a=10,
        is_killed=19,
    ),
)
META: Final = replace(META_UNSETTLED, name="meta", must_settle=True)


def _of_factory(
    name: str, coins: int, first: int, supply: int, *, rates: bool = True, divides_last: bool = False
) -> StableRules:
    """A pool that is its own LP token: coins from slot ``first``, then balances, fee, A, perhaps rates."""
    balances, fee = first + coins, first + 2 * coins
    slots = StableSlots(
        coins=first,
        balances=balances,
        fee=fee,
        initial_a=fee + 1,
        rates=fee + 5 if rates else None,
        total_supply=supply,
    )
    return StableRules(name, 100, True, slots, FACTORY_ADMIN_FEE, divides_last=divides_last, coins=coins)


# early 2021: metapools behind a forwarder, which also keep cumulative balances
META_FACTORY_1: Final = StableRules(
    "meta_factory_1",
    a_precision=100,
    must_settle=True,
    admin_fee=FACTORY_ADMIN_FEE,
    coins=2,
    slots=StableSlots(
        coins=_HASHED[2],
        balances=_HASHED[3],
        fee=4,
        initial_a=8,
        rates=12,
        total_supply=17,
    ),
)
# July 2021 (a lock a function before the rest) and 2022 (one lock)
META_FACTORY_2: Final = _of_factory("meta_factory_2", 2, 7, 26)
META_FACTORY_3: Final = _of_factory("meta_factory_3", 2, 2, 19)
# plain pools of the factory: of the same two times, with any decimals or ("even") all of 18
PLAIN_2021: Final = tuple(_of_factory(f"plain{n}_2021", n, 6, 20 + 3 * n, divides_last=n == 2) for n in (2, 3, 4))
PLAIN_2022: Final = tuple(_of_factory(f"plain{n}_2022", n, 2, 14 + 3 * n, divides_last=n == 2) for n in (2, 3, 4))
EVEN_2021: Final = tuple(
    _of_factory(f"even{n}_2021", n, 6, 20 + 2 * n, rates=False, divides_last=n == 2) for n in (2, 3, 4)
)
EVEN_2022: Final = tuple(
    _of_factory(f"even{n}_2022", n, 2, 14 + 2 * n, rates=False, divides_last=n == 2) for n in (2, 3, 4)
)
# early 2023: two coins and an average of their price; a fee that is changed after three days
EMA: Final = StableRules(
    "ema",
    a_precision=100,
    must_settle=True,
    admin_fee=FACTORY_ADMIN_FEE,
    keeps_prices=True,
    packs_prices=True,
    divides_last=True,
    coins=2,
    slots=StableSlots(
        coins=2,
        balances=4,
        fee=6,
        initial_a=9,
        rates=13,
        total_supply=22,
    ),
)
# 2023: stableswap-ng, plain: own LP token, dynamic fee, admin fees kept apart, coins in the code
NG: Final = StableRules(
    "ng",
    a_precision=100,
    must_settle=True,
    admin_fee=FACTORY_ADMIN_FEE,
    keeps_prices=True,
    any_amounts=True,
    slots=StableSlots(
        balances=2,
        fee=10,
        offpeg_fee_multiplier=11,
        initial_a=12,
        admin_balances=17,
        rate_oracles=26,
        total_supply=49,
    ),
)
# December 2023: its last version
NG_7: Final = replace(NG, name="ng_7", divides_last=True, slots=replace(NG.slots, rate_oracles=None, total_supply=40))

# and its metapools, whose mathematics is a contract of its own
NG_META: Final = StableRules(
    "ng_meta",
    a_precision=100,
    must_settle=True,
    admin_fee=FACTORY_ADMIN_FEE,
    keeps_prices=True,
    divides_last=True,
    coins=2,
    slots=StableSlots(
        balances=1,
        fee=3,
        offpeg_fee_multiplier=4,
        initial_a=5,
        admin_balances=10,
        total_supply=25,
    ),
)

RULES: Final[Mapping[str, StableRules]] = {
    rules.name: rules
    for rules in (
        EARLY,
        HASHED,
        TEMPLATE_2,
        META_UNSETTLED,
        META,
        META_FACTORY_1,
        META_FACTORY_2,
        META_FACTORY_3,
        *PLAIN_2021,
        *PLAIN_2022,
        *EVEN_2021,
        *EVEN_2022,
        EMA,
        NG,
        NG_7,
        NG_META,
    )
}
"""Generations by name."""


def facts_of(spec: PoolSpec) -> StableFacts:
    """A pool's facts."""
    assert isinstance(spec.facts, StableFacts)
    return spec.facts
